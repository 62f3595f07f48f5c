"""A state that belongs to an emulator: what it remembers counts as long as that one is there, and no longer.

Only what is on this machine is asked and believed. The real API has no such name, so nothing is ever asked of it.
"""

from collections.abc import Callable
from typing import Final

from bucket_loader.config import Destination
from bucket_loader.delivery import Place
from bucket_loader.model import StateError, Verdict, counted, wire_now
from bucket_loader.reporting import Note
from bucket_loader.runs.features import get, refused
from bucket_loader.runs.waiting import UNFINISHED
from bucket_loader.state import EMULATOR, State

_ENDPOINT: Final = "/_emulator/identity"


def meet_emulator(destination: Destination, state: State, tell: Callable[[Note], None]) -> None:
    """Begin anew where the emulator that a state remembers is gone, and another is in its place.

    Raises:
        PatienceError: nothing listens there.
        KeyRefusedError: the one that is there does not know the key.
    """
    known = state.ledger.meta(EMULATOR)
    if known is None or not destination.is_here:
        return
    there = emulator_at(destination)
    if there is None:
        tell(
            Note(f"{_remembered(state)} of an emulator, and {destination.base_url} does not say whether it is that one")
        )
    elif there != known:
        tell(Note(_told(destination, state)))
        with state.swept():  # a death before that leaves files that nobody reads
            state.ledger.begin_anew(there, ended_at=wire_now())


def gone_in(destination: Destination, state: State) -> str | None:
    """Return what tells that a state remembers an emulator that is gone; None where nothing does. Changes nothing.

    Raises:
        PatienceError, KeyRefusedError: as `meet_emulator`.
    """
    known = state.ledger.meta(EMULATOR)
    there = emulator_at(destination) if known is not None and destination.is_here else None
    return _told(destination, state) if there not in {None, known} else None


def emulator_at(destination: Destination) -> str | None:
    """Return which emulator is at an address; None where nobody says.

    Raises:
        PatienceError: nothing listens there.
        KeyRefusedError: it does not know the key.
    """
    in_header = destination.model_copy(update={"api": "front"})
    outcome, _ = get(in_header, _ENDPOINT)
    if outcome.verdict is Verdict.NOT_SENT:
        raise Place.of(destination).nobody_listens()
    if outcome.verdict is Verdict.REFUSED_KEY:
        raise refused(outcome, in_header, _ENDPOINT)
    return outcome.emulator


def _remembered(state: State) -> str:
    """Say how many records a state knows as delivered, those of unfinished runs too."""
    ledger = state.ledger
    try:
        known = sum(memory.known for memory in state.memory().values())
    except StateError:  # its files are gone: at most so many
        known = sum(part.rows for parts in ledger.parts().values() for part in parts)
    unsettled = [row.run for row in ledger.runs(*UNFINISHED) if ledger.unsettled(row.run)]
    count = known + sum(counts.delivered for run in unsettled for counts in ledger.counts(run).values())
    return f"{counted(count, 'record')} {'is' if count == 1 else 'are'} remembered"


def _told(destination: Destination, state: State) -> str:
    unfinished = len(state.ledger.runs(*UNFINISHED))
    closed = f"; {unfinished:,} unfinished run{'s' * (unfinished != 1)} of it closed" if unfinished else ""
    return (
        f"{_remembered(state)} of an emulator that is gone{closed}. {destination.base_url} is another one: for it "
        "everything is new"
    )
