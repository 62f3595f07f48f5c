"""Times of day as text, to the nanosecond and up to 24:00:00, where Python's own end before them."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

_DAY_SECONDS: Final = 86_400
_UNITS_A_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def texts(column: "pa.Array") -> "pa.Array":
    """Return the texts of times of day."""
    import pyarrow as pa

    units = _UNITS_A_SECOND[column.type.unit]
    texts_of = (None if count is None else _text(count, units) for count in _counts(column).to_pylist())
    return pa.array(texts_of, pa.string())


def are_within_a_day(column: "pa.Array") -> bool:
    """Whether all times are from 00:00:00 to 24:00:00."""
    import pyarrow.compute as pc

    ends = pc.min_max(_counts(column)).as_py()
    return (ends["min"] or 0) >= 0 and (ends["max"] or 0) <= _DAY_SECONDS * _UNITS_A_SECOND[column.type.unit]


def _counts(column: "pa.Array") -> "pa.Array":
    import pyarrow as pa

    return column.cast(pa.int32() if pa.types.is_time32(column.type) else pa.int64())


def _text(count: int, units: int) -> str:
    seconds, below = divmod(count, units)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    fraction = f".{below:0{len(str(units)) - 1}}".rstrip("0") if below else ""
    return f"{hour:02}:{minute:02}:{second:02}{fraction}"
