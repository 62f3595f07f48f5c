"""One seed: a plan, a weather, deaths and signals; process after process until it is finished; then the reckoning.

The code under test is the project's own: `finish_run` and what it calls (delivery, course, worker, pacing, ledger,
dead letters, settling), `abandon`, `release` and `audit`. The world is handed to it: a clock with threads that take
turns, a transport, and a disk with moods below the journal.
"""

import io
import logging
import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
from server import Known, Server, Transport, Weather
from virtual import Clock, ViolationError, World

from bucket_loader.config.yaml_file import pipeline_from
from bucket_loader.delivery import Outside, course
from bucket_loader.delivery.http import pacing
from bucket_loader.model.attempts import ATTEMPTS_FIRST, ATTEMPTS_LAST
from bucket_loader.model.course import JUDGED_AFTER_S
from bucket_loader.model.errors import BucketLoaderError, StateLockedError, StateUnavailableError, StoppedError
from bucket_loader.model.files import DISK, Disk
from bucket_loader.model.kinds import KINDS
from bucket_loader.planning import plan_file as plan
from bucket_loader.reporting.summary import Summary
from bucket_loader.reporting.text import on_stderr
from bucket_loader.runs import audit, lifecycle, release
from bucket_loader.runs.begin import begin_run
from bucket_loader.runs.job import Job, RunOptions
from bucket_loader.runs.plan import make_plan
from bucket_loader.runs.run import finish_run
from bucket_loader.state import dead_letters, snapshots
from bucket_loader.state.layout import StateLayout
from bucket_loader.state.ledger import Ledger, SqliteDatabase
from bucket_loader.state.state import State

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
CHUNK = 3
OK = 200  # a status
PATIENCE_S = 60
PROCESSES_MAX = 9
STOLEN_SHARE = 0.1  # of the processes, from whom another copy takes the state
QUIET = on_stderr(quiet=True)


# --- plans, made once a process ------------------------------------------------------------------------------------


def _events(count: int, **more: Any) -> dict[str, Any]:
    frame = pa.table({"id": [f"e{n}" for n in range(count)], "user": [f"u{n % 3}" for n in range(count)]})
    return {"name": "events", "record": "event", "source": {"type": "frame", "frame": frame}, "key": ["id"],
            "fields": {"userId": "user", "event": {"value": "did"}, "attributes": {"id": "id"}}, **more}  # fmt: skip


def _users(count: int) -> dict[str, Any]:
    frame = pa.table({"id": [f"u{n}" for n in range(count)]})
    return {"name": "users", "record": "user", "source": {"type": "frame", "frame": frame},
            "fields": {"userId": "id", "attributes": {"id": "id"}},
            "on_removed": {"attributes": {"gone": True}}}  # fmt: skip


def _companies(count: int, users: int) -> dict[str, Any]:
    frame = pa.table({"c": [f"c{n % 5}" for n in range(count)], "u": [f"u{n * 7 % users}" for n in range(count)],
                      "n": list(range(count))})  # fmt: skip
    return {"name": "companies", "record": "company", "source": {"type": "frame", "frame": frame},
            "fields": {"companyId": "c", "userId": "u", "attributes": {"n": "n"}}}  # fmt: skip


SHAPES: dict[str, tuple[dict[str, Any], ...]] = {
    "events": (_events(17),),
    "one": (_events(1),),
    "held": (_events(11, on_unknown="hold"),),
    "users": (_users(13),),
    "companies": (_companies(16, 4),),
    "many": (_events(96),),
    "many users": (_users(40),),
    "streams": (_users(5), _companies(9, 8), _events(8)),
    "held and more": (_users(4), _events(7, on_unknown="hold")),
}


