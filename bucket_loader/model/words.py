"""Numbers and times as a person reads them: `1 request`, `2,000 rows`, `41 s`, `9 min`."""

from typing import Final

_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400


def counted(count: int, noun: str, nouns: str = "") -> str:
    """Return a count with its noun; `nouns` is the plural where it is not `noun` and an s."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def spoken(seconds: float) -> str:
    """Return a time that passes, as short as it can be said: with two units at the most."""
    whole = max(0, round(seconds))
    for unit_s, unit, part_s, part in (
        (_DAY_S, "d", _HOUR_S, "h"), (_HOUR_S, "h", _MINUTE_S, "min"), (_MINUTE_S, "min", 1, "s"),
    ):  # fmt: skip
        if whole >= unit_s:
            rest = whole % unit_s // part_s
            return f"{whole // unit_s} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s" if whole else f"{max(0.1, seconds):.1f} s"
