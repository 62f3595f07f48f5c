"""Guesses of what an attribute's values are: times, truths, numbers. Each reads the whole sample, or is not made."""

import re
from collections.abc import Mapping
from typing import Final

from pyarrow import types

from bucket_loader.runs.init.evidence import Column
from bucket_loader.runs.init.guess import Guess
from bucket_loader.runs.init.times import time_guess

# Digits that are names: a later one may begin with a zero.
_NAME_OF_DIGITS: Final = re.compile(
    r".*(id|(^|_)(zip|postal|phone|mobile|fax|key|ref|sku|version|ssn|iban)|code|number|_no)"
)
# NO is Norway there.
_OF_COUNTRIES: Final = re.compile(r".*(country|nation|region|state|locale|lang|language|market|code|iso)\d?")
_TRUTH: Final = r"(?i:true|false|yes|no)"
_WHOLE: Final = r"-?(0|[1-9]\d{0,14})"
_NUMBER: Final = r"-?(0|[1-9]\d{0,9})(\.\d{1,5})?"
_NEARLY: Final = 0.9


def value_guess(column: Column) -> Guess:
    """Guess the words of an attribute over a column."""
    if types.is_date(column.type):
        return Guess()
    if (time := time_guess(column)) is not None:
        return time
    if column.family == "binary":
        return Guess({"type": "string", "encoding": "utf8" if _is_utf8(column) else "hex"})
    if column.family == "text":
        return _text(column)
    return Guess()


def _text(column: Column) -> Guess:
    if column.all_match(_TRUTH) and not _OF_COUNTRIES.fullmatch(column.words):
        return Guess({"type": "boolean"})
    if _NAME_OF_DIGITS.fullmatch(column.words):
        return Guess()
    for pattern, name in ((_WHOLE, "integer"), (_NUMBER, "number")):
        if column.all_match(pattern):
            return Guess({"type": name})
    numbers = column.count(_NUMBER)
    if numbers and numbers >= _NEARLY * len(column.values):
        others = len(column.values) - numbers
        return Guess(note=f"{others:,} of its {len(column.values):,} values are no numbers like the others")
    return Guess()


def _is_utf8(column: Column) -> bool:
    try:
        for value in column.values:
            bytes(value).decode()
    except UnicodeDecodeError:
        return False
    return True


# What speaks for the words of a field.
_REASONS: Final = {
    "unit": {"s": "seconds since 1970", "ms": "milliseconds since 1970", "us": "microseconds since 1970"}
    | {"ns": "nanoseconds since 1970"},
    "type": {"integer": "all are whole numbers", "number": "all are numbers", "boolean": "all are yes or no"}
    | {"date": "all are dates", "string": "its bytes are text", "timestamp": "all are times"},
}


def reason_of(words: Mapping[str, str]) -> str:
    """Return what speaks for the words of a field, in short."""
    found = next((named[words[word]] for word, named in _REASONS.items() if words.get(word) in named), "all are times")
    if "format" in words:
        found = "this form reads all"
    return found + ("; none names a zone" if "timezone" in words else "") if words else ""
