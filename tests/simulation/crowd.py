"""One seed: several processes send one plan of many parts; they die, are frozen, and wake; then the reckoning.

What plays is `send_parts`, as each sender has it, and at the end `finish_run` of whoever ends the run. The ledger lies
in one file, which stands in for the server: a commit of one sender excludes the others', as in PostgreSQL what matters
of them does, and its fence says what the server's says (`seats.SenderSeat`).
"""

import io
import math
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from random import Random
from secrets import token_hex
from typing import Any
from unittest.mock import patch

import parts
from nights import small
from scenario import (
    _ROOTS,
    AS_OF,
    QUIET,
    SHAPES,
    MoodyDisk,
    Simulated,
    Simulation,
    Template,
    _events,
    _ids_of,
    _memory,
    played,
)
from server import Known, SentBy, Transport
from virtual import Clock, Lock, World

from bucket_loader.delivery import Outside, tally
from bucket_loader.model.errors import BucketLoaderError, StateLockedError, SystemicRejectionError
from bucket_loader.model.files import Disk
from bucket_loader.model.outcomes import Outcome, Verdict
from bucket_loader.reporting.summary import Summary
from bucket_loader.runs.begin import begin_run
from bucket_loader.runs.job import Job, RunOptions
from bucket_loader.runs.plan import make_plan
from bucket_loader.runs.run import finish_run
from bucket_loader.runs.senders import sending
from bucket_loader.runs.senders.sending import Beside, parts_of, send_parts
from bucket_loader.state.layout import StateLayout
from bucket_loader.state.ledger import Ledger, SqliteDatabase
from bucket_loader.state.ledger.database import Statement
from bucket_loader.state.ledger.sharing import joined
from bucket_loader.state.state import State

PART = 6  # records
SENDERS = (2, 3, 4)
LEASE_S = 12.0  # longer than a request is under way
BAD_PART = 0.3  # the share of seeds of which all of a part is refused
WRONG_KEY = 0.07  # the share of senders that were given another key
FLAG_S = 3.0  # within which all have heard of what ends the run for all
LOST = 4.0  # seconds between what is done to the senders, at the most
_TEMPLATES: dict[str, Template] = {}


def template(shape: str) -> Template:
    """Plan a shape, once, and cut it into parts that several may send."""
    if shape not in _TEMPLATES or not _TEMPLATES[shape].root.exists():
        _TEMPLATES[shape] = _planned(shape)
    return _TEMPLATES[shape]


def _planned(shape: str) -> Template:
    root = Path(tempfile.mkdtemp(prefix="simulation-", dir=_memory()))
    _ROOTS.append(root)
    streams = SHAPES[shape] if shape in SHAPES else (_events(1_500),)
    job = Job(Template(streams, root, "", {}).pipeline(4), root, RunOptions(state=root, as_of=AS_OF), QUIET)
    known: dict[bytes, Known] = {}
    with closing(job.open_state()) as state:
        planned = parts.cut(make_plan(job, state).folder, PART if shape in SHAPES else 20 * PART)
        begin_run(planned, state, job)
        state.ledger.share_out(planned.manifest.run, parts_of(planned))
        for stream in planned.manifest.streams:
            for sequences, records in planned.chunks(stream):
                for sequence, record in zip(sequences, records, strict=True):
                    known[record] = Known(stream.position, sequence, _ids_of(stream.kind, record))
    return Template(streams, state.root, planned.manifest.run, known)


class CrowdLock(Lock):
    """The file's lock: one that is dead or frozen keeps nobody waiting."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.holder: Any = None
        self.flagged_at = math.inf

    def acquire(self, *, blocking: bool = True) -> bool:
        """Take it."""
        taken = super().acquire(blocking=blocking)
        if taken:
            self.holder = self._world.current().process
        return taken

    def release(self) -> None:
        """Give it back."""
        self.holder = None
        super().release()

    def pass_over(self, process: object) -> list[Any]:
        """Let nobody wait for a process that will not come; returns its threads that waited."""
        left = [task for task in self._waiting if task.process is process]
        for task in left:
            self._waiting.remove(task)
        if self._waiting:
            self._world.wake(self._waiting.popleft())
        return left


Locks = tuple[CrowdLock, CrowdLock]
"""Of the ledger, and of the dead letters."""


class Process:
    """One sender: what it is to the world, and how it ended."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.has_wrong_key = False
        self.woke_at = -math.inf
        self.database: SharedFile | None = None
        self.outcome: object = "lives"
        self.waited: list[Any] = []


