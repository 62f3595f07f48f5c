"""`audit RUN`: the proof of conservation, from the plan and the ledger alone.

It trusts neither: the plan is held against its digests and the ledger's, every chunk's body is made again and held
against the digest that was committed before it was sent, and the chunks together must cover each record exactly once.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from bucket_loader.model import AuditError, Chunk, StateError, UsageError
from bucket_loader.planning import Plan, PlannedStream, plan_file
from bucket_loader.runs.job import Job
from bucket_loader.runs.lifecycle import find_run
from bucket_loader.runs.refusals import waiting_findings
from bucket_loader.state import ChunkRow, Ledger, RunRow, State, look_at_state

FINDINGS_MAX: Final = 20
LEAVES: Final = ("queued", "intent", "delivered", "rejected", "held", "dropped", "superseded")


@dataclass(frozen=True)
class Audit:
    """What an audit found: what it looked at, and what is wrong."""

    run: str
    records: int
    chunks: int
    findings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "run": self.run,
            "sound": not self.findings,
            "records": self.records,
            "chunks": self.chunks,
            "findings": list(self.findings),
        }

    def raise_if_unsound(self) -> None:
        """Raise when anything is wrong.

        Raises:
            AuditError: with the findings.
        """
        if self.findings:
            lines = "\n  ".join(self.findings)
            raise AuditError(
                f"run {self.run} does not add up:\n  {lines}",
                hint="the plan or the ledger was changed by something else; trust neither, compare with Bucket itself",
            )


def audit_run(job: Job, run_name: str) -> Audit:
    """Audit a run.

    Raises:
        UsageError: there is no such run.
        StateError: its plan is gone, or cannot be read.
    """
    state = look_at_state(job.pipeline, job.state_place)
    if state is None:
        raise UsageError(f"there is no run {run_name}", hint="there is no state yet; `run` makes it")
    with closing(state):
        state.ledger.database.require_whole()
        row = find_run(state, run_name)
        planned = plan_file.read(state.plan_folder(run_name), verify=False)
        findings = list(_findings(state, planned, row))
        chunks = sum(len(_rows(state.ledger, run_name, stream)) for stream in planned.manifest.streams)
    records = sum(stream.records for stream in planned.manifest.streams)
    return Audit(run_name, records, chunks, tuple(findings[:FINDINGS_MAX]))


def audit_memory(job: Job) -> dict[str, int]:
    """Hold all that a pipeline remembers against its digests; return how many files and rows that is.

    Raises:
        StateError: a file is missing, or is not what was written.
    """
    state = look_at_state(job.pipeline, job.state_place)
    if state is None:
        return {"files": 0, "rows": 0}
    with closing(state):
        unsound = state.unsound_memory()
        files = [file for files in state.ledger.files().values() for file in files]
        place = state.files.url(state.layout.name(state.snapshots)) or state.snapshots
    if unsound:
        lines = "\n  ".join(unsound)
        raise StateError(
            f"what is remembered at {place} is missing, or not what was written:\n  {lines}",
            hint="restore the files from a backup or from the store's older versions, before the next run: it sends "
            "nothing without them",
        )
    return {"files": len(files), "rows": sum(file.rows for file in files)}


def _findings(state: State, planned: Plan, row: RunRow) -> Iterator[str]:
    if planned.digest() != row.plan_digest:
        yield "the plan's manifest is not the one that was begun"
    counts = state.ledger.counts(row.run)
    for stream in planned.manifest.streams:
        if stream.name not in counts:
            yield f"stream {stream.name!r}: the ledger does not know it"
            continue
        if unsound := planned.unsound(stream):
            yield f"stream {stream.name!r}: the plan's file {unsound[0]} is not what was planned"
            continue
        if not counts[stream.name].conserved():
            yield f"stream {stream.name!r}: its rows do not add up: {counts[stream.name]}"
        yield from _same_counts(state.ledger, row.run, stream)
        yield from waiting_findings(state, planned, stream)
        yield from _chunk_findings(planned, stream, _rows(state.ledger, row.run, stream))


def _same_counts(ledger: Ledger, run_name: str, stream: PlannedStream) -> Iterator[str]:
    noted = ledger.planned(run_name, stream.position)
    planned = {**asdict(stream.counts), "name": stream.name, "records": stream.records, "mapping": stream.mapping}
    for name, value in noted.items():
        if value != planned[name]:
            said = f"the plan {planned[name]!r}, the ledger {value!r}"
            yield f"stream {stream.name!r}: `{name}` differs: {said}"


def _chunk_findings(planned: Plan, stream: PlannedStream, rows: list[ChunkRow]) -> Iterator[str]:
    """Hold the chunks against the plan: each is what it says, and together they are every record once."""
    covered = np.zeros(stream.records, np.uint8)
    for row in rows:
        if row.sequences[-1] >= stream.records or len(row.sequences) != row.records:
            yield f"stream {stream.name!r}: chunk {row.members} is not of this plan"
            return
        if row.state in LEAVES:
            covered[list(row.sequences)] += 1
        if row.state in {"delivered", "rejected"} and not row.attempts:
            yield f"stream {stream.name!r}: chunk {row.members} is {row.state} but was never attempted"
    parts = {row.members: row for row in rows}
    for sequences, records in planned.chunks(stream):
        chunk = Chunk(stream.position, sequences, records, bare=planned.manifest.bare)
        if chunk.members in parts:
            yield from _digest_findings(stream, parts.pop(chunk.members), chunk)
        elif covered[sequences.start : sequences.stop].any():
            yield f"stream {stream.name!r}: chunk {chunk.members} is missing, although parts of it were sent"
        else:
            covered[sequences.start : sequences.stop] = 1  # never begun: pending
    for row in parts.values():
        found = planned.rows(stream, row.sequences, ["record"])
        records = tuple(one["record"].encode() for one in found)
        chunk = Chunk(stream.position, row.sequences, records, bare=planned.manifest.bare)
        yield from _digest_findings(stream, row, chunk)
    if (wrong := np.flatnonzero(covered != 1)).size:
        yield f"stream {stream.name!r}: {wrong.size:,} records are not accounted for exactly once (first: {wrong[0]})"


def _digest_findings(stream: PlannedStream, row: ChunkRow, chunk: Chunk) -> Iterator[str]:
    if row.digest != chunk.digest:
        yield f"stream {stream.name!r}: chunk {row.members} was not sent as planned"


def _rows(ledger: Ledger, run_name: str, stream: PlannedStream) -> list[ChunkRow]:
    return ledger.chunks(run_name, stream.position, *LEAVES, "split")