@dataclass(frozen=True)
class Template:
    """A plan whose run exists and has sent nothing, and the pipeline that made it."""

    streams: tuple[dict[str, Any], ...]
    root: Path
    run: str
    known: dict[bytes, Known]

    def pipeline(self, concurrency: int | str) -> Any:
        """Return the pipeline with a concurrency of its own."""
        return _pipeline(self.root.name, concurrency, self)

    def made(self, concurrency: int | str) -> Any:
        """Make it."""
        destination = {"base_url": "http://127.0.0.1:9", "key": "sec_0123456789012345", "chunk": {"records": CHUNK},
                       "concurrency": concurrency, "patience": f"{PATIENCE_S}s"}  # fmt: skip
        return pipeline_from({"name": "simulated", "destination": destination, "streams": list(self.streams)})


_PIPELINES: dict[tuple[str, int | str], Any] = {}


def _pipeline(name: str, concurrency: int | str, made: Template) -> Any:
    if (name, concurrency) not in _PIPELINES:
        _PIPELINES[name, concurrency] = made.made(concurrency)
    return _PIPELINES[name, concurrency]


@cache
def template(shape: str) -> Template:
    """Plan a shape, once."""
    root = Path(tempfile.mkdtemp(prefix="simulation-", dir=_memory()))
    _ROOTS.append(root)
    made = Template(SHAPES[shape], root, "", {})
    job = Job(made.pipeline(4), root, RunOptions(state=root, as_of=AS_OF), QUIET)
    known = {}
    with closing(job.open_state()) as state:
        planned = make_plan(job, state)
        begin_run(planned, state, job)
        for stream in planned.manifest.streams:
            for sequences, records in planned.chunks(stream):
                for sequence, record in zip(sequences, records, strict=True):
                    known[record] = Known(stream.position, sequence, _ids_of(stream.kind, record))
    return Template(SHAPES[shape], state.root, planned.manifest.run, known)


_ROOTS: list[Path] = []


def _memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  # a disk of its own is slower only


def _ids_of(kind: str, record: bytes) -> frozenset[str]:
    if kind == "event":
        return frozenset()
    parsed = plan.msgspec.json.decode(record)
    return frozenset(f"{name} {parsed[name]}" for name in ("userId", "companyId") if name in parsed)


def forget_templates() -> None:
    """Remove what `template` made."""
    template.cache_clear()
    while _ROOTS:
        shutil.rmtree(_ROOTS.pop(), ignore_errors=True)


# --- a seed --------------------------------------------------------------------------------------------------------


