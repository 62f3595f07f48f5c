"""`audit RUN`: the proof of conservation, from the plan and the ledger alone.

It trusts neither: the plan is held against its digests and the ledger's, every chunk's body is made again and held
against the digest that was committed before it was sent, and the chunks together must cover each record exactly once.

Of an old run there is less: its chunks are folded, and its plan may be gone. Then the proof goes as far as it can, and
says what it can no longer tell.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Final

from bucket_loader.model import AuditError, StateError, UsageError
from bucket_loader.planning import Plan, PlannedStream, plan_file
from bucket_loader.runs.chunk_proof import LEAVES, chunk_findings, cover, not_proved
from bucket_loader.runs.job import Job
from bucket_loader.runs.lifecycle import find_run
from bucket_loader.runs.refusals import waiting_findings
from bucket_loader.runs.waiting import UNFINISHED
from bucket_loader.state import MANIFEST, ChunkRow, Ledger, RunRow, State, look_at_state

FINDINGS_MAX: Final = 20
_WITHOUT_PLAN: Final = (
    "its plan is gone, by `keep:`, `prune` or `forget`: whether what was sent is what was planned can no longer be told"
)

_GONE: Final = "it was sent to an emulator that is gone: nothing there can be compared with what is told here"


@dataclass(frozen=True)
class Audit:
    """What an audit found: what it looked at, what is wrong, and what nobody can tell any more."""

    run: str
    records: int
    chunks: int
    findings: tuple[str, ...]
    not_proved: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "run": self.run,
            "sound": not self.findings,
            "records": self.records,
            "chunks": self.chunks,
            "findings": list(self.findings),
        } | ({"not_proved": list(self.not_proved)} if self.not_proved else {})

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
        raise UsageError(
            f"there is no run {run_name}", hint="there is no state yet; `bucket-loader run PIPELINE` makes it"
        )
    with closing(state):
        state.ledger.database.require_whole()
        row = find_run(state, run_name)
        run_name = row.run
        planned = _plan_of(state, row)
        findings = list(_findings(state, planned, row))
        streams = list(enumerate(state.ledger.counts(run_name)))
        folded = [(name, state.ledger.folded(run_name, position)) for position, name in streams]
        chunks = state.ledger.chunk_count(run_name)
        records = sum(int(state.ledger.planned(run_name, position)["records"]) for position, _ in streams)
        left_out = [_GONE] if state.ledger.is_gone(row.number) else []
        left_out += [_WITHOUT_PLAN] if planned is None else []
        left_out += [text for name, some in folded for text in not_proved(name, some)]
    return Audit(run_name, records, chunks, tuple(findings[:FINDINGS_MAX]), tuple(left_out))


def _plan_of(state: State, row: RunRow) -> Plan | None:
    """Return a run's plan; None where it has gone, as it may when the run has ended.

    Raises:
        StateError: it is gone and needed, or cannot be read.
    """
    folder = state.plan_folder(row.run)
    if row.status not in UNFINISHED and not (folder / MANIFEST).exists():
        return None
    return plan_file.read(folder, verify=False)


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


def _findings(state: State, planned: Plan | None, row: RunRow) -> Iterator[str]:
    if planned is None:
        yield from _findings_without_plan(state.ledger, row)
        return
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
        yield from chunk_findings(planned, stream, state.ledger)


def _same_counts(ledger: Ledger, run_name: str, stream: PlannedStream) -> Iterator[str]:
    noted = ledger.planned(run_name, stream.position)
    planned = {**asdict(stream.counts), "name": stream.name, "records": stream.records, "mapping": stream.mapping}
    for name, value in noted.items():
        if value != planned[name]:
            said = f"the plan {planned[name]!r}, the ledger {value!r}"
            yield f"stream {stream.name!r}: `{name}` differs: {said}"


def _findings_without_plan(ledger: Ledger, row: RunRow) -> Iterator[str]:
    for position, (name, counts) in enumerate(ledger.counts(row.run).items()):
        if not counts.conserved():
            yield f"stream {name!r}: its rows do not add up: {counts}"
        records = int(ledger.planned(row.run, position)["records"])
        covered = yield from cover(name, range(records), _rows(ledger, row.run, position))
        if covered is not None and covered.max(initial=0) > 1:
            yield f"stream {name!r}: a record is accounted for twice (first: {covered.argmax()})"


def _rows(ledger: Ledger, run_name: str, position: int) -> list[ChunkRow]:
    return ledger.chunks(run_name, position, *LEAVES, "split")
