"""`cursor:`: reading on from where the last settled plan ended, and never past what was not loaded."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime

import duckdb
import pyarrow as pa
import pytest

from bucket_loader.config.stream import Cursor
from bucket_loader.model.errors import UsageError
from bucket_loader.planning import cursor

STREAM = """
- name: signups
  record: event
  key: [id]
  source: {type: sql, url: "%s", query: "select * from signups where made >= :cursor"}
  fields: {userId: user_id, event: {value: signed up}, timestamp: {column: made, type: timestamp, timezone: UTC}}
  cursor: {column: made, start: 2020-01-01, lookback: %s}
"""
HOUR = "2026-01-01 %02d:00:00"


class Signups:
    """A database of signups, in SQLite or DuckDB, that grows."""

    def __init__(self, workplace, kind, lookback="0s"):
        self.workplace = workplace
        self.path = workplace.folder / "app.db"
        self.connect = sqlite3.connect if kind == "sqlite" else duckdb.connect
        workplace.pipeline(STREAM % (f"{kind}:///app.db", lookback))
        with closing(self.connect(str(self.path))) as connection:
            time = "text" if kind == "sqlite" else "timestamp"
            connection.execute(f"create table signups (id integer, user_id text, made {time})")
            connection.commit()

    def add(self, *rows):
        """Add signups: id and hour."""
        with closing(self.connect(str(self.path))) as connection:
            for number, hour in rows:
                connection.execute(f"insert into signups values ({number}, 'u{number}', '{HOUR % hour}')")
            connection.commit()

    def load(self, *words):
        """Run; give how many rows were read and sent."""
        result = self.workplace.run(*words)
        assert result.exit_code == 0, result.stderr
        counts = result.summary["streams"]["signups"]
        return counts["read"], counts["delivered"]

    def mark(self):
        """Return the high-water mark that `status` shows."""
        return json.loads(self.workplace.command("status", "--json").stdout)["cursors"].get("signups")


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_the_next_run_reads_on(workplace, kind):
    """The second run reads from the greatest value on, and sends only what is new."""
    signups = Signups(workplace, kind)
    signups.add((1, 1), (2, 2))
    assert signups.load() == (2, 2)
    signups.add((3, 3))

    assert signups.load() == (2, 1)
    assert signups.mark().startswith("2026-01-01")
    assert "03:00" in signups.mark()


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_row_that_comes_late_is_found_within_the_lookback(workplace, kind):
    """What was committed late, with a time before the mark, is read again and sent once."""
    signups = Signups(workplace, kind, lookback="90m")
    signups.add((1, 1), (2, 5))
    signups.load()
    signups.add((3, 4))

    assert signups.load() == (2, 1)
    assert signups.load() == (2, 0)


@pytest.mark.parametrize("words", [["--limit", "1"], ["--stream", "signups", "--limit", "1"]])
def test_a_limited_run_moves_nothing(workplace, words):
    """`--limit` reads a part: the next run must see the rest."""
    signups = Signups(workplace, "duckdb")
    signups.add((1, 1), (2, 2))

    assert signups.load(*words) == (1, 1)
    assert signups.mark() is None
    assert signups.load() == (2, 1)


def test_a_plan_moves_nothing(workplace):
    """A dry run leaves the mark; the plan shows the one that it would move to."""
    signups = Signups(workplace, "duckdb")
    signups.add((1, 1))
    planned = json.loads(workplace.command("plan", "--json").stdout.splitlines()[-1])
    manifest = json.loads((workplace.folder / planned["plan"] / "manifest.json").read_text("utf-8"))

    assert signups.mark() is None
    assert json.loads(manifest["streams"][0]["cursor"]) == {"time": "2026-01-01T01:00:00+00:00"}


def test_full_ignores_the_mark(workplace):
    """`--full` reads from the start; what was appended is not sent again."""
    signups = Signups(workplace, "duckdb")
    signups.add((1, 1), (2, 2))
    signups.load()

    assert signups.load("--full") == (2, 0)


def test_an_unfinished_run_moves_nothing(workplace, emulator):
    """While something is pending the mark stays; it moves when the run is finished."""
    signups = Signups(workplace, "duckdb")
    signups.add((1, 1))
    emulator.faults({"kind": "status", "status": 429, "rate": 1.0})
    assert workplace.run("--patience", "0.3s").exit_code == 75
    assert signups.mark() is None
    emulator.faults()
    signups.load()

    assert "01:00" in signups.mark()


def test_an_abandoned_run_moves_nothing(workplace, emulator):
    """What was never sent returns to the next plan, so the next plan has to read it."""
    signups = Signups(workplace, "duckdb")
    signups.add((1, 1))
    emulator.faults({"kind": "status", "status": 429, "rate": 1.0})
    run = workplace.run("--patience", "0.3s").summary["run"]
    workplace.command("abandon", run)
    emulator.faults()

    assert signups.mark() is None
    assert signups.load() == (1, 1)


def test_a_row_from_the_future_does_not_hide_the_rows_before_it(workplace):
    """The mark never passes the run's time."""
    signups = Signups(workplace, "duckdb")
    signups.add((1, 1), (2, 23))
    workplace.run("--as-of", "2026-01-01T12:00:00Z")

    assert "12:00" in signups.mark()