class Simulation:
    """What one seed says."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = Random(seed)  # noqa: S311  # repeatable, not secret
        self.shape = self._choose_shape()
        self.template = self._template()
        self.concurrency = rng.choice([1, 2, 4, "auto"])
        self.abandons = rng.random() < 0.1
        self.folder = Path(tempfile.mkdtemp(prefix="seed-", dir=_memory()))
        self.now = 0.0
        self.story: list[str] = []
        self._prepare()

    def _template(self) -> Template:
        return template(self.shape)

    def _choose_shape(self) -> str:
        return self.rng.choice(list(SHAPES))

    def _prepare(self) -> None:
        rng, made = self.rng, self.template
        shutil.copy(made.root / "ledger.db", self.folder / "ledger.db")
        (self.folder / "plans").mkdir()
        (self.folder / "plans" / made.run).symlink_to(made.root / "plans" / made.run)
        self.plan = plan.read(made.root / "plans" / made.run, verify=False)
        streams = self.plan.manifest.streams
        everyone = sorted((known.stream, known.sequence) for known in made.known.values())
        share = rng.choice([0, 0, 0.1, 0.3, 1.0 if rng.random() < 0.2 else 0.2])
        self.server = Server(
            rng, made.known, self.folder / "ledger.db", made.run,
            hold={stream.position for stream in streams if stream.on_unknown == "hold"},
            ordered={stream.position for stream in streams if stream.shares_ids},
            bad={one for one in everyone if rng.random() < share},
            hint=rng.choice(["right", "some", "wrong", "none"]),
            records_max=rng.choice([1_000, 1_000, 1_000, 2, 1]),
        )  # fmt: skip
        if rng.random() < 0.15:
            some = rng.sample(everyone, min(len(everyone), rng.choice([1, 1, 1, 2, 5])))
            self.server.poison = set(some) - self.server.bad
            self.server.blocked = set(self.server.poison) if rng.random() < 0.3 else set()

    def weather(self) -> Weather:
        """Return what goes wrong for one process."""
        rng = self.rng

        def some(most: float) -> float:
            return rng.choice([0.0, most / 3, most])

        start = self.now + rng.uniform(0, 3)
        if rng.random() < 0.3:  # fair, so that one thread gets to have all in flight, until one thing happens
            return Weather(error=some(0.03), lost=some(0.03), applied=rng.random(), latency_s=0.0)
        return Weather(
            error=some(0.3), lost=some(0.2), unsent=some(0.2), throttled=some(0.2), applied=rng.random(),
            latency_s=rng.choice([0.0, 0.2, 4.0]),
            outage=(start, start + rng.choice([5, 30, 200])) if rng.random() < 0.15 else (0.0, 0.0),
            refused_key_at=start if rng.random() < 0.04 else float("inf"),
            misrouted_at=start if rng.random() < 0.04 else float("inf"),
            reads=rng.random() < 0.5,
        )  # fmt: skip

    def play(self) -> None:
        """Run processes until the run has ended, and hold what came of it against what was promised.

        Raises:
            ViolationError: with what was broken; the story of what happened is in its notes.
        """
        try:
            for number in range(PROCESSES_MAX):
                last = number >= PROCESSES_MAX - 4
                if self.process(calm=last or (number >= 2 and self.rng.random() < 0.4)):
                    break
            self.reckon()
        except ViolationError as error:
            error.add_note("\n".join(self.story))
            raise
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- one process ---------------------------------------------------------------------------------------------

    def process(self, *, calm: bool) -> bool:
        """Run one process to its end or its death; gives whether the run has ended for good."""
        rng = self.rng
        dies_at = None if calm or rng.random() < 0.4 else rng.randrange(1, 60) if rng.random() < 0.5 else rng.randrange(
            1, 400)  # fmt: skip
        world = World(rng, self.now, dies_at)
        with closing(sqlite3.connect(self.folder / "ledger.db")) as reader:
            rows = reader.execute("SELECT position FROM stream WHERE settled != 0").fetchall()
        self.settled_before = {position for (position,) in rows}
        self.disk = MoodyDisk(world, rng, self.folder, full=not calm and rng.random() < 0.1, power=rng.random() < 0.5)
        self.server.weather = Weather(latency_s=rng.choice([0.0, 0.1])) if calm else self.weather()
        signal_at = None if calm or rng.random() < 0.8 else self.now + rng.uniform(0, 6)
        self.story.append(f"process: dies_at={dies_at} signal_at={signal_at} calm={calm} {self.server.weather}")
        self.thief = Thief(self.folder / "ledger.db")
        if not calm and rng.random() < STOLEN_SHARE:
            self.thief.come(world, self.now + rng.uniform(0, 4))
        outcome = world.run(lambda: self._live(world, signal_at))
        self.now = world.now
        self.thief.go()
        self.server.end()
        if world.died:
            self.disk.die()
            self.story.append("  died")
            self._check_memory(died=True)
            return False
        self.story.append(f"  ended: {outcome}")
        return self._judge_end(outcome, calm=calm)

    def _job(self, world: World) -> "Simulated":
        """Return a job whose outside is a world."""
        outside = Outside(transport=lambda _destination: Transport(world, self.server), clock=Clock(world))
        job = Simulated(self.template.pipeline(self.concurrency), self.folder, RunOptions(), QUIET, outside=outside)
        job.stopped, job.disk = world.threading().Event(), self.disk
        return job

    def _live(self, world: World, signal_at: float | None) -> Summary | BucketLoaderError:
        """Be the process."""
        job = self._job(world)
        if signal_at is not None:
            world.at(signal_at, job.stopped.set)
        try:
            state = job.open_state()
            self.server.begin(world, pacing.AUTO_WORKERS if self.concurrency == "auto" else int(self.concurrency))
            (row,) = state.ledger.runs()
            return finish_run(job, state, row)
        except BucketLoaderError as error:
            return error

    def _judge_end(self, outcome: Summary | BucketLoaderError, *, calm: bool) -> bool:
        with closing(sqlite3.connect(self.folder / "ledger.db")) as reader:
            intents = reader.execute("SELECT count(*) FROM chunk WHERE state = 'intent'").fetchone()[0]
        error = outcome if isinstance(outcome, BucketLoaderError) else outcome.error
        if isinstance(error, StateLockedError):
            _require(self.thief.left is not None, f"nobody took the state: {error!r}")
            self._check_memory()
            return False
        if isinstance(outcome, BucketLoaderError):
            _require(isinstance(outcome, StateUnavailableError) and self.disk.full, f"an error: {outcome!r}")
            return False
        _require(not intents or isinstance(outcome.error, StateUnavailableError), "an intent is left after a good end")
        left = sum(counts.pending for counts in outcome.streams.values())
        rejected = sum(counts.rejected for counts in outcome.streams.values())
        code = outcome.exit_code
        _require(code != 0 or not (left or rejected), "exit 0 although something is pending or rejected")
        _require(code != 3 or (rejected and not left), "exit 3 although something is pending")
        _require(code in {0, 3} or left or code == 4, f"exit {code} although nothing is left")
        self._check_memory()
        if code == 75 and not left:
            raise ViolationError("75 although nothing is left")
        if calm and code in {75, 5}:  # 5: a firewall takes all that is left, which is the one record
            self._end_by_hand(outcome)
        return code in {0, 3, 4} or (calm and self.ended_by_hand)

    ended_by_hand = False
    misjudged = 0

    def _end_by_hand(self, outcome: Summary) -> None:
        """Do as a person would with what only a person can end: held unknowns, and what poison keeps from ending."""
        left = {
            one for one, (state, _) in self._everyone().items() if state not in {"delivered", "rejected", "dropped"}
        }
        held = {one for one in left if self._everyone()[one][0] == "held"}
        only_poison = not held
        waits = self._named_with(left & self.server.poison)
        _require(left - held <= waits, f"a calm day, and {left - held - waits} stay pending: {outcome.error}")
        world = World(self.rng, self.now)
        self.disk = MoodyDisk(world, self.rng, self.folder, full=False, power=False)
        job = self._job(world)
        if only_poison or self.abandons or left - held:
            world.run(lambda: lifecycle.abandon_run(job, self.template.run))
            self.ended_by_hand = True
            self.story.append("  abandoned")
        else:
            drop = self.rng.random() < 0.5 or bool(held & self.server.poison)
            world.run(lambda: release.release_held(job, release.Chosen(run=self.template.run), drop=drop))
            self.server.released = not drop
            self.ended_by_hand = drop
            self.story.append(f"  released, drop={drop}")

    def _named_with(self, stuck: set[tuple[int, int]]) -> set[tuple[int, int]]:
        """Return records, and those after them that name whom they name: these wait for them."""
        waits, ids = set(), set()
        for known in sorted(self.server.known.values(), key=lambda known: (known.stream, known.sequence)):
            if (known.stream, known.sequence) in stuck or not known.ids.isdisjoint(ids):
                waits.add((known.stream, known.sequence))
                ids |= known.ids
        return waits

    # --- the reckoning -------------------------------------------------------------------------------------------

    def _everyone(self) -> dict[tuple[int, int], tuple[str, int]]:
        """Return every record's fate, also of those that were never begun."""
        never = {(one.stream, one.sequence): ("never begun", 0) for one in self.template.known.values()}
        return never | self._fates()

    def _fates(self) -> dict[tuple[int, int], tuple[str, int]]:
        """Return each record's state in the ledger, and how often it may have been done without our knowing."""
        from bucket_loader.model.chunks import read_ranges

        with closing(sqlite3.connect(self.folder / "ledger.db")) as reader:
            rows = reader.execute(
                "SELECT stream, members, state, ambiguous FROM chunk WHERE state != 'split'"
            ).fetchall()
        fates: dict[tuple[int, int], tuple[str, int]] = {}
        for stream, members, state, ambiguous in rows:
            for sequence in read_ranges(members):
                _require((stream, sequence) not in fates, f"record {stream}/{sequence} is in two chunks")
                fates[stream, sequence] = state, ambiguous
        return fates

    def _ever_aside(self) -> set[tuple[int, int]]:
        """Return the records that were ever set aside, or waited for one that was."""
        from bucket_loader.model.chunks import read_ranges

        with closing(sqlite3.connect(self.folder / "ledger.db")) as reader:
            rows = reader.execute("SELECT stream, members FROM chunk WHERE aside IS NOT NULL").fetchall()
        return {(stream, sequence) for stream, members in rows for sequence in read_ranges(members)}

    def _check_memory(self, *, died: bool = False) -> None:
        """Hold the streams' memory against what was done: nothing is remembered that did not arrive."""
        with closing(sqlite3.connect(self.folder / "ledger.db")) as reader:
            parts = reader.execute("SELECT stream, file FROM memory ORDER BY stream, number").fetchall()
            settled = dict(reader.execute("SELECT position, settled FROM stream").fetchall())
            status, code = reader.execute("SELECT status, exit_code FROM run").fetchone()
            abandoned, stopped = status == "abandoned", code == StoppedError.exit_code
        fates = self._fates() if parts or any(settled.values()) else {}
        aside = self._ever_aside()
        for stream in self.plan.manifest.streams:
            remembered: dict[bytes, bytes | None] = {}
            for name, file in parts:
                if name == stream.name:
                    table = pa.ipc.open_stream((self.folder / "snapshots" / file).read_bytes()).read_all()
                    remembered |= dict(zip(table["key"].to_pylist(), table["content"].to_pylist(), strict=True))
            # What was claimed, and then refused, is noted as gone: that is no memory of it.
            remembered = {key: content for key, content in remembered.items() if content != snapshots.REMOVED}
            if not settled[stream.position]:
                _require(not remembered, "a memory that was not settled")
                continue
            keys = pa.Table.from_batches(list(self.plan.keys(stream))).to_pydict()
            # In doubt when a run is stopped as a whole: it returns to the next plan, unless it is held or has an order.
            returns = stopped and not KINDS[stream.kind].ordered and stream.on_unknown == "resend"
            for sequence, (key, content) in enumerate(zip(keys["key"], keys["content"], strict=True)):
                one = stream.position, sequence
                state, doubts = fates.get(one, ("never begun", 0))
                if key in remembered and remembered[key] is not None:
                    _require(self.server.applied[one], f"{one} is remembered and never arrived")
                    _require(remembered[key] == content, f"{one} is remembered with another content")
                if returns and state in {"intent", "queued"}:
                    continue
                if self.server.applied[one] and state not in {"rejected", "dropped"}:
                    _require(
                        key in remembered or (not abandoned and state == "never begun"), f"{one} arrived, forgotten"
                    )
                # What was set aside may be sent after its stream was settled: a newer row in its place names it.
                kept_by_its_run = one in aside and (died or stream.position in self.settled_before)
                if not kept_by_its_run and (
                    state in {"held", "intent"} or (state == "queued" and one in aside and doubts)
                ):
                    _require(remembered.get(key, b"") is None, f"{one} may have arrived and is not claimed")
                kept = remembered.get(key, b"")
                # What was held when its stream settled stays claimed: an event is not planned again for either.
                claimed = one in aside or (kept is None and stream.position in self.server.hold)
                _require(state != "delivered" or kept == content or claimed, f"{one} was delivered, forgotten")

    def reckon(self) -> None:
        """Hold everything against what was promised."""
        server, fates = self.server, self._fates()
        with closing(Simulated(self.template.pipeline(1), self.folder, RunOptions(), QUIET).open_state()) as state:
            (row,) = state.ledger.runs()
            findings = list(audit._findings(state, self.plan, row))
            counts = state.ledger.counts(row.run)
            self._check_attempts(state.ledger, row.run)
        _require(not findings, f"the audit: {findings}")
        stopped = row.status in {"stopped", "abandoned"}
        _require(row.status in {"succeeded", "rejected"} or stopped, f"it never ended: {row.status}")
        letters = self._letters()
        for stream, sequence in (known for known in sorted((k.stream, k.sequence) for k in server.known.values())):
            one = stream, sequence
            state, ambiguous = fates.get(one, ("never begun", 0))
            times = server.applied[one]
            _require(state != "delivered" or times >= 1, f"{one} is called delivered and never arrived")
            _require(stopped or state in {"delivered", "rejected", "dropped"}, f"{one} is lost: {state}")
            if state == "rejected":
                # Six 500s in a row, alone: nobody can tell it from poison.
                judged = (
                    one in server.bad | server.poison or server.errors_alone[one] >= course.SUSPICIOUS_ALONE_AFTER - 2
                )
                _require(judged, f"{one} is good and was rejected")
                self.misjudged += one not in server.bad | server.poison
                failing_s = self.now - server.failing_since.get(one, self.now)
                _require(one in server.bad or failing_s >= JUDGED_AFTER_S, f"{one} failed for {failing_s:.0f} s only")
            _require(state not in {"rejected", "dropped"} or one in letters, f"{one} is {state} without a dead letter")
            ended = (
                state in {"rejected", "dropped"} or one in server.bad | server.poison
            )  # a death between the letter and the outcome
            _require(one not in letters or ended, f"{one} is {state} and has a dead letter")
            _require(max(0, times - 1) <= ambiguous, f"{one} arrived {times} times, {ambiguous} named")
            _require(times or one not in server.bad or state != "delivered", f"{one} is bad and delivered")
        for stream in self.plan.manifest.streams:
            twice = sum(server.applied[stream.position, n] > 1 for n in range(stream.records))
            _require(twice <= counts[stream.name].possibly_duplicated or stopped, "more repeats than the summary says")
        for (stream, name), sequences in server.latest.items():
            if stream in server.ordered:
                delivered = [n for n in sequences if fates.get((stream, n), ("",))[0] == "delivered"]
                _require(stopped or sequences[-1] >= max(delivered, default=0), f"{name}: a stale row came last")

    def _check_attempts(self, ledger: Ledger, run: str) -> None:
        """Each attempt that is counted is recorded, up to the few that stay; the last one delivered what is."""
        for position in range(len(self.plan.manifest.streams)):
            for row in ledger.chunks(run, position, *audit.LEAVES, "split"):
                most = min(row.attempts, ATTEMPTS_FIRST + ATTEMPTS_LAST)
                _require(
                    most <= len(row.tried) <= row.attempts, f"{row.members}: {row.attempts}, {len(row.tried)} told"
                )
                last = row.tried[-1].status if row.tried else None
                _require(row.state != "delivered" or last == OK, f"{row.members} was delivered by a {last}")

    def _letters(self) -> set[tuple[int, int]]:
        file = self.folder / "dead_letters" / f"{self.template.run}.jsonl"
        if not file.exists():
            return set()
        positions = {stream.name: stream.position for stream in self.plan.manifest.streams}
        found = Counter((positions[one.stream], int(one.id.rpartition("/")[2])) for one in dead_letters.read(file))
        _require(all(times == 1 for times in found.values()), "a dead letter is given twice")
        return set(found)


