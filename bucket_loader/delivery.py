"""Plan to API: the sending steps meet here.

    PLAN --chunks--> intent --> attempt until final --> outcome --> ledger, dead letters

Streams go one after another. Within one, a few threads each take a chunk, and take the next only when the last outcome
is committed. What a 400 refuses is cut into parts that are intents of their own, down to single records.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from bucket_loader import dead_letters
from bucket_loader.config import Destination
from bucket_loader.dead_letters import DeadLetters
from bucket_loader.errors import (
    BucketLoaderError,
    InterruptedRunError,
    KeyRefusedError,
    MisroutedError,
    PatienceError,
    SystemicRejectionError,
)
from bucket_loader.ledger import ChunkRow, Conclusion, Ledger
from bucket_loader.plan import Plan, PlannedStream
from bucket_loader.records import Chunk, Origin, Outcome, Reason, Rejection, Verdict, row_as_json
from bucket_loader.sender import isolation
from bucket_loader.sender.client import Client, Proof, Route, Watchdog
from bucket_loader.sender.pacing import Pacer
from bucket_loader.sender.retry import Patience, Retry

log = logging.getLogger("bucket_loader.delivery")

# A mapping mistake, not bad rows (DESIGN: small decisions).
SYSTEMIC_FIRST: Final = 50
SYSTEMIC_JUDGED: Final = 1_000
SYSTEMIC_SHARE: Final = 0.9


@dataclass
class Tally:
    """What this call of `deliver` has done so far, for a progress bar; read without a lock."""

    stream: str = ""
    records: int = 0
    delivered: int = 0
    rejected: int = 0
    requests: int = 0
    retries: int = 0
    state: str = ""


@dataclass
class Delivery:
    """One run's delivery.

    Attributes:
        plan: what to send.
        ledger: where intents and outcomes are committed.
        letters: where the rejected go.
        destination: where to, and how hard to try.
        stopped: set to drain: no new chunk is begun, what is in flight is finished.
        clock: seconds, never going back.
        tally: told what happens.
    """

    plan: Plan
    ledger: Ledger
    letters: DeadLetters
    destination: Destination
    clock: Callable[[], float]
    stopped: threading.Event = field(default_factory=threading.Event)
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.run = self.plan.manifest.run
        self.failure: BucketLoaderError | None = None
        self.judged_bad = 0
        self.judged_good = 0
        self._lock = threading.Lock()
        self._counted = (0, 0)
        self.patience = Patience(self.destination.patience, self.clock)
        self.retry = Retry(self.patience, self.stopped)
        self.pacer = Pacer(
            concurrency=None if self.destination.concurrency == "auto" else self.destination.concurrency,
            requests_per_second=self.destination.requests_per_second,
            stopped=self.stopped,
            clock=self.clock,
        )

    def deliver(self) -> None:
        """Send all that the plan still has to send.

        Raises:
            KeyRefusedError, MisroutedError: the API will not have us; nothing is dead-lettered.
            SystemicRejectionError: it refuses (nearly) every record.
            PatienceError: an outage outlived `patience`; what is left is pending.
            InterruptedRunError: `stopped` was set; all in flight is accounted for.
        """
        watchdog, proof = Watchdog(), Proof()
        try:
            for stream in self.plan.manifest.streams:
                self._deliver_stream(stream, proof, watchdog)
                if self.failure is not None:
                    raise self.failure
        finally:
            watchdog.stop()
            self._count_traffic()

    def _deliver_stream(self, stream: PlannedStream, proof: Proof, watchdog: Watchdog) -> None:
        for lost in self.ledger.recover(self.run, stream.position, hold=stream.on_unknown == "hold"):
            log.warning(
                "stream %s: chunk %s (%d records) was sent before the crash and its answer is unknown; it is %s",
                stream.name, lost.members, lost.records, "held" if stream.on_unknown == "hold" else "sent again",
            )  # fmt: skip
        self.tally.stream, self.tally.records = stream.name, stream.records
        self._count_before(stream)
        queue = _Queue(_chunks(self.plan, self.ledger, stream))
        workers = [
            _Worker(self, stream, queue, Client(route_of(self.destination), proof, watchdog), f"worker-{number}")
            for number in range(min(self.pacer.workers, max(1, stream.records)))
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for worker in workers:
            if worker.crash is not None:
                raise worker.crash

    def _count_before(self, stream: PlannedStream) -> None:
        counts = self.ledger.counts(self.run)[stream.name]
        self.tally.delivered, self.tally.rejected = counts.delivered, counts.rejected - stream.rejected

    def _count_traffic(self) -> None:
        requests, retries = self.tally.requests, self.tally.retries
        self.ledger.add_traffic(self.run, requests=requests - self._counted[0], retries=retries - self._counted[1])
        self._counted = (requests, retries)

    # --- what workers tell ---------------------------------------------------------------------------------------

    def fail(self, error: BucketLoaderError) -> None:
        """Remember the first failure, and drain."""
        with self._lock:
            self.failure = self.failure or error
        self.stopped.set()

    def judge(self, *, good: int = 0, bad: int = 0) -> None:
        """Count records that were judged; stop when it is the mapping that is wrong."""
        with self._lock:
            self.judged_good += good
            self.judged_bad += bad
            self.tally.delivered += good
            self.tally.rejected += bad
            judged = self.judged_good + self.judged_bad
            first = self.judged_good == 0 and self.judged_bad >= SYSTEMIC_FIRST
            systemic = first or (judged >= SYSTEMIC_JUDGED and self.judged_bad >= SYSTEMIC_SHARE * judged)
        if systemic:
            self.fail(
                SystemicRejectionError(
                    f"the API refused {self.judged_bad:,} of the {judged:,} records judged so far: "
                    "this is a mapping mistake, not bad rows",
                    hint="look at the reasons in the dead letters, mend `fields:`, and run again",
                )
            )

    def count_request(self, *, retry: bool) -> None:
        """Count a request for the summary."""
        with self._lock:
            self.tally.requests += 1
            self.tally.retries += retry


class _Queue:
    """A stream's chunks, taken by many workers; two that name the same id are never out at once."""

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks
        self._next: Chunk | None = None
        self._out: list[frozenset[str]] = []
        self._condition = threading.Condition()

    def take(self, stopped: threading.Event) -> Chunk | None:
        """Give the next chunk once nothing in flight shares an id with it; None at the end, or when stopped."""
        with self._condition:
            while not stopped.is_set():
                if self._next is None:
                    self._next = next(self._chunks, None)
                if self._next is None:
                    return None
                chunk = self._next
                if not any(chunk.ids & ids for ids in self._out):
                    self._next = None
                    self._out.append(chunk.ids)
                    return chunk
                self._condition.wait(0.5)
        return None

    def done(self, chunk: Chunk) -> None:
        """Say that a chunk is no longer in flight."""
        with self._condition:
            self._out.remove(chunk.ids)
            self._condition.notify_all()


