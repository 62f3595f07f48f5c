"""A source of events that grows by the hour, rows that come late among them, and the pipeline that reads an interval.

Time is counted in hours since `BEGAN`.
"""

import random
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from driver import Load
from remote import Remote

BEGAN = datetime(2025, 3, 3, tzinfo=UTC)  # a Monday
ROWS_MAX = 60  # an hour's
LATE = 0.1  # the share of rows that come up to a day after their hour's run

PIPELINE = """
name: rehearsed
destination: {base_url: "${BUCKET_BASE_URL}", key: "${BUCKET_SECRET_KEY}", concurrency: 4,
  chunk: {records: 8}, timeout: 5s}
streams:
  - name: events
    record: event
    source: {type: sql, url: "sqlite:///app.db",
      query: "select * from events where at >= :interval_start and at < :interval_end"}
    key: [id]
    fields: {userId: user, event: {value: did}, attributes: {id: id}, timestamp: {column: at, timezone: UTC}}
"""

Interval = tuple[int, int]


def moment(hour: int) -> str:
    """Spell an hour as a scheduler does."""
    return (BEGAN + timedelta(hours=hour)).isoformat()


@dataclass
class Hourly(Load):
    """A database of events, each with its time, and the pipeline that reads an interval of it.

    Attributes:
        times: of the rows that the source has.
        to_come: late rows: the hour in which they come, their name and time.
        late: how many rows came after the run of their hour.
    """

    refused: int = 0
    concurrency: int | str = 4
    times: dict[str, datetime] = field(default_factory=dict)
    to_come: list[tuple[int, str, datetime]] = field(default_factory=list)
    late: int = 0

    def __post_init__(self) -> None:
        self._planned = {}
        self.folder.mkdir(parents=True)
        self.write("pipeline.yaml", PIPELINE)
        self.database = sqlite3.connect(self.folder / "app.db", isolation_level=None)
        self.database.execute("CREATE TABLE events (id text, user text, at text)")
        self._made = 0

    def add(self, *rows: tuple[str, datetime]) -> None:
        """Let rows arrive."""
        self.times |= dict(rows)
        given = [(name, user_of(name), f"{at:%Y-%m-%d %H:%M:%S}") for name, at in rows]
        self.database.executemany("INSERT INTO events VALUES (?, ?, ?)", given)

    def row(self, hour: int, second: int) -> tuple[str, datetime]:
        """Make a row that has not arrived yet."""
        self._made += 1
        return f"e{self._made}", BEGAN + timedelta(hours=hour, seconds=second)

    def happen(self, hour: int, day: int, dice: random.Random) -> None:
        """Let an hour's rows arrive, but for those that come late; and the late ones that come now."""
        seconds = [0, 3_599, *(dice.randrange(3_600) for _ in range(dice.randrange(ROWS_MAX)))]
        for name, at in (self.row(hour, second) for second in seconds):
            if dice.random() < LATE:
                self.to_come.append((hour + dice.randint(1, day), name, at))
            else:
                self.add((name, at))
        self.come_late(hour)

    def come_late(self, hour: int) -> None:
        """Let those rows arrive that come in this hour, or should have by now."""
        come = [(name, at) for due, name, at in self.to_come if due <= hour]
        self.to_come = [one for one in self.to_come if one[0] > hour]
        self.late += len(come)
        self.add(*come)

    def within(self, interval: Interval) -> set[str]:
        """Return the names of the rows that the source has of an interval."""
        first, end = (BEGAN + timedelta(hours=hour) for hour in interval)
        return {name for name, at in self.times.items() if first <= at < end}

    def everything(self) -> tuple[set[str], set[str]]:
        """Return the names of all rows; none is refused."""
        return set(self.times), set()

    def item(self, name: str) -> dict[str, Any]:
        """Return what has to arrive for a row."""
        at = f"{self.times[name]:%Y-%m-%dT%H:%M:%S}.000Z"
        return {"type": "event", "userId": user_of(name), "event": "did", "attributes": {"id": name}, "timestamp": at}


@dataclass
class RemoteHourly(Remote, Hourly):
    """The same with its state on a server and in a store."""


def user_of(name: str) -> str:
    """Return whose event a row is."""
    return f"u{int(name[1:]) % 7}"
