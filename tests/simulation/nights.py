"""One seed: several nights over a source that grows, each with runs that may die; does what is new get through?

`run_job` itself plays, in the world of `scenario`: it finishes what is unfinished, plans, delivers, settles. The rows
are good, refused (400), poisonous (500), blocked (403), or held; some are mended by a later night. In a calm run, whose
server is healthy and that nothing interrupts, all others have to arrive: that is liveness. Beside it stands safety:
nothing twice without a name, nothing older after something newer, nothing lost behind an exit code that says so.
"""

import contextlib
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from unittest.mock import patch

import msgspec
import pyarrow as pa
from scenario import CHUNK, QUIET, MoodyDisk, Simulated, _memory, _require, played
from server import Known, Server, Transport, Weather
from virtual import BEGINNING, Clock, ViolationError, World

from bucket_loader.config.yaml_file import pipeline_from
from bucket_loader.delivery import Outside, course, tally
from bucket_loader.delivery.http import pacing
from bucket_loader.model.chunks import read_ranges
from bucket_loader.model.errors import BucketLoaderError, InterruptedRunError, StateUnavailableError
from bucket_loader.planning import plan_file as plan
from bucket_loader.reporting.summary import Summary
from bucket_loader.runs import audit
from bucket_loader.runs.job import RunOptions
from bucket_loader.runs.run import run_job

PATIENCE_S = (60, 300, 1800)
FEW = 2  # records that bring errors; where more do, it takes longer to rule chance out
SYSTEMIC_FIRST = 4  # records, instead of 50: the frames are small
CALM_NIGHTS = 3  # at the end
ENDED = ("delivered", "rejected", "held", "dropped", "superseded")
FATES = ("refused", "poison", "blocked")

Place = tuple[tuple[int, int], int]
"""A record of a run: the run's number and the stream's position, and the record's sequence."""


class Row(NamedTuple):
    """A row of a source, in one of its versions."""

    stream: str
    key: str
    version: int


