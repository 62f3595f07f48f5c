"""`bucket-loader deliver`: be one more sender of a run, wherever it is started, until the run has ended.

    a plan --the first begins it, alone--> parts --all who join send them--> none left --the first who has the state
    alone ends the run--> all say how it ended

Nobody returns while others still send: a scheduler would take the run for done, or end a process that is of use. Who
dies, or is frozen, leaves its part to the others.
"""

import math
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bucket_loader.delivery import error_of
from bucket_loader.model import (
    BucketLoaderError,
    InterruptedRunError,
    StateError,
    StateLockedError,
    StateUnavailableError,
    UsageError,
    now_s,
)
from bucket_loader.planning import Plan
from bucket_loader.reporting import Summary, watched
from bucket_loader.runs.assigning import assignment_of
from bucket_loader.runs.deliver import deliver_run
from bucket_loader.runs.end import end_run, ended_before, sum_up, was_stopping, with_waiting
from bucket_loader.runs.job import Job, opened
from bucket_loader.runs.keeping import let_go_of_old
from bucket_loader.runs.notify import Telling, telling
from bucket_loader.runs.restored import marked
from bucket_loader.runs.run import begin_new, begun_plan, finish_earlier, finish_run, try_again
from bucket_loader.runs.senders.sending import Beside, beside, parts_of, plan_here, send_parts
from bucket_loader.runs.signals import drained_on_signals
from bucket_loader.runs.waiting import UNFINISHED
from bucket_loader.state import LEASE_S, RunRow, State, look_at_state, one_process_alone, require_key

_BEGINS_S: Final = 2 * LEASE_S  # for another who begins the run just now
_LOOKS_EVERY_S: Final = 1.0
_TRIES_S_MAX: Final = 30.0  # what it takes to find that a server is away
# What ends the sending of one process; it may come back to the run.
_NOT_OF_THE_RUN: Final = (StateLockedError, StateUnavailableError, InterruptedRunError)


def deliver_job(job: Job, named: str) -> Summary:
    """Send parts of a run beside whoever else sends it, and return how the run ended, when it has.

    Args:
        job: what is asked.
        named: the run, or the folder of a plan; a plan that was not begun is begun.

    Raises:
        BucketLoaderError: nothing could be sent; or a signal came, and others go on.
    """
    if job.state_place.ledger is None:
        raise one_process_alone()
    with drained_on_signals(job), telling(job) as told:
        joining = _Joining(job, Path(named).name, told, time.monotonic())
        ended = joining.begin()
        return ended if ended is not None else joining.end(joining.send())


