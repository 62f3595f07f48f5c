"""What a record was compared with when it was planned, told from what earlier plans still know of its key."""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import UNSET

from bucket_loader.model import KINDS, SYNCS, counted
from bucket_loader.planning import NOTHING, Change
from bucket_loader.reporting import Compared, Difference
from bucket_loader.runs.life.search import Hit
from bucket_loader.state import snapshots


@dataclass(frozen=True)
class Before:
    """What is known of the time before a run.

    Attributes:
        delivered: earlier records of the same key that were delivered, or may have been; oldest first.
        gone: how many earlier runs have no plan any more.
        is_replay: whether the run took up dead letters.
    """

    delivered: Sequence[Hit]
    gone: int
    is_replay: bool = False


def compared(hit: Hit, before: Before) -> Compared:
    """Return what a record was compared with, and what came of it."""
    last = before.delivered[-1] if before.delivered else None
    text = _outcome(hit, last, before)
    if last is None or hit.content == snapshots.REMOVED or not KINDS[hit.stream.kind].ordered:
        return Compared(text, last.run if last is not None else None)
    return Compared(text, last.run, differences(last.text, hit.text, (last.has_own_time, hit.has_own_time)))


def _outcome(hit: Hit, last: Hit | None, before: Before) -> str:
    """Say what came of comparing a record with the last one of its key."""
    stream = hit.stream
    if before.is_replay:
        return "a dead letter, taken up again"
    if not SYNCS[stream.mode].remembers:
        return f"not compared: with `sync: {stream.mode}` each row is sent"
    if hit.content == snapshots.REMOVED:
        return "it was delivered before, and its row was gone from the source"
    if last is None:
        return _never_met(hit, before.gone)
    if last.content == hit.content:
        return (
            f"the same as run {last.run} had sent, and sent again: asked for with --full, forgotten, or not known to "
            "have arrived"
        )
    return f"other content than run {last.run} had sent"


def _never_met(hit: Hit, gone: int) -> str:
    if not hit.planned.manifest.after or not gone:
        return "new: nothing was known of it"
    return f"no plan that is still here has sent it before; {counted(gone, 'earlier run')} left none"


def differences(old: str, new: str, times: tuple[bool, bool]) -> list[Difference]:
    """Return the fields in which two records differ.

    Args:
        old: the one that was delivered.
        new: the one that is sent.
        times: whether the row gives the time in the old and in the new one; a run's own time says nothing.
    """
    fields = Change("changed", new, old, times).fields() or {}
    return [Difference(path, _side(before), _side(after)) for path, (before, after) in fields.items()]


def _side(value: object) -> object:
    return UNSET if value is NOTHING else value
