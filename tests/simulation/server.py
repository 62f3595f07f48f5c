"""Bucket as a delivery sees it: applies requests or not, answers or not, and knows what it was ever sent.

It stands where the clients stand, so its answers are outcomes (what HTTP makes of an answer is the fault matrix's
matter). What arrives is held against the ledger at once: a request whose intent is not recorded, a repeat that
was not named, two requests in flight that share an id.
"""

import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random

import msgspec
from virtual import Task, World

from bucket_loader.model.chunks import read_ranges, spell_ranges
from bucket_loader.model.outcomes import Outcome, Verdict

CONNECTION_KEPT_SHARE = 0.98
RECORDS = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True)
class Known:
    """A record of the plan, as its bytes tell it."""

    stream: int
    sequence: int
    ids: frozenset[str]


@dataclass
class Weather:
    """What goes wrong; rates are shares of requests.

    Attributes:
        error: a 500; `applied` is the share of those, and of lost answers, that were done all the same.
        lost: sent, and no answer.
        unsent: nothing left.
        throttled: a 429, or a 503 with Retry-After.
        latency_s: the longest way there or back.
        outage: from and to, of the world's clock: nothing is served.
        refused_key_at: from then on the key is refused.
        misrouted_at: from then on it is not Bucket that answers.
        reads: whether it answers reads during an outage.
    """

    error: float = 0.0
    lost: float = 0.0
    unsent: float = 0.0
    throttled: float = 0.0
    applied: float = 0.5
    latency_s: float = 0.2
    outage: tuple[float, float] = (0.0, 0.0)
    refused_key_at: float = float("inf")
    misrouted_at: float = float("inf")
    reads: bool = False


