"""Times of day as text, to the nanosecond and up to 24:00:00, where Python's own end before them."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

_UNITS_A_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def texts(column: "pa.Array") -> "pa.Array":
    """Return the texts of times of day."""
    import pyarrow as pa

    kind = column.type
    counts = column.cast(pa.int32() if pa.types.is_time32(kind) else pa.int64()).to_pylist()
    units = _UNITS_A_SECOND[kind.unit]
    return pa.array([None if count is None else _text(count, units) for count in counts], pa.string())


def _text(count: int, units: int) -> str:
    seconds, below = divmod(count, units)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    fraction = f".{below:0{len(str(units)) - 1}}".rstrip("0") if below else ""
    return f"{hour:02}:{minute:02}:{second:02}{fraction}"
