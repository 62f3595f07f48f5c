"""Kill a sync that reads on by a cursor, while rows arrive in its source, some of them late: every row is delivered.

`make cursorkills` kills a hundred times and prints a table; here it is a few (`BUCKET_LOADER_CURSOR_KILLS`).
"""

import json
import random
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from driver import FAILING, SEED, SLOW, UNSURE, Load, bucket, lanes, often, tell
from invariants import at_every_moment, finished, some

pytestmark = pytest.mark.rehearsal
KILLS = often("BUCKET_LOADER_CURSOR_KILLS", 15)
CONCURRENCIES = (1, 4, 8, 16) if KILLS > 15 else (4,)
LOOKBACK = timedelta(hours=1)
ENDS_S_MAX = 0.6  # a run that only looks takes about so long
LEFT_ALONE = 0.15  # the share of runs that nobody kills
DURING = 0.3  # the share of runs that rows arrive in, while they read or while they send
LATE = 0.2  # the share of rows that come late
ROWS_MAX = 80
CHANGED = "changed while it was read"

PIPELINE = """
name: rehearsed
destination: {{base_url: "${{BUCKET_BASE_URL}}", key: "${{BUCKET_SECRET_KEY}}", concurrency: {concurrency},
  chunk: {{records: {chunk}}}, patience: 60s, timeout: 5s}}
streams:
  - name: events
    record: event
    source: {{type: sql, url: "sqlite:///app.db", query: "select * from events where made >= :cursor"}}
    key: [id]
    fields: {{userId: user, event: {{value: did}}, attributes: {{id: id}}, timestamp: {{column: made, timezone: UTC}}}}
    cursor: {{column: made, start: 2020-01-01, lookback: {lookback}s}}
"""


@dataclass
class Growing(Load):
    """A database of events that grows, and the pipeline that reads on in it.

    Attributes:
        lookback: how far the cursor looks back.
        late: how many rows came with a time before that of a row that was there.
    """

    chunk: int = 10
    refused: int = 0
    lookback: timedelta = LOOKBACK
    late: int = 0
    made: list[datetime] = field(default_factory=list)

    def __post_init__(self):
        """Make the folder, with an empty table in it."""
        self._planned = {}
        self.folder.mkdir(parents=True)
        words = {"concurrency": self.concurrency, "chunk": self.chunk, "lookback": int(self.lookback.total_seconds())}
        self.write("pipeline.yaml", PIPELINE.format(**words))
        self.database = sqlite3.connect(self.folder / "app.db", isolation_level=None)
        self.database.execute("PRAGMA journal_mode = WAL")  # who reads does not keep anybody from writing
        self.database.execute("CREATE TABLE events (id text, user text, made text)")
        self.newest = datetime(2025, 1, 1)  # noqa: DTZ001  # the column has no zone

    def arrive(self, randomly):
        """Let some rows arrive in one commit, some of them as late as the lookback allows."""
        rows = []
        for _ in range(randomly.randrange(1, ROWS_MAX)):
            if randomly.random() < LATE:
                at = self.newest - timedelta(seconds=randomly.randrange(int(LOOKBACK.total_seconds())))
                self.late += 1
            else:
                at = self.newest = self.newest + timedelta(seconds=randomly.randrange(120))
            rows.append((f"e{len(self.made)}", f"u{len(self.made) % 7}", f"{at:%Y-%m-%d %H:%M:%S}"))
            self.made.append(at)
        self.database.execute("BEGIN")
        self.database.executemany("INSERT INTO events VALUES (?, ?, ?)", rows)
        self.database.execute("COMMIT")

    def everything(self):
        """Return the names of all rows; none is refused."""
        return {f"e{number}" for number in range(len(self.made))}, set()

    def mark(self):
        """Return the mark that the ledger on disk has; None before the first."""
        found = self.asked("SELECT mark FROM cursor")
        return next(iter(json.loads(found[0][0]).values())) if found else None

    def passed(self):
        """Return the rows that no later run will read: those before the mark, less the lookback."""
        if self.mark() is None:
            return set()
        bound = datetime.fromisoformat(self.mark()) - self.lookback
        return {f"e{number}" for number, at in enumerate(self.made) if at < bound}


@contextmanager
def growing(folder, forks, endpoint, **words):
    """Have a growing database and its bucket for as long as the `with` lasts."""
    with bucket(endpoint.url) as it:
        load = Growing(folder, it, forks, **words)
        try:
            yield load
        finally:
            load.database.close()


