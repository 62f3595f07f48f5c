"""How a run is delivered: the one place of this room that knows how delivery is called."""

from dataclasses import replace

from bucket_loader.delivery import deliver
from bucket_loader.model import BucketLoaderError, InterruptedRunError, StateError, give_memory_back
from bucket_loader.planning import Plan
from bucket_loader.reporting import Summary, watched
from bucket_loader.runs.assigning import assignment_of
from bucket_loader.runs.end import end_run
from bucket_loader.runs.job import Job
from bucket_loader.state import MANIFEST, State


def deliver_run(job: Job, state: State, planned: Plan, *, witnessed: bool = False) -> Summary:
    """Send what a begun run still has to send, and say how it ended."""
    assignment = assignment_of(job, state, planned, witnessed=witnessed)
    error: BucketLoaderError | None = None
    give_memory_back()
    try:
        with watched(job.listener, assignment.tally):
            if job.options.senders > 1:
                from bucket_loader.runs.senders.processes import send_by_processes  # it is seldom asked for

                send_by_processes(job, state, assignment)
                state.fetch_letters(planned.manifest.run)
            deliver(replace(assignment, witnessed=witnessed or assignment.tally.served > 0))
    except BucketLoaderError as failure:
        error = failure
    except OSError:
        error = state.lost() or _removed(planned)
        if error is None:
            raise
    if error is None and job.stopped.is_set():
        error = InterruptedRunError(job.signal_number)
    tally = assignment.tally
    job.reached = job.reached or tally.reached
    summary = end_run(job, state, planned, error)
    return replace(summary, requests=tally.requests, retries=tally.retries, served=tally.served)


def _removed(planned: Plan) -> StateError | None:
    """Return what to say where the files of the plan are gone: the ledger, which lies elsewhere, is not."""
    if (planned.folder / MANIFEST).exists():
        return None
    return StateError(
        f"the plan at {planned.folder} was removed while the run was using it",
        hint="run the same command again: from a store the plan is fetched; without one, it says how to close the run",
    )
