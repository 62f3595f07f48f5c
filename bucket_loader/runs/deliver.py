"""How a run is delivered: the one place of this room that knows how delivery is called."""

import time
from dataclasses import replace

from bucket_loader.delivery import Delivery
from bucket_loader.model import BucketLoaderError, InterruptedRunError, give_memory_back
from bucket_loader.planning import Plan
from bucket_loader.reporting import Summary, watched
from bucket_loader.runs.end import end_run
from bucket_loader.runs.job import Job
from bucket_loader.state import DeadLetters, State


def deliver_run(job: Job, state: State, planned: Plan) -> Summary:
    """Send what a begun run still has to send, and say how it ended."""
    delivery = Delivery(
        plan=planned,
        ledger=state.ledger,
        letters=DeadLetters(state.dead_letters(planned.manifest.run), state.letters_kept(planned.manifest.run)),
        destination=job.pipeline.destination,
        clock=time.monotonic,
        stopped=job.stopped,
    )
    error: BucketLoaderError | None = None
    give_memory_back()
    try:
        with watched(job.listener, delivery.tally):
            delivery.deliver()
    except BucketLoaderError as failure:
        error = failure
    if error is None and job.stopped.is_set():
        error = InterruptedRunError(job.signal_number)
    tally = delivery.tally
    return replace(end_run(job, state, planned, error), requests=tally.requests, retries=tally.retries)
