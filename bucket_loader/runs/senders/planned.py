"""A plan for senders elsewhere: made once nothing is unfinished, and put where all of them find it."""

from bucket_loader.runs.inspect import MadePlan, plan_in
from bucket_loader.runs.job import Job, opened
from bucket_loader.runs.notify import telling
from bucket_loader.runs.restored import marked
from bucket_loader.runs.run import finish_earlier
from bucket_loader.runs.signals import drained_on_signals
from bucket_loader.state import one_process_alone


def plan_for_senders(job: Job) -> MadePlan:
    """Finish what is unfinished, as `run` does; then plan, and keep the plan in the store too, where there is one.

    Raises:
        BucketLoaderError: what was unfinished is so still, or the plan cannot be made; the ledger is for one process.
    """
    if job.state_place.ledger is None:
        raise one_process_alone()
    job.require_streams()
    with (
        drained_on_signals(job),
        telling(job) as told,
        opened(job) as state,
        told.remembered(state),
        marked(job, state),
    ):
        for finished in finish_earlier(job, state).values():
            if finished.error is not None:
                raise finished.error
        made = plan_in(job, state)
        state.keep_plan(made.plan.manifest.run)
        return made
