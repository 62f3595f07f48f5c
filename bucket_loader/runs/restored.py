"""A state that is an old copy of itself: noticed by a mark that is ahead of it, and left to a person.

A copy does not know what later runs have delivered. Users and companies are sent again, which does no harm; events are
in Bucket twice then.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bucket_loader.model import StateError, counted
from bucket_loader.reporting import Note
from bucket_loader.runs.job import Job
from bucket_loader.runs.waiting import UNFINISHED
from bucket_loader.state import Mark, State

_NOTICED: Final = "the state at {root} is an old copy of what it was: it knows of {here}, and {where} has noted {ahead}"


@contextmanager
def marked(job: Job, state: State) -> Iterator[None]:
    """Refuse a state that is an old copy, unless a person goes on with it; note at the end how far it has come.

    Raises:
        StateError: it is one.
    """
    if (noticed := noticed_in(state)) is not None:
        if not job.options.accept_restored:
            raise StateError(
                noticed,
                hint="put the newer state back, and nothing is lost; or go on from this one with --accept-restored. "
                f"Then {'; '.join(_consequences(job, state))}",
            )
        state.marks.begin_anew()
        job.listener.tell(Note(f"going on from an old copy of the state: {'; '.join(_consequences(job, state))}"))
    yield
    state.marks.write()  # not after an error: a server that is away would be waited for once more


def noticed_in(state: State) -> str | None:
    """Return what tells that a state is an old copy; None where nothing does."""
    found = state.marks.ahead()
    if found is None:
        return None
    ahead, where = found
    return _NOTICED.format(root=state.root, here=_spelt(state.marks.here()), where=where, ahead=_spelt(ahead))


def _spelt(mark: Mark) -> str:
    last = (
        f" (the last is {mark.run}; with those just before it, {counted(mark.requests, 'request')})" if mark.run else ""
    )
    return f"{counted(mark.runs, 'run')}{last}"


def _consequences(job: Job, state: State) -> Iterator[str]:
    """Say what it means that a state does not know what was delivered later."""
    streams = job.pipeline.ordered_streams()
    if once := [stream.name for stream in streams if stream.mode.once]:
        yield f"what was delivered later of {_named(once)} counts as new, and arrives twice if the source has it"
    if compared := [stream.name for stream in streams if stream.mode.compares]:
        yield f"of {_named(compared)} it is sent again, which does no harm"
    if unfinished := [row.run for row in state.ledger.runs(*UNFINISHED)]:
        yield f"{_named(unfinished)} is not finished in this copy, and sends again what it sent later"
    if moves := [stream.name for stream in streams if stream.cursor is not None]:
        yield f"of {_named(moves)} the cursor falls back"


def _named(names: list[str]) -> str:
    return ", ".join(map(repr, names))