def test_an_empty_read_leaves_the_mark(workplace):
    """A quiet night does not send anybody back to the start."""
    signups = Signups(workplace, "duckdb")
    signups.add((1, 1))
    signups.load()
    with closing(duckdb.connect(str(signups.path))) as connection:
        connection.execute("delete from signups")
    before = signups.mark()
    signups.load()

    assert signups.mark() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cursor: {column: at, start: 2020-01-01}", "has no effect"),
        ("cursor: {column: at}", "start"),
        ("cursor: {column: at, start: [1]}", "no time"),
    ],
)
def test_a_cursor_without_a_query_that_reads_it_is_refused(workplace, text, said):
    """A mistake that would read everything every night is told before anything is read."""
    workplace.write("a.csv", "id,at\n1,2026-01-01\n")
    stream = "{name: a, record: user, source: {type: csv, path: a.csv}, fields: {userId: id}, CURSOR}"
    workplace.pipeline(f"- {stream.replace('CURSOR', text)}")
    result = workplace.run()

    assert (result.exit_code, said in result.stderr) == (2, True)


def test_a_query_with_a_cursor_needs_to_be_told_its_column(workplace):
    """`:cursor` without `cursor:` is a mistake in the file."""
    workplace.pipeline("- {name: a, record: user, source: {type: sql, url: 'sqlite:///a.db', query: 'select :cursor'},"
                       " fields: {userId: id}}")  # fmt: skip
    result = workplace.run()

    assert (result.exit_code, "cursor: {column" in result.stderr) == (2, True)


def test_a_cursor_of_a_column_that_is_not_there_is_refused(workplace):
    """The columns that there are are named."""
    signups = Signups(workplace, "duckdb")
    file = workplace.folder / "pipeline.yaml"
    file.write_text(file.read_text("utf-8").replace("cursor: {column: made", "cursor: {column: updated"), "utf-8")
    signups.add((1, 1))
    result = workplace.run()

    assert (result.exit_code, "'updated'" in result.stderr, "it has: id" in result.stderr) == (2, True, True)


AS_OF = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "mark"),
    [
        (pa.array([3, None, 2]), 3),
        (pa.array([2**62, 1]), 2**62),
        (pa.array(["a", "b", None]), "b"),
        (pa.array([date(2026, 1, 2), date(2026, 1, 1)]), date(2026, 1, 2)),
        (pa.array([date(2099, 1, 2)]), date(2026, 6, 1)),
        (pa.array([0], pa.timestamp("us")), datetime(1970, 1, 1, tzinfo=UTC)),
        (pa.array([datetime(2099, 1, 1, tzinfo=UTC)]), AS_OF),
        (pa.array([1_767_225_600_123_456_789], pa.timestamp("ns", "UTC")),
         datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC)),
        (pa.array([None, None]), None),
        (pa.array([], pa.int64()), None),
    ],
)  # fmt: skip
def test_marks_survive_being_written_down(values, mark):
    """The greatest value, of its own kind, before and after the ledger."""
    water = cursor.HighWater("at", AS_OF)
    water.see(pa.record_batch([values], ["at"]))
    text = cursor.spelt(water.mark)

    assert water.mark == mark
    assert (cursor.read(text) if text is not None else None) == mark


@pytest.mark.parametrize("values", [pa.array([1.5]), pa.array([b"x"]), pa.array([[1]]), pa.array([True])])
def test_a_column_without_an_order_is_refused(values):
    """Floats, bytes and lists are no marks."""
    with pytest.raises(UsageError, match="needs a column of times"):
        cursor.HighWater("at", AS_OF).see(pa.record_batch([values], ["at"]))


@pytest.mark.parametrize(
    ("known", "lookback", "bound"),
    [
        (datetime(2026, 1, 1, 12, tzinfo=UTC), "2h", datetime(2026, 1, 1, 10, tzinfo=UTC)),
        (date(2026, 1, 3), "1h", date(2026, 1, 2)),
        (100, 7, 93),
        ("2026-01-01 12:00:00", "2h", "2026-01-01 10:00:00"),
        ("2026-01-01T12:00:00.5Z", "2h", "2026-01-01T10:00:00.500000Z"),
        ("2026-01-03", "36h", "2026-01-01"),
        ("anything", 0, "anything"),
    ],
)
def test_the_lookback_is_taken_off(known, lookback, bound):
    """In the column's own kind and spelling."""
    found = cursor.bound(Cursor(column="at", start=0, lookback=lookback), cursor.spelt(known))

    assert found == bound


def test_a_lookback_from_a_text_that_is_no_time_is_refused():
    """There is nothing to take it off."""
    with pytest.raises(UsageError, match="no times"):
        cursor.bound(Cursor(column="at", start=0, lookback="1h"), cursor.spelt("abc"))
