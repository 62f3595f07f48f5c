"""What the end of a run lets go of: files of runs that ended longer ago than `keep:`, and how their chunks were cut.

A few runs at a time, the oldest first, each in an order in which a death in between is no harm: dead letters, plan, and
last the ledger's one commit, which folds the chunks and notes that it is done. Dead letters stay while somebody may
want to replay them; the plan that holds their records stays with them.
"""

import math
import shutil
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from bucket_loader.model import StateError, wire_timestamp
from bucket_loader.planning import plan_file
from bucket_loader.reporting import Note
from bucket_loader.runs.job import Job
from bucket_loader.runs.reach import reads_all
from bucket_loader.runs.replay.letters import number_of
from bucket_loader.state import State, dead_letters

RUNS_AT_ONCE: Final = 50
CHUNKS_AT_ONCE: Final = 20_000
_KEEP_S_MAX: Final = 1_000 * 366 * 86_400.0  # the calendar has no time before year 1
_UNITS_S: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


@dataclass
class _Freed:
    """What was let go of."""

    plans: int = 0
    letters: int = 0
    size: int = 0
    chunks: int = 0
    failures: list[str] = field(default_factory=list)


def let_go_of_old(job: Job, state: State, began_at: datetime) -> None:
    """Let go of what is older than `keep:`, and say in a line what that was; nothing that goes wrong stops the run.

    Args:
        job: whose end it is.
        state: the pipeline's.
        began_at: when the command began, from which ages are counted: never older is what it has done itself.
    """
    if math.isinf(job.pipeline.keep) or job.stopped.is_set():
        return
    freed = _Freed()
    try:
        _let_go(job, state, _oldest(job, began_at), freed)
    except (OSError, StateError) as error:
        freed.failures.append(str(error))
    if freed.plans or freed.letters or freed.chunks:
        job.listener.tell(Note(f"older than {spelt(job.pipeline.keep)}: {_told(freed)}"))
    for failure in freed.failures:
        job.listener.tell(Note(f"what is older than {spelt(job.pipeline.keep)} stays for now: {failure}"))


def _oldest(job: Job, began_at: datetime) -> str:
    """Return the moment (wire time) before which a run is older than `keep:`."""
    return wire_timestamp(began_at - timedelta(seconds=min(job.pipeline.keep, _KEEP_S_MAX)))


def spelt(seconds: float) -> str:
    """Spell a duration as a pipeline file does."""
    if math.isinf(seconds):
        return "forever"
    unit = next((unit for unit, each in _UNITS_S.items() if seconds >= each and seconds % each == 0), "s")
    return f"{seconds / _UNITS_S[unit]:g}{unit}"


def _told(freed: _Freed) -> str:
    parts = []
    if freed.plans or freed.letters:
        files = " and ".join(filter(None, (_some(freed.plans, "plan"), _some(freed.letters, "dead-letter file"))))
        parts.append(f"removed {files} ({freed.size / 1e6:,.1f} MB)")
    if freed.chunks:
        parts.append(f"folded {_some(freed.chunks, 'chunk')} in the ledger")
    return ", ".join(parts)


def _some(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}" if count else ""


def _let_go(job: Job, state: State, oldest: str, freed: _Freed) -> None:
    whole = frozenset(stream.name for stream in job.pipeline.streams if reads_all(job.pipeline, stream))
    for row in state.ledger.aging(oldest, RUNS_AT_ONCE):
        if freed.chunks >= CHUNKS_AT_ONCE or job.stopped.is_set():
            return
        try:
            _let_go_of_run(state, row.run, whole, freed)
            for replayed in state.ledger.taken_up_by(row.run):
                if state.ledger.letters_stay(replayed):
                    _let_go_of_run(state, replayed, whole, freed)
        except OSError as error:
            freed.failures.append(f"of run {row.run}: {error.strerror or error}")


def _let_go_of_run(state: State, run: str, whole: frozenset[str], freed: _Freed) -> None:
    stay = _letters_stay(state, run, whole)
    if not stay and any(counts.rejected for counts in state.ledger.counts(run).values()):
        _remove_letters(state, run, freed)
    if not (stay and state.ledger.has_refused(run)) and not state.ledger.holds(run):
        _remove_plan(state, run, freed)
    freed.chunks += state.ledger.fold(run, letters_stay=stay)


def _letters_stay(state: State, run: str, whole: frozenset[str]) -> bool:
    """Whether a run has dead letters that nobody has replayed or dropped, and that no later run will write again."""
    rejecting = {name for name, counts in state.ledger.counts(run).items() if counts.rejected}
    if rejecting <= whole or state.letters_place(run) is None:
        return False
    decided = state.ledger.replayed(run) | state.ledger.dropped(run)
    if not decided:
        return True
    return any(
        entry.stream not in whole and (entry.stream, number_of(entry)) not in decided
        for entry in dead_letters.read(state.fetch_letters(run))
    )


def _remove_letters(state: State, run: str, freed: _Freed) -> None:
    path = state.layout.letters(run)
    here = _size(path)
    there = state.remove_letters(run)
    freed.letters += here > 0 or there > 0
    freed.size += max(here, there)


def _remove_plan(state: State, run: str, freed: _Freed) -> None:
    folder = state.layout.plan(run)
    here = sum(map(_size, folder.iterdir())) if folder.is_dir() else 0
    there = state.remove_plan(run)
    if folder.exists():
        plan_file.remove(folder)
        if folder.exists():
            shutil.rmtree(folder)  # says why it cannot
    freed.plans += here > 0 or there > 0
    freed.size += max(here, there)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