def _require(holds: object, otherwise: str) -> None:
    if not holds:
        raise ViolationError(otherwise)


class Simulated(Job):
    """A job whose state is the seed's folder, on the world's disk when there is one."""

    disk: "MoodyDisk | None" = None

    def open_state(self) -> State:
        """Open it; nobody else does."""
        connect = sqlite3.connect if self.disk is None else self.disk.connect
        clock = self.outside.clock
        ledger = Ledger(SqliteDatabase(self.base / "ledger.db", clock, connect), clock)
        return State(StateLayout(self.base), ledger, io.BytesIO(), disk=self.disk or DISK)


class Thief:
    """Another copy, which takes the state while the process lives; what is committed after that is not its to commit.

    Attributes:
        left: what the ledger held when it was taken; None while it is the process's.
    """

    def __init__(self, path: Path) -> None:
        self.left: list[Any] | None = None
        self._path = path

    def come(self, world: World, when: float) -> None:
        """Take the state at a time, or as soon after it as nothing is being committed."""

        def take() -> None:
            with closing(sqlite3.connect(self._path, isolation_level=None, timeout=0)) as other:
                try:
                    other.execute("UPDATE owner SET epoch = epoch + 1, token = 'another'")
                except sqlite3.OperationalError:
                    world.at(world.now + 0.01, take)
                else:
                    self.left = self._seen(other)

        world.at(when, take)

    def go(self) -> None:
        """Hold what the process left against what it may commit."""
        if self.left is not None:
            with closing(sqlite3.connect(self._path)) as reader:
                _require(self._seen(reader) == self.left, "it committed after another had taken the state")

    @staticmethod
    def _seen(connection: sqlite3.Connection) -> list[Any]:
        return [connection.execute(f"SELECT * FROM {table}").fetchall() for table in ("run", "stream", "chunk")]


