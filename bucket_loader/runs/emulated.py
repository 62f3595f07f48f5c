"""A state that belongs to an emulator: what it remembers counts as long as that one is there, and no longer.

Only what is on this machine is asked and believed. The real API has no such name, so nothing is ever asked of it.
"""

from collections.abc import Callable
from typing import Final

from bucket_loader.config import Destination
from bucket_loader.delivery import Place
from bucket_loader.model import NO_EMULATOR, StateError, Verdict, counted, wire_now
from bucket_loader.reporting import Note
from bucket_loader.runs.features import get, refused
from bucket_loader.runs.waiting import UNFINISHED
from bucket_loader.state import EMULATOR, State, snapshots

_ENDPOINT: Final = "/_emulator/identity"
_UNTOLD: Final = frozenset({
    Verdict.NOT_SENT, Verdict.UNKNOWN, Verdict.SERVER_ERROR, Verdict.THROTTLED, Verdict.REFUSED_KEY,
})  # fmt: skip


def meet_emulator(destination: Destination, state: State, tell: Callable[[Note], None]) -> None:
    """Begin anew where the emulator that a state remembers is gone, and another is in its place.

    Raises:
        PatienceError: nothing listens there, or it says nothing.
        KeyRefusedError: the one that is there does not know the key.
        OtherPlaceError: what is there is no emulator.
    """
    known = state.ledger.meta(EMULATOR)
    if known is None or not destination.is_here or (there := emulator_at(destination)) == known:
        return
    if there is None and _counts_anything(state):
        raise Place.of(destination).is_no_emulator()
    if there is not None:
        tell(Note(_told(destination, state)))
    with state.swept():  # a death before that leaves files that nobody reads
        state.ledger.begin_anew(there, ended_at=wire_now())


def gone_in(destination: Destination, state: State) -> str | None:
    """Return what tells that a state remembers an emulator that is gone; None where nothing does. Changes nothing.

    Raises:
        PatienceError, KeyRefusedError: as `meet_emulator`.
    """
    known = state.ledger.meta(EMULATOR)
    if known is None or not destination.is_here or (there := emulator_at(destination)) == known:
        return None
    if there is not None:
        return _told(destination, state)
    return Place.of(destination).is_no_emulator().message if _counts_anything(state) else None


def emulator_at(destination: Destination) -> str | None:
    """Return which emulator is at an address; None where what answers is none.

    Raises:
        PatienceError: nothing listens there, or no answer could be read that says who it is.
        KeyRefusedError: it does not know the key.
    """
    in_header = destination.model_copy(update={"api": "front"})
    outcome, _ = get(in_header, _ENDPOINT)
    if outcome.emulator is None and outcome.verdict in _UNTOLD:
        raise refused(outcome, in_header, _ENDPOINT)
    return outcome.emulator


def memory_of(destination: Destination, state: State) -> str | None:
    """Return which emulator a memory is of, NO_EMULATOR where it is of none; None where nobody knows, or need not."""
    if not destination.is_here:
        return None
    return state.ledger.meta(EMULATOR) or (NO_EMULATOR if _counts_anything(state) else None)


def has_delivered(destination: Destination, state: State) -> bool:
    """Whether a state has delivered to what is no emulator: where that is away, it will come back by itself."""
    return destination.is_here and state.ledger.meta(EMULATOR) is None and state.ledger.has_delivered()


def _counts_anything(state: State) -> bool:
    """Whether anything delivered or read counts: claims alone, which `forget` leaves, are neither."""
    if state.ledger.cursors() or state.ledger.loaded_files() or _delivered_unsettled(state):
        return True
    try:
        return any(map(snapshots.holds_delivered, state.memory().values()))
    except StateError:  # what is wrong with its files is for the plan to say
        return True


def _delivered_unsettled(state: State) -> int:
    """Return how many records unfinished runs have delivered that no memory holds yet."""
    ledger = state.ledger
    unsettled = [row.run for row in ledger.runs(*UNFINISHED) if ledger.unsettled(row.run)]
    return sum(counts.delivered for run in unsettled for counts in ledger.counts(run).values())


def _remembered(state: State) -> str:
    """Say how many records a state knows as delivered, those of unfinished runs too."""
    try:
        known = sum(memory.known for memory in state.memory().values())
    except StateError:  # its files are gone: at most so many
        known = sum(part.rows for parts in state.ledger.parts().values() for part in parts)
    count = known + _delivered_unsettled(state)
    return f"{counted(count, 'record')} {'is' if count == 1 else 'are'} remembered"


def _told(destination: Destination, state: State) -> str:
    unfinished = len(state.ledger.runs(*UNFINISHED))
    closed = f"; {unfinished:,} unfinished run{'s' * (unfinished != 1)} of it closed" if unfinished else ""
    return (
        f"{_remembered(state)} of an emulator that is gone{closed}. {destination.base_url} is another one: for it "
        "everything is new"
    )