class SharedFile(SqliteDatabase):
    """The file, as one of several senders has it."""

    def __init__(self, world: World, path: Path, run: str, lock: CrowdLock, stopped: Any) -> None:
        self._lock, self._path, self._world, self._stopped = lock, path, world, stopped
        self.sender, self._gone = token_hex(4), None
        world.current().process.database = self
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=0)
        functions: dict[str, Callable[..., int]] = {
            "now_ms": lambda: round(world.now * 1_000), "backend_now": lambda: 0, "heard_ms": lambda heard: heard,
        }  # fmt: skip
        for name, function in functions.items():
            self._connection.create_function(name, 1 if name == "heard_ms" else 0, function)
        statement, values = joined(run, self.sender, "here", 1)
        with self._lock:
            self._connection.execute(statement, (*values, ""))
        ((self.epoch,),) = self._connection.execute("SELECT epoch FROM owner").fetchall()

    @property
    def lost(self) -> Any:
        """What took the seat away."""
        return self._gone

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def query(self, statement: str, *parameters: object) -> Any:
        """Ask it."""
        with self._lock:
            return self._connection.execute(statement, parameters).fetchall()

    def write(self, statements: Sequence[Statement], first: Any = None) -> None:  # noqa: ARG002
        """Commit as a sender that lives."""
        world = self._world
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._fence()
                for statement, parameters in statements:
                    self._connection.execute(statement, parameters)
                world.point()
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise
            world.point()
            if self._connection.execute("SELECT 1 FROM flag").fetchall():
                self._lock.flagged_at = min(self._lock.flagged_at, world.now)
                self.hear_flag()

    def hear_flag(self) -> None:
        """Drain: another sender has met what ends the run for all."""
        self._stopped.set()

    def _fence(self) -> None:
        found = self._connection.execute(
            "UPDATE sender SET heard = now_ms() WHERE sender = ? AND ended IS NULL AND epoch = (SELECT epoch "
            "FROM owner)", (self.sender,))  # fmt: skip
        if not found.rowcount:
            self._lose()

    def _lose(self) -> None:
        self._gone = StateLockedError("others have taken over", hint="")
        self._stopped.set()
        raise self._gone

    def wait_until_held(self) -> None:
        """Return while the seat is held; what follows is sent at once."""
        alive = "SELECT 1 FROM sender WHERE sender = ? AND ended IS NULL AND epoch = (SELECT epoch FROM owner)"
        with self._lock:
            if not self._connection.execute(alive, (self.sender,)).fetchall():
                self._lose()
            self.sends_at_once()

    def sends_at_once(self) -> None:
        """Note that this thread is where its request is about to leave."""
        self._world.current().sends = True


class CrowdDisk(Disk):
    """The world's disk, on which one sender at a time adds to a file."""

    def __init__(self, disk: MoodyDisk, lock: CrowdLock) -> None:
        self.write, self.sync, self._lock = disk.write, disk.sync, lock  # type: ignore[method-assign]

    @contextmanager
    def alone(self, _descriptor: int) -> Iterator[None]:
        """Keep the others from it."""
        with self._lock:
            yield


class CrowdSent(SentBy):
    """A client whose request is the network's as soon as it is sent."""

    def begin(self, body: bytes) -> None:
        """Send."""
        self.outcome = None
        mine = self._world.current()
        mine.sends = False
        self._server.sent_at.append((self._world.now, mine.process.number))
        process, flagged_at = mine.process, mine.process.database._lock.flagged_at
        since = max(flagged_at, process.woke_at) + FLAG_S
        self._world.require(self._world.now < since, "sent although another has met what ends the run for all")
        self._world.spawn(lambda: self._post(body), process=None).sent_by = mine.process

    def _post(self, body: bytes) -> None:
        if not self._world.current().sent_by.has_wrong_key:
            super()._post(body)
            return
        self.outcome = Outcome(Verdict.REFUSED_KEY, 401)
        for task in self.waiting:
            self._world.wake(task)


class CrowdTransport(Transport):
    """Connects a sender to the server."""

    def connection(self, _endpoint: str) -> SentBy:
        """Return a client that has not sent anything."""
        return CrowdSent(self._world, self._server)


