"""The values of a workbook's cells: their kinds, the Arrow type that holds all of a column, and their texts."""

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

_EXACT: Final = 2**53  # beyond it a float rounds integers


class Style(NamedTuple):
    """What a cell's format makes of a number: a time, a span, a day without a time of day, or nothing of these."""

    is_time: bool
    is_span: bool
    is_day: bool


PLAIN: Final = Style(is_time=False, is_span=False, is_day=False)
# Texts of XML cannot hold all characters; Excel writes those as `_x000D_`, and `_x005F_` for a `_` that is none of it.
_ESCAPE: Final = re.compile("_x([0-9A-Fa-f]{4})_")
_FIRST_DAYS: Final = (date(1899, 12, 30), date(1899, 12, 31))  # a time of day alone has no other day


def unescaped(text: str) -> str:
    """Return a text without the escapes of ECMA-376 (ST_Xstring)."""
    if "_x" not in text:
        return text
    found = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    # Two escapes may be the halves of one character. A half alone stays one, and is refused as a text.
    return found.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def style_of(number: int, codes: Mapping[int, str | None]) -> Style:
    """Return what a number format makes of numbers.

    Args:
        number: the format's.
        codes: the formats that the workbook itself has.
    """
    from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_datetime, is_timedelta_format

    code = codes.get(number, BUILTIN_FORMATS.get(number, "General"))
    if not is_date_format(code):
        return PLAIN
    return Style(is_time=True, is_span=is_timedelta_format(code), is_day=is_datetime(code) == "date")


def from_number(value: float, style: Style, start: datetime) -> Any:  # noqa: ANN401
    """Return what a number means in a cell of a style.

    Raises:
        OverflowError, ValueError: it is no day that Excel can show.
    """
    from openpyxl.utils.datetime import from_excel

    return _in_style(from_excel(value, start, timedelta=style.is_span), style) if style.is_time else value


def from_iso(text: str, style: Style) -> Any:  # noqa: ANN401
    """Return the time that a cell of a strict workbook has as text.

    Raises:
        ValueError: it is none, or a span whose days nobody can tell from a date.
    """
    from openpyxl.utils.datetime import from_ISO8601

    text = text.removesuffix("Z")
    if text.startswith("P"):
        return from_ISO8601(text)
    if style.is_span:
        raise ValueError(text)
    if "T" not in text:
        return time.fromisoformat(text) if ":" in text else date.fromisoformat(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError(text)
    return moment.time() if moment.date() in _FIRST_DAYS else _in_style(moment, style)


def _in_style(value: Any, style: Style) -> Any:  # noqa: ANN401
    return value.date() if style.is_day and isinstance(value, datetime) and value.time() == time() else value


def kind_of(value: object) -> str:
    """Return the kind of a value; those of a column decide its type."""
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer" if abs(value) <= _EXACT else "big integer"
        case float():
            return "float"
        case datetime():
            return "datetime"
        case date():
            return "date"
        case time():
            return "time"
        case timedelta():
            return "duration"
        case _:
            return "text"


def type_of(kinds: set[str]) -> "pa.DataType":
    """Return the Arrow type that holds all values of some kinds; texts where no other does."""
    import pyarrow as pa

    types = {
        frozenset({"boolean"}): pa.bool_(),
        frozenset({"integer"}): pa.int64(),
        frozenset({"float"}): pa.float64(),
        frozenset({"integer", "float"}): pa.float64(),
        frozenset({"date"}): pa.date32(),
        frozenset({"datetime"}): pa.timestamp("us"),
        frozenset({"date", "datetime"}): pa.timestamp("us"),
        frozenset({"time"}): pa.time64("us"),
        frozenset({"duration"}): pa.duration("us"),
    }
    return types.get(frozenset(kinds), pa.string())


def in_type(value: Any, kind: "pa.DataType") -> Any:  # noqa: ANN401
    """Return a value as a column of that type holds it."""
    import pyarrow as pa

    if value is None:
        return None
    if pa.types.is_string(kind):
        return text_of(value)
    if pa.types.is_timestamp(kind) and not isinstance(value, datetime):
        return datetime.combine(value, time())
    return float(value) if pa.types.is_floating(kind) else value


def text_of(value: object) -> str:
    """Return the text of a value: whole numbers without a point, times as ISO 8601 writes them."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return str(int(value)) if value.is_integer() and abs(value) <= _EXACT else repr(value)
        case datetime():
            return value.isoformat(" ")
        case date() | time():
            return value.isoformat()
        case _:
            return str(value)