@dataclass
class Killing:
    """What the kills at one concurrency came to."""

    concurrency: int
    kills: int = 0
    runs: int = 0
    changed: int = 0
    marks: set[str | None] = field(default_factory=set)
    rows: int = 0
    late: int = 0
    repeated: int = 0
    named: int = 0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)

    def row(self):
        """Return its line of the table."""
        return (f"{self.concurrency:>11} {self.kills:>6} {self.runs:>6} {self.changed:>8} {len(self.marks):>6} "
                f"{self.rows:>7,} {self.late:>6,} {self.repeated:>9,} {self.named:>7,} {len(self.violations):>11} "
                f"{self.seconds:>6.0f} s")  # fmt: skip


TITLE = "concurrency  kills   runs  changed  marks    rows   late  repeated   named  violations     time"


def kill_while_it_grows(load, killing, randomly, until):
    """Run again and again while rows arrive; kill at random moments, and look at the disk after each kill."""
    while killing.kills < until:
        load.arrive(randomly)
        child = load.start()
        killing.runs += 1
        if randomly.random() < DURING:
            time.sleep(randomly.uniform(0, ENDS_S_MAX))
            load.arrive(randomly)
        kind = randomly.random()
        if kind < LEFT_ALONE:
            child.wait()
        elif kind < 0.5:
            time.sleep(randomly.uniform(0, ENDS_S_MAX))
        else:
            load.wait_for_requests(randomly.randrange(1, 8), child)
        if randomly.random() < DURING:
            load.arrive(randomly)
            time.sleep(randomly.uniform(0, 0.05))
        if child.kill():
            killing.kills += 1
        else:
            assert child.code == 0 or (child.code == 2 and CHANGED in load.stderr()), load.stderr()[-2000:]
            killing.changed += child.code == 2
        load.bucket.settled()
        at_every_moment(load)
        killing.marks.add(load.mark())
        lost = load.passed() - load.bucket.accepted().keys()
        assert not lost, f"the cursor has passed rows that never arrived: {some(lost)}"


def kill_often(folder, forks, endpoint, killing, kills):
    """Kill until there were enough kills; then let it end, and hold every row against what arrived."""
    began, concurrency = time.monotonic(), killing.concurrency
    randomly = random.Random(SEED * 1000 + concurrency)  # noqa: S311  # repeatable, not secret
    with growing(folder / str(concurrency), forks, endpoint, concurrency=concurrency) as load:
        load.bucket.faults(SLOW, FAILING, UNSURE, seed=randomly.randrange(1_000_000))
        try:
            kill_while_it_grows(load, killing, randomly, kills)
            assert load.run() == 0, load.stderr()[-2000:]
            code = load.run()
            assert load.told()["streams"]["events"]["delivered"] == 0, "the run after the last had something left"
            standing = finished(load, code)
            killing.repeated, killing.named = standing.repeated, standing.named
        except AssertionError as error:
            killing.violations.append(f"{load.folder}: {error}")
        killing.rows, killing.late = len(load.made), load.late
    killing.seconds = time.monotonic() - began
    return killing


@pytest.mark.timeout(14_400)
def test_kills_of_a_cursor_lose_no_row(tmp_path, forks, endpoints):
    """Rows between and during runs, late ones too, and SIGKILL: all arrive, twice only what was named before."""
    share = -(-KILLS // len(CONCURRENCIES))
    found = lanes(
        CONCURRENCIES,
        endpoints[: len(CONCURRENCIES)],
        lambda concurrency, at: kill_often(tmp_path, forks, at, Killing(concurrency), share),
    )
    tell(TITLE, *(killing.row() for killing in found))

    assert [one for killing in found for one in killing.violations] == []
    assert sum(killing.kills for killing in found) >= KILLS
    assert all(killing.late and killing.marks for killing in found)
    assert all(killing.repeated <= killing.named for killing in found)


def test_a_row_that_comes_later_than_the_lookback_is_seen_to_be_lost(tmp_path, forks, endpoints):
    """The rehearsal would notice: without a lookback, the rows that come late are missing."""
    randomly = random.Random(SEED)  # noqa: S311  # repeatable, not secret
    with growing(tmp_path / "here", forks, endpoints[0], lookback=timedelta(0)) as load:
        for _ in range(2):
            load.arrive(randomly)
            assert load.run() == 0

        with pytest.raises(AssertionError, match="lost"):
            finished(load, 0)
