"""Looking without sending: what a plan would do."""

from dataclasses import asdict
from typing import Any

from bucket_loader.model import Counts
from bucket_loader.planning import Plan
from bucket_loader.reporting import (
    Listener,
    Note,
    PlanRejected,
    RecordShown,
    StreamPlanned,
)
from bucket_loader.runs.end import refused_rows
from bucket_loader.runs.job import Job, opened
from bucket_loader.runs.plan import make_plan
from bucket_loader.runs.restored import noticed_in
from bucket_loader.state import REJECTED, State


def plan_job(job: Job) -> tuple[Plan, dict[str, Counts]]:
    """Make a plan and keep it for `run --plan`."""
    with opened(job) as state:
        planned = plan_in(job, state)
    return planned, counts_of(planned)


def plan_in(job: Job, state: State) -> Plan:
    """Make a plan in a state that is open."""
    if (noticed := noticed_in(state)) is not None:
        job.listener.tell(Note(f"warning: {noticed}; `run` refuses it"))
    return make_plan(job, state)


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
