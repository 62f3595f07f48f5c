"""Guesses of times: which format, unit and zone read every value of a sample. One that does not fit refutes a guess."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Final

from pyarrow import types

from bucket_loader.runs.init.evidence import Column
from bucket_loader.runs.init.guess import Guess, quoted

_UTC: Final = {"timezone": "UTC"}
# What the loader reads without a `format:`.
_ISO: Final = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d([.,]\d{1,9})?)?( ?(Z|z|[+-](0\d|1[0-4])(:?[0-5]\d)?))?)?",
    re.ASCII,
)
_DATE: Final = re.compile(r"[1-9]\d{3}-\d\d-\d\d", re.ASCII)
_ZONED: Final = re.compile(r".*:.*(Z|z|[+-]\d\d(:?\d\d)?)")
_CLOCK: Final = (
    r"(?:(?P<join>T|, | )(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?P<fraction>[.,]\d{1,9})?)?"
    "(?P<blank>[ \u202f]?)(?P<half>[AaPp][Mm])?(?P<zone> ?(?:Z|UTC|GMT|[+-]\\d\\d(?::?\\d\\d)?))?)?"
)
_DATES: Final = (
    r"(?P<year>\d{4})(?P<sep>[-/.])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})",
    r"(?P<one>\d{1,2})(?P<sep>[-/.])(?P<two>\d{1,2})(?P=sep)(?P<year>\d{4})",
    r"(?P<weekday>[A-Za-z]{3}, )?(?P<day>\d{1,2})(?P<sep>[ -])(?P<name>[A-Za-z]{3,9})(?P=sep)(?P<year>\d{4})",
    r"(?P<name>[A-Za-z]{3,9})(?P<sep> )(?P<day>\d{1,2}), (?P<year>\d{4})",
)
_FORMS: Final = tuple(re.compile(date + _CLOCK, re.ASCII) for date in _DATES)
_COMPACT: Final = re.compile(r"(?P<year>(?:19|20)\d\d)(?P<month>\d\d)(?P<day>\d\d)", re.ASCII)
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_FORMATS_MAX: Final = 4
_YEAR_MIN, _YEAR_MAX = 1000, 9998  # of a moment that the loader believes

Parts = Mapping[str, str]
"""A time's text, in parts: year, month, day, hour, ..."""

# A number is a moment only in a column that is called like one, between 1980 and 2100.
_TIME_NAME: Final = re.compile(
    r"(.*_)?(timestamp|time|datetime|date|at|on|ts|epoch|created|updated|modified|since|until|seen|expires|start|end|day|hour|"
    r"(first|last|latest|previous|next)_?[a-z]+)"
    r"(_(s|ms|us|ns|sec|secs|seconds|millis|milliseconds|micros|microseconds|nanos|epoch|unix|utc))?"
)
_EPOCH: Final = r"\d{9,19}(\.\d{1,9})?"
_EPOCH_S: Final = (315_532_800, 4_102_444_800)
# One that is not called like a moment is one where its numbers are many and lie between 2005 and 2033.
_NEAR_S: Final = (1_104_537_600, 2_000_000_000)
_MANY: Final = 5
_OTHER_NUMBERS: Final = re.compile(
    r".*(id|key|ref|code|number|(^|_)no|phone|mobile|revenue|amount|mrr|arr|price|cost|value|spend|usd|eur|bytes|size|total|"
    r"count|sum|version|hash)s?"
)
_A_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def time_guess(column: Column) -> Guess | None:
    """Guess how a column is read as a moment; None where nothing speaks for one."""
    match column.family:
        case "zoned":
            return Guess()
        case "naive":
            return Guess(_UTC)
        case "number":
            return _epoch(column)
        case "text":
            return _text(column) or _epoch(column)
        case _:
            return None


def is_called_like_a_time(column: Column) -> bool:
    """Whether a column's name is that of a moment."""
    return _TIME_NAME.fullmatch(column.words) is not None


def is_a_day(column: Column) -> bool:
    """Whether moments are days: none has a time of day, or all have that of midnight."""
    if column.family == "text":
        return column.all_match(r"(?!\d{9})[^:]*|.*[ T]0?0:00(:00(\.0+)?)?( ?(Z|UTC|[+-]00:?00))?")
    return bool(types.is_date(column.type))


def _epoch(column: Column) -> Guess | None:
    numbers = column.values
    is_called = is_called_like_a_time(column)
    if not numbers or (not is_called and (column.distinct < _MANY or _OTHER_NUMBERS.fullmatch(column.words))):
        return None
    first, last = _EPOCH_S if is_called else _NEAR_S
    if column.family == "text":
        if not column.all_match(_EPOCH):
            return None
        numbers = [float(value) for value in numbers]
    for unit, per_second in _A_SECOND.items():
        if all(first <= number / per_second <= last for number in numbers):
            return Guess({"type": "timestamp", "unit": unit})
    return None


