"""What is held for a person is not done: a run says so until somebody decides."""

import fcntl
import json
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

EVENTS = """
- name: events
  record: event
  source: {type: csv, path: events.csv}
  key: [id]
  on_unknown: hold
  fields: {userId: user, event: {value: did}, timestamp: {column: at, timezone: UTC}}
- name: others
  record: event
  source: {type: csv, path: others.csv}
  key: [id]
  fields: {userId: user, event: {value: did}, timestamp: {column: at, timezone: UTC}}
"""


@pytest.fixture
def held(workplace, emulator):
    """A workplace whose first run had no answer to its only chunk of events, and holds it."""
    rows = "".join(f"{number},u{number},2025-01-01T00:00:00Z\n" for number in range(5))
    for name in ("events.csv", "others.csv"):
        workplace.write(name, "id,user,at\n" + (rows if name == "events.csv" else ""))
    workplace.pipeline(EVENTS)
    emulator.faults({"kind": "cut_after"})
    result = workplace.run("--json")
    emulator.faults()
    assert (result.exit_code, result.summary["streams"]["events"]["unknown"]) == (75, 5)
    return workplace


def test_a_later_run_is_not_done_while_something_is_held(held):
    """Whatever else it delivers, it ends with 75, names what is held, and says that trying again cannot help."""
    first_run = json.loads(held.command("status", "--json").stdout)["runs"][0]["run"]
    held.write("others.csv", "id,user,at\nx,u9,2025-01-02T00:00:00Z\n")

    for words in ([], ["--stream", "others"], ["--exit-99-when-empty"]):
        result = held.run("--json", *words)

        assert (result.exit_code, result.summary["retry"]) == (75, False)
        assert result.summary["held"] == [{"run": first_run, "stream": "events", "chunk": "0-4", "records": 5}]
    assert first_run in result.stderr
    assert "bucket-loader release" in result.stderr


def test_a_scheduler_that_knows_exit_codes_alone_can_ask_for_one(held):
    """With `--exit-6-when-held` it is 6, since 75 is started again; not for who has decided, and for nothing else."""
    asked = held.run("--exit-6-when-held")
    allowed = held.run("--exit-6-when-held", "--allow-held")

    assert (asked.exit_code, asked.summary["exit_code"], asked.summary["retry"]) == (6, 6, False)
    assert asked.summary["status"] == "unfinished"
    assert allowed.exit_code == 0


def test_who_has_decided_may_go_on(held):
    """With `--allow-held` only the rest counts; rejected rows still do."""
    held.write("others.csv", "id,user,at\nx,u9,2025-01-02T00:00:00Z\n")
    allowed = held.run("--json", "--allow-held")
    held.write("others.csv", "id,user,at\ny,,2025-01-02T00:00:00Z\n")
    rejected = held.run("--json", "--allow-held")

    assert (allowed.exit_code, allowed.summary["status"], len(allowed.summary["held"])) == (0, "succeeded", 1)
    assert rejected.exit_code == 3


def test_what_was_released_is_held_no_longer(held):
    """Sent again or dropped, the next run is done."""
    run = json.loads(held.command("status", "--json").stdout)["runs"][0]["run"]
    held.command("release", run)
    result = held.run("--json")

    assert result.exit_code == 0
    assert "held" not in result.summary


# --- many at once --------------------------------------------------------------------------------------------------


@pytest.fixture
def held_twice(held, emulator):
    """Two runs that hold a chunk each; the first ended three days ago."""
    first = names(held)[0]
    held.write("others.csv", "id,user,at\n")
    held.write("events.csv", "id,user,at\n7,u7,2025-01-03T00:00:00Z\n8,u8\x1b[31m,2025-01-03T00:00:00Z\n")
    emulator.faults({"kind": "cut_after"})
    held.run()
    emulator.faults()
    (ledger,) = held.folder.glob(".bucket_loader/*/ledger.db")
    with sqlite3.connect(ledger) as database:
        long_ago = (datetime.now(UTC) - timedelta(days=3)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        database.execute("UPDATE run SET ended_at = ? WHERE run = ?", (long_ago, first))
    database.close()
    assert len(names(held)) == 2
    return held


def names(workplace):
    """Return the runs that hold something, oldest first."""
    runs = json.loads(workplace.command("status", "--json").stdout)["runs"]
    return [run["run"] for run in reversed(runs) if run["unknown"]]


def test_many_are_released_at_once_by_their_age(held_twice):
    """`--all --older-than 2d` takes what has been held for two days, of every run, and leaves the rest held."""
    first, second = names(held_twice)

    released = json.loads(held_twice.command("release", "--all", "--older-than", "2d", "--json").stdout)

    assert [(one["run"], one["stream"], one["chunk"], one["records"]) for one in released["held"]] == [
        (first, "events", "0-4", 5)
    ]
    again = held_twice.run("--json")
    assert [(one["run"], one["streams"]["events"]["delivered"]) for one in again.summary["resumed"]] == [(first, 5)]
    assert [one["run"] for one in again.summary["held"]] == [second]


def test_what_is_released_can_be_looked_up(held_twice):
    """Each record is listed by event, ids, time and chunk, for people alone, and a dry run decides nothing."""
    shown = held_twice.command("release", "--all", "--dry-run", "--json")
    logged = held_twice.command("release", "--all", "--dry-run", "--log-format", "json")
    row = next(line for line in shown.stderr.splitlines() if " u3 " in line).split()
    assert (row[0], row[1], row[3], row[4], row[5]) == ("events", "0-4", "did", "u3", "2025-01-01T00:00:00.000Z")
    assert "\x1b" not in shown.stderr
    assert "u3" not in shown.stdout + logged.stderr + logged.stdout
    assert len(names(held_twice)) == 2


def test_a_dry_run_looks_where_nothing_can_be_written(held_twice):
    """It takes no lock, so that it works beside a run, and on a disk that is read-only."""
    (lock,) = held_twice.folder.glob(".bucket_loader/*/lock")
    with lock.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        shown = held_twice.command("release", "--all", "--dry-run", "--json")
        decided = held_twice.command("release", "--all")

    assert (shown.exit_code, json.loads(shown.stdout)["records"]) == (0, 7)
    assert decided.exit_code == 75


def test_all_can_be_dropped(held_twice):
    """With `--drop` the rows of every run go to dead letters, and the next run is done."""
    runs = names(held_twice)
    held_twice.command("release", "--all", "--drop")

    letters = [path.read_text("utf-8") for path in sorted(held_twice.folder.glob(".bucket_loader/*/dead_letters/*"))]
    assert [text.count("\n") for text in letters] == [5, 2]
    assert names(held_twice) == []
    assert held_twice.run().exit_code == 0
    assert held_twice.command("release", "--all").exit_code == 0, "nothing is left, which is no mistake"
    assert len(runs) == 2


@pytest.mark.parametrize("words", [(), ("RUN", "--all"), ("--all", "--chunk", "0-4"), ("RUN", "--older-than", "2d")])
def test_what_to_release_is_said_in_one_way(held, words):
    """One run, or all; anything else is exit 2 with a hint."""
    result = held.command("release", *words)

    assert result.exit_code == 2
    assert "hint" in result.stderr
