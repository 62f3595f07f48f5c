"""A zone's offsets in the years that most times are of, so that a local time far from a clock change is moved at once.

They are asked of DuckDB, whose zones all other times are moved by, for each day at midnight. Where they are the same on
days in a row, no clock changes between these days.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from bucket_loader.model import literal
from bucket_loader.planning.mapping.database import connected

# Wide enough for most times; each year more is two more looks to prepare, a third of a millisecond a run.
_FIRST: Final = datetime(2005, 1, 1)  # noqa: DTZ001  # days of UTC
_LAST: Final = datetime(2036, 1, 1)  # noqa: DTZ001
_DAY: Final = timedelta(days=1)

Stretch = tuple[datetime, datetime, int]
"""Local times, from the first to before the second, and the microseconds to take off them."""


def at_once(local: str, zone: str) -> str:
    """Move a local time to UTC where no clock changes within a day of it; NULL where one may."""
    return f"make_timestamp(epoch_us({local}) - {_tree(local, _stretches(zone))})"


def _tree(local: str, stretches: Sequence[Stretch]) -> str:
    """Look a local time up by halves, as SQL."""
    if len(stretches) == 1:
        ((begin, end, offset),) = stretches
        return f"CASE WHEN {local} >= {_stamp(begin)} AND {local} < {_stamp(end)} THEN {offset} END"
    half = len(stretches) // 2
    below, above = _tree(local, stretches[:half]), _tree(local, stretches[half:])
    return f"CASE WHEN {local} < {_stamp(stretches[half][0])} THEN {below} ELSE {above} END"


def _stamp(moment: datetime) -> str:
    return f"TIMESTAMP '{moment}'"


@cache
def _stretches(zone: str) -> tuple[Stretch, ...]:
    days = f"SELECT unnest(generate_series({_stamp(_FIRST)}, {_stamp(_LAST)}, INTERVAL 1 DAY)) AS day"
    shown = f"timezone({literal(zone)}, make_timestamptz(epoch_us(day)))"
    offsets = f"SELECT day, epoch_us({shown}) - epoch_us(day) AS offset_us FROM ({days})"
    changed = "offset_us IS DISTINCT FROM lag(offset_us) OVER (ORDER BY day)"
    with connected() as connection:
        found = connection.execute(f"SELECT * FROM ({offsets}) QUALIFY {changed} ORDER BY day").fetchall()
    ends = [begin - _DAY for begin, _ in found[1:]] + [_LAST]
    # A day off at both ends: what is moved looks at the offsets a day before and a day after the local time.
    return tuple((begin + _DAY, end - _DAY, offset) for (begin, offset), end in zip(found, ends, strict=True))
