"""Looking without sending: what a plan would do."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bucket_loader.model import Counts, LimitError, Stop
from bucket_loader.planning import Plan, gates
from bucket_loader.reporting import (
    Listener,
    Note,
    PlanRejected,
    RecordShown,
    StreamPlanned,
)
from bucket_loader.runs.end import refused_rows
from bucket_loader.runs.impact.standing import standing_of
from bucket_loader.runs.job import Job, opened
from bucket_loader.runs.plan import make_plan
from bucket_loader.runs.restored import noticed_in
from bucket_loader.runs.signals import drained_on_signals
from bucket_loader.state import REJECTED, State


@dataclass(frozen=True)
class MadePlan:
    """A plan that was only looked at.

    Attributes:
        plan: the plan.
        stops: what would stop a run of it.
        impact: which features change, in a line; empty where nobody asked.
    """

    plan: Plan
    stops: Sequence[Stop]
    impact: str = ""

    @property
    def streams(self) -> dict[str, Counts]:
        """Where every row would go."""
        return counts_of(self.plan)


def plan_job(job: Job, *, keep_in_store: bool = False) -> MadePlan:
    """Make a plan and keep it for `run --plan`; in the state's store too, where others can send it."""
    with opened(job) as state:
        made = plan_in(job, state)
        if keep_in_store:
            state.keep_plan(made.plan.manifest.run)
        return made


def plan_in(job: Job, state: State) -> MadePlan:
    """Make a plan in a state that is open; gates are held against it, and stop nothing."""
    if (noticed := noticed_in(state)) is not None:
        job.listener.tell(Note(f"warning: {noticed}; `run` refuses it"))
    with drained_on_signals(job):
        planned = make_plan(job, state)
    if (other := planned.manifest.unfinished) is not None:
        also = f"run {other} is unfinished, and what it has yet to send is in this plan too"
        job.listener.tell(Note(f"warning: {also}: this plan is refused; finish that run, and plan again"))
    standing = standing_of(job, state, planned)
    stops = gates.stops(job.pipeline, planned.manifest, state.ledger.baselines())
    return MadePlan(planned, [*stops, *standing.stops], standing.line)


def counts_of(planned: Plan) -> dict[str, Counts]:
    """Return where every row of a plan would go."""
    return {stream.name: stream.counts for stream in planned.manifest.streams}


def tell_plan(listener: Listener, made: MadePlan, *, show: int) -> None:
    """Say what a plan would send, and show some of it."""
    planned, streams = made.plan, made.streams
    for stream in planned.manifest.streams:
        listener.tell(StreamPlanned(stream.name, stream.kind, stream.mode, streams[stream.name]))
        for row in planned.rows(stream, range(min(show, stream.records)), ["record"]):
            listener.tell(RecordShown(row["record"]))
    for refused in refused_rows(planned, streams):
        listener.tell(Note(refused.text))
    rejected = planned.folder / REJECTED
    if rejected.exists():
        listener.tell(PlanRejected(rejected))


def tell_stops(listener: Listener, made: MadePlan) -> None:
    """Say what would stop a run of a plan, and what to do then."""
    for stop in made.stops:
        listener.tell(Note(f"warning: a run would stop: {stop.sentence}"))
    if made.stops:
        listener.tell(Note(f"  hint: {LimitError(made.stops).hint}"))


def plan_as_json(made: MadePlan) -> dict[str, Any]:
    """Return a plan's counts as `--json` prints them."""
    planned, streams = made.plan, made.streams
    refused = [asdict(one) for one in refused_rows(planned, streams)]
    return {
        "run": planned.manifest.run,
        "pipeline": planned.manifest.pipeline,
        "as_of": planned.manifest.as_of,
        "plan": str(planned.folder.absolute()),
        "digest": planned.digest(),
        "streams": {name: asdict(counts) for name, counts in streams.items()},
        "would_stop": [asdict(stop) for stop in made.stops],
        **({"refused_before": refused} if refused else {}),
        **({"impact": made.impact} if made.impact else {}),
    }
