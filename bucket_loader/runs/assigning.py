"""What a delivery is given of a job: the one place of this room that knows what it needs."""

from bucket_loader.delivery import Assignment, LedgerJournal, Tally
from bucket_loader.planning import Plan
from bucket_loader.runs.emulated import has_delivered, memory_of
from bucket_loader.runs.job import Job
from bucket_loader.runs.waiting import set_aside_before
from bucket_loader.state import DeadLetters, State


def assignment_of(job: Job, state: State, planned: Plan, *, witnessed: bool = False) -> Assignment:
    """Return what is to be delivered of a begun run, and what it is done with."""
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
