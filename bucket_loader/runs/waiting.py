"""What an unfinished run has left that no later run stands still for: held for a person, or set aside.

What is set aside is tried again after all that is new, and a newer row of its key takes its place.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from bucket_loader.delivery import reopened
from bucket_loader.model import Chunk
from bucket_loader.planning import Plan, PlannedStream, plan_file
from bucket_loader.reporting import HeldChunk, StuckChunk
from bucket_loader.state import Behind, ChunkRow, Concluded, Ledger, RunRow, RunStatus, SplitInto, State

UNFINISHED: Final[tuple[RunStatus, ...]] = ("running", "unfinished")


def held_chunks(ledger: Ledger, run: str) -> list[HeldChunk]:
    """Return what a run holds for a person."""
    names = list(ledger.counts(run))
    return [
        HeldChunk(run, name, row.members, row.records)
        for position, name in enumerate(names)
        for row in ledger.chunks(run, position, "held")
    ]


def stuck_chunks(ledger: Ledger, run: str) -> list[StuckChunk]:
    """Return what a run has set aside: what met only server errors, and what waits for that."""
    names = list(ledger.counts(run))
    return [
        StuckChunk(run, name, row.members, row.records, row.aside or "", waits=not row.attempts)
        for position, name in enumerate(names)
        for row in ledger.queued(run, position, aside=True)
    ]


def only_waits(ledger: Ledger, row: RunRow) -> bool:
    """Whether all that an unfinished run still has is held or set aside: what is new does not stand still for that."""
    left = sum(counts.pending for counts in ledger.counts(row.run).values())
    return left > 0 and left == waiting_records(ledger, row.run) and not ledger.unsettled(row.run)


def unfinished_run(ledger: Ledger) -> str | None:
    """Return a run that has yet to send what is new; None where there is none."""
    return next((row.run for row in ledger.runs(*UNFINISHED) if not only_waits(ledger, row)), None)


def is_done(ledger: Ledger, row: RunRow) -> bool:
    """Whether nothing is left of a run."""
    return not any(counts.pending for counts in ledger.counts(row.run).values())


def waiting_records(ledger: Ledger, run: str) -> int:
    """Return how many records of a run are held or set aside."""
    held, stuck = held_chunks(ledger, run), stuck_chunks(ledger, run)
    return sum(one.records for one in held) + sum(one.records for one in stuck)


def set_aside_before(state: State, run: str) -> frozenset[str]:
    """Return the users and companies that runs before one have set aside."""
    ids: set[str] = set()
    for planned, stream, row in _set_aside(state, run):
        ids.update(*reopened(planned, stream, row.sequences).named)
    return frozenset(ids)


class _SetAside(NamedTuple):
    """A chunk that an earlier run has set aside, and the keys of its records."""

    run: str
    chunk: Chunk
    since: str
    keys: list[bytes | None]


def superseded_by(state: State, planned: Plan) -> list[tuple[str, Behind | Concluded | SplitInto]]:
    """Return what becomes of what earlier runs have set aside when a plan has newer rows of the same keys.

    Returns:
        The entries for the ledger, each with the run that it is of.
    """
    aside: defaultdict[tuple[str, str], list[_SetAside]] = defaultdict(list)
    for older, stream, row in _set_aside(state, planned.manifest.run):
        keys = [one["key"] for one in older.rows(stream, row.sequences, ["key"])]
        chunk = reopened(older, stream, row.sequences)
        aside[stream.name, stream.kind].append(_SetAside(older.manifest.run, chunk, row.aside or "", keys))
    found: list[tuple[str, Behind | Concluded | SplitInto]] = []
    for stream in planned.manifest.streams:
        if mine := aside.get((stream.name, stream.kind)):
            newer = _also_in(planned, stream, [key for one in mine for key in one.keys])
            for one in mine:
                places = [place for place, key in enumerate(one.keys) if key in newer]
                found += [(one.run, entry) for entry in _replaced(one.chunk, places, one.since)]
    return found


def _set_aside(state: State, before: str) -> Iterator[tuple[Plan, PlannedStream, ChunkRow]]:
    """Yield what the unfinished runs before one have set aside."""
    for run in state.ledger.runs(*UNFINISHED):
        if run.run == before:
            return
        if state.ledger.has_aside(run.run):
            planned = plan_file.read(state.plan_folder(run.run), verify=False)
            for stream in planned.manifest.streams:
                for row in state.ledger.queued(run.run, stream.position, aside=True):
                    yield planned, stream, row


def _also_in(planned: Plan, stream: PlannedStream, keys: list[bytes | None]) -> set[bytes]:
    """Return those keys that a plan's stream has too; the plan is read once, however many they are."""
    wanted = pa.array({key for key in keys if key is not None}, pa.binary(16))
    there: set[bytes] = set()
    for batch in planned.keys(stream):
        there.update(batch["key"].filter(pc.is_in(batch["key"], wanted)).to_pylist())
    return there


def _replaced(chunk: Chunk, places: list[int], since: str) -> Iterator[Behind | Concluded | SplitInto]:
    if len(places) == len(chunk.sequences):
        yield Concluded(chunk, "superseded", 0)
    elif places:
        rest = chunk.part([one for one in range(len(chunk.sequences)) if one not in places])
        gone = chunk.part(places)
        yield SplitInto(Concluded(chunk, "split", 0), [rest, gone])
        yield Concluded(gone, "superseded", 0)
        yield Behind(rest, since)
