"""What the workers of a stream share, and one attempt of one chunk."""

from dataclasses import dataclass

from bucket_loader.delivery.aside import Aside
from bucket_loader.delivery.emulated import Emulated
from bucket_loader.delivery.http.pacing import Pacer
from bucket_loader.delivery.http.rate import Slot
from bucket_loader.delivery.http.retry import Budget
from bucket_loader.delivery.journal import Journal
from bucket_loader.delivery.queue import Queue, Work
from bucket_loader.delivery.service import Service
from bucket_loader.delivery.tally import Standing
from bucket_loader.delivery.transport import Connection, Pool
from bucket_loader.model import Attempt, Clock, Outcome, Policy, keep_attempt, wire_ms
from bucket_loader.reporting import Tell


@dataclass(frozen=True)
class Shared:
    """What the workers of a stream share.

    Attributes:
        run, stream: whose chunks these are.
        queue: hands out chunks.
        aside: those that come after all others, and who waits for them.
        last: whether these are those.
        pool: the connections.
        journal: remembers.
        pacer: says when one more request may be made.
        emulated: looks at who answers.
        service: counts what the API served.
        budget: says how soon a retry is earned.
        standing: the tally, and what ends the run.
        policy: what the stream asks for.
        tell: told what a person may want to know.
        clock: time, threads and chance.
    """

    run: str
    stream: str
    queue: Queue
    aside: Aside
    last: bool
    pool: Pool
    journal: Journal
    pacer: Pacer
    emulated: Emulated
    service: Service
    budget: Budget
    standing: Standing
    policy: Policy
    tell: Tell
    clock: Clock


class Flight:
    """One attempt under way."""

    def __init__(self, shared: Shared, work: Work, connection: Connection, slot: Slot) -> None:
        self._shared = shared
        self._work = work
        self._connection = connection
        self._slot = slot
        self._began_s = 0.0

    def begin(self) -> None:
        """Send the chunk once."""
        shared, work = self._shared, self._work
        shared.journal.wait_until_held()
        shared.standing.count_request(again=work.history.attempts > 0)
        work.when_sent = shared.service.successes
        self._began_s = shared.clock.now_s()
        self._connection.begin(work.chunk.body)

    def end(self) -> Work:
        """Wait for the answer, and return the chunk with what the attempt came to."""
        shared, work = self._shared, self._work
        work.outcome = outcome = self._connection.end()
        self._note(outcome)
        shared.pacer.release(self._slot, outcome)
        shared.emulated.see(outcome)
        first = not work.history.attempts
        if first:
            shared.budget.earn()
        shared.service.note(outcome, first=first, suspected=work.history.suspected)
        return work

    def _note(self, outcome: Outcome) -> None:
        """Keep when the attempt ended and how long it took, for the next commit."""
        clock = self._shared.clock
        took_ms = round(1_000 * (clock.now_s() - self._began_s))
        keep_attempt(self._work.tries, Attempt(wire_ms(clock.utc()), outcome.status, took_ms))
