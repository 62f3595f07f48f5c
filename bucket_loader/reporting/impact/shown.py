"""What is shown of the impact of a plan to people, whatever the form: the same words, and values in few signs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bucket_loader.reporting.diff.showing import Showing
from bucket_loader.reporting.impact.value import Impact

HEADER: Final = ("feature", "turns on", "turns off", "variant", "unchanged", "unknown")
WHYS_SHOWN: Final = 3


def table_rows(impact: Impact, showing: Showing) -> Iterator[tuple[str, ...]]:
    """Yield what becomes of each feature, those that change first."""
    for key in _in_order(impact):
        one = impact.features[key]
        counts = (one.on, one.off, one.variant, one.unchanged, one.unknown)
        yield showing.text(key), *(f"{count:,}" for count in counts)


def _in_order(impact: Impact) -> Sequence[str]:
    return sorted(impact.features, key=lambda key: (-impact.features[key].flips, key))


def whys(impact: Impact, showing: Showing) -> Iterator[str]:
    """Yield why something is unknown, a sentence for each reason."""
    for key, found in impact.whys.items():
        for why, count in list(found.items())[:WHYS_SHOWN]:
            yield f"{showing.text(key)}: {count:,} unknown; {showing.text(why)}"
        if (more := len(found) - WHYS_SHOWN) > 0:
            yield f"{showing.text(key)}: and for {more:,} more reasons"


def whom(flip: Mapping[str, Any], showing: Showing) -> str:
    """Return for whom something changes."""
    ids = (("company", flip["companyId"]), ("user", flip["userId"]))
    return ", ".join(f"{name} {showing.text(id_)}" for name, id_ in ids if id_ is not None)


def becomes(flip: Mapping[str, Any], showing: Showing) -> str:
    """Return what changes: whether it is on, or the variant."""
    if "variant" in flip:
        old, new = (showing.text(flip["variant"][word] or "none") for word in ("old", "new"))
        return f"variant {old} {showing.arrow} {new}"
    return "on" if flip["after"] else "off"


def rules(flip: Mapping[str, Any], showing: Showing) -> str:
    """Return which rule decides before and after, numbered from 1."""
    names = ["no rule" if one is None else f"rule {one + 1}" for one in (flip["rule_before"], flip["rule_after"])]
    return f" {showing.arrow} ".join(dict.fromkeys(names))


def attributes(flip: Mapping[str, Any], showing: Showing) -> Iterator[str]:
    """Yield what its rules ask for and what changes."""
    for name, pair in flip["attributes"].items():
        old, new = showing.pair(pair)
        yield f"{showing.text(name)}: {old or '(none)'} {showing.arrow} {new or '(none)'}"


def more(impact: Impact, shown: int) -> str:
    """Say how many flips are not shown; nothing where all are."""
    left = sum(one.flips for one in impact.features.values()) - shown
    return f"... and {left:,} more; --format json or csv has all of them" if left > 0 else ""