def _text(column: Column) -> Guess | None:
    texts = [str(value).strip() for value in column.values]
    if not texts:
        return None
    if all(_ISO.fullmatch(text) and _is_real(_parts(text)) for text in texts):
        all_zoned = all(_ZONED.fullmatch(text) for text in texts)
        return Guess({"type": "timestamp"} | ({} if all_zoned else _UTC))
    if all(_DATE.fullmatch(text) for text in texts) and all(map(_is_date, texts)):
        return Guess({"type": "date"})  # some are beyond the years of moments
    forms = [_parts(text) for text in texts]
    if is_called_like_a_time(column) and all(_COMPACT.fullmatch(text) for text in texts):
        forms = [_COMPACT.fullmatch(text) for text in texts]
    found = [form.groupdict("") for form in forms if form is not None]
    if len(found) < len(texts):
        return _almost(found, texts)
    return _of_one_order(found)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _parts(text: str) -> re.Match[str] | None:
    return next((found for form in _FORMS if (found := form.fullmatch(text))), None)


def _almost(found: Sequence[Parts], texts: Sequence[str]) -> Guess | None:
    """Say that nearly all values look like times: a format that some of them refute is not guessed."""
    if len(found) * 10 < len(texts) * 9:
        return None
    return Guess(note=f"{len(texts) - len(found):,} of its {len(texts):,} values are no times like the others")


def _of_one_order(found: Sequence[Parts]) -> Guess:
    """Guess the formats of values that all look like times, where one order of day and month reads all of them."""
    orders = [order for order in ("%d%m", "%m%d") if all(_is_real_in(order, parts) for parts in found)]
    if not orders and all("one" in parts for parts in found):
        return Guess(note="no one order of day and month reads all of its values")
    if not orders:
        return Guess(note=f"some of its values are no moments between the years {_YEAR_MIN} and {_YEAR_MAX}")
    guesses = [_words(order, found) for order in orders]
    if None in guesses:
        return Guess(note="its times are written in many ways")
    distinct = [words for place, words in enumerate(guesses) if words and words not in guesses[:place]]
    if len(distinct) == 1:
        return Guess(distinct[0])
    return Guess(note="day or month first? both read every value of the sample", choices=distinct)


def _words(order: str, found: Sequence[Parts]) -> Mapping[str, str] | None:
    one_digit = {
        name for parts in found for name in ("one", "two", "day", "month", "hour") if len(parts.get(name, "")) == 1
    }
    counted: dict[str, int] = {}
    for parts in found:
        form = "".join(_format(order, parts, one_digit))
        counted[form] = counted.get(form, 0) + 1
    formats = [quoted(form) for form in sorted(counted, key=lambda form: -counted[form])]
    if len(formats) > _FORMATS_MAX:
        return None
    words = {"type": "timestamp", "format": formats[0] if len(formats) == 1 else f"[{', '.join(formats)}]"}
    return words | ({} if all("%z" in form for form in formats) else _UTC)


def _format(order: str, parts: Parts, one_digit: set[str]) -> Iterator[str]:
    """Return the pieces of the format that reads one value."""

    def number(name: str, sign: str) -> str:
        return f"%-{sign}" if name in one_digit else f"%{sign}"

    sep = parts.get("sep", "")
    if "one" in parts:
        yield f"{number('one', order[1])}{sep}{number('two', order[3])}{sep}%Y"
    elif "name" in parts and "weekday" not in parts:
        yield f"{_month_sign(parts)} {number('day', 'd')}, %Y"
    elif "name" in parts:
        yield f"{'%a, ' if parts['weekday'] else ''}{number('day', 'd')}{sep}{_month_sign(parts)}{sep}%Y"
    else:
        yield f"%Y{sep}{number('month', 'm')}{sep}{number('day', 'd')}"
    if parts.get("hour"):
        yield f"{parts['join']}{number('hour', 'I' if parts['half'] else 'H')}:%M"
        yield (":%S" if parts["second"] else "") + _fraction(parts["fraction"])
        yield parts["blank"] + ("%p" if parts["half"] else "")
        yield re.sub(r"[+-]\d\d(:?\d\d)?", "%z", parts["zone"])


def _fraction(text: str) -> str:
    return "" if not text else text[0] + ("%f" if len(text) <= len(".123456") else "%n")


def _month_sign(parts: Parts) -> str:
    return "%b" if len(parts["name"]) == len("jan") else "%B"


def _is_real(form: re.Match[str] | None) -> bool:
    return form is not None and _is_real_in("%d%m", form.groupdict(""))


def _is_real_in(order: str, parts: Parts) -> bool:
    """Whether there is such a moment: no month 13, no 30th of February, no hour 25, no year before 1000."""
    day, month = parts.get("day", ""), parts.get("month", "")
    if "one" in parts:
        day, month = (parts["one"], parts["two"]) if order == "%d%m" else (parts["two"], parts["one"])
    if "name" in parts:
        name = parts["name"].lower()
        named = [number for number, long in enumerate(_MONTHS, start=1) if name in {long, long[:3]}]
        month = str(named[0]) if named else "0"
    hour = int(parts.get("hour") or 0)
    if parts.get("half") and hour not in range(1, 13):
        return False
    try:
        moment = datetime(int(parts["year"]), int(month), int(day), hour, *_minutes(parts))  # noqa: DTZ001  # no zone
    except ValueError:
        return False
    return _YEAR_MIN <= moment.year <= _YEAR_MAX


def _minutes(parts: Parts) -> tuple[int, int]:
    return int(parts.get("minute") or 0), int(parts.get("second") or 0)