# --- the process's surroundings ------------------------------------------------------------------------------------


class MoodyDisk(Disk):
    """What the disk does: what was not synced may be gone after a power cut, and it may be full."""

    def __init__(self, world: World, rng: Random, folder: Path, *, full: bool, power: bool) -> None:
        self.world, self.rng, self.folder, self.full, self.power = world, rng, folder, full, power
        self.synced = {path: path.stat().st_size for path in self._files()}
        self.connections: list[sqlite3.Connection] = []
        self.fills_at = rng.randrange(1, 40) if full else -1
        self.writes = 0

    def write(self, descriptor: int, data: bytes) -> int:
        """Write some of it, or refuse to."""
        self.world.point()
        self.take()
        some = self.rng.randint(1, len(data)) if self.rng.random() < 0.3 else len(data)
        return super().write(descriptor, data[:some])

    def sync(self, descriptor: int) -> None:
        """Remember how much of a file is safe."""
        self.world.point()
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_file():
            self.synced[path] = path.stat().st_size
        self.world.point()

    def take(self) -> None:
        """Count a write, or refuse it."""
        self.writes += 1
        if self.full and self.writes >= self.fills_at:
            raise OSError(28, "No space left on device")

    def connect(self, path: object, **options: Any) -> sqlite3.Connection:
        """Open a database whose commits are steps of the world."""
        world, disk = self.world, self

        class Connection(sqlite3.Connection):
            def execute(self, statement: str, *parameters: object) -> Any:
                if statement != "COMMIT":
                    return super().execute(statement, *parameters)
                world.point()
                try:
                    disk.take()
                except OSError:
                    raise sqlite3.OperationalError("database or disk is full") from None
                done = super().execute(statement)
                world.point()
                return done

        self.connections.append(sqlite3.connect(path, factory=Connection, **options))
        return self.connections[-1]

    def _files(self) -> list[Path]:
        return [*self.folder.glob("dead_letters/*"), *self.folder.glob("snapshots/*")]

    def die(self) -> None:
        """Lose, when the power went, what was not synced."""
        for connection in self.connections:
            connection.close()
        if not self.power:
            return
        for path in self._files():
            before_its_rename = self.synced.get(path.with_name(f"{path.name}.unfinished"), 0)
            durable = self.synced.get(path, before_its_rename)
            size = path.stat().st_size
            os.truncate(path, self.rng.randint(min(durable, size), size))


def play(seed: int) -> str | None:
    """Play a seed; gives what was broken, or None."""
    return played(lambda: Simulation(seed).play())


def played(play: Callable[[], None]) -> str | None:
    """Play something; gives what was broken, or None."""
    logging.disable(logging.CRITICAL)
    try:
        play()
    except ViolationError as error:
        return "\n".join([str(error), *getattr(error, "__notes__", [])])
    except Exception as error:  # noqa: BLE001  # whatever the code under test did not see coming
        return f"it crashed: {error!r}"
    finally:
        logging.disable(logging.NOTSET)
    return None