@dataclass(frozen=True)
class Shape:
    """A stream: what is sent of it, and how."""

    name: str
    record: str
    sync: str
    keyed: bool = False
    hold: bool = False

    @property
    def ordered(self) -> bool:
        """Whether the order of its records matters."""
        return self.record != "event"

    def config(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the stream of a pipeline file."""
        names = ("id", "v", "u", "c", "t")
        frame = pa.table({name: [row[name] for row in rows] for name in names})
        fields: dict[str, Any] = {"userId": "u", "attributes": {"id": "id", "v": "v"}}
        fields |= {"company": {"companyId": "c"}, "event": {"event": {"value": "did"}}}.get(self.record, {})
        more: dict[str, Any] = {"key": ["id"]} if self.keyed else {}
        if self.sync == "append" and not self.keyed:
            fields["timestamp"] = "t"
        more |= {"on_unknown": "hold"} if self.hold else {}
        return {"name": self.name, "record": self.record, "sync": self.sync, "fields": fields,
                "source": {"type": "frame", "frame": frame}, **more}  # fmt: skip


USERS, COMPANIES = Shape("users", "user", "changes"), Shape("companies", "company", "changes")
SHAPES: tuple[tuple[Shape, ...], ...] = (
    (USERS,),
    (COMPANIES,),
    (COMPANIES,),
    (Shape("events", "event", "append", keyed=True),),
    (Shape("events", "event", "append"),),
    (Shape("events", "event", "append", keyed=True, hold=True),),
    (Shape("events", "event", "full"),),
    (Shape("companies", "company", "full"),),
    (USERS, COMPANIES),
    (USERS, Shape("events", "event", "append", keyed=True, hold=True)),
)


@dataclass
class Source:
    """A stream's rows, as they stand tonight.

    Attributes:
        fates: what becomes of a row's version; good when it is not named.
    """

    shape: Shape
    rng: Random
    shares: tuple[float, ...]
    rows: list[dict[str, Any]] = field(default_factory=list)
    fates: dict[Row, str] = field(default_factory=dict)

    def grow(self, count: int) -> None:
        """Let some rows come."""
        for _ in range(count):
            number = len(self.rows)
            user, company = f"u{number}", ""
            if self.shape.record == "company":
                user, company = f"u{number % 7}", f"c{number % 5}"
            elif self.shape.record == "event":
                user = f"u{number % 3}"
            self.rows.append({"id": f"r{number}", "v": 0, "u": user, "c": company, "t": BEGINNING})
            self._fate(self.rows[-1], 1.0)

    def change(self, count: int) -> None:
        """Let some rows change; those that nobody took are mended first."""
        names = [row for row in self.rows if self.row(row) in self.fates]
        for _ in range(count):
            row = self.rng.choice(names if names and self.rng.random() < 0.5 else self.rows)
            row["v"] += 1
            self._fate(row, 0.2)

    def _fate(self, row: dict[str, Any], part: float) -> None:
        draw = self.rng.random()
        for fate, share in zip(FATES, self.shares, strict=True):
            if draw < share * part:
                self.fates[self.row(row)] = fate
                return
            draw -= share * part

    def row(self, row: dict[str, Any]) -> Row:
        """Return which row it is."""
        return Row(self.shape.name, row["id"], row["v"])

    def tonight(self) -> list[Row]:
        """Return the rows."""
        return [self.row(row) for row in self.rows]


# --- the server ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Planned:
    """A stream of a run's plan, as its bytes tell it."""

    name: str
    kind: str
    day: str
    hold: bool
    new: int
    rows: list[Row]
    ids: list[frozenset[str]]


_RECORD = msgspec.json.Decoder(dict[str, Any])


@dataclass
class NightServer(Server):
    """A server that knows the rows of all nights; what it is sent belongs to the run that has the intent.

    Attributes:
        fates: what becomes of a row's version.
        served: how many requests it did something with.
        attempted: the rows that it was ever sent alone.
        refused: the places of each row that it refused alone.
    """

    fates: dict[Row, str] = field(default_factory=dict)
    served: int = 0
    attempted: set[Row] = field(default_factory=set)
    refused: dict[Row, set[Place]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.plans: dict[tuple[int, int], Planned] = {}
        self.times: Counter[Row] = Counter()
        self.newest: dict[tuple[str, str], int] = {}
        self._names: dict[str, int] = {}
        self._of_body: tuple[tuple[int, int], int] = ((0, 0), 0)

    def learn(self) -> None:
        """Read the plans of the runs that have begun."""
        with contextlib.closing(sqlite3.connect(self.ledger)) as reader:
            runs = reader.execute("SELECT run, number FROM run ORDER BY number").fetchall()
        for run, number in runs:
            if run not in self._names:
                self._names[run] = number
                self._learn(run, number)

    def _learn(self, run: str, number: int) -> None:
        planned = plan.read(self.ledger.parent / "plans" / run, verify=False)
        for stream in planned.manifest.streams:
            rows, ids = [], []
            for _, records in planned.chunks(stream):
                for record in records:
                    found = _RECORD.decode(record)
                    attributes = found["attributes"]
                    rows.append(Row(stream.name, attributes["id"], attributes["v"]))
                    named = frozenset(f"{one} {found[one]}" for one in ("userId", "companyId") if one in found)
                    ids.append(frozenset() if stream.kind == "event" else named)
            hold, new = stream.on_unknown == "hold", stream.refused_from
            at = number, stream.position
            self.plans[at] = Planned(stream.name, stream.kind, planned.manifest.day, hold, new, rows, ids)
            for sequence, row in enumerate(rows):
                fate, place = self.fates.get(row), (at, sequence)
                (self.bad if fate == "refused" else self.poison if fate else set()).add(place)
                if fate == "blocked":
                    self.blocked.add(place)

    def _read(self, body: bytes) -> list[Known | None]:
        found = self._reader.execute(
            "SELECT r.run, c.stream, c.members, c.ambiguous FROM chunk c JOIN run r ON r.run = c.run "
            "WHERE c.digest = ? AND c.state = 'intent'", (sha256(body).digest(),),
        ).fetchall()  # fmt: skip
        self.world.require(len(found) == 1, f"sent without an intent: {body[:200]!r}")
        run, stream, members, ambiguous = found[0]
        if run not in self._names:
            self.learn()
        at = self._names[run], stream
        self._of_body = at, ambiguous
        return [Known(at, sequence, self.plans[at].ids[sequence]) for sequence in read_ranges(members)]

    def _check(self, _body: bytes, records: list[Known]) -> None:
        require, (at, named) = self.world.require, self._of_body
        planned = self.plans[at]
        doubts = max(self.doubtful[record.stream, record.sequence] for record in records)
        require(doubts <= named, f"a repeat that was not named: {records}, {doubts} > {named}")
        require(not planned.hold or not doubts, f"a held chunk is sent again: {records}")
        require(len(self.in_flight) < self.workers, "more in flight than the concurrency allows")
        ids = frozenset().union(*(record.ids for record in records))
        for others in self.in_flight.values():
            shared = ids & frozenset().union(*(record.ids for record in others))
            require(not shared, f"two in flight name {sorted(shared)}")
        if ids:
            self._check_overtaken(records, ids)
        if len(records) == 1:
            self.attempted.add(planned.rows[records[0].sequence])

    def _check_overtaken(self, records: list[Known], ids: frozenset[str]) -> None:
        """Hold a request against all that is left of its run and of earlier ones and names whom it names."""
        first, ended = (records[0].stream, records[0].sequence), self.ended(ENDED)
        open_runs = {
            self._names[run]
            for (run,) in self._reader.execute("SELECT run FROM run WHERE status IN ('running', 'unfinished')")
            if run in self._names
        }
        for at, planned in self.plans.items():
            if at <= first[0] and at[0] in open_runs:
                for sequence, named in enumerate(planned.ids):
                    place = at, sequence
                    if place < first and not named.isdisjoint(ids) and place not in ended:
                        self.world.require(False, f"{first} overtakes {place}: {sorted(named & ids)}")  # noqa: FBT003

    def ended(self, states: tuple[str, ...]) -> dict[Place, tuple[str, int]]:
        """Return the places whose chunk is in one of some states, with that, and how often it was named ambiguous."""
        marks = ", ".join("?" * len(states))
        with contextlib.closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as reader:
            rows = reader.execute(
                f"SELECT r.number, c.stream, c.members, c.state, c.ambiguous FROM chunk c JOIN run r ON r.run = c.run "
                f"WHERE c.state IN ({marks})", states,
            ).fetchall()  # fmt: skip
        return {
            ((number, stream), sequence): (state, ambiguous)
            for number, stream, members, state, ambiguous in rows
            for sequence in read_ranges(members)
        }

    def _apply(self, records: list[Known]) -> None:
        super()._apply(records)
        for record in records:
            row = self.row((record.stream, record.sequence))
            self.times[row] += 1
            if self.plans[record.stream].kind != "event":
                newest = self.newest.get((row.stream, row.key), 0)
                self.world.require(row.version >= newest, f"{row} came after version {newest}")
                self.newest[row.stream, row.key] = row.version

    def _judged(self, records: list[Known], names: set[Place]) -> Any:
        outcome = super()._judged(records, names)
        self.served += outcome.status in {200, 400}
        if len(records) == 1 and outcome.status == 400:
            place = records[0].stream, records[0].sequence
            self.refused.setdefault(self.row(place), set()).add(place)
        return outcome

    def row(self, place: Place) -> Row:
        """Return the row that a record was made of."""
        return self.plans[place[0]].rows[place[1]]


# --- a seed --------------------------------------------------------------------------------------------------------


class Nights:
    """What one seed says."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = Random(seed)  # noqa: S311  # repeatable, not secret
        self.shapes = rng.choice(SHAPES)
        self.concurrency = rng.choice([1, 2, 4, "auto"])
        shares = (rng.choice([0, 0.1, 0.3, 0.6, 0.8]), rng.choice([0, 0.05, 0.1]), rng.choice([0, 0, 0.05]))
        self.sources = [Source(shape, rng, shares) for shape in self.shapes]
        self.folder = Path(tempfile.mkdtemp(prefix="nights-", dir=_memory()))
        self.now = rng.uniform(0, 80_000)
        self.hours, self.patience_s = rng.choice([5, 24]), rng.choice(PATIENCE_S)
        self.keep = Random(-seed).choice(["forever", "1d", "1ms"])  # noqa: S311  # a draw of its own: other seeds stay
        told = f"{self.shapes} {shares} {self.concurrency} {self.hours} h, {self.patience_s} s, keep {self.keep}"
        self.story: list[str] = [told]
        fates: dict[Row, str] = {}
        for source in self.sources:
            source.fates = fates
        self.server = NightServer(
            rng, {}, self.folder / "ledger.db", "", hold=set(), ordered=set(), fates=fates,
            hint=rng.choice(["right", "some", "wrong", "none"]),
            records_max=rng.choice([1_000, 1_000, 1_000, 2, 1]),
        )  # fmt: skip
        Simulated(self._pipeline(), self.folder, RunOptions(), QUIET).open_state().close()
        self.witnessed: Counter[Row] = Counter()
        self.unsettled: set[int] = set()  # runs that a mapping mistake ended: their refusals were no try
        self.retried: dict[int, bool | None] = {}

    def play(self) -> None:
        """Play the nights.

        Raises:
            ViolationError: with what was broken; the story of what happened is in its notes.
        """
        nights = self.rng.randint(2, 4) + CALM_NIGHTS
        try:
            for night in range(nights):
                for source in self.sources:
                    source.grow(self.rng.randint(8, 16) if not night else self.rng.choice([0, 1, 2, 5]))
                    if night and night < nights - CALM_NIGHTS + 1:
                        source.change(self.rng.choice([0, 1, 2]))
                self.now += self.hours * 3600 + self.rng.uniform(0, 600)
                self.story.append(f"night {night}: {self._told()}")
                for _ in range(self.rng.choice([1, 1, 2])):
                    self.call(calm=night >= nights - CALM_NIGHTS or self.rng.random() < 0.4)
            self.reckon()
        except ViolationError as error:
            error.add_note("\n".join(self.story))
            raise
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _told(self) -> str:
        return ", ".join(
            f"{row.stream}/{row.key}.{row.version} {self.server.fates.get(row, '')}"
            for source in self.sources
            for row in source.tonight()
        )

    def weather(self) -> Weather:
        """Return what goes wrong in one call."""
        rng = self.rng

        def some(most: float) -> float:
            return rng.choice([0.0, most / 3, most])

        start = self.now + rng.uniform(0, 3)
        return Weather(
            error=some(0.2), lost=some(0.2), unsent=some(0.2), throttled=some(0.2), applied=rng.random(),
            latency_s=rng.choice([0.0, 0.2]),
            outage=(start, start + rng.choice([5, 30, 200])) if rng.random() < 0.3 else (0.0, 0.0),
            refused_key_at=start if rng.random() < 0.04 else float("inf"),
            misrouted_at=start if rng.random() < 0.04 else float("inf"),
            reads=rng.random() < 0.5,
        )  # fmt: skip

    def call(self, *, calm: bool) -> None:
        """Call the program once, to its end or its death."""
        rng, self.now = self.rng, self.now + self.rng.uniform(1, 100)
        dies_at = None if calm or rng.random() < 0.5 else rng.randrange(1, rng.choice([60, 400]))
        world = World(rng, self.now, dies_at)
        self.disk = MoodyDisk(world, rng, self.folder, full=not calm and rng.random() < 0.05, power=rng.random() < 0.5)
        self.server.weather = Weather(latency_s=rng.choice([0.0, 0.1]), reads=True) if calm else self.weather()
        signal_at = None if calm or rng.random() < 0.8 else self.now + rng.uniform(0, 6)
        retry = rng.choices([None, True, False], [0.85, 0.1, 0.05])[0]
        self.story.append(f"call: {dies_at=} {signal_at=} {calm=} {retry=} {self.server.weather}")
        served, self.claimed = self.server.served, {self.server.row(place)[:2] for place in self._left()}
        outcome = world.run(lambda: self._live(world, signal_at, retry))
        self.now = world.now
        self.server.end()
        self.server.learn()
        for number, _ in self.server.plans:
            self.retried.setdefault(number, retry)
        if world.died:
            self.disk.die()
            self.story.append("  died")
            return
        self.story.append(f"  ended: {outcome}")
        self._judge_end(outcome, calm=calm)
        if calm:
            self._judge_poison(self.server.served > served)

    def _live(self, world: World, signal_at: float | None, retry: bool | None) -> Summary | BucketLoaderError:  # noqa: FBT001
        """Be the process."""
        outside = Outside(transport=lambda _destination: Transport(world, self.server), clock=Clock(world))
        job = Simulated(self._pipeline(), self.folder, RunOptions(retry_refused=retry), QUIET, outside=outside)
        job.stopped, job.disk = world.threading().Event(), self.disk
        if signal_at is not None:
            world.at(signal_at, job.stopped.set)
        self.server.begin(world, pacing.AUTO_WORKERS if self.concurrency == "auto" else int(self.concurrency))
        try:
            return run_job(job)
        except BucketLoaderError as error:
            return error

    def _pipeline(self) -> Any:
        destination = {"base_url": "http://127.0.0.1:9", "key": "sec_0123456789012345", "chunk": {"records": CHUNK},
                       "concurrency": self.concurrency, "patience": f"{self.patience_s}s"}  # fmt: skip
        streams = [source.shape.config(source.rows) for source in self.sources]
        words = {"name": "simulated", "destination": destination, "streams": streams, "keep": self.keep}
        return pipeline_from(words)

    # --- what a call came to -------------------------------------------------------------------------------------

    def _left(self) -> dict[Place, str]:
        """Return the records that unfinished runs still have, each with why: held, or not."""
        fates = self.server.ended((*ENDED, "queued", "intent"))
        with contextlib.closing(sqlite3.connect(self.folder / "ledger.db")) as reader:
            runs = reader.execute("SELECT number FROM run WHERE status IN ('running', 'unfinished')").fetchall()
        numbers = {number for (number,) in runs}
        return {
            (at, sequence): state
            for at, planned in self.server.plans.items()
            if at[0] in numbers
            for sequence in range(len(planned.rows))
            if (state := fates.get((at, sequence), ("never begun", 0))[0])
            in {"queued", "held", "intent", "never begun"}
        }

    def _judge_end(self, outcome: Summary | BucketLoaderError, *, calm: bool) -> None:
        if isinstance(outcome, BucketLoaderError):
            full = isinstance(outcome, StateUnavailableError) and self.disk.full
            asked = isinstance(outcome, InterruptedRunError) and not calm  # while it planned
            _require(full or asked, f"an error: {outcome!r}")
            return
        code, left = outcome.exit_code, self._left()
        rejected = [
            one for counts in (outcome.streams, *(o.streams for o in outcome.resumed)) for one in counts.values()
        ]
        _require(code not in {0, 3} or not left, f"exit {code} although {left} are left")
        if outcome.error is None:
            expected = 75 if left else 3 if any(one.rejected for one in rejected) else 0
            _require(code == expected, f"exit {code} instead of {expected}")
        if code == 0:
            missing = [row for source in self.sources for row in source.tonight() if not self._has_come(row)]
            _require(not missing, f"exit 0, and {missing} never came")
        if code == 4:
            self._judge_stopped(outcome)
        elif calm:
            self._judge_calm(outcome, left)

    def _has_come(self, row: Row) -> bool:
        shape = next(one for one in self.shapes if one.name == row.stream)
        if shape.keyed:  # what is known by its key is not sent again
            return any(self.server.times[row._replace(version=version)] for version in range(row.version + 1))
        return bool(self.server.times[row])

    def _judge_stopped(self, outcome: Summary) -> None:
        """Hold a run that was stopped for a mapping mistake against that: nothing new was taken anywhere."""
        number = self.server._names[self._stopped(outcome)]
        self.unsettled.add(number)
        fates = self.server.ended(("delivered", "rejected"))
        places = set()
        for (at, sequence), (state, _) in fates.items():
            planned = self.server.plans[at]
            if at[0] == number and sequence < planned.new:
                _require(state != "delivered", f"a mapping mistake, and {at, sequence} was taken")
                places.add((at[1], sequence * 5 // planned.new))
        _require(len(places) >= 5, f"a mapping mistake, seen at {places} alone")

    def _stopped(self, outcome: Summary) -> str:
        """Return which run was stopped: the new one, or one before whose last records were judged meanwhile."""
        with contextlib.closing(sqlite3.connect(self.folder / "ledger.db")) as reader:
            stopped = {run for (run,) in reader.execute("SELECT run FROM run WHERE status = 'stopped'")}
        return next(run for run in (outcome.run, *(one.run for one in outcome.resumed)) if run in stopped)

    def _judge_calm(self, outcome: Summary, left: dict[Place, str]) -> None:
        """Hold a calm run against liveness: all that is good, and names nobody who waits, has come."""
        server = self.server
        if outcome.error is not None:
            blocked = any(place in server.blocked for place in left)
            _require(outcome.exit_code == 5 and blocked and not outcome.served, f"a calm run, and {outcome.error!r}")
            return
        waiting: set[str] = set()
        good: set[Row] = set()
        for place in sorted(left):
            row, ids = server.row(place), server.plans[place[0]].ids[place[1]]
            _require(left[place] in {"queued", "held"}, f"a calm run left {place}, {row}: {left[place]}")
            if left[place] == "held":
                good.add(row)
                continue
            fate = server.fates.get(row)
            _require(fate in {"poison", "blocked"} or not ids.isdisjoint(waiting), f"{place}, {row} ({fate}) is stuck")
            waiting |= ids
            good.add(row)
        self._require_all(good)

    def _require_all(self, excused: set[Row]) -> None:
        server = self.server
        rejected = {server.row(place): place for place, (state, _) in server.ended(("rejected",)).items()}
        held = {server.row(place)[:2] for place in server.ended(("held",))}
        for source in self.sources:
            for row in source.tonight():
                known = row in server.fates or row in excused or row[:2] in held
                known = known or (source.shape.keyed and row[:2] in self.claimed)  # its key is known until it is judged
                if known or self._has_come(row):
                    continue
                place = rejected.get(row)
                # Six 500s in a row, alone: nobody can tell it from poison.
                judged = place is not None and server.errors_alone[place] >= course.SUSPICIOUS_ALONE_AFTER - 2
                _require(judged, f"a calm run, and {row} has not come")

    def _judge_poison(self, witness: bool) -> None:  # noqa: FBT001
        """Hold what brings server errors against its end: the second calm run that sends something else judges it."""
        judged = {self.server.row(place) for place in self.server.ended(("rejected",))}
        left = {self.server.row(place) for place, why in self._left().items() if why != "held"}
        stuck = {row for row in left & (self.server.attempted - judged) if self.server.fates.get(row) in FATES[1:]}
        for row in stuck if len(stuck) <= FEW else ():
            self.witnessed[row] += witness
            _require(self.witnessed[row] < 2, f"{row} is stuck after two calm runs that sent something else")

    # --- the reckoning -------------------------------------------------------------------------------------------

    def reckon(self) -> None:
        """Hold everything against what was promised."""
        server = self.server
        fates = server.ended((*ENDED, "queued", "intent"))
        named: Counter[Row] = Counter()
        for place, (state, ambiguous) in fates.items():
            times, row = server.applied[place], server.row(place)
            _require(state != "delivered" or times, f"{place} is called delivered and never arrived")
            _require(times <= 1 + ambiguous, f"{place}, {row} arrived {times} times, {ambiguous} named")
            named[row] += ambiguous
            if state == "rejected" and row not in server.fates:
                judged = server.errors_alone[place] >= course.SUSPICIOUS_ALONE_AFTER - 2
                _require(judged, f"{place}, {row} is good and was rejected")
        for row, times in server.times.items():
            once = next(one for one in self.shapes if one.name == row.stream).sync != "full"
            _require(not once or times <= 1 + named[row], f"{row} arrived {times} times, {named[row]} named")
        self._reckon_refused()
        self._audit()

    def _reckon_refused(self) -> None:
        """Hold what was refused against once a day."""
        for row, places in self.server.refused.items():
            days = Counter(
                self.server.plans[at].day
                for at, _ in places
                if self.retried[at[0]] is None and at[0] not in self.unsettled
            )
            _require(max(days.values(), default=0) <= 1, f"{row} was refused {days}")
            for at, _ in places:
                earlier = [other for other, _ in places if other < at]
                _require(self.retried[at[0]] is not False or not earlier, f"{row} was sent in spite of all")

    def _audit(self) -> None:
        job = Simulated(self._pipeline(), self.folder, RunOptions(), QUIET)
        job.disk = None
        with contextlib.closing(job.open_state()) as state:
            for row in state.ledger.runs():
                findings = list(audit._findings(state, audit._plan_of(state, row), row))
                _require(not findings, f"the audit of {row.run}: {findings}")


@contextlib.contextmanager
def small() -> Iterator[None]:
    """Let few refusals look like a mapping mistake: the frames are small."""
    with patch.object(tally, "SYSTEMIC_FIRST", SYSTEMIC_FIRST):
        yield


def play(seed: int) -> str | None:
    """Play a seed; gives what was broken, or None."""
    with small():
        return played(lambda: Nights(seed).play())
