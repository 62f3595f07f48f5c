"""The values of a workbook's cells: their kinds, the Arrow type that holds all of a column, and their texts."""

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

_EXACT: Final = 2**53  # beyond it a float rounds integers


def value_of(cell: Any) -> Any:  # noqa: ANN401
    """Return a cell's value; a date without a time of day where its format shows none."""
    from openpyxl.styles.numbers import is_datetime

    value = cell.value
    if isinstance(value, datetime) and is_datetime(cell.number_format) == "date" and value.time() == time():
        return value.date()
    return value


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
