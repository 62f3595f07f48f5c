"""Plan to API: the sending steps meet here.

    PLAN --chunks--> queue --> workers: intent --> attempt --> what follows (course) --> journal: ledger, dead letters

Streams go one after another. Within one, a few threads each take a chunk, and take the next only when the last outcome
is committed (`worker`); against a server that answers at once, one thread has them all in flight.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from typing import Final

import msgspec

from bucket_loader.config import Destination
from bucket_loader.delivery.course import Policy
from bucket_loader.delivery.flight import Shared
from bucket_loader.delivery.http.pacing import Pacer
from bucket_loader.delivery.http.retry import Backoff, Budget
from bucket_loader.delivery.journal import Journal
from bucket_loader.delivery.queue import Queue
from bucket_loader.delivery.service import Service
from bucket_loader.delivery.tally import Standing, Tally
from bucket_loader.delivery.transport import Pool, Transport, connections_max
from bucket_loader.delivery.worker import Worker
from bucket_loader.model import KINDS, SYSTEM, Chunk, Clock, prefetched
from bucket_loader.planning import Plan, PlannedStream
from bucket_loader.reporting import ChunksUnknown, Tell
from bucket_loader.state import ChunkRow, Ledger

READ_TOGETHER: Final = 16  # chunks: handing each over by itself would take longer than reading it
READ_AHEAD: Final = 3  # times as many


@dataclass(frozen=True)
class Assignment:
    """One run's delivery: what to send, where to, and what it is done with.

    Attributes:
        plan: what to send.
        ledger: asked for what was sent before.
        journal: where intents and outcomes are made durable.
        transport: sends.
        destination: where to, and how hard to try.
        stopped: set to drain: no new chunk is begun, what is in flight is finished.
        tally: counts what happens.
        tell: told what a person may want to know.
        clock: time, threads and chance.
    """

    plan: Plan
    ledger: Ledger
    journal: Journal
    transport: Transport
    destination: Destination
    stopped: threading.Event
    tally: Tally
    tell: Tell
    clock: Clock = SYSTEM


def deliver(assignment: Assignment) -> None:
    """Send all that a plan still has to send.

    Raises:
        KeyRefusedError, MisroutedError: the API will not have us; nothing is dead-lettered.
        SystemicRejectionError: it refuses (nearly) every record.
        PatienceError: an outage outlived `patience`; what is left is pending.
        BaseException: what a worker's thread crashed with.
    """
    run, tally = assignment.plan.manifest.run, assignment.tally
    tally.run = run
    run_wide = _RunWide.made(assignment)
    try:
        for stream in assignment.plan.manifest.streams:
            _deliver_stream(assignment, run_wide, stream)
            if run_wide.standing.failure is not None:
                raise run_wide.standing.failure
    finally:
        assignment.transport.close()
        assignment.ledger.add_traffic(run, requests=tally.requests, retries=tally.retries)


@dataclass(frozen=True)
class _RunWide:
    """What lasts from one stream to the next."""

    standing: Standing
    service: Service
    pacer: Pacer
    budget: Budget
    backoff: Backoff

    @classmethod
    def made(cls, assignment: Assignment) -> "_RunWide":
        destination, clock = assignment.destination, assignment.clock
        return cls(
            standing=Standing(assignment.tally, assignment.stopped, clock),
            service=Service(destination.patience, clock, assignment.stopped),
            pacer=Pacer(
                concurrency=None if destination.concurrency == "auto" else destination.concurrency,
                requests_per_second=destination.requests_per_second,
                stopped=assignment.stopped,
                clock=clock,
            ),
            budget=Budget(destination.patience, clock),
            backoff=Backoff(),
        )


def _deliver_stream(assignment: Assignment, run_wide: _RunWide, stream: PlannedStream) -> None:
    _recover(assignment, stream)
    _count_before(assignment, stream)
    shared = _shared(assignment, run_wide, stream)
    workers = [
        Worker(shared, f"worker-{number}") for number in range(min(run_wide.pacer.workers, max(1, stream.records)))
    ]
    try:
        _work(workers)
    finally:
        shared.pool.close()
    for worker in workers:
        if worker.crash is not None:
            raise worker.crash


def _work(workers: Sequence[Worker]) -> None:
    """Let workers work to the end: as many as threads can be had for, and one in this thread where there is none."""
    started: list[Worker] = []
    try:
        for worker in workers:
            if not worker.start():
                break
            started.append(worker)
        if not started:
            workers[0].work()
    finally:
        for worker in started:
            worker.join()


def _recover(assignment: Assignment, stream: PlannedStream) -> None:
    """Name what a crash left in flight; it is sent again, or held."""
    run, hold = assignment.plan.manifest.run, stream.on_unknown == "hold"
    if lost := assignment.ledger.recover(run, stream.position, hold=hold):
        members, records = tuple(row.members for row in lost), sum(row.records for row in lost)
        assignment.tell(ChunksUnknown(run, stream.name, members, records, held=hold))


def _count_before(assignment: Assignment, stream: PlannedStream) -> None:
    """Begin the tally with what earlier calls have done."""
    counts, tally = assignment.ledger.counts(assignment.plan.manifest.run)[stream.name], assignment.tally
    tally.stream, tally.records = stream.name, stream.records
    tally.delivered, tally.rejected = counts.delivered, counts.rejected - stream.counts.rejected


def _shared(assignment: Assignment, run_wide: _RunWide, stream: PlannedStream) -> Shared:
    destination, clock, pacer = assignment.destination, assignment.clock, run_wide.pacer
    endpoint = "/bulk" if destination.api == "front" else KINDS[stream.kind].path
    pool = Pool(assignment.transport, endpoint, clock, assignment.stopped, connections_max())
    # One thread reads: Arrow keeps a heap for each, and sixteen workers in turn left 120 MB more.
    groups = prefetched(_groups(_chunks(assignment, stream)), assignment.stopped, READ_AHEAD, clock)
    return Shared(
        run=assignment.plan.manifest.run,
        stream=stream.name,
        queue=Queue(
            chain.from_iterable(groups),
            assignment.stopped,
            room=lambda: pacer.room,
            one_is_enough=lambda: 1 < pacer.at_once <= pool.capacity,
            clock=clock,
        ),
        pool=pool,
        journal=assignment.journal,
        pacer=pacer,
        service=run_wide.service,
        budget=run_wide.budget,
        standing=run_wide.standing,
        policy=Policy(stream.on_unknown == "hold", destination.patience, run_wide.backoff),
        tell=assignment.tell,
        clock=clock,
    )


# --- the chunks of a stream -----------------------------------------------------------------------------------------


def _groups(chunks: Iterator[Chunk]) -> Iterator[list[Chunk]]:
    """Return chunks several at a time, made ready: what the ledger asks of them is worked out here."""
    while group := list(islice(chunks, READ_TOGETHER)):
        for chunk in group:
            chunk.digest  # noqa: B018  # it is kept
        yield group


def _chunks(assignment: Assignment, stream: PlannedStream) -> Iterator[Chunk]:
    """Return what is still to be sent of a stream: what was begun, then what never was."""
    plan, ledger = assignment.plan, assignment.ledger
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


@cache
def _decoder(kind: str) -> msgspec.json.Decoder[msgspec.Struct]:
    """Return what reads whom a record of a kind names."""
    return msgspec.json.Decoder(msgspec.defstruct("Ids", [(name, str | None, None) for name in KINDS[kind].ids]))


def _ids(stream: PlannedStream, records: Sequence[bytes]) -> frozenset[str]:
    if not stream.shares_ids:
        return frozenset()
    names, decode = KINDS[stream.kind].ids, _decoder(stream.kind).decode
    named = ((name, getattr(one, name)) for one in map(decode, records) for name in names)
    return frozenset(f"{name} {id_}" for name, id_ in named if id_)