class _Worker(threading.Thread):
    """Takes chunks and brings each to its outcome."""

    def __init__(self, delivery: Delivery, stream: PlannedStream, queue: _Queue, client: Client, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.delivery = delivery
        self.stream = stream
        self.queue = queue
        self.client = client
        self.crash: BaseException | None = None

    def run(self) -> None:
        try:
            while (chunk := self.queue.take(self.delivery.stopped)) is not None:
                self._bring_home(chunk, known_bad=False)
                self.queue.done(chunk)
        except BaseException as error:  # noqa: BLE001  # re-raised by the delivery: a thread's own would be lost
            self.crash = error
            self.delivery.stopped.set()
        finally:
            self.client.close()

    def _bring_home(self, chunk: Chunk, *, known_bad: bool) -> bool:
        """Send a chunk or its parts until every record of it is settled; gives whether all were delivered."""
        if known_bad and len(chunk.sequences) > 1:
            # The other half passed, so this one is what was refused: sending it whole would only say so again.
            return self._cut(chunk, isolation.halves(len(chunk.sequences)), Conclusion("split", 0))
        if self.delivery.stopped.is_set():
            return False
        self.delivery.ledger.intend(self.delivery.run, chunk)
        attempts = _Attempts(self, chunk)
        outcome = attempts.until_final()
        return self._settle(chunk, outcome, attempts)

    def _settle(self, chunk: Chunk, outcome: Outcome, attempts: "_Attempts") -> bool:
        delivery, size = self.delivery, len(chunk.sequences)
        match outcome.verdict:
            case Verdict.DELIVERED:
                delivery.ledger.conclude(delivery.run, chunk, attempts.conclusion("delivered", outcome))
                delivery.judge(good=size)
                return True
            case Verdict.REJECTED | Verdict.TOO_BIG if size > 1:
                hint = outcome.details if outcome.verdict is Verdict.REJECTED else None
                return self._cut(chunk, isolation.parts(size, hint), attempts.conclusion("split", outcome))
            case Verdict.REJECTED | Verdict.TOO_BIG:
                self._reject(chunk, outcome, attempts)
                return False
            case Verdict.SERVER_ERROR if not delivery.stopped.is_set() and not delivery.patience.over:
                return self._settle_suspicious(chunk, outcome, attempts)
            case _:
                self._leave(chunk, outcome, attempts)
                return False

    def _settle_suspicious(self, chunk: Chunk, outcome: Outcome, attempts: "_Attempts") -> bool:
        """Settle a chunk that alone brings server errors while others succeed: something in it does."""
        if self.stream.on_unknown == "hold":
            self._leave(chunk, outcome, attempts)
            return False
        if len(chunk.sequences) == 1:
            self._reject(chunk, outcome, attempts)
            return False
        return self._cut(chunk, isolation.halves(len(chunk.sequences)), attempts.conclusion("split", outcome))

    def _cut(self, chunk: Chunk, positions: list[list[int]], conclusion: Conclusion) -> bool:
        parts = [chunk.part(some) for some in positions]
        self.delivery.ledger.split(self.delivery.run, chunk, parts, conclusion)
        halved = len(parts) == 2 and conclusion.status != 500  # noqa: PLR2004  # a 500 need not come again
        passed: list[bool] = []
        for part in parts:
            last_and_bad = halved and len(passed) == 1 and passed[0]
            passed.append(self._bring_home(part, known_bad=last_and_bad))
        return all(passed)

    def _reject(self, chunk: Chunk, outcome: Outcome, attempts: "_Attempts") -> None:
        """Write the dead letter, synced, and only then commit the outcome."""
        delivery = self.delivery
        rejection = _rejection(delivery.plan, self.stream, chunk, outcome)
        number = str(chunk.sequences[0])
        delivery.letters.append(
            [dead_letters.entry(rejection, run=delivery.run, stream=self.stream.name, number=number)]
        )
        delivery.ledger.conclude(delivery.run, chunk, attempts.conclusion("rejected", outcome))
        delivery.judge(bad=1)

    def _leave(self, chunk: Chunk, outcome: Outcome, attempts: "_Attempts") -> None:
        """Leave a chunk for a later run, held or queued, and say why when that ends this one."""
        delivery = self.delivery
        held = outcome.ambiguous and self.stream.on_unknown == "hold"
        state = "held" if held else "queued"
        delivery.ledger.conclude(delivery.run, chunk, attempts.conclusion(state, outcome))
        if held:
            log.warning("stream %s: chunk %s is held: %s", self.stream.name, chunk.members, outcome.message)
            return
        failure = _failure(outcome, delivery.patience)
        if failure is not None:
            delivery.fail(failure)


class _Attempts:
    """The attempts of one chunk: paced, counted, and named in the ledger before an ambiguous one is repeated."""

    def __init__(self, worker: _Worker, chunk: Chunk) -> None:
        self._worker = worker
        self._delivery = worker.delivery
        self._chunk = chunk
        self._made = 0
        self._committed = 0

    def until_final(self) -> Outcome:
        hold = self._worker.stream.on_unknown == "hold"
        alone = len(self._chunk.sequences) == 1
        return self._delivery.retry.attempt_until_final(self._attempt, self._before_retry, hold=hold, alone=alone)

    def _attempt(self) -> Outcome:
        if not self._delivery.pacer.acquire():
            return Outcome(Verdict.NOT_SENT, message="stopped before it was sent")
        self._delivery.count_request(retry=self._made > 0)
        self._made += 1
        outcome = self._worker.client.post(self._chunk.body)
        self._delivery.pacer.release(outcome)
        if outcome.verdict in {Verdict.DELIVERED, Verdict.REJECTED}:
            self._delivery.patience.answered()
        return outcome

    def _before_retry(self, outcome: Outcome) -> None:
        self._delivery.tally.state = f"{outcome.status or outcome.verdict.value}: {outcome.message}"
        if outcome.ambiguous:
            self._delivery.ledger.count_ambiguous(self._delivery.run, self._chunk)
            self._committed = self._made
            log.info(
                "stream %s: chunk %s is sent again after %s; it may be applied twice",
                self._worker.stream.name, self._chunk.members, outcome.status or outcome.message,
            )  # fmt: skip

    def conclusion(self, state: Any, outcome: Outcome) -> Conclusion:  # noqa: ANN401  # ledger.ChunkState
        """Give what is to be committed: the attempts since the last commit."""
        return Conclusion(state, self._made - self._committed, int(outcome.ambiguous), outcome.status)


def _chunks(plan: Plan, ledger: Ledger, stream: PlannedStream) -> Iterator[Chunk]:
    """Give what is still to be sent of a stream: what was begun, then what never was."""
    run = plan.manifest.run
    for row in ledger.queued(run, stream.position):
        yield _reopened(plan, stream, row)
    begun = ledger.begun(run, stream.position)
    for sequences, records in plan.chunks(stream):
        if sequences.start not in begun:
            yield Chunk(stream.position, tuple(sequences), records, _ids(stream, records))


def _reopened(plan: Plan, stream: PlannedStream, row: ChunkRow) -> Chunk:
    rows = plan.rows(stream, row.sequences, ["record"])
    records = tuple(found["record"].encode() for found in rows)
    return Chunk(stream.position, row.sequences, records, _ids(stream, records))


def _ids(stream: PlannedStream, records: tuple[bytes, ...]) -> frozenset[str]:
    if not stream.shares_ids:
        return frozenset()
    parsed = [json.loads(record) for record in records]
    return frozenset(
        f"{name} {record[name]}" for record in parsed for name in ("userId", "companyId") if name in record
    )


def _rejection(plan: Plan, stream: PlannedStream, chunk: Chunk, outcome: Outcome) -> Rejection:
    (sequence,) = chunk.sequences
    (origin,) = plan.rows(stream, chunk.sequences, ["source", "ordinal"])
    (batch,) = plan.inputs(stream, chunk.sequences)
    message = outcome.message or f"the API answered {outcome.status}"
    return Rejection(
        stage="deliver",
        origin=Origin(origin["source"], origin["ordinal"]),
        reasons=(Reason(_code(outcome), message, None),),
        row=row_as_json(batch, 0),
        record=json.loads(chunk.records[0]),
        response={"status": outcome.status, "body": outcome.details},
        sequence=sequence,
    )


def _code(outcome: Outcome) -> str:
    return {Verdict.TOO_BIG: "too_large", Verdict.SERVER_ERROR: "server_error"}.get(outcome.verdict, "refused")


def _failure(outcome: Outcome, patience: Patience) -> BucketLoaderError | None:
    """Give the error that an outcome ends the run with; None when a stop asked for the end."""
    match outcome.verdict:
        case Verdict.REFUSED_KEY:
            return KeyRefusedError(
                f"the API refused the key ({outcome.status}: {outcome.message})",
                hint="check that the variable holds the secret key of this environment; `bucket-loader check` tests it",
            )
        case Verdict.MISROUTED:
            return MisroutedError(
                outcome.message,
                hint="check `destination: base_url`; nothing was dead-lettered, running again continues",
            )
        case _ if patience.over:
            return PatienceError(
                f"no success for {patience.patience_s:g} s (last: {outcome.status or outcome.message})",
                hint="nothing is lost: run the same command again to continue where this one stopped",
            )
        case _:
            return None


def route_of(destination: Destination) -> Route:
    """Give the way to the bulk endpoint of a destination."""
    return Route(
        url=f"{destination.base_url}/bulk",
        key=destination.key.get_secret_value(),
        timeout_s=destination.timeout,
        proxy=destination.proxy,
        ca_bundle=str(destination.ca_bundle) if destination.ca_bundle else None,
    )


def interrupted(signal_number: int) -> BucketLoaderError:
    """Give the error of a run that a signal ended."""
    return InterruptedRunError(signal_number)
