"""Spans of time as ISO 8601 text, as PostgreSQL spells them: `P1Y2M3DT4H5M6.7S`, each part with its own sign.

Nothing is carried between months, days and time: a month has no certain days, and a day no certain hours.
"""

import re
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

_SECOND: Final = 1_000_000_000  # nanoseconds
_UNITS: Final = {"s": _SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}
_PART: Final = re.compile(r"(-?\d+) (year|month|day)")
_CLOCK: Final = re.compile(r"(-?)(\d+):(\d\d):(\d\d)(?:[.](\d{1,6}))?")
PARQUET_BYTES: Final = 12  # months, days and milliseconds. Source: Parquet's LogicalTypes, INTERVAL


def iso(months: int, days: int, nanoseconds: int) -> str:
    """Spell a span; one of nothing is `PT0S`."""
    sign = -1 if nanoseconds < 0 else 1
    seconds, below = divmod(abs(nanoseconds), _SECOND)
    years, months = _parts(months, 12)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    exact = f"{seconds}.{below:09}".rstrip("0").rstrip(".")
    date = "".join(f"{count}{unit}" for count, unit in ((years, "Y"), (months, "M"), (days, "D")) if count)
    time = "".join(f"{sign * count}{unit}" for count, unit in ((hours, "H"), (minutes, "M")) if count)
    if exact != "0":
        time += f"{'-' if sign < 0 else ''}{exact}S"
    return f"P{date}T{time}" if time else f"P{date}" if date else "PT0S"


def _parts(number: int, size: int) -> tuple[int, int]:
    """Divide towards zero, so that both parts have the sign of the whole."""
    whole, rest = divmod(abs(number), size)
    return (-whole, -rest) if number < 0 else (whole, rest)


def is_duration(kind: "pa.DataType") -> bool:
    """Whether a type is a duration."""
    import pyarrow as pa

    return bool(pa.types.is_duration(kind) or kind == pa.month_day_nano_interval())


def texts(column: "pa.Array") -> "pa.Array":
    """Return the texts of durations."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_duration(kind):
        unit = _UNITS[kind.unit]
        spans = (count if count is None else (0, 0, count * unit) for count in column.cast(pa.int64()).to_pylist())
    else:
        spans = iter(column.to_pylist())
    return pa.array([None if span is None else iso(*span) for span in spans], pa.string())


def of_duckdb(column: "pa.Array") -> "pa.Array":
    """Return the texts of intervals as DuckDB spells them: `1 year -2 days 00:00:01.5`."""
    import pyarrow as pa

    return pa.array([None if text is None else _of_duckdb(text) for text in column.to_pylist()], pa.string())


def _of_duckdb(text: str) -> str:
    found = {unit: int(count) for count, unit in _PART.findall(text)}
    clock = _CLOCK.search(text)
    microseconds = 0
    if clock is not None:
        seconds = (int(clock[2]) * 60 + int(clock[3])) * 60 + int(clock[4])
        microseconds = (seconds * 1_000_000 + int((clock[5] or "").ljust(6, "0"))) * (-1 if clock[1] else 1)
    return iso(12 * found.get("year", 0) + found.get("month", 0), found.get("day", 0), microseconds * 1_000)


def parquet_texts(column: "pa.Array") -> "pa.Array":
    """Return the texts of Parquet's own intervals, which come as twelve bytes each."""
    import pyarrow as pa

    found = (None if value is None else struct.unpack("<III", value) for value in column.to_pylist())
    return pa.array([value and iso(value[0], value[1], value[2] * _UNITS["ms"]) for value in found], pa.string())
