"""Looking without sending: what a plan would do, what past runs came to."""

from contextlib import closing
from dataclasses import asdict
from typing import Any

from bucket_loader.model import Counts
from bucket_loader.planning import Plan, cursor
from bucket_loader.reporting import (
    COLUMNS,
    Listener,
    Note,
    PlanRejected,
    RecordShown,
    StreamPlanned,
    StuckChunk,
    Table,
    stuck_words,
)
from bucket_loader.runs.end import refused_rows
from bucket_loader.runs.job import Job, opened
from bucket_loader.runs.plan import make_plan
from bucket_loader.runs.restored import noticed_in
from bucket_loader.runs.waiting import stuck_chunks
from bucket_loader.state import REJECTED, RunRow, State, look_at_state

# --- plan ----------------------------------------------------------------------------------------------------------


def plan_job(job: Job) -> tuple[Plan, dict[str, Counts]]:
    """Make a plan and keep it for `run --plan`; `limits:` are held against it."""
    with opened(job) as state:
        if (noticed := noticed_in(state)) is not None:
            job.listener.tell(Note(f"warning: {noticed}; `run` refuses it"))
        planned = make_plan(job, state)
    return planned, counts_of(planned)


def counts_of(planned: Plan) -> dict[str, Counts]:
    """Return where every row of a plan would go."""
    return {stream.name: stream.counts for stream in planned.manifest.streams}


def tell_plan(listener: Listener, planned: Plan, streams: dict[str, Counts], *, show: int) -> None:
    """Say what a plan would send, and show some of it."""
    for stream in planned.manifest.streams:
        listener.tell(StreamPlanned(stream.name, stream.kind, stream.mode, streams[stream.name]))
        for row in planned.rows(stream, range(min(show, stream.records)), ["record"]):
            listener.tell(RecordShown(row["record"]))
    for refused in refused_rows(planned, streams):
        listener.tell(Note(refused.text))
    rejected = planned.folder / REJECTED
    if rejected.exists():
        listener.tell(PlanRejected(rejected))


def plan_as_json(planned: Plan, streams: dict[str, Counts]) -> dict[str, Any]:
    """Return a plan's counts as `--json` prints them."""
    refused = [asdict(one) for one in refused_rows(planned, streams)]
    return {
        "run": planned.manifest.run,
        "pipeline": planned.manifest.pipeline,
        "as_of": planned.manifest.as_of,
        "plan": str(planned.folder.absolute()),
        "digest": planned.digest(),
        "streams": {name: asdict(counts) for name, counts in streams.items()},
    } | ({"refused_before": refused} if refused else {})


# --- past runs -----------------------------------------------------------------------------------------------------


def past_runs(job: Job, *, last: int) -> dict[str, Any]:
    """Return past runs, newest first (DESIGN section 5)."""
    state = look_at_state(job.pipeline, job.state_place)
    if state is None:
        return {"runs": [], "cursors": {}, "old_dead_letters": 0}
    with closing(state):
        rows = state.ledger.newest(last)
        marks = {stream: cursor.shown(mark) for stream, mark in state.ledger.cursors().items()}
        stay = state.ledger.letters_that_stay()
        return {"runs": [_run_as_json(state, row) for row in rows], "cursors": marks, "old_dead_letters": stay}


def _run_as_json(state: State, row: RunRow) -> dict[str, Any]:
    counts = state.ledger.counts(row.run)
    unknown = [
        {"chunk": chunk.members, "stream": name, "records": chunk.records, "attempts": chunk.attempts}
        for position, name in enumerate(counts)
        for chunk in state.ledger.chunks(row.run, position, "intent", "held")
    ]
    return {
        "run": row.run,
        "status": row.status,
        "as_of": row.as_of,
        "interval": [row.interval_start, row.interval_end] if row.interval_start else None,
        "created_at": row.created_at,
        "ended_at": row.ended_at,
        "exit_code": row.exit_code,
        "requests": row.requests,
        "retries": row.retries,
        "streams": {name: asdict(found) for name, found in counts.items()},
        "unknown": unknown,
        "stuck": [asdict(one) for one in stuck_chunks(state.ledger, row.run)],
        "dead_letters": state.letters_place(row.run),
    }


def tell_status(listener: Listener, found: dict[str, Any]) -> None:
    """Show past runs as a table."""
    if not found["runs"]:
        listener.tell(Note("no run yet"))
        return
    rows: list[tuple[str, ...]] = []
    for run in found["runs"]:
        for number, (stream, counts) in enumerate(run["streams"].items()):
            head = (run["run"], run["status"]) if number == 0 else ("", "")
            numbers = (f"{counts[name]:,}" for name in COLUMNS)
            rows.append((*head, stream, *numbers))
    listener.tell(Table(("run", "status", "stream", *COLUMNS), tuple(rows)))
    for stream, mark in found["cursors"].items():
        listener.tell(Note(f"{stream} was read up to {mark}"))
    if count := found["old_dead_letters"]:
        listener.tell(Note(f"the dead letters of {count:,} old runs stay: replay them, or remove them with `prune`"))
    for run in found["runs"]:
        if run["stuck"]:
            listener.tell(Note(f"run {run['run']}: {stuck_words([StuckChunk(**one) for one in run['stuck']])}"))
        elif run["status"] in {"running", "unfinished"}:
            listener.tell(Note(f"run {run['run']} is unfinished: `run` continues it, `abandon` closes it"))
