"""Plan to API: the sending steps meet here.

    PLAN --chunks--> queue --> workers: intent --> attempt --> what follows (course) --> journal: ledger, dead letters

Streams go one after another. Within one, a few threads each take a chunk, and take the next only when the last outcome
is committed (`worker`); against a server that answers at once, one thread has them all in flight. What was set aside,
and what waits for that (`aside`), is tried again after all streams.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import Final

from bucket_loader.config import Destination
from bucket_loader.delivery.aside import Aside
from bucket_loader.delivery.chunks import reopened, set_aside, spread_over, unsent
from bucket_loader.delivery.emulated import Emulated
from bucket_loader.delivery.flight import Shared
from bucket_loader.delivery.http.pacing import Pacer
from bucket_loader.delivery.http.retry import Backoff, Budget
from bucket_loader.delivery.journal import Journal
from bucket_loader.delivery.judged import judged_by_all, judged_so_far
from bucket_loader.delivery.place import Place
from bucket_loader.delivery.queue import Queue
from bucket_loader.delivery.sender import Sender
from bucket_loader.delivery.service import Service
from bucket_loader.delivery.span import Span
from bucket_loader.delivery.standstill import Standstill
from bucket_loader.delivery.tally import Spread, Standing, StreamTally, Tally
from bucket_loader.delivery.transport import Pool, Transport, connections_max
from bucket_loader.delivery.worker import Worker
from bucket_loader.model import (
    JUDGED_AFTER_S,
    KINDS,
    SYSTEM,
    Chunk,
    ChunkHistory,
    Clock,
    Policy,
    prefetched,
    read_time,
)
from bucket_loader.planning import Plan
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
        waits_for: the users and companies that earlier runs have set aside.
        witnessed: whether the API took something else in this call already.
        emulator: which emulator the state is of, NO_EMULATOR where it is of none; None where nobody knows.
        reached: whether anything was there, in this call, where the run sends to.
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
    waits_for: frozenset[str] = frozenset()
    witnessed: bool = False
    emulator: str | None = None
    reached: bool = False


def deliver(assignment: Assignment) -> None:
    """Send all that a plan still has to send; what stays set aside without a witness is no failure.

    Raises:
        KeyRefusedError, MisroutedError: the API will not have us; nothing is dead-lettered.
        SystemicRejectionError: it refuses (nearly) every record.
        PatienceError: an outage outlived `patience`; what is left is pending.
        BaseException: what a worker's thread crashed with.
    """
    for stream in assignment.plan.manifest.streams:
        _recover(assignment, Span(stream))
    with _run_wide(assignment) as run_wide:
        if _goes_through(assignment, run_wide, _passes(assignment, run_wide)) and run_wide.service.ending is not None:
            raise run_wide.service.ending


def deliver_parts(assignment: Assignment, sender: Sender) -> None:
    """Send parts of a plan, one after another, beside others that send the rest; return when no part is left.

    What was set aside of a stream that shares ids, and all that a look at the whole run has to decide, is left to who
    ends the run.

    Raises:
        BucketLoaderError: as `deliver` does; what one of the others met is raised here too.
        StateLockedError: this sender was not heard of for too long, and others have taken over.
    """
    with _run_wide(assignment) as run_wide, sender.working(run_wide.pacer):
        for part in sender.parts(run_wide.pacer):
            span = Span(assignment.plan.manifest.streams[part.stream], part)
            run_wide.standing.of_all = partial(judged_by_all, assignment.plan, assignment.ledger, span.stream)
            _recover(assignment, span)
            mine = replace(run_wide, aside=_aside(assignment))
            if not _goes_through(assignment, mine, _passes_through(assignment, span)):
                return


def _goes_through(assignment: Assignment, run_wide: "_RunWide", passes: "Iterator[_Pass]") -> bool:
    """Deliver one pass after another; return whether it came to the end of them, and was not stopped."""
    for passing in passes:
        _deliver_stream(assignment, run_wide, passing)
        if run_wide.standing.failure is not None:
            raise run_wide.standing.failure
        if assignment.stopped.is_set():
            return False
    return True


@contextmanager
def _run_wide(assignment: Assignment) -> "Iterator[_RunWide]":
    """Make what lasts from one stream to the next, and sum up at the end."""
    tally, run = assignment.tally, assignment.plan.manifest.run
    tally.run = run
    run_wide = _RunWide.made(assignment)
    requests, retries = tally.requests, tally.retries  # by other processes, which have noted theirs
    try:
        yield run_wide
    finally:
        tally.served += run_wide.service.successes - assignment.witnessed
        tally.reached = run_wide.service.reached
        assignment.transport.close()
        assignment.ledger.add_traffic(run, requests=tally.requests - requests, retries=tally.retries - retries)


@dataclass(frozen=True)
class _Pass:
    """One way through a stream, or a part of it: first all but what was set aside, then that.

    Attributes:
        again: whether it goes through what was set aside.
        last: whether all other streams have been gone through.
    """

    span: Span
    again: bool = False
    last: bool = False


def _passes(assignment: Assignment, run_wide: "_RunWide") -> Iterator[_Pass]:
    """Yield the ways through the streams, in their order; each is gone before the next is asked for."""
    for stream in assignment.plan.manifest.streams:
        yield from _passes_through(assignment, Span(stream))
    yield from _last_passes(assignment, run_wide)


def _passes_through(assignment: Assignment, span: Span) -> Iterator[_Pass]:
    """Yield the ways through a stream, or through a part of it."""
    ledger, run = assignment.ledger, assignment.plan.manifest.run
    if span.part is not None or not _is_gone_through(assignment, span):
        yield _Pass(span)
    if span.part is not None and span.part.alone:
        return  # others wait for what is set aside of the parts before it
    rows = ledger.queued(run, span.stream.position, aside=True, within=span.sequences)
    if any(row.records > 1 and row.attempts for row in rows):
        yield _Pass(span, again=True)  # what can be cut is cut now, and most of it goes


def _is_gone_through(assignment: Assignment, span: Span) -> bool:
    """Whether nothing of a stream is left but what was held or set aside: then its file is not even read."""
    ledger, run, position = assignment.ledger, assignment.plan.manifest.run, span.stream.position
    left = ledger.counts(run)[span.stream.name].pending
    waiting = (*ledger.chunks(run, position, "held"), *ledger.queued(run, position, aside=True))
    if left != sum(row.records for row in waiting):
        return False
    _count_before(assignment, span)
    assignment.tally.end(assignment.clock.now_s())
    return True


def _last_passes(assignment: Assignment, run_wide: "_RunWide") -> Iterator[_Pass]:
    """Go through what was set aside again and again, for as long as that can tell whose fault it is."""
    standing, service, ledger = run_wide.standing, run_wide.service, assignment.ledger
    manifest, rounds = assignment.plan.manifest, 0
    while left := [one for one in manifest.streams if ledger.queued(manifest.run, one.position, aside=True)]:
        judged = standing.judged
        yield from (_Pass(Span(stream), again=True, last=True) for stream in left)
        rounds = 0 if standing.judged > judged else rounds + 1
        if rounds:
            if not service.may_still_tell(is_new=run_wide.aside.is_new):
                return
            wait_s = run_wide.backoff(rounds)
            with service.standstill.next_in(wait_s):
                assignment.stopped.wait(wait_s)


@dataclass(frozen=True)
class _RunWide:
    """What lasts from one stream to the next."""

    standing: Standing
    service: Service
    pacer: Pacer
    budget: Budget
    backoff: Backoff
    aside: Aside
    emulated: Emulated

    @classmethod
    def made(cls, assignment: Assignment) -> "_RunWide":
        destination, clock, stopped = assignment.destination, assignment.clock, assignment.stopped
        reads = assignment.transport.reads
        service = Service(destination.patience, clock, stopped, reads=reads, judged_after_s=JUDGED_AFTER_S)
        standing = _standing(assignment)
        service.standstill = Standstill(Place.of(destination), clock)
        service.successes, service.reached = int(assignment.witnessed), assignment.reached
        assignment.tally.waits = service.waits
        return cls(
            standing=standing,
            service=service,
            pacer=Pacer(
                concurrency=None if destination.concurrency == "auto" else destination.concurrency,
                requests_per_second=destination.requests_per_second,
                stopped=stopped,
                clock=clock,
            ),
            budget=Budget(destination.patience, clock),
            backoff=Backoff(),
            aside=_aside(assignment),
            emulated=Emulated(
                assignment.emulator, assignment.transport, assignment.journal, standing, Place.of(destination)
            ),
        )


def _standing(assignment: Assignment) -> Standing:
    """Return how the run stands: it goes on with the counts that it had."""
    standing = Standing(assignment.tally, assignment.stopped, assignment.clock)
    good, bad = judged_so_far(assignment.plan, assignment.ledger)
    standing.resume(good=good, bad=bad)
    return standing


def _aside(assignment: Assignment) -> Aside:
    """Return what is set aside when a delivery begins: by earlier runs, and by earlier calls for this one."""
    aside = Aside(assignment.waits_for, assignment.clock)
    plan, ledger = assignment.plan, assignment.ledger
    for stream in plan.manifest.streams:
        for row in ledger.queued(plan.manifest.run, stream.position, aside=True):
            known = _known_of(row, assignment.clock) if row.attempts else None
            aside.add(reopened(plan, stream, row.sequences), known)
    return aside


def _known_of(row: ChunkRow, clock: Clock) -> ChunkHistory:
    """Return what is known of a chunk that an earlier call has set aside."""
    failing_s = (clock.utc() - read_time(row.aside)).total_seconds() if row.aside else 0.0
    since_s = clock.now_s() - max(0.0, failing_s)
    errors = row.ambiguous or row.attempts  # a blocked attempt is not ambiguous
    return ChunkHistory(errors=errors, began=0, since_s=since_s, postponed=True, earlier=True)


def _deliver_stream(assignment: Assignment, run_wide: _RunWide, passing: _Pass) -> None:
    span = passing.span
    _count_before(assignment, span)
    shared = _shared(assignment, run_wide, passing)
    run, position = assignment.plan.manifest.run, span.stream.position
    run_wide.standing.begin_stream(
        _spread(assignment, shared, span), assignment.ledger.rejected(run, position, within=span.sequences)
    )
    workers = [
        Worker(shared, f"worker-{number}") for number in range(min(run_wide.pacer.workers, max(1, len(span.sequences))))
    ]
    try:
        _work(workers)
    finally:
        shared.pool.close()
        assignment.tally.end(assignment.clock.now_s())
    for worker in workers:
        if worker.crash is not None:
            raise worker.crash


def _spread(assignment: Assignment, shared: Shared, span: Span) -> Spread:
    """Return what tells whether a stream is refused as a whole: then others of its chunks are sent first."""
    plan, ledger = assignment.plan, assignment.ledger

    def look(places: frozenset[int]) -> None:
        shared.queue.take_first(spread_over(plan, ledger, span, places))

    return Spread(span.stream.name, span.new, look)


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


def _recover(assignment: Assignment, span: Span) -> None:
    """Name what a crash left in flight; it is sent again, or held."""
    run, stream, hold = assignment.plan.manifest.run, span.stream, span.stream.on_unknown == "hold"
    if lost := assignment.ledger.recover(run, stream.position, hold=hold, within=span.sequences):
        members, records = tuple(row.members for row in lost), sum(row.records for row in lost)
        assignment.tell(ChunksUnknown(run, stream.name, members, records, held=hold))


def _count_before(assignment: Assignment, span: Span) -> None:
    """Begin the tally with what earlier calls have done; a sender counts what it does itself."""
    stream, now_s = span.stream, assignment.clock.now_s()
    counts = assignment.ledger.counts(assignment.plan.manifest.run)[stream.name]
    delivered, rejected = counts.delivered, counts.rejected - stream.counts.rejected
    if span.part is not None:
        before = assignment.tally.streams.get(stream.name, StreamTally())
        delivered, rejected = before.delivered, before.rejected
    assignment.tally.begin(StreamTally(stream.name, stream.records, delivered, rejected, now_s))


def _shared(assignment: Assignment, run_wide: _RunWide, passing: _Pass) -> Shared:
    destination, clock, pacer, stream = assignment.destination, assignment.clock, run_wide.pacer, passing.span.stream
    endpoint = "/bulk" if destination.api == "front" else KINDS[stream.kind].path
    pool = Pool(assignment.transport, endpoint, clock, assignment.stopped, connections_max())
    if passing.again:
        run_wide.aside.try_again(stream.position)
    find = set_aside if passing.again else unsent
    # One thread reads: Arrow keeps a heap for each, and sixteen workers in turn left 120 MB more.
    groups = prefetched(
        _groups(find(assignment.plan, assignment.ledger, passing.span)), assignment.stopped, READ_AHEAD, clock
    )
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
        aside=run_wide.aside,
        last=passing.last,
        pool=pool,
        journal=assignment.journal,
        pacer=pacer,
        emulated=run_wide.emulated,
        service=run_wide.service,
        budget=run_wide.budget,
        standing=run_wide.standing,
        policy=Policy(stream.on_unknown == "hold", destination.patience, run_wide.backoff, JUDGED_AFTER_S),
        tell=assignment.tell,
        clock=clock,
    )


def _groups(chunks: Iterator[Chunk]) -> Iterator[list[Chunk]]:
    """Return chunks several at a time, made ready: what the ledger asks of them is worked out here."""
    while group := list(islice(chunks, READ_TOGETHER)):
        for chunk in group:
            chunk.digest  # noqa: B018  # it is kept
        yield group
