"""How a run is delivered: the one place of this room that knows how delivery is called."""

from dataclasses import replace

from bucket_loader.delivery import Assignment, LedgerJournal, Tally, deliver
from bucket_loader.model import BucketLoaderError, InterruptedRunError, StateError, give_memory_back
from bucket_loader.planning import Plan
from bucket_loader.reporting import Summary, watched
from bucket_loader.runs.emulated import has_delivered, memory_of
from bucket_loader.runs.end import end_run
from bucket_loader.runs.job import Job
from bucket_loader.runs.waiting import set_aside_before
from bucket_loader.state import MANIFEST, DeadLetters, State


def deliver_run(job: Job, state: State, planned: Plan, *, witnessed: bool = False) -> Summary:
    """Send what a begun run still has to send, and say how it ended."""
    assignment = _assignment(job, state, planned, witnessed=witnessed)
    error: BucketLoaderError | None = None
    give_memory_back()
    try:
        with watched(job.listener, assignment.tally):
            deliver(assignment)
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


def _assignment(job: Job, state: State, planned: Plan, *, witnessed: bool) -> Assignment:
    run, destination, clock = planned.manifest.run, job.pipeline.destination, job.outside.clock
    letters = DeadLetters(state.dead_letters(run), state.letters_kept(run), clock, state.disk)
    return Assignment(
        plan=planned,
        ledger=state.ledger,
        journal=LedgerJournal(planned, state.ledger, letters),
        transport=job.outside.transport(destination),
        destination=destination,
        stopped=job.stopped,
        tally=Tally(run, {stream.name: stream.records for stream in planned.manifest.streams}),
        tell=job.listener.tell,
        clock=clock,
        waits_for=set_aside_before(state, run),
        witnessed=witnessed,
        emulator=memory_of(destination, state),
        reached=job.reached or has_delivered(destination, state),
    )
