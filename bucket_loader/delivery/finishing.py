"""One chunk to its end: attempt it until it is decided what becomes of it, and do that.

A chunk that was refused is replaced by its parts, and each of them is brought to its end in turn.
"""

from dataclasses import replace
from typing import Final

from bucket_loader.delivery.course import NO_TRUST, after_first, known_of_first, leave, next_step
from bucket_loader.delivery.flight import Flight, Shared
from bucket_loader.delivery.journal import DeadLetter
from bucket_loader.delivery.queue import Work
from bucket_loader.model import (
    Again,
    BucketLoaderError,
    Chunk,
    ChunkHistory,
    Delivered,
    Held,
    Left,
    Outcome,
    Rejected,
    Served,
    SetAside,
    Split,
    Step,
    Verdict,
    wire_timestamp,
)
from bucket_loader.reporting import ChunkHeld, ChunkRetried, ChunkSetAside
from bucket_loader.state import Ambiguous, ChunkState, Concluded, SplitInto

LOOK_S: Final = 0.02
_NOT_BEGUN = Outcome(Verdict.NOT_SENT, message="stopped before it was sent")


class Finishing:
    """Brings chunks to their ends, one attempt after the other, each over whichever connection is open then."""

    def __init__(self, shared: Shared, *, is_sample: bool = False) -> None:
        self._shared = shared
        self._is_sample = is_sample  # until its first record is refused it comes before all others
        self._believes = True  # until a hint has proved false, for all parts

    def finish(self, work: Work) -> bool:
        """Attempt a chunk until it is decided what becomes of it, and do that; return whether all of it arrived."""
        return self._apply(self._decided(work), work)

    def _decided(self, work: Work) -> Step:
        shared, last = self._shared, _NOT_BEGUN
        while True:
            if work.outcome is None and not self._attempted(work):
                work.outcome = last
                return leave(work.history, last, _served(shared, work), shared.policy)
            step = step_after(shared, work)
            if not isinstance(step, Again):
                return step
            self._wait(step, work)
            last, work.outcome = _outcome(work), None

    def _attempted(self, work: Work) -> bool:
        """Attempt a chunk once; return False when the run is stopped instead."""
        shared = self._shared
        connection = shared.pool.take()
        try:
            slot = shared.pacer.acquire()
            if slot is None:
                return False
            flight = Flight(shared, work, connection, slot)
            flight.begin()
            flight.end()
        finally:
            shared.pool.give_back(connection, work.outcome)
        return True

    def _wait(self, step: Again, work: Work) -> None:
        """Name an attempt that may have been applied; then wait for as long as the next has to wait."""
        shared, outcome = self._shared, _outcome(work)
        answer = str(outcome.status or outcome.message)
        if step.ambiguous:
            shared.journal.commit([Ambiguous(work.chunk, step.attempts, tuple(work.tries))])
            work.tries.clear()
        shared.tell(
            ChunkRetried(
                shared.run, shared.stream, work.chunk.members, work.history.attempts, answer, ambiguous=step.ambiguous
            )
        )
        wait_s = step.wait_s + step.spread_s * shared.clock.random.random()
        if outcome.verdict is not Verdict.THROTTLED:  # pacing slows down for that
            wait_s = max(wait_s, shared.budget.spend())
        with shared.service.standstill.next_in(wait_s):
            shared.standing.stopped.wait(wait_s)

    def _apply(self, step: Step, work: Work) -> bool:
        shared = self._shared
        match step:
            case Delivered():
                shared.journal.commit([concluded(work, "delivered", step)])
                shared.standing.accepted(work.chunk)
                return True
            case Split():
                return self._split(step, work)
            case Rejected(reason=reason):
                letter = DeadLetter(work.chunk, reason, _outcome(work))
                shared.journal.commit([letter, concluded(work, "rejected", step)])
                shared.standing.refused(work.chunk)
                self.judged()
            case SetAside():
                self._set_aside(step, work)
            case Held(error=error):
                shared.journal.commit([concluded(work, "held", step)])
                answer = str(_outcome(work).status or _outcome(work).message)
                shared.tell(ChunkHeld(shared.run, shared.stream, work.chunk.members, answer))
                self._end_with(error)
            case Left(error=error):
                shared.journal.commit([concluded(work, "queued", step)])
                self._end_with(error)
        return False

    def _set_aside(self, step: SetAside, work: Work) -> None:
        """Let all go on that does not share its ids; they wait before anybody can take what does."""
        shared, chunk = self._shared, work.chunk
        was_before = shared.aside.history(chunk).postponed
        shared.aside.add(chunk, work.history)
        shared.service.note_set_aside(step.error)
        shared.journal.commit([replace(concluded(work, "queued", step), aside=wire_timestamp(shared.clock.utc()))])
        answer = str(_outcome(work).status or _outcome(work).message)
        if not was_before:
            shared.tell(ChunkSetAside(shared.run, shared.stream, chunk.members, answer))

    def _end_with(self, error: BucketLoaderError | None) -> None:
        if error is not None:
            self._shared.standing.fail(error)

    def _split(self, step: Split, work: Work) -> bool:
        """Replace a chunk by its parts and bring each to its end; return whether all arrived."""
        first, second = (work.chunk.part(positions) for positions in step.parts)
        self._shared.journal.commit([SplitInto(concluded(work, "split", step), [first, second])])
        passed = self._finish_part(first, known_of_first(step))
        if self._shared.standing.stopped.is_set():
            return False  # the second stays queued
        self._believes = self._believes and not (step.alone and passed)
        follows = after_first(step if self._believes else replace(step, named=()), second, passed=passed)
        if isinstance(follows, Split):
            return self._split(follows, Work(second, follows.history)) and passed
        return self._finish_part(second, follows) and passed

    def _finish_part(self, chunk: Chunk, history: ChunkHistory) -> bool:
        self._finish_samples()
        if self._shared.standing.stopped.is_set():
            return False
        ready, entries = self._shared.aside.ready(chunk)
        self._shared.journal.commit(entries)
        if ready is None:
            return False
        arrived = self.finish(Work(ready, history if self._believes else replace(history, trust=NO_TRUST)))
        return arrived and ready is chunk

    def judged(self) -> None:
        """Say that a sample has shown what it can: the rest of it is in no hurry."""
        if self._is_sample:
            self._is_sample = False
            self._shared.queue.sample_judged()

    def _finish_samples(self) -> None:
        """Bring chunks to their end that show whether all is refused, or wait for them, before more of this one is."""
        shared, stopped = self._shared, self._shared.standing.stopped
        while not (stopped.is_set() or self._is_sample):
            if (chunk := shared.queue.sample()) is not None:
                self._finish_sample(chunk)
            elif shared.queue.sampled:
                stopped.wait(LOOK_S)
            else:
                return

    def _finish_sample(self, chunk: Chunk) -> None:
        sample = Finishing(self._shared, is_sample=True)
        ready, entries = self._shared.aside.ready(chunk)
        self._shared.journal.commit(entries)
        if ready is not None:
            sample.finish(Work(ready))
        sample.judged()
        self._shared.queue.done(chunk)


def step_after(shared: Shared, work: Work) -> Step:
    """Return what follows from a chunk's latest attempt; the chunk's history is brought up to date."""
    step, work.history = next_step(work.chunk, work.history, _outcome(work), _served(shared, work), shared.policy)
    return step


def concluded(work: Work, state: ChunkState, step: Step) -> Concluded:
    """Return what is to be committed of a chunk."""
    outcome = work.outcome
    if outcome is None:
        return Concluded(work.chunk, state, step.attempts)
    # An answer that is not Bucket's is none: what becomes of the chunk is unknown.
    status = None if outcome.verdict is Verdict.MISROUTED else outcome.status
    ambiguous, tries = int(outcome.ambiguous and step.attempts > 0), tuple(work.tries)
    return Concluded(work.chunk, state, step.attempts, ambiguous, status, tries=tries)


def _served(shared: Shared, work: Work) -> Served:
    return shared.service.served(work.outcome or _NOT_BEGUN, when_sent=work.when_sent, last=shared.last)


def _outcome(work: Work) -> Outcome:
    assert work.outcome is not None  # noqa: S101  # asked for after an attempt only
    return work.outcome
