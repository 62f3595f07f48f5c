"""`backfill`: history in windows, each a run of its own."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from bucket_loader.model.errors import UsageError
from bucket_loader.runs.backfill import windows

STREAMS = """
- name: users
  record: user
  source: {type: sql, url: "sqlite:///app.db", table: signups}
  fields: {userId: user_id}
- name: signups
  record: event
  key: [id]
  source:
    type: sql
    url: "sqlite:///app.db"
    query: "select * from signups where made >= :interval_start and made < :interval_end"
  fields: {userId: user_id, event: {value: signed up}, timestamp: {column: made, type: timestamp, timezone: UTC}}
"""


@pytest.fixture
def history(workplace):
    """Two years of signups: one on the first of each month, and one on the last day."""
    with closing(sqlite3.connect(workplace.folder / "app.db")) as connection:
        connection.execute("create table signups (id integer, user_id text, made text)")
        for number in range(24):
            year, month = 2022 + number // 12, number % 12 + 1
            connection.execute("insert into signups values (?, 'a', ?)", (number, f"{year}-{month:02d}-01 00:00:00"))
            connection.execute(
                "insert into signups values (?, 'b', ?)", (100 + number, f"{year}-{month:02d}-28 23:59:59")
            )
        connection.commit()
    workplace.pipeline(STREAMS)
    return workplace


def backfill(workplace, *words):
    """Load 2022 and 2023."""
    return workplace.command("backfill", "--from", "2022-01-01", "--to", "2024-01-01", "--json", *words)


def test_every_window_is_a_run_with_its_own_receipt(history, emulator):
    """24 months, 24 runs, every event once, no user; the report is of the last of them."""
    page = history.folder / "page.html"
    result = backfill(history, "--report", str(page))
    found = result.summary
    text = page.read_text("utf-8")

    assert result.exit_code == 0, result.stderr
    assert [window["streams"]["signups"]["delivered"] for window in found["windows"]] == [2] * 24
    assert len({window["run"] for window in found["windows"]}) == 24
    assert f"run {found['windows'][-1]['run']}" in text
    assert "The last 24 runs" in text
    assert (emulator.state()["events"], len(emulator.journal())) == (48, 48)
    runs = json.loads(history.command("status", "--json", "--last", "100").stdout)["runs"]
    assert runs[-1]["interval"] == ["2022-01-01T00:00:00.000Z", "2022-02-01T00:00:00.000Z"]


def test_the_same_windows_again_send_nothing(history, emulator):
    """They are passed over; with --again they are read, and what is known is not sent."""
    backfill(history, "--every", "year")
    requests = emulator.state()["requests"]
    passed, again = backfill(history, "--every", "year"), backfill(history, "--every", "year", "--again")

    assert (passed.exit_code, passed.summary["skipped"], passed.summary["windows"]) == (0, 2, [])
    assert [window["streams"]["signups"]["unchanged"] for window in again.summary["windows"]] == [24, 24]
    assert emulator.state()["requests"] == requests


def test_other_windows_over_the_same_time_send_nothing_twice(history, emulator):
    """Windows are a way of reading; what was sent is known by its key."""
    backfill(history, "--every", "year")
    backfill(history, "--every", "quarter")

    assert emulator.state()["events"] == 48


@pytest.mark.long
def test_an_outage_stops_it_and_the_same_command_goes_on(history, emulator):
    """It ends with 75 at the window that failed; the next call finishes that one first."""
    backfill(history, "--to", "2022-04-01")
    emulator.faults({"kind": "status", "status": 500, "rate": 1.0})
    broken = backfill(history, "--patience", "0.2s")
    emulator.faults()
    rest = backfill(history)

    assert (broken.exit_code, len(broken.summary["windows"]), broken.summary["skipped"]) == (75, 1, 3)
    assert rest.exit_code == 0
    assert emulator.state()["events"] == 48
    assert len(emulator.journal()) - 48 <= 2  # what the 500s left in doubt


def test_rejected_rows_do_not_stop_it_and_are_told_at_the_end(history, emulator):
    """A window with a bad row goes to its dead letters; the others are loaded; exit 3."""
    with closing(sqlite3.connect(history.folder / "app.db")) as connection:
        connection.execute("insert into signups values (999, null, '2022-05-05 00:00:00')")
        connection.commit()
    result = backfill(history, "--every", "quarter")

    assert (result.exit_code, len(result.summary["windows"])) == (3, 8)
    assert [window["exit_code"] for window in result.summary["windows"]] == [0, 3, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--stream", "users"], "would overwrite what is true today"),
        (["--every", "fortnight"], "--every fortnight is no window"),
        (["--every", "0s"], "is no window"),
        (["--to", "2021-01-01"], "is empty"),
        (["--every", "1s"], "windows"),
    ],
)
def test_what_makes_no_sense_is_refused(history, emulator, words, said):
    """Exit 2, one message, nothing sent."""
    result = backfill(history, *words)

    assert (result.exit_code, said in result.stderr) == (2, True)
    assert emulator.state()["requests"] == 0


def test_a_stream_that_does_not_use_the_interval_is_refused(history):
    """Else every window would read everything."""
    history.pipeline(STREAMS.replace("made >= :interval_start and made < :interval_end", "true"))
    result = backfill(history)

    assert (result.exit_code, ":interval_start" in result.stderr) == (2, True)


def test_a_pipeline_of_users_alone_has_nothing_to_load(history):
    """A hint, no run."""
    history.pipeline(STREAMS.partition("- name: signups")[0])

    assert backfill(history).exit_code == 2


def day(text):
    """Read a day."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_months_are_counted_from_the_start():
    """A 31st comes back after a short month, and the last window ends where the stretch does."""
    found = [start.date().isoformat() for start, _ in windows(day("2024-01-31"), day("2024-05-15"), "month")]

    assert found == ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]


@pytest.mark.parametrize("every", ["hour", "day", "week", "month", "quarter", "year", "90m", "36h"])
def test_windows_cover_the_stretch_without_gap_or_overlap(every):
    """Each begins where the one before ended."""
    found = list(windows(day("2023-11-05"), day("2024-03-10"), every))

    assert (found[0][0], found[-1][1]) == (day("2023-11-05"), day("2024-03-10"))
    assert all(before[1] == after[0] for before, after in pairwise(found))
    assert all(start < end for start, end in found)


def test_an_empty_stretch_has_no_windows():
    """It is a mistake, not nothing to do."""
    with pytest.raises(UsageError):
        list(windows(day("2024-01-01"), day("2024-01-01"), "day"))
