"""Plan to API: the sending steps meet here.

    PLAN --chunks--> queue --> workers: intent --> attempt until final --> outcome --> ledger, dead letters

Streams go one after another. Within one, a few threads each take a chunk, and take the next only when the last outcome
is committed (`worker`); against a server that answers at once, one thread has them all in flight.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Final

import msgspec

from bucket_loader.config import Destination
from bucket_loader.delivery.http.client import Client, Clients, Proof
from bucket_loader.delivery.http.connection import PATH_KEY, Route, Watchdog
from bucket_loader.delivery.http.pacing import Pacer
from bucket_loader.delivery.http.retry import Patience, Retry
from bucket_loader.delivery.queue import Queue
from bucket_loader.delivery.worker import Worker
from bucket_loader.model import KINDS, BucketLoaderError, Chunk, SystemicRejectionError, ahead
from bucket_loader.planning import Plan, PlannedStream
from bucket_loader.state import ChunkRow, DeadLetters, Ledger

log = logging.getLogger("bucket_loader.delivery.deliver")

READ_TOGETHER: Final = 16  # chunks: handing each over by itself would take longer than reading it
READ_AHEAD: Final = 3  # times as many
# A mapping mistake, not bad rows (DESIGN: small decisions).
SYSTEMIC_FIRST: Final = 50
SYSTEMIC_JUDGED: Final = 1_000
SYSTEMIC_SHARE: Final = 0.9


@dataclass
class Tally:
    """What this call of `deliver` has done so far, for a progress bar; read without a lock."""

    run: str = ""
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
        self.run = self.tally.run = self.plan.manifest.run
        self.failure: BucketLoaderError | None = None
        self.judged_bad = 0
        self.judged_good = 0
        self._lock = threading.Lock()
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
            self.ledger.add_traffic(self.run, requests=self.tally.requests, retries=self.tally.retries)

    def _deliver_stream(self, stream: PlannedStream, proof: Proof, watchdog: Watchdog) -> None:
        hold = stream.on_unknown == "hold"
        if lost := self.ledger.recover(self.run, stream.position, hold=hold):
            log.warning(
                "stream %s: %d records were sent before the crash and their answer is unknown; they are %s: chunks %s",
                stream.name, sum(row.records for row in lost), "held" if hold else "sent again",
                " ".join(row.members for row in lost),
                extra={"told": {"event": "held" if hold else "unknown", "run": self.run, "stream": stream.name,
                                "chunks": [row.members for row in lost]}},
            )  # fmt: skip
        self.tally.stream, self.tally.records = stream.name, stream.records
        self._count_before(stream)
        # One thread reads: Arrow keeps a heap for each, and sixteen workers in turn left 120 MB more.
        groups = ahead(_groups(_chunks(self.plan, self.ledger, stream)), self.stopped, READ_AHEAD)
        chunks = chain.from_iterable(groups)
        route = route_of(self.destination, "/bulk" if self.destination.api == "front" else KINDS[stream.kind].path)
        clients = Clients(lambda: Client(route, proof, watchdog))
        waiting = Queue(
            chunks,
            self.stopped,
            room=lambda: self.pacer.room,
            one_is_enough=lambda: 1 < self.pacer.at_once <= clients.capacity,
        )
        workers = [
            Worker(self, stream, waiting, clients, f"worker-{number}")
            for number in range(min(self.pacer.workers, max(1, stream.records)))
        ]
        try:
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        finally:
            clients.close()
        for worker in workers:
            if worker.crash is not None:
                raise worker.crash

    def _count_before(self, stream: PlannedStream) -> None:
        counts = self.ledger.counts(self.run)[stream.name]
        self.tally.delivered, self.tally.rejected = counts.delivered, counts.rejected - stream.counts.rejected

    # --- what workers tell ---------------------------------------------------------------------------------------

    def fail(self, error: BucketLoaderError) -> None:
        """Remember the first failure, and drain."""
        with self._lock:
            self.failure = self.failure or error
        self.stopped.set()

    def goes_on(self) -> bool:
        """Whether the run is neither stopped nor out of patience."""
        return not self.stopped.is_set() and not self.patience.over

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


def _groups(chunks: Iterator[Chunk]) -> Iterator[list[Chunk]]:
    """Give chunks several at a time, made ready: what the ledger asks of them is worked out here."""
    while group := list(islice(chunks, READ_TOGETHER)):
        for chunk in group:
            chunk.digest  # noqa: B018  # it is kept
        yield group


def _chunks(plan: Plan, ledger: Ledger, stream: PlannedStream) -> Iterator[Chunk]:
    """Give what is still to be sent of a stream: what was begun, then what never was."""
    run = plan.manifest.run
    for row in ledger.queued(run, stream.position):
        yield _reopened(plan, stream, row)
    begun = ledger.begun(run, stream.position)
    for sequences, records in plan.chunks(stream):
        if sequences.start not in begun:
            ids = _ids(stream, records)
            yield Chunk(stream.position, sequences, records, ids, bare=plan.manifest.bare)


def _reopened(plan: Plan, stream: PlannedStream, row: ChunkRow) -> Chunk:
    rows = plan.rows(stream, row.sequences, ["record"])
    records = tuple(found["record"].encode() for found in rows)
    return Chunk(stream.position, row.sequences, records, _ids(stream, records), bare=plan.manifest.bare)


class _Ids(msgspec.Struct):
    """Whom a record names."""

    userId: str | None = None  # noqa: N815  # the API's name
    companyId: str | None = None  # noqa: N815


_DECODER: Final = msgspec.json.Decoder(_Ids)


def _ids(stream: PlannedStream, records: Sequence[bytes]) -> frozenset[str]:
    if not stream.shares_ids:
        return frozenset()
    named = map(_DECODER.decode, records)
    found = {id_ for one in named for id_ in (one.userId and f"userId {one.userId}",
                                              one.companyId and f"companyId {one.companyId}")}  # fmt: skip
    return frozenset(id_ for id_ in found if id_)


def route_of(destination: Destination, endpoint: str) -> Route:
    """Give the way to an endpoint of a destination; in the legacy APIs the key goes before it."""
    in_path = destination.api != "front"
    return Route(
        url=f"{destination.base_url}{PATH_KEY if in_path else ''}{endpoint}",
        key=destination.key.get_secret_value(),
        key_in_path=in_path,
        timeout_s=destination.timeout,
        proxy=destination.proxy,
        ca_bundle=str(destination.ca_bundle) if destination.ca_bundle else None,
    )
