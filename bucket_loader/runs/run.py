"""A run, from end to end: finish what is unfinished, plan, deliver, settle, sum up.

state --unfinished runs--> deliver --> settle
pipeline --> PLAN --gates--> begin --> deliver --> settle --> summary
state --what was set aside--> deliver
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from bucket_loader.model import StateError, StoppedError
from bucket_loader.planning import Plan, gates, plan_file
from bucket_loader.reporting import RunResumed, Summary
from bucket_loader.runs.begin import begin_run
from bucket_loader.runs.deliver import deliver_run
from bucket_loader.runs.end import end_run, sum_up, was_stopping, with_waiting
from bucket_loader.runs.impact.standing import Standing, standing_of
from bucket_loader.runs.job import Job, opened
from bucket_loader.runs.keeping import let_go_of_old
from bucket_loader.runs.lineage.tracing import Trace, lineage_sent, traced
from bucket_loader.runs.meanings import require_same_meanings
from bucket_loader.runs.notify import Telling, telling
from bucket_loader.runs.plan import (
    accept_mapping,
    given_plan,
    make_plan,
    require_same_api,
    require_same_frame,
    require_same_mapping,
)
from bucket_loader.runs.restored import marked
from bucket_loader.runs.senders.sending import require_shareable
from bucket_loader.runs.signals import drained_on_signals
from bucket_loader.runs.waiting import UNFINISHED, is_done, only_waits, waiting_records
from bucket_loader.state import RunRow, State

NewRun = Callable[[Job, State], Summary]
"""What follows when nothing is unfinished."""


def run_job(job: Job, new_run: NewRun | None = None) -> Summary:
    """Finish what is unfinished, plan, deliver, settle.

    Args:
        job: what is asked.
        new_run: plans and delivers in another way than from the pipeline's sources.

    Raises:
        BucketLoaderError: nothing could be sent: a mistake in the pipeline file, the sources or the state. What goes
            wrong once there is a run is in the summary instead.
    """
    with drained_on_signals(job), lineage_sent(job), telling(job) as told:
        return run_untold(job, told, new_run)


def run_untold(job: Job, told: Telling, new_run: NewRun | None = None) -> Summary:
    """Do all that `run_job` does, but leave it to the caller when to tell `notify:` of it."""
    job.require_streams()
    require_shareable(job)
    with traced(job, knows_streams=new_run is None) as trace:
        return _run(job, told, trace, new_run or _run_new)


def _run(job: Job, told: Telling, trace: Trace, new_run: NewRun) -> Summary:
    began, began_at = time.monotonic(), job.outside.clock.utc()
    with opened(job) as state, told.remembered(state), marked(job, state):
        trace.found(state)
        resumed = finish_earlier(job, state)
        if (failed := next((one for one in resumed.values() if one.error is not None), None)) is not None:
            ended = replace(failed, seconds=time.monotonic() - began)
            return told.ended(trace.ended(state, ended, resumed))
        summary = new_run(job, state)
        if summary.error is None:
            summary = try_again(job, state, summary, resumed)
        ended = with_waiting(job, state, sum_up(job, summary, list(resumed.values()), time.monotonic() - began))
        let_go_of_old(job, state, began_at)
        return told.ended(trace.ended(state, ended, resumed))


def finish_earlier(job: Job, state: State, before: str | None = None) -> dict[str, Summary]:
    """Finish the runs that are unfinished, oldest first, but for what waits for a person or was set aside.

    Args:
        job: what is asked.
        state: the pipeline's.
        before: only the runs before this one.

    Returns:
        How each ended; one that could not be finished is the last.
    """
    resumed: dict[str, Summary] = {}
    for row in state.ledger.runs(*UNFINISHED):
        if row.run == before:
            break
        if not only_waits(state.ledger, row):
            resumed[row.run] = finished = finish_run(job, state, row)
            if finished.error is not None:
                break
    return resumed


def try_again(job: Job, state: State, summary: Summary, resumed: dict[str, Summary]) -> Summary:
    """Try what was set aside once more, now that others were served; return the new run's summary after that."""
    served, freed = sum(one.served for one in (summary, *resumed.values())), False
    for row in state.ledger.runs(*UNFINISHED):
        done = is_done(state.ledger, row)
        if not (state.ledger.has_aside(row.run) or done):
            continue
        before = summary if row.run == summary.run else resumed.get(row.run)
        if before is not None and served == before.served and not freed and not done:
            continue  # it has tried that itself, and nobody else was served since, nor any for whom it waits
        waited = waiting_records(state.ledger, row.run)
        finished = finish_run(job, state, row, witnessed=served > 0)
        served += finished.served
        freed = freed or waiting_records(state.ledger, row.run) < waited
        if before is not None:
            finished = replace(
                finished, requests=finished.requests + before.requests, retries=finished.retries + before.retries
            )
        if row.run == summary.run:
            summary = finished
        else:
            resumed[row.run] = finished
        if finished.error is not None:
            break
    return summary


