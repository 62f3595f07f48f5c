"""One chunk's way: intent, attempts, outcome; and on a refusal its parts, each an intent of its own.

A worker takes chunks from a queue, in a thread of its own. What it may not know alone (when to stop, how fast to go,
what was judged) it asks of the delivery.
"""

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from bucket_loader import dead_letters
from bucket_loader.errors import (
    BucketLoaderError,
    KeyRefusedError,
    MisroutedError,
    PatienceError,
)
from bucket_loader.ledger import ChunkState, Conclusion
from bucket_loader.plan import REMOVED, Plan, PlannedStream
from bucket_loader.records import Chunk, Origin, Outcome, Reason, Rejection, Verdict, row_as_json
from bucket_loader.sender import isolation
from bucket_loader.sender.client import Client
from bucket_loader.sender.retry import Case, Patience

if TYPE_CHECKING:
    from bucket_loader.delivery import Delivery

log = logging.getLogger("bucket_loader.delivery")


POSTPONED_MAX: Final = 4  # chunks; in an outage no more become ambiguous than these and those in flight


class Queue:
    """A stream's chunks, taken by many workers; two that name the same id are never out at once.

    A chunk that may itself be what brings server errors is postponed: what is sent in its place shows whether it is an
    outage. It comes back when all others have been taken.
    """

    def __init__(self, chunks: Iterator[Chunk], stopped: threading.Event, room: Callable[[], int]) -> None:
        self._chunks = chunks
        self._stopped = stopped
        self._room = room  # how many chunks may be out
        self._next: Chunk | None = None
        self._postponed: deque[tuple[Chunk, Case]] = deque()
        self._cases: dict[str, Case] = {}
        self._out: list[frozenset[str]] = []
        self._condition = threading.Condition()

    def take(self, *, wait: bool = True) -> Chunk | None:
        """Give the next chunk, once there is room and nothing in flight shares an id with it.

        None at the end, when the run is stopped, and, without `wait`, when something stands in its way.
        """
        with self._condition:
            while not self._stopped.is_set():
                # Without `wait` the chunk before is still out, and about to be done.
                if len(self._out) >= self._room() + (not wait):
                    if not wait:
                        return None
                    self._condition.wait(0.5)
                    continue
                if self._next is None:
                    self._next = next(self._chunks, None) or self._postponed_before()
                chunk = self._next
                if chunk is None:
                    return None
                if not any(chunk.ids & ids for ids in self._out):
                    self._next = None
                    self._out.append(chunk.ids)
                    return chunk
                if not wait:
                    return None
                self._condition.wait(0.5)
        return None

    def _postponed_before(self) -> Chunk | None:
        if not self._postponed:
            return None
        chunk, case = self._postponed.popleft()
        self._cases[chunk.members] = case
        return chunk

    def may_postpone(self, chunk: Chunk) -> bool:
        """Tell whether a chunk may come later than those after it: not where order matters, and not too many."""
        return not chunk.ids and len(self._postponed) < POSTPONED_MAX

    def postpone(self, chunk: Chunk, case: Case) -> None:
        """Give a chunk back, to be taken after all others."""
        case.yields, case.postponed = False, True
        with self._condition:
            self._postponed.append((chunk, case))

    def case(self, chunk: Chunk) -> Case | None:
        """Give what is known of a chunk that was postponed before."""
        return self._cases.pop(chunk.members, None)

    def done(self, chunk: Chunk) -> None:
        """Say that a chunk is no longer in flight."""
        with self._condition:
            self._out.remove(chunk.ids)
            # Its own worker has taken the next by now, most of the time: nobody is woken for a place that is not there.
            free = self._room() - len(self._out)
            if free > 0:
                self._condition.notify(min(free, 2))


