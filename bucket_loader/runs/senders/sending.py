"""What one of several senders does: it opens the state beside the others, and sends parts until none is left."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bucket_loader.delivery import Assignment, Sender, deliver_parts
from bucket_loader.model import InterruptedRunError, StateError, UsageError, give_memory_back
from bucket_loader.planning import Plan, plan_file
from bucket_loader.runs.assigning import assignment_of
from bucket_loader.runs.job import Job
from bucket_loader.state import LEASE_S, MANIFEST, NewPart, State, one_process_alone


def require_shareable(job: Job) -> None:
    """Refuse several senders where the state's ledger is for one process at a time.

    Raises:
        UsageError: it is.
    """
    if job.options.senders < 1:
        raise UsageError("--senders is a number of processes", hint="1 is one, as without the option")
    if job.options.senders > 1 and job.state_place.ledger is None:
        raise one_process_alone()


def parts_of(planned: Plan) -> list[NewPart]:
    """Return the parts of a plan, as senders share them."""
    return [
        NewPart(stream.position, number, part.first, part.records, int(stream.shares_ids))
        for stream in planned.manifest.streams
        for number, part in enumerate(stream.parts)
        if part.records
    ]


@dataclass(frozen=True)
class Beside:
    """A state that is open beside others, as one of the senders of a run.

    Attributes:
        state: the state.
        sender: this sender's name.
        planned: what is sent.
    """

    state: State
    sender: str
    planned: Plan


@contextmanager
def beside(job: Job, run: str, *, verify: bool) -> Iterator[Beside]:
    """Be one of the senders of a run for as long as the `with` lasts.

    Raises:
        StateError: this sender was given up, whatever went wrong then; or its plan is not what was begun.
        UsageError: the plan is not to be had here.
    """
    state, sender = job.open_beside(run)
    try:
        yield Beside(state, sender, _plan_of(state, run, verify=verify))
    except (OSError, StateError):
        if (lost := state.lost()) is not None:
            raise lost from None
        raise
    finally:
        with suppress(StateError):  # it was given up, or cannot say that it ends: then it is given up later
            state.ledger.leave(sender)
        state.close()


def _plan_of(state: State, run: str, *, verify: bool) -> Plan:
    return plan_file.read(plan_here(state, run), verify=verify)


def plan_here(state: State, run: str) -> Path:
    """Return the folder of a run's plan, fetched where this disk lacks it.

    Raises:
        UsageError: it is not to be had here.
    """
    folder = state.plan_folder(run)
    if not (folder / MANIFEST).exists():
        raise UsageError(
            f"the plan of run {run} is not on this machine: {folder}",
            hint="is the name right? Senders on several machines need a state whose files lie in a store (`--state "
            "s3://...` beside `--state postgresql://...`), and a plan that was made with --keep-in-store",
        )
    return folder


def send_parts(job: Job, at: Beside, assignment: Assignment | None = None) -> None:
    """Send parts of a run until none is left.

    Raises:
        InterruptedRunError: a signal came.
        BucketLoaderError: what ended the sending, here or at another sender.
    """
    assignment = assignment or assignment_of(job, at.state, at.planned)
    destination, run = job.pipeline.destination, at.planned.manifest.run
    give_memory_back()
    sender = Sender(
        at.state.ledger,
        run,
        at.sender,
        silent_s=destination.timeout + LEASE_S,
        requests_per_second=destination.requests_per_second,
        stopped=job.stopped,
        tell=assignment.tell,
        clock=job.outside.clock,
    )
    try:
        deliver_parts(assignment, sender)
    finally:
        job.reached = job.reached or assignment.tally.reached
    if job.stopped.is_set():
        raise at.state.lost() or InterruptedRunError(job.signal_number)