def finish_run(job: Job, state: State, row: RunRow, *, witnessed: bool = False) -> Summary:
    """Deliver what an earlier run has not: from its own plan, byte for byte.

    Args:
        job: what is asked.
        state: the pipeline's.
        row: which run.
        witnessed: whether the API took something else in this call.

    Raises:
        StateError: its plan is gone or was changed, or is for another API.
    """
    job.listener.tell(RunResumed(row.run, row.created_at))
    planned = begun_plan(job, state, row)
    state.fetch_letters(row.run)
    if was_stopping(row):
        stopped = StoppedError(f"run {row.run} was stopped, and died while it was closed", hint="it is closed now")
        return end_run(job, state, planned, stopped)
    return deliver_run(job, state, planned, witnessed=witnessed)


def begun_plan(job: Job, state: State, row: RunRow) -> Plan:
    """Return the plan of a run that was begun.

    Raises:
        StateError: it is gone or was changed, or is for another API.
    """
    planned = plan_file.read(state.plan_folder(row.run), verify=True)
    if planned.digest() != row.plan_digest:
        abandon = f"`bucket-loader abandon PIPELINE {row.run}` closes it"
        raise StateError(f"the plan of run {row.run} is not the one that was begun", hint=abandon)
    otherwise = f"`bucket-loader abandon PIPELINE {row.run}`: what the run has not sent returns to the next plan"
    require_same_api(planned, job, otherwise)
    return planned


class Begun(NamedTuple):
    """A run that was begun.

    Attributes:
        planned: what it is to send.
        standing: which features it changes.
        stopped: what stops it before it sends anything.
    """

    planned: Plan
    standing: Standing
    stopped: StoppedError | None


def begin_new(job: Job, state: State) -> Begun:
    """Plan a run, or take the plan that is given, and begin it; nothing is sent."""
    planned = _plan(job, state)
    standing = standing_of(job, state, planned)
    begin_run(planned, state, job)
    try:
        stops = gates.stops(job.pipeline, planned.manifest, state.ledger.baselines())
        gates.check([*stops, *standing.stops], accept_changes=job.options.accept_changes)
    except StoppedError as error:
        return Begun(planned, standing, error)
    return Begun(planned, standing, None)


def _run_new(job: Job, state: State) -> Summary:
    planned, standing, stopped = begin_new(job, state)
    if stopped is not None:
        summary = end_run(job, state, planned, stopped)
    else:
        summary = deliver_run(job, state, planned)
        standing.verify(job, summary)
    return replace(summary, impact=standing.line)


def _plan(job: Job, state: State) -> Plan:
    planned = make_plan(job, state) if job.options.plan is None else given_plan(job, state, job.options.plan)
    if job.unnamed:
        require_same_frame(planned, state.ledger)
    if not job.options.accept_mapping:
        require_same_meanings(planned, job.pipeline, state.ledger)
    (accept_mapping if job.options.accept_mapping else require_same_mapping)(planned, state.ledger)
    return planned