class Worker:
    """Takes chunks and brings each to its outcome."""

    def __init__(self, delivery: "Delivery", stream: PlannedStream, queue: Queue, client: Client, name: str) -> None:
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.delivery = delivery
        self.stream = stream
        self.queue = queue
        self.client = client
        self.crash: BaseException | None = None

    def start(self) -> None:
        """Work until the queue is empty or the run is stopped."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join()

    def _run(self) -> None:
        try:
            chunk = self._take()
            while chunk is not None:
                chunk = self._bring_home(chunk)
        except BaseException as error:  # noqa: BLE001  # re-raised by the delivery: a thread's own would be lost
            self.crash = error
            self.delivery.stopped.set()
        finally:
            self.client.close()

    def _take(self) -> Chunk | None:
        chunk = self.queue.take()
        if chunk is not None:
            self.delivery.ledger.intend(self.delivery.run, chunk)
        return chunk

    def _bring_home(self, chunk: Chunk) -> Chunk | None:
        """Send an intended chunk until every record of it is settled or left; gives the next, intended."""
        attempts = _Attempts(self, chunk, case=self.queue.case(chunk))
        outcome = attempts.until_final()
        if outcome.verdict is Verdict.DELIVERED:
            # One commit carries the outcome and the next intent. What shares an id waits for that commit: a crash
            # before it sends this chunk again, and it must not come after a newer one.
            following = self.queue.take(wait=False)
            conclusion = attempts.conclusion("delivered", outcome)
            self.delivery.ledger.conclude(self.delivery.run, chunk, conclusion, following)
            self.queue.done(chunk)
            self.delivery.judge(good=len(chunk.sequences))
        else:
            self._settle(chunk, outcome, attempts)
            self.queue.done(chunk)
            following = None
        return following or self._take()

    def _settle(self, chunk: Chunk, outcome: Outcome, attempts: "_Attempts") -> bool:
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
        attempts = _Attempts(self, part, suspect=suspect)
        return self._settle(part, attempts.until_final(), attempts)

    def _reject(self, chunk: Chunk, outcome: Outcome, attempts: "_Attempts") -> None:
        """Write the dead letter, synced, and only then commit the outcome."""
        delivery, number = self.delivery, str(chunk.sequences[0])
        reason = Reason(_code(outcome), f"the API answered {outcome.status} {outcome.message}".rstrip())
        response = {"status": outcome.status, "body": outcome.details}
        (rejection,) = refused(delivery.plan, self.stream, chunk.sequences, reason, response)
        letter = dead_letters.entry(rejection, run=delivery.run, stream=self.stream.name, number=number)
        delivery.letters.append([letter])
        delivery.ledger.conclude(delivery.run, chunk, attempts.conclusion("rejected", outcome))
        delivery.judge(bad=1)

    def _leave(self, chunk: Chunk, outcome: Outcome, attempts: "_Attempts") -> None:
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


class _Attempts:
    """The attempts of one chunk: paced, counted, and named in the ledger before an ambiguous one is repeated."""

    def __init__(self, worker: Worker, chunk: Chunk, *, suspect: Case | None = None, case: Case | None = None) -> None:
        self._worker = worker
        self._delivery = worker.delivery
        self._chunk = chunk
        self._made = 0
        self._committed = 0
        self._last: Outcome | None = None
        successes = self._delivery.patience.successes
        self.case = case or Case(
            hold=worker.stream.on_unknown == "hold",
            alone=len(chunk.sequences) == 1,
            began=successes,
            successes_before=suspect.began if suspect else successes,
            suspected=suspect is not None,
        )
        # One that came back is tried until it is decided, or cut when it can be.
        self.case.yields = not self.case.alone if self.case.postponed else worker.queue.may_postpone(chunk)

    def until_final(self) -> Outcome:
        """Attempt until the outcome is final, or suspicious, or patience is over, or the run is stopped."""
        return self._delivery.retry.attempt_until_final(self._attempt, self._before_retry, self.case)

    def _enough(self) -> bool:
        return self._delivery.retry.suspicious(self.case) and not self.case.hold and self._delivery.goes_on()

    def proven_against(self) -> bool:
        """Whether its server errors are its own: others were served since, and the run is not being ended."""
        return self._enough() and self._delivery.retry.proven_against(self.case)

    def undecided(self) -> bool:
        """Whether something else should be tried before it is judged."""
        return self._enough() and self.case.yields

    def unproven_twice(self) -> bool:
        """Whether it came back, and there was nothing else to try."""
        return self.undecided() and self.case.postponed

    def _attempt(self) -> Outcome:
        slot = self._delivery.pacer.acquire()
        if slot is None:
            return self._last or Outcome(Verdict.NOT_SENT, message="stopped before it was sent")
        self._delivery.ledger.database.wait_until_held()  # another may have the state by now, and send the same
        self._delivery.count_request(retry=self._made > 0)
        self._made += 1
        self._last = outcome = self._worker.client.post(self._chunk.body)
        self._delivery.pacer.release(slot, outcome)
        if outcome.verdict in {Verdict.DELIVERED, Verdict.REJECTED}:
            self._delivery.patience.answered()
        return outcome

    def _before_retry(self, outcome: Outcome) -> None:
        self._delivery.tally.state = f"{outcome.status or outcome.verdict.value} {outcome.message}".rstrip()
        if outcome.ambiguous:
            self._delivery.ledger.count_ambiguous(self._delivery.run, self._chunk)
            self._committed = self._made
        log.info(
            "stream %s: chunk %s is sent again after %s%s",
            self._worker.stream.name, self._chunk.members, outcome.status or outcome.message,
            "; it may be applied twice" if outcome.ambiguous else "",
            extra={"told": {"event": "retry", "run": self._delivery.run, "stream": self._worker.stream.name,
                            "chunk": self._chunk.members, "attempts": self._made}},
        )  # fmt: skip

    def conclusion(self, state: ChunkState, outcome: Outcome) -> Conclusion:
        """Give what is to be committed: the attempts since the last commit."""
        made, self._committed = self._made - self._committed, self._made
        return Conclusion(state, made, int(outcome.ambiguous and made > 0), outcome.status)


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