@dataclass
class Server:
    """Outlives the processes that send to it.

    Attributes:
        known: every record of the plan by its bytes.
        bad: records that are refused; `hint` says how well the answer names them.
        poison: records that make the server answer 500, or a firewall before it 403 when they are `blocked` too.
        records_max: more in one request are too big.
        applied: how often each record was done.
        doubtful: how often each record was sent without a clear answer.
        errors_alone: how many 500s each record met on its own.
        failing_since: when each record met its first 500, of the world's clock.
        latest: for each id, the records that named it, in the order in which they were done.
    """

    rng: Random
    known: dict[bytes, Known]
    ledger: Path
    run: str
    hold: set[int]
    ordered: set[int]
    bad: set[tuple[int, int]] = field(default_factory=set)
    poison: set[tuple[int, int]] = field(default_factory=set)
    blocked: set[tuple[int, int]] = field(default_factory=set)
    hint: str = "right"
    records_max: int = 1_000
    weather: Weather = field(default_factory=Weather)
    applied: Counter[tuple[int, int]] = field(default_factory=Counter)
    doubtful: Counter[tuple[int, int]] = field(default_factory=Counter)
    errors_alone: Counter[tuple[int, int]] = field(default_factory=Counter)
    failing_since: dict[tuple[int, int], float] = field(default_factory=dict)
    latest: dict[tuple[int, str], list[int]] = field(default_factory=dict)
    requests: int = 0
    released: bool = False

    def __post_init__(self) -> None:
        self.in_flight: dict[int, list[Known]] = {}
        self.sent_by: dict[int, object] = {}
        self.sent_at: list[tuple[float, int]] = []  # when each request of several senders left, and whose it was
        self.orphans: set[int] = set()  # whose sender has died: they are in doubt, whatever is answered
        self._settled: set[int] = set()
        self._reader: sqlite3.Connection | None = None

    def begin(self, world: World, workers: int) -> None:
        """Serve a new process."""
        self.world, self.workers = world, workers
        self.in_flight.clear()
        self._settled.clear()
        self._reader = sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True, isolation_level=None)

    def end(self) -> None:
        """See a process die: what it had in flight is done or not, and its answer is lost."""
        for number, records in self.in_flight.items():
            for record in records if number not in self.orphans else ():
                self.doubtful[record.stream, record.sequence] += 1
        self.in_flight.clear()
        if self._reader is not None:
            self._reader.close()

    def lose(self, process: object) -> None:
        """See one of several processes die: what it had in flight goes on, and nobody hears the answer."""
        for number, records in self.in_flight.items():
            if self.sent_by[number] is process:
                self.orphans.add(number)
                for record in records:
                    self.doubtful[record.stream, record.sequence] += 1

    def post(self, body: bytes) -> Outcome:
        """Take a request on its way there, do it or not, and answer, or not."""
        world, rng = self.world, self.rng
        world.point()
        records = self._read(body)
        self._check(body, records)
        number = self.requests = self.requests + 1
        self.in_flight[number] = records
        self.sent_by[number] = world.current().sent_by
        world.sleep(rng.uniform(0, self.weather.latency_s))
        world.point()
        outcome = self._serve(records)
        world.point()
        world.sleep(rng.uniform(0, self.weather.latency_s))
        del self.in_flight[number]
        if len(records) == 1:
            alone = records[0].stream, records[0].sequence
            self.errors_alone[alone] += outcome.verdict in {Verdict.SERVER_ERROR, Verdict.BLOCKED}
        if outcome.verdict in {Verdict.SERVER_ERROR, Verdict.BLOCKED}:
            for record in records:
                self.failing_since.setdefault((record.stream, record.sequence), world.now)
        if outcome.ambiguous and number not in self.orphans:
            for record in records:
                self.doubtful[record.stream, record.sequence] += 1
        world.point()
        return outcome

    def _read(self, body: bytes) -> list[Known | None]:
        """Tell which records of the plan a request brings."""
        return [self.known.get(bytes(raw)) for raw in RECORDS.decode(body)]

    def _serve(self, records: list[Known]) -> Outcome:
        weather, rng = self.weather, self.rng
        draw = rng.random()
        names = {(record.stream, record.sequence) for record in records}
        if weather.outage[0] <= self.world.now < weather.outage[1]:
            return rng.choice([Outcome(Verdict.NOT_SENT), Outcome(Verdict.SERVER_ERROR, 503), Outcome(Verdict.UNKNOWN)])
        if self.world.now >= weather.refused_key_at:
            return Outcome(Verdict.REFUSED_KEY, 401)
        if self.world.now >= weather.misrouted_at:  # what answers may have passed it on
            if rng.random() < weather.applied and not names & (self.bad | self.poison):
                self._apply(records)
            return Outcome(Verdict.MISROUTED, rng.choice([200, 302]))
        for share, verdict, status in (
            (weather.unsent, Verdict.NOT_SENT, None), (weather.throttled, Verdict.THROTTLED, rng.choice([429, 503])),
            (weather.error, Verdict.SERVER_ERROR, 500), (weather.lost, Verdict.UNKNOWN, None),
        ):  # fmt: skip
            if draw < share:
                ambiguous = verdict in {Verdict.SERVER_ERROR, Verdict.UNKNOWN}
                if ambiguous and rng.random() < weather.applied and not names & (self.bad | self.poison):
                    self._apply(records)
                after = rng.choice([None, 0.0, 1.0, 7.0]) if verdict is Verdict.THROTTLED else None
                return Outcome(verdict, status, retry_after_s=after)
            draw -= share
        return self._judged(records, names)

    def _judged(self, records: list[Known], names: set[tuple[int, int]]) -> Outcome:
        """Take or refuse a request on a fair day."""
        if len(records) > self.records_max:
            return Outcome(Verdict.TOO_BIG, 413)
        if names & self.poison:
            return Outcome(Verdict.BLOCKED, 403) if names & self.blocked else Outcome(Verdict.SERVER_ERROR, 500)
        if names & self.bad:
            places = [place for place, record in enumerate(records) if (record.stream, record.sequence) in self.bad]
            return Outcome(Verdict.REJECTED, 400, "no", {"error": self._hinted(places, len(records))})
        self._apply(records)
        return Outcome(Verdict.DELIVERED, 200)

    def _hinted(self, places: list[int], count: int) -> dict[str, list[str]]:
        if self.hint == "wrong":
            places = [self.rng.randrange(count) for _ in places]
        elif self.hint == "some":
            places = places[:1]
        elif self.hint == "none":
            places = []
        return {"validationErrors": [f"[{place}].userId: no" for place in places]}

    def _apply(self, records: list[Known]) -> None:
        for record in records:
            self.applied[record.stream, record.sequence] += 1
            for one in record.ids:
                self.latest.setdefault((record.stream, one), []).append(record.sequence)

    def _check(self, body: bytes, records: list[Known | None]) -> None:
        """Hold what arrives against the ledger as another reader sees it: what is committed."""
        require = self.world.require
        require(all(record is not None for record in records), "bytes that are not the plan's")
        stream, sequences = records[0].stream, [record.sequence for record in records]
        row = self._reader.execute(
            "SELECT state, ambiguous, digest FROM chunk WHERE run = ? AND stream = ? AND first = ? AND members = ?",
            (self.run, stream, sequences[0], spell_ranges(sequences)),
        ).fetchone()
        require(row is not None and row[0] == "intent", f"sent without an intent: {spell_ranges(sequences)}")
        require(row[2] == sha256(body).digest(), "sent with another digest than was recorded")
        doubts = max(self.doubtful[stream, sequence] for sequence in sequences)
        require(doubts <= row[1], f"a repeat that was not named: {spell_ranges(sequences)}, {doubts} > {row[1]}")
        if stream in self.hold and not self.released:
            require(not doubts, f"a held chunk is sent again: {spell_ranges(sequences)}")
        require(len(self.in_flight) < self.workers, "more in flight than the concurrency allows")
        if stream in self.ordered:
            ids = frozenset().union(*(record.ids for record in records))
            for others in self.in_flight.values():
                shared = ids & frozenset().union(*(record.ids for record in others))
                require(not shared, f"two in flight name {sorted(shared)}")
        self._check_order(records)
        for earlier in range(stream):
            self._check_ended(earlier)

    def _check_order(self, records: list[Known]) -> None:
        """Hold a request against what is set aside: it overtakes nothing that names whom it names."""
        ids = frozenset().union(*(record.ids for record in records))
        if not ids:
            return
        first = records[0].stream, records[0].sequence
        for stream, members in self._reader.execute(
            "SELECT stream, members FROM chunk WHERE run = ? AND state = 'queued' AND aside IS NOT NULL", (self.run,)
        ).fetchall():
            for record in self.known.values():
                place = record.stream, record.sequence
                if record.stream == stream and place < first and record.sequence in read_ranges(members):
                    self.world.require(record.ids.isdisjoint(ids), f"{first} overtakes {place}, which is set aside")

    def reads(self) -> bool:
        """Answer a read."""
        self.world.sleep(self.rng.uniform(0, self.weather.latency_s))
        return self.weather.reads or not self.weather.outage[0] <= self.world.now < self.weather.outage[1]

    def _check_ended(self, stream: int) -> None:
        if stream in self._settled:
            return
        left = self._reader.execute(
            "SELECT s.records - coalesce(sum(c.records), 0) FROM stream s LEFT JOIN chunk c ON c.run = s.run AND "
            "c.stream = s.position AND (c.state IN ('delivered', 'rejected', 'held', 'dropped') OR "
            "(c.state = 'queued' AND c.aside IS NOT NULL)) "
            "WHERE s.run = ? AND s.position = ?",
            (self.run, stream),
        ).fetchone()[0]
        self.world.require(left == 0, f"stream {stream} still has {left} records when a later one begins")
        self._settled.add(stream)