class Crowd(Simulation):
    """What one seed says."""

    def __init__(self, seed: int) -> None:
        self.senders = Random(seed).choice(SENDERS)  # noqa: S311
        self.databases: list[SharedFile] = []
        super().__init__(seed)

    def play(self) -> None:
        """Play, and leave no file open: SQLite closes none of a ledger's while one is in use."""
        try:
            super().play()
        finally:
            for database in self.databases:
                database.close()

    def _template(self) -> Template:
        return template(self.shape)

    def _prepare(self) -> None:
        super()._prepare()
        if self.rng.random() < BAD_PART:
            stream = self.rng.choice(self.plan.manifest.streams)
            first = self.rng.randrange(0, max(1, stream.records), PART)
            self.server.bad |= {(stream.position, n) for n in range(first, min(first + PART, stream.records))}

    def stops(self, stream: int) -> bool:
        """Whether what the ledger knows of the run stops it: of a stream in hand nothing but refusals, all over it."""
        with closing(sqlite3.connect(self.folder / "ledger.db")) as reader:
            if reader.execute("SELECT 1 FROM chunk WHERE state = 'delivered'").fetchall():
                return False
            refused = reader.execute("SELECT first FROM chunk WHERE state = 'rejected' AND stream = ?", (stream,))
            records = range(self.plan.manifest.streams[stream].records)
            return {tally.place_of(sequence, records) for (sequence,) in refused} == set(range(tally.SYSTEMIC_PLACES))

    def _live(self, world: World, signal_at: float | None) -> Summary | BucketLoaderError:
        """Send with several, and then end the run as whoever has the state alone does."""
        self.server.begin(world, 1_000)
        if self._is_shared():
            with self._judged(world):
                self._send(world)
        if self.thief.left is not None:
            return StateLockedError("another copy has taken over")
        del signal_at
        job = self._job(world)
        try:
            state = job.open_state()
            (row,) = state.ledger.runs()
            return finish_run(job, state, row)
        except BucketLoaderError as error:
            return error

    def _is_shared(self) -> bool:
        with closing(sqlite3.connect(self.folder / "ledger.db")) as reader:
            return bool(reader.execute("SELECT 1 FROM part").fetchall())

    @contextmanager
    def _judged(self, world: World) -> Iterator[None]:
        """Hold who stops a run as refused as a whole against what the ledger knew when the last refusal came."""
        real = tally.Standing.refused

        def refused(standing: tally.Standing, chunk: Any) -> None:
            was_failing, before = standing.failure is not None, self.stops(chunk.stream)
            real(standing, chunk)
            if isinstance(standing.failure, SystemicRejectionError) and not was_failing:
                world.require(before, "stopped as refused as a whole although others deliver, or may")

        with patch.object(tally.Standing, "refused", refused):
            yield

    # --- the senders -----------------------------------------------------------------------------------------------

    def _send(self, world: World) -> None:
        locks = CrowdLock(world), CrowdLock(world)
        crowd = [self._begin(world, locks, number) for number in range(self.senders)]
        frozen: list[Process] = []
        harms = self.rng.randrange(0, 6)
        while any(one.outcome == "lives" for one in crowd):
            world.sleep(self.rng.uniform(0, LOST))
            alive = [one for one in crowd if one.outcome == "lives" and one not in frozen]
            if frozen and (self.rng.random() < 0.15 or not alive):
                self._thaw(world, frozen.pop(self.rng.randrange(len(frozen))))
            elif alive and harms and self.rng.random() < 0.5:
                harms -= 1
                one = self.rng.choice(alive)
                if self.rng.random() < 0.5:
                    self._kill(world, locks, one)
                    crowd.append(self._begin(world, locks, len(crowd)))
                elif self._freeze(world, locks, one):
                    frozen.append(one)
        self.story.append(f"  senders: {[str(one.outcome)[:60] for one in crowd]}")

    def _begin(self, world: World, locks: Locks, number: int) -> Process:
        process = Process(number)
        process.has_wrong_key = self.rng.random() < WRONG_KEY
        world.spawn(lambda: self._be(world, locks, process), process=process)
        return process

    def _be(self, world: World, locks: Locks, process: Process) -> None:
        """Be one sender, from its start to its end."""
        job, (ledgers, letters) = self._sender_job(world), locks
        if self.thief.left is not None:
            process.outcome = "found the state locked"
            return
        database = SharedFile(world, self.folder / "ledger.db", self.template.run, ledgers, job.stopped)
        self.databases.append(database)
        ledger = Ledger(database, job.outside.clock)
        state = State(StateLayout(self.folder), ledger, io.BytesIO(), disk=CrowdDisk(self.disk, letters))
        try:
            send_parts(job, Beside(state, database.sender, self.plan))
            ended: object = "sent all that was left"
        except BucketLoaderError as error:
            ended = error
        with suppress(BucketLoaderError):
            ledger.leave(database.sender)
        database.close()
        process.outcome = ended

    def _sender_job(self, world: World) -> Simulated:
        outside = Outside(transport=lambda _destination: CrowdTransport(world, self.server), clock=Clock(world))
        job = Simulated(self.template.pipeline(self.concurrency), self.folder, RunOptions(), QUIET, outside=outside)
        job.stopped = world.threading().Event()
        return job

    # --- what is done to them --------------------------------------------------------------------------------------

    def _kill(self, world: World, locks: Locks, process: Process) -> None:
        self.story.append(f"  {world.now:.1f}: {process.number} dies")
        process.outcome = "died"
        world.still.add(process)
        self.server.lose(process)
        if process.database is not None:
            process.database._connection.close()
        for lock in locks:
            if lock.holder is process:
                lock.release()
            lock.pass_over(process)

    def _freeze(self, world: World, locks: Locks, process: Process) -> bool:
        """Let a process stand still, unless it is where its request is about to leave: no fence can hold that."""
        if any(lock.holder is process for lock in locks) or any(task.sends for task in world.tasks_of(process)):
            return False
        self.story.append(f"  {world.now:.1f}: {process.number} is frozen")
        world.still.add(process)
        process.waited = [task for lock in locks for task in lock.pass_over(process)]
        return True

    def _thaw(self, world: World, process: Process) -> None:
        self.story.append(f"  {world.now:.1f}: {process.number} wakes")
        world.still.discard(process)
        process.woke_at = world.now
        for task in process.waited:
            world.wake(task)


def play(seed: int) -> str | None:
    """Play a seed; gives what was broken, or None."""
    before = sending.LEASE_S
    sending.LEASE_S = LEASE_S - 30.0  # with the timeout of the pipeline
    try:
        with small():
            return played(lambda: Crowd(seed).play())
    finally:
        sending.LEASE_S = before
