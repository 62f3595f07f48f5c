"""What pydantic finds wrong with a file, as mistakes with their place: in our words, with what may have been meant."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import BaseModel

from bucket_loader.config.document import Document, Path_
from bucket_loader.config.plugins import source_names, type_by_end
from bucket_loader.model import did_you_mean

ABSENT: Final = ("missing", "extra_forbidden")
"""The errors whose place is a word that the file, or its model, does not have."""


@dataclass(frozen=True)
class Words:
    """The words that a file may hold, and where a person finds them."""

    known: list[str]
    listed: str


def note(document: Document, found: Mapping[str, Any], path: Path_, words: Words) -> None:
    """Note an error of pydantic's at its place, once."""
    match found["type"]:
        case "extra_forbidden":
            message, hint = f"`{path[-1]}` is not known here", did_you_mean(str(path[-1]), words.known, words.listed)
        case "missing":
            message, hint, path = f"`{found['loc'][-1]}` is missing", "", path[:-1]
        case "source_type":
            path, message, hint = _about_source_type(document, path)
        case "source_plugin":
            path, message, hint = (*path, "type"), found["ctx"]["said"], found["ctx"]["hint"]
        case "literal_error":
            message, hint = _about_choice(document, path, choices_of(found))
        case _:
            message, hint = in_our_words(found), ""
    _add(document, path, message, hint)


def in_our_words(found: Mapping[str, Any]) -> str:
    """Return what an error of pydantic's says, as everybody understands it."""
    limits: Mapping[str, Any] = found.get("ctx", {})
    kind = str(found["type"])
    if kind == "literal_error":
        return f"must be {one_of(choices_of(found))}"
    if limits.get("min_length") == 1:
        return "must not be empty"
    if limits.get("max_length") == 1:
        return "must be one character"
    if (words := _WORDS.get(kind)) is not None:
        return words.format(**limits)
    return str(found["msg"]).removeprefix("Value error, ")


# By the type of the error; the names in braces are pydantic's, of the limit that was passed.
_WORDS: Final = {
    **dict.fromkeys(["string_type", "string_unicode"], "must be text"),
    **dict.fromkeys(["int_parsing", "int_type", "int_from_float", "int_parsing_size"], "must be a whole number"),
    **dict.fromkeys(["float_parsing", "float_type", "finite_number", "decimal_parsing"], "must be a number"),
    **dict.fromkeys(["bool_parsing", "bool_type"], "must be true or false"),
    **dict.fromkeys(
        ["dict_type", "model_type", "model_attributes_type", "mapping_type"], "must be a mapping (`name: value` lines)"
    ),
    **dict.fromkeys(["list_type", "tuple_type"], "must be a list"),
    "too_long": "must have at most {max_length} entries",
    "path_type": "must be a path",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    **dict.fromkeys(
        ["datetime_type", "datetime_parsing", "datetime_from_date_parsing", "datetime_object_invalid"],
        "must be a time, for example 2026-01-31T08:00:00Z",
    ),
    "timezone_aware": "must be a time with its zone, for example 2026-01-31T08:00:00Z",
}


def choices_of(found: Mapping[str, Any]) -> list[str]:
    """Return what may be written, of an error that says it is something else."""
    return [text or number for text, number in re.findall(r"'([^']*)'|(\d+)", str(found["ctx"]["expected"]))]


def one_of(choices: list[str]) -> str:
    """Return choices for a person to read."""
    return " or ".join(filter(None, [", ".join(choices[:-1]), choices[-1]]))


def words_of(model: type[BaseModel]) -> list[str]:
    """Return the words of every model that is made from this one."""
    return sorted({name for one in _below(model) for name in one.model_fields})


def _about_choice(document: Document, path: Path_, choices: list[str]) -> tuple[str, str]:
    """Return what is wrong with a word that is none of those that may stand there, and what may have been meant."""
    value, written = document.value(path), document.value(path, as_written=True)
    if value is None:
        return f"has no value; write {one_of(choices)}", ""
    if isinstance(value, dict | list):
        return f"must be {one_of(choices)}", ""
    return f"must be {one_of(choices)}, not `{written}`", did_you_mean(str(value), choices)


def _about_source_type(document: Document, path: Path_) -> tuple[Path_, str, str]:
    """Return what is wrong with a source that has no type, or one that nothing is called."""
    source = document.value(path)
    if isinstance(source, dict) and source.get("type") is not None:
        return (*path, "type"), *_about_choice(document, (*path, "type"), source_names())
    place = source.get("path") if isinstance(source, dict) else None
    row = type_by_end(place) if isinstance(place, str) else None
    hint = "" if row is None else f"by its name the file is `type: {row.name}`"
    return path, f"needs `type:`, one of {', '.join(source_names())}", hint


def _add(document: Document, path: Path_, message: str, hint: str) -> None:
    """Add a mistake; what a value must be by several alternatives is one."""
    document.mistake(path, message, hint)
    latest, before = document.mistakes[-1], document.mistakes[:-1]
    for index, one in enumerate(before):
        if one.path != latest.path:
            continue
        both = one.message.startswith("must be ") and message.startswith("must be ") and one.message != message
        if both:
            head, is_given, given = one.message.partition(", not `")
            joined = f"{head} or {message.removeprefix('must be ')}{is_given}{given}"
            document.mistakes[index] = replace(one, message=joined, hint=one.hint or hint)
        if both or one == latest:
            document.mistakes.pop()
            return


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for one in model.__subclasses__():
        yield one
        yield from _below(one)