class SentBy:
    """A client: its request is under way on its own, unless a connection has to be opened for it."""

    def __init__(self, world: World, server: Server) -> None:
        self.is_open = False
        self.outcome: Outcome | None = None
        self.waiting: list[Task] = []
        self._world, self._server = world, server

    def begin(self, body: bytes) -> None:
        """Send."""
        self.outcome = None
        if self.is_open:
            self._world.spawn(lambda: self._post(body))
        else:
            self._post(body)

    def _post(self, body: bytes) -> None:
        self.outcome = self._server.post(body)
        for task in self.waiting:
            self._world.wake(task)

    def end(self) -> Outcome:
        """Wait for the outcome."""
        answered(self._world, [self], None)
        self.is_open = self.outcome.status is not None and self._server.rng.random() < CONNECTION_KEPT_SHARE
        return self.outcome

    @property
    def is_connected(self) -> bool:
        """Whether it is open still."""
        self.is_open = self.is_open and self._server.rng.random() < CONNECTION_KEPT_SHARE
        return self.is_open

    def close(self) -> None:
        """Do nothing: what is under way is the server's."""


class Transport:
    """Connects to a server of the world."""

    def __init__(self, world: World, server: Server) -> None:
        self._world, self._server = world, server

    def means(self, _emulator: str | None) -> None:
        """Do nothing: the server is no emulator."""

    def connection(self, _endpoint: str) -> SentBy:
        """Return a client that has not sent anything."""
        return SentBy(self._world, self._server)

    def answered(self, connections: list[SentBy], wait_s: float | None) -> list[SentBy]:
        """Return those that know what became of their requests; wait for one, and let others catch up."""
        return answered(self._world, connections, wait_s)

    def reads(self) -> bool:
        """Ask the server."""
        return self._server.reads()

    def close(self) -> None:
        """Do nothing: there is no watchdog."""


def answered(world: World, clients: list[SentBy], wait_s: float | None) -> list[SentBy]:
    """Return the clients that know what became of their requests; wait for one, and let others catch up."""
    for _ in range(0 if wait_s == 0 else world.rng.randrange(8)):
        world.sleep(0)
    while not (found := [client for client in clients if client.outcome is not None]) and wait_s != 0:
        for client in clients:
            client.waiting = [world.current()]
        if not world.wait(wait_s):
            break
    return found
