"""The texts of `null_values:` that name a time, spelt as DuckDB spells it.

A source shows its times in a spelling of its own: `T` or a blank, `Z` or `+00:00`, in its own zone. Here they are no
texts any more, and one moment is one moment.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bucket_loader.planning.mapping.forms.form import Family

TIMES: Final = frozenset({"timestamp", "zoned", "date", "time"})
_DAY: Final = r"(?P<day>\d{4}-\d\d-\d\d)"
_CLOCK: Final = r"(?P<clock>\d\d:\d\d(?::\d\d)?)(?:[.,](?P<part>\d{1,9}))?"
_MOMENT: Final = re.compile(rf"{_DAY}(?:[T ]{_CLOCK})? ?(?P<zone>[Zz]|UTC|[+-]\d\d(?::?\d\d)?)?")
_TIME: Final = re.compile(_CLOCK)
_FIXED: Final = re.compile(r"[+-]\d\d:?\d\d")
_UTC: Final = frozenset({"utc", "z", "etc/utc", "gmt", "+00:00"})


@dataclass(frozen=True)
class NullTimes:
    """Times that are null.

    Attributes:
        texts: as a CAST to text gives them; moments in UTC.
        local: of moments without a zone: as they are in the zone that the source shows them in.
    """

    texts: tuple[str, ...] = ()
    local: tuple[str, ...] = ()


def null_times(listed: Sequence[str], of: Family, zone: str) -> NullTimes:
    """Spell those of some texts that name a time of a family.

    Args:
        listed: what `null_values:` says.
        of: the family of the column.
        zone: the zone that its source shows moments in.
    """
    if of == "time":
        matches = filter(None, map(_TIME.fullmatch, listed))
        return NullTimes(tuple(_clock(match) for match in matches))
    texts: list[str] = []
    local: list[str] = []
    for match in filter(None, map(_MOMENT.fullmatch, listed)):
        written, naive = match["zone"], f"{match['day']} {_clock(match)}"
        if of == "zoned":
            offset = written or ("Z" if zone.lower() in _UTC else zone if _FIXED.fullmatch(zone) else None)
            (texts if offset else local).append(f"{_in_utc(naive, offset)}+00" if offset else naive)
        elif written is None and of == "timestamp":
            texts.append(naive)
        elif written is None and naive.endswith(" 00:00:00"):
            texts.append(match["day"])
    return NullTimes(tuple(texts), tuple(local))


def _clock(match: re.Match[str]) -> str:
    clock, part = match["clock"] or "00:00:00", (match["part"] or "").rstrip("0")
    return clock + (":00" if clock.count(":") == 1 else "") + (f".{part}" if part else "")


def _in_utc(naive: str, offset: str) -> str:
    """Move a local time by its offset; one that is no time stays, and is like none."""
    whole, dot, part = naive.partition(".")
    written = "+00:00" if offset.lower() in {"z", "utc"} else offset
    try:
        moment = datetime.fromisoformat(f"{whole}{written}").astimezone(UTC)
    except (ValueError, OverflowError):
        return naive
    return f"{moment:%Y-%m-%d %H:%M:%S}".rjust(19, "0") + dot + part
