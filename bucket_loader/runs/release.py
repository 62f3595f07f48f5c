"""What a person decides over held unknowns: the next run sends them again, or they are dropped."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bucket_loader.delivery import rejections
from bucket_loader.model import Reason, StateError, UsageError, read_time, wire_timestamp
from bucket_loader.planning import Plan, plan_file
from bucket_loader.reporting import Note, RecordShown
from bucket_loader.runs.job import Job, opened
from bucket_loader.runs.lifecycle import find_run
from bucket_loader.state import ChunkRow, DeadLetters, RunRow, State, dead_letters, look_at_state

_COLUMNS: Final = ("stream", "chunk", "held since", "event", "userId", "companyId", "timestamp")
_WHAT: Final = ("event", "key", "featureId")  # what says what happened; which of them, is the kind's matter
_REASON: Final = Reason("unknown", "was sent, its answer never came, and a person dropped it; it may have been applied")


@dataclass(frozen=True)
class Chosen:
    """Which held unknowns are decided over.

    Attributes:
        run: those of this run; None for those of every run.
        chunk: of these only this chunk, by its name.
        older_than_s: only those of runs that ended so many seconds ago, or earlier.
    """

    run: str | None = None
    chunk: str | None = None
    older_than_s: float | None = None


@dataclass(frozen=True)
class Held:
    """What is decided over of one run: its chunks, and the plan that knows their records; None when that is lost."""

    row: RunRow
    chunks: list[ChunkRow]
    planned: Plan | None


def release_held(job: Job, chosen: Chosen, *, drop: bool, dry_run: bool = False) -> dict[str, Any]:
    """Decide over held unknowns, show them to a person, and return what `--json` prints: the chunks, and no row.

    Raises:
        UsageError: the run that was named holds none.
        StateError: the plan is lost whose rows are to be dropped.
    """
    now = job.outside.clock.utc()
    with _looked_at(job) if dry_run else opened(job) as state:
        found = list(_held(state, chosen, now, needs_plan=drop))
        if chosen.run is not None and not found:
            raise UsageError(
                f"run {chosen.run} holds no unknown" + (f" {chosen.chunk}" if chosen.chunk else ""),
                hint="`bucket-loader release PIPELINE --all --dry-run` shows what is held",
            )
        for one in found:
            job.listener.tell(Note(f"run {one.row.run}:"))
            for line in _lines([_COLUMNS, *_shown(state, one)]):
                job.listener.tell(RecordShown(line))
        for one in [] if dry_run else found:
            _decide(state, one, chosen.chunk, now, drop=drop)
        held = [entry for one in found for entry in _as_json(state, one)]
    records = sum(entry["records"] for entry in held)
    return {"run": chosen.run, "records": records, "dropped": drop, "dry_run": dry_run, "held": held}


@contextmanager
def _looked_at(job: Job) -> Iterator[State]:
    """Look at the job's state, and change nothing.

    Raises:
        UsageError: there is none.
    """
    state = look_at_state(job.pipeline, job.state_place)
    if state is None:
        raise UsageError("nothing is held", hint="there is no state yet; `bucket-loader run PIPELINE` makes it")
    with closing(state):
        yield state


def _held(state: State, chosen: Chosen, now: datetime, *, needs_plan: bool) -> Iterator[Held]:
    rows = state.ledger.runs_that_hold() if chosen.run is None else [find_run(state, chosen.run)]
    for row in rows:
        positions = range(len(state.ledger.counts(row.run)))
        held = [chunk for position in positions for chunk in state.ledger.chunks(row.run, position, "held")]
        held = [chunk for chunk in held if chosen.chunk in {None, chunk.members}]
        if held and (chosen.older_than_s is None or _age_s(row, now) >= chosen.older_than_s):
            yield Held(row, held, _plan_of(state, row, needed=needs_plan))


def _age_s(row: RunRow, now: datetime) -> float:
    """Return how long what a run holds has been held at the least: since the run ended last."""
    return (now - read_time(row.ended_at)).total_seconds() if row.ended_at else 0.0


def _plan_of(state: State, row: RunRow, *, needed: bool) -> Plan | None:
    try:
        return plan_file.read(state.plan_folder(row.run), verify=False)
    except StateError:
        if needed:
            raise
        return None


def _decide(state: State, held: Held, members: str | None, now: datetime, *, drop: bool) -> None:
    """Take chunks out of being held. What is dropped goes to the dead letters first: it may have been applied."""
    run, ledger = held.row.run, state.ledger
    if drop and held.planned is not None:
        _bury(state, held.planned, held)
    ledger.release(run, members, state="dropped" if drop else "queued")
    if any(counts.pending for counts in ledger.counts(run).values()):
        ledger.end_run(run, "unfinished", exit_code=75, ended_at=held.row.ended_at or wire_timestamp(now))
    else:
        ledger.end_run(run, "rejected", exit_code=3, ended_at=wire_timestamp(now))


def _bury(state: State, planned: Plan, held: Held) -> None:
    run = held.row.run
    letters = DeadLetters(state.fetch_letters(run), state.letters_kept(run))
    for chunk in held.chunks:
        stream = planned.manifest.streams[chunk.stream]
        letters.append(
            dead_letters.entry(rejection, run=run, stream=stream.name, number=str(rejection.sequence))
            for rejection in rejections(planned, stream, chunk.sequences, _REASON)
        )


# --- what is shown -------------------------------------------------------------------------------------------------


def _as_json(state: State, held: Held) -> list[dict[str, Any]]:
    names = list(state.ledger.counts(held.row.run))
    return [
        {"run": held.row.run, "stream": names[chunk.stream], "chunk": chunk.members, "records": chunk.records,
         "since": held.row.ended_at}
        for chunk in held.chunks
    ]  # fmt: skip


def _shown(state: State, held: Held) -> Iterator[tuple[str, ...]]:
    """Return a row for each record: what somebody needs who looks in Bucket whether it arrived."""
    names = list(state.ledger.counts(held.row.run))
    for chunk in held.chunks:
        head = (names[chunk.stream], chunk.members, held.row.ended_at or "")
        if held.planned is None:
            yield (*head, f"{chunk.records:,} records; the plan that knows them is lost", "", "", "")
            continue
        stream = held.planned.manifest.streams[chunk.stream]
        for row in held.planned.rows(stream, chunk.sequences, ["record"]):
            record = json.loads(row["record"])
            what = next((record[name] for name in _WHAT if name in record), "")
            yield (*head, *map(_cell, (what, *(record.get(name) for name in ("userId", "companyId", "timestamp")))))


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return text if text.isprintable() else json.dumps(text)


def _lines(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
