"""One chunk's way: intent, attempts, outcome; and on a refusal its parts, each an intent of its own.

    take --> intend --> launch --> land --> delivered: one commit with the next intents
                                        --> not: attempts until final --> settle

A worker takes chunks from a queue, in a thread of its own. What it may not know alone (when to stop, how fast to go,
what was judged) it asks of the delivery.
"""

import json
import logging
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.delivery import isolation
from bucket_loader.delivery.attempts import Attempts
from bucket_loader.delivery.http.client import Client, Clients, answered
from bucket_loader.delivery.http.retry import Case, Patience
from bucket_loader.delivery.queue import Queue
from bucket_loader.model import (
    BucketLoaderError,
    Chunk,
    KeyRefusedError,
    MisroutedError,
    Origin,
    Outcome,
    PatienceError,
    Reason,
    Rejection,
    Verdict,
    row_as_json,
)
from bucket_loader.planning import REMOVED, Plan, PlannedStream
from bucket_loader.state import ChunkState, Conclusion, dead_letters

if TYPE_CHECKING:
    from bucket_loader.delivery.deliver import Delivery

log = logging.getLogger("bucket_loader.delivery.deliver")

LOOK_S: Final = 0.05  # how often who waits for answers looks whether there is more to send


class Worker:
    """Takes chunks and brings each to its outcome; has several in flight when one thread can keep the server busy."""

    def __init__(self, delivery: "Delivery", stream: PlannedStream, queue: Queue, clients: Clients, name: str) -> None:
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.delivery = delivery
        self.stream = stream
        self.queue = queue
        self.clients = clients
        self.crash: BaseException | None = None
        self._waiting: deque[Attempts] = deque()  # intended
        self._flying: dict[Client, Attempts] = {}

    def start(self) -> None:
        """Work until the queue is empty or the run is stopped."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._has_work():
                self._launch()
                if self._flying:
                    self._land()
        except BaseException as error:  # noqa: BLE001  # re-raised by the delivery: a thread's own would be lost
            self.crash = error
            self.delivery.stopped.set()
        finally:
            for client in self._flying:
                client.close()  # an answer may still come there: nobody may take it for another's

    def _has_work(self) -> bool:
        """Have chunks that wait or are in flight, all intended; False at the end."""
        more = self._more()
        if (self._waiting or self._flying) and more > 0:  # what could not be had with the last commit
            self._intend(self.queue.take_more(self, more, ending=0))
        while not (self._waiting or self._flying):
            work = self.queue.take(self, self._more())
            if work is None:
                return False
            if isinstance(work, Attempts):
                self._finish(work)
            else:
                self._intend(work)
        return True

    def _intend(self, chunks: list[Chunk]) -> None:
        if chunks:
            self.delivery.ledger.intend(self.delivery.run, *chunks)
            self._waiting.extend(map(self._attempts, chunks))

    def _more(self, landed: int = 0) -> int:
        """How many more chunks this thread should have: one, or as many as can be sent at once.

        Args:
            landed: connections that are free as soon as what came over them is committed.
        """
        in_hand = len(self._waiting) + len(self._flying)
        sendable = self.clients.opened + landed - len(self._waiting)
        return max(1 - in_hand, min(self.delivery.pacer.at_once - in_hand, sendable))

    def _attempts(self, chunk: Chunk, suspect: Case | None = None) -> Attempts:
        case = self.queue.case(chunk) or Case(
            hold=self.stream.on_unknown == "hold",
            alone=len(chunk.sequences) == 1,
            began=0,  # noted when it is first sent
            successes_before=suspect.began if suspect else 0,
            suspected=suspect is not None,
        )
        # One that came back is tried until it is decided, or cut when it can be.
        case.yields = not case.alone if case.postponed else self.queue.may_postpone(chunk)
        return Attempts(self.delivery, self.stream, chunk, case)

    def _launch(self) -> None:
        """Send what waits, as far as may be; who has answers to read waits neither for a slot nor for a connection."""
        while self._waiting:
            client = self._client()
            if client is None:
                return
            slot = self.delivery.pacer.acquire(wait=not self._flying)
            if slot is None:
                self.clients.give_back(client)
                if not self._flying:
                    self.queue.pass_on(self._waiting.popleft())  # the run is stopped
                    continue
                return
            attempts = self._waiting.popleft()
            self._flying[client] = attempts
            attempts.begin(client, slot)

    def _client(self) -> Client | None:
        """Give a connection; who has answers to read does not open one, and who came to open one does."""
        if self._flying:
            return self.clients.take_opened()
        opens = self.clients.capacity < self.delivery.pacer.at_once and not self.queue.leads(self)
        opened = None if opens else self.clients.take_opened()
        if opened is not None:
            return opened
        self._leave_the_rest()
        return self.clients.take_closed()

    def _leave_the_rest(self) -> None:
        """Keep one chunk: who opens a connection waits for its answer, and others can lead, and send, meanwhile."""
        while len(self._waiting) > 1:
            self.queue.pass_on(self._waiting.pop())
        self.queue.step_back(self)

    def _land(self) -> None:
        """Read the answers that have come, at least one; commit what was delivered with the next intents."""
        delivered, free = [], []
        # Others may wait for the lead to take what there is room for; and nobody else sends what waits here.
        looks = self.queue.leads(self) or self._waiting
        landed = answered(list(self._flying), LOOK_S if looks else None)
        try:
            while landed:
                for client in landed:
                    attempts = self._flying.pop(client)
                    free.append(client)
                    outcome = attempts.end_first()
                    if outcome.verdict is Verdict.DELIVERED:
                        delivered.append((attempts.chunk, attempts.conclusion("delivered", outcome)))
                    else:
                        self.queue.pass_on(attempts)
                landed = answered(list(self._flying), 0)  # those that came meanwhile share the commit
            if delivered:
                self._conclude(delivered, len(free))
        finally:
            # Only now: a server that closes after an answer has had the time to.
            for client in free:
                self.clients.give_back(client)

    def _conclude(self, delivered: list[tuple[Chunk, Conclusion]], landed: int) -> None:
        # One commit carries the outcomes and the next intents. What shares an id waits for that commit: a crash before
        # it sends these chunks again, and they must not come after newer ones.
        following = self.queue.take_more(self, self._more(landed), ending=len(delivered))
        self.delivery.ledger.go_on(self.delivery.run, delivered, following)
        self.queue.done(*(chunk for chunk, _ in delivered))
        self.delivery.judge(good=sum(len(chunk.sequences) for chunk, _ in delivered))
        self._waiting.extend(map(self._attempts, following))

    def _finish(self, attempts: Attempts) -> None:
        """Bring a chunk whose first attempt did not deliver it to its end; nothing else is in flight here."""
        self.client = self.clients.take()
        try:
            self._settle(attempts.chunk, attempts.until_final(self.client), attempts)
            self.queue.done(attempts.chunk)
        finally:
            self.clients.give_back(self.client)

    def _settle(self, chunk: Chunk, outcome: Outcome, attempts: Attempts) -> bool:
        """Bring an outcome to the ledger, and cut what was refused; gives whether all of it was delivered."""
        delivery, size = self.delivery, len(chunk.sequences)
        match outcome.verdict:
            case Verdict.DELIVERED:
                delivery.ledger.conclude(delivery.run, chunk, attempts.conclusion("delivered", outcome))
                delivery.judge(good=size)
                return True
            case Verdict.REJECTED if size > 1:
                parts = isolation.parts(size, outcome.details, in_order=bool(chunk.ids))
                return self._cut(chunk, parts, attempts.conclusion("split", outcome), blame=True)
            case Verdict.TOO_BIG if size > 1:
                return self._cut(chunk, isolation.halves(size), attempts.conclusion("split", outcome))
            case Verdict.REJECTED | Verdict.TOO_BIG:
                self._reject(chunk, outcome, attempts)
            case Verdict.SERVER_ERROR if size > 1 and (attempts.proven_against() or attempts.unproven_twice()):
                # It alone brings server errors while others succeed: something in it does. When there are no others
                # left, its parts show it of each other.
                parts = isolation.halves(size)
                return self._cut(chunk, parts, attempts.conclusion("split", outcome), suspect=attempts.case)
            case Verdict.SERVER_ERROR if attempts.proven_against():
                self._reject(chunk, outcome, attempts)
            case Verdict.SERVER_ERROR if attempts.undecided():
                delivery.ledger.conclude(delivery.run, chunk, attempts.conclusion("queued", outcome))
                self.queue.postpone(chunk, attempts.case)
            case _:
                self._leave(chunk, outcome, attempts)
        return False

    def _cut(
        self, chunk: Chunk, positions: list[list[int]], conclusion: Conclusion, *, suspect: Case | None = None,
        blame: bool = False,
    ) -> bool:  # fmt: skip
        """Replace a chunk by its parts and settle each; gives whether all were delivered.

        Args:
            chunk: what is replaced.
            positions: its parts.
            conclusion: what became of it.
            suspect: it brought server errors: its parts inherit the suspicion, but each has to bring them itself.
            blame: it was refused: when all parts but the last pass, the last is what was refused.
        """
        parts = [chunk.part(some) for some in positions]
        self.delivery.ledger.split(self.delivery.run, chunk, parts, conclusion)
        passed = True
        for number, part in enumerate(parts):
            if self.delivery.stopped.is_set():
                return False  # it stays queued
            last = number == len(parts) - 1
            if last and passed and blame and len(part.sequences) > 1:
                # Sending it whole would only say so again.
                halves = isolation.halves(len(part.sequences))
                passed = self._cut(part, halves, Conclusion("split", 0), blame=True)
            else:
                passed = self._send_part(part, suspect) and passed
        return passed

    def _send_part(self, part: Chunk, suspect: Case | None) -> bool:
        self.delivery.ledger.intend(self.delivery.run, part)
        attempts = self._attempts(part, suspect)
        return self._settle(part, attempts.until_final(self.client), attempts)

    def _reject(self, chunk: Chunk, outcome: Outcome, attempts: Attempts) -> None:
        """Write the dead letter, synced, and only then commit the outcome."""
        delivery, number = self.delivery, str(chunk.sequences[0])
        reason = Reason(_code(outcome), f"the API answered {outcome.status} {outcome.message}".rstrip())
        response = {"status": outcome.status, "body": outcome.details}
        (rejection,) = refused(delivery.plan, self.stream, chunk.sequences, reason, response)
        letter = dead_letters.entry(rejection, run=delivery.run, stream=self.stream.name, number=number)
        delivery.letters.append([letter])
        delivery.ledger.conclude(delivery.run, chunk, attempts.conclusion("rejected", outcome))
        delivery.judge(bad=1)

    def _leave(self, chunk: Chunk, outcome: Outcome, attempts: Attempts) -> None:
        """Leave a chunk for a later run, held or queued, and say why when that ends this one."""
        delivery = self.delivery
        held = outcome.ambiguous and self.stream.on_unknown == "hold"
        state: ChunkState = "held" if held else "queued"
        delivery.ledger.conclude(delivery.run, chunk, attempts.conclusion(state, outcome))
        if held:
            log.warning(
                "stream %s: chunk %s is held: %s", self.stream.name, chunk.members, outcome.status or outcome.message,
                extra={"told": {"event": "held", "run": delivery.run, "stream": self.stream.name,
                                "chunk": chunk.members}},
            )  # fmt: skip
            return
        failure = _failure(outcome, delivery.patience, stopped=delivery.stopped.is_set())
        if failure is not None:
            delivery.fail(failure)


def refused(
    plan: Plan, stream: PlannedStream, sequences: Sequence[int], reason: Reason, response: dict[str, Any] | None = None
) -> Iterator[Rejection]:
    """Give the rejections of records that will not be delivered, with the rows they were made from."""
    columns = plan.rows(stream, sequences, ["source", "ordinal", "record"])
    for sequence, found, batch in zip(sequences, columns, plan.inputs(stream, sequences), strict=True):
        yield Rejection(
            stage="deliver",
            origin=Origin(found["source"], found["ordinal"]),
            reasons=(reason,),
            row={} if found["source"] == REMOVED else row_as_json(batch, 0),
            record=json.loads(found["record"]),
            response=response,
            sequence=sequence,
        )


def _code(outcome: Outcome) -> str:
    return {Verdict.TOO_BIG: "too_large", Verdict.SERVER_ERROR: "server_error"}.get(outcome.verdict, "refused")


def _failure(outcome: Outcome, patience: Patience, *, stopped: bool) -> BucketLoaderError | None:
    """Give the error that an outcome ends the run with; None when a stop asked for the end."""
    match outcome.verdict:
        case Verdict.REFUSED_KEY:
            return KeyRefusedError(
                f"the API refused the key ({outcome.status} {outcome.message})",
                hint="check that the variable holds the key of this environment; `bucket-loader check` tests it",
            )
        case Verdict.MISROUTED:
            return MisroutedError(
                outcome.message,
                hint="check `destination: base_url`; nothing was dead-lettered, running again continues",
            )
        case _ if patience.over or not stopped:  # it was over; a success of another came just now
            return PatienceError(
                f"no success for {patience.patience_s:g} s (last: {outcome.status or outcome.message})",
                hint="nothing is lost: run the same command again to continue where this one stopped",
            )
        case _:
            return None