@dataclass
class _Joining:
    """One process that joins the senders of a run."""

    job: Job
    run: str
    told: Telling
    began_s: float

    # --- it begins, or was begun ---

    def begin(self) -> Summary | None:
        """Begin the run, or find that it was begun; return how it ended where it has already."""
        waits_until = self.job.gives_up_s = now_s() + max(_BEGINS_S, self.job.options.wait_for_lock)
        while True:
            looked = self._looked()
            if looked is not None:
                return looked if isinstance(looked, Summary) else None
            try:
                with _lock_waited_for(self.job, _LOOKS_EVERY_S), self._alone() as state:
                    return self._begin(state)
            except (StateLockedError, InterruptedRunError):  # by who begins it, most of the time: look again
                if self.job.signalled or now_s() >= waits_until:
                    raise
                self._go_on()

    def _looked(self) -> Summary | bool | None:
        """Look; where the server went while it was asked, once more: one that stays away says so then."""
        try:
            return self._look()
        except StateUnavailableError:
            return self._look()

    def _look(self) -> Summary | bool | None:
        """Return how the run ended; True where it is being sent; None where it waits for somebody who begins it."""
        state = look_at_state(self.job.pipeline, self.job.state_place)
        if state is None:
            raise UsageError(
                f"there is no run {self.run}", hint="there is no state yet; `bucket-loader plan PIPELINE` makes it"
            )
        with closing(state):
            row = state.ledger.run(self.run)
            if row is not None and row.status not in UNFINISHED:
                return self._ended_before(state, row)
            self._require_of_use(state)
            return True if row is not None and state.ledger.is_shared(self.run) else None

    def _require_of_use(self, state: State) -> None:
        """Refuse at once what no waiting mends: a name that is misspelt, a plan that is elsewhere, another key.

        Raises:
            StateError: the key is another one.
            UsageError: the plan is not to be had here.
        """
        plan_here(state, self.run)
        require_key(state.ledger, self.job.pipeline, key_rotated=self.job.options.key_rotated)

    @contextmanager
    def _alone(self) -> Iterator[State]:
        with opened(self.job) as state, self.told.remembered(state), marked(self.job, state):
            yield state

    def _begin(self, state: State) -> Summary | None:
        for finished in finish_earlier(self.job, state, before=self.run).values():
            if finished.error is not None:
                return self.told.ended(finished)
        row = state.ledger.run(self.run)
        if row is not None and row.status not in UNFINISHED:
            return self._ended_before(state, row)
        if row is None:
            begun = begin_new(self._with_plan(state), state)
            if begun.stopped is not None:
                return self._summed(state, end_run(self.job, state, begun.planned, begun.stopped))
            planned = begun.planned
        elif was_stopping(row):
            return self._summed(state, finish_run(self.job, state, row))
        else:
            planned = begun_plan(self.job, state, row)
        return self._share_out(state, planned)

    def _with_plan(self, state: State) -> Job:
        return replace(self.job, options=replace(self.job.options, plan=plan_here(state, self.run)))

    def _share_out(self, state: State, planned: Plan) -> Summary | None:
        """Let others in; where there is nothing to be sent, end the run at once."""
        if parts := parts_of(planned):
            state.ledger.share_out(self.run, parts)
            return None
        return self._summed(state, deliver_run(self.job, state, planned))

    # --- it is sent ---

    def send(self) -> BucketLoaderError | None:
        """Send parts until none is left; return what ended that early here.

        Raises:
            BucketLoaderError: this process cannot be one of the senders, whatever the others do.
        """
        job, failure = self.job, None
        at: Beside | None = None
        try:
            with beside(job, self.run, verify=True) as at:
                assignment = assignment_of(job, at.state, at.planned)
                with watched(job.listener, assignment.tally):
                    send_parts(job, at, assignment)
        except BucketLoaderError as error:
            if at is None and not isinstance(error, _NOT_OF_THE_RUN):
                raise
            failure = error
        self._go_on()
        return failure

    def _go_on(self) -> None:
        """Let what ended the sending here, or the state, not keep this process from waiting for the others."""
        if not self.job.signalled:
            self.job.stopped.clear()

    # --- it ends ---

    def end(self, failure: BucketLoaderError | None) -> Summary:
        """Wait until nobody sends any more; then end the run, if nobody has, and return how it ended.

        Raises:
            InterruptedRunError: a signal came, and others still send.
            StateUnavailableError: the ledger's server did not come back within `patience`.
        """
        away, self.job.gives_up_s = _Away(self.job), None
        while True:
            try:
                ended = self._end(failure)
            except StateUnavailableError as error:
                away.wait(error)
                ended = None
            except (StateLockedError, InterruptedRunError):
                if self.job.signalled:
                    raise
                ended = None  # it was frozen when it had the state alone, and another has it now
            if ended is not None and (self.job.signalled or not isinstance(ended.error, StateLockedError)):
                return ended
            self._go_on()

    def _end(self, failure: BucketLoaderError | None) -> Summary:
        with _lock_waited_for(self.job, math.inf), self._alone() as state:
            row = state.ledger.run(self.run)
            assert row is not None  # noqa: S101  # it was begun
            if state.ledger.is_shared(self.run):
                return self._summed(state, self._finish(state, row, failure))
            if row.status == "running":  # who was about to end it died
                return self._summed(state, finish_run(self.job, state, row))
            return self._ended_before(state, row)

    def _finish(self, state: State, row: RunRow, failure: BucketLoaderError | None) -> Summary:
        """Do what is left of the run: set aside, left by the dead, or nothing; not where somebody met its end."""
        flag = state.ledger.flag(self.run)
        if flag is not None:
            failure = error_of(flag)
        elif isinstance(failure, _NOT_OF_THE_RUN) or not state.ledger.parts_left(self.run):
            failure = None  # others have sent what was left here, or this process does now
        planned = begun_plan(self.job, state, row)
        state.fetch_letters(self.run)
        if failure is None:
            return deliver_run(self.job, state, planned, witnessed=state.ledger.ever_delivered())
        return end_run(self.job, state, planned, failure)

    def _summed(self, state: State, summary: Summary) -> Summary:
        job = self.job
        if summary.error is None:
            summary = try_again(job, state, summary, {})
        ended = with_waiting(job, state, sum_up(job, self._of_all(state, summary), [], self._seconds))
        let_go_of_old(job, state, job.outside.clock.utc())
        return ended if isinstance(ended.error, StateLockedError) else self.told.ended(ended)

    def _ended_before(self, state: State, row: RunRow) -> Summary:
        """Return how the run ended that another process has ended; who is to be told of it was told by that one.

        Raises:
            StateError: a person has closed it: no sender will ever finish it.
        """
        if row.status == "abandoned":
            raise StateError(
                f"run {row.run} was abandoned",
                hint="what it has not sent returns to the next plan: `bucket-loader plan PIPELINE` makes it",
            )
        return with_waiting(self.job, state, replace(ended_before(self.job, state, row), seconds=self._seconds))

    def _of_all(self, state: State, summary: Summary) -> Summary:
        """Count what all senders have done."""
        row = state.ledger.run(self.run)
        return summary if row is None else replace(summary, requests=row.requests, retries=row.retries)

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self.began_s


class _Away:
    """The ledger's server, while it is away: as long as those who send wait for it."""

    def __init__(self, job: Job) -> None:
        self._job, self._since_s, self._tried_s = job, -math.inf, now_s()

    def wait(self, error: StateUnavailableError) -> None:
        """Say that it is away; raise what it is when that was so for long."""
        was_there = now_s() - self._tried_s > _TRIES_S_MAX
        self._since_s = now_s() if was_there or self._since_s < 0 else self._since_s
        if self._job.signalled or self._job.waiting.is_over(self._since_s):
            raise error
        self._job.waiting.for_server(error.message, self._since_s)
        self._job.waiting.sleep(_LOOKS_EVERY_S)
        self._tried_s = now_s()


@contextmanager
def _lock_waited_for(job: Job, seconds: float) -> Iterator[None]:
    """Let a job wait so long for the state, for as long as the `with` lasts."""
    options = job.options
    job.options = replace(options, wait_for_lock=seconds)
    try:
        yield
    finally:
        job.options = options
