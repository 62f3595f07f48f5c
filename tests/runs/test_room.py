"""A run that cannot fit on its disk is refused before it reads anything; one that may not is warned of."""

import gzip
import random
import re
import sqlite3
from contextlib import closing

import pytest

from bucket_loader.model.files import Disk

ROWS = 3_000
EVENTS = """
- name: events
  record: event
  source: {type: csv, path: events.csv}
  sync: full
  fields: {userId: user, event: {value: did}, attributes: {note: note}}
"""


@pytest.fixture
def events(workplace):
    """A workplace whose events hold about 200 kB that cannot be compressed."""
    dice = random.Random(1)  # noqa: S311
    lines = "".join(f"u{number},{dice.getrandbits(512):x}\n" for number in range(ROWS))
    workplace.write("events.csv", "user,note\n" + lines)
    workplace.pipeline(EVENTS)
    return workplace


@pytest.fixture
def free(monkeypatch):
    """Let the disk have so much room."""

    def bytes_(count):
        monkeypatch.setattr(Disk, "free_bytes", lambda _disk, _path: count)

    return bytes_


def plans_of(workplace):
    """Return the plans that are there."""
    return list(workplace.folder.glob(".bucket_loader/*/plans/*"))


@pytest.mark.parametrize("command", ["run", "plan", "check"])
def test_a_run_that_cannot_fit_is_refused(events, emulator, free, command):
    """75, what is needed, what is there, and what to do; nothing is read, nothing sent, nothing left behind."""
    free(10_000)
    result = events.command(command)

    assert result.exit_code == 75
    assert "the run needs at least" in result.stderr
    assert "10.0 kB are free there" in result.stderr
    assert "--state; nothing was sent" in " ".join(result.stderr.split())
    assert plans_of(events) == []
    assert emulator.state()["events"] == 0


def test_a_run_that_may_not_fit_is_warned_in_one_line_and_goes_on(events, emulator, free):
    """The least fits, the most does not: nobody knows better before it is read."""
    free(600_000)
    result = events.run()

    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning:")]
    assert result.exit_code == 0
    assert len(warnings) == 1
    assert "the run may need up to" in warnings[0]
    assert emulator.state()["events"] == ROWS


@pytest.mark.long
def test_with_room_nothing_is_said_but_by_check(events, free):
    """`check` says what a run needs."""
    free(10**9)

    assert "disk of" not in events.run().stderr
    assert "a run needs" in events.command("check").stderr


UNITS = {"bytes": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}


def said_of(workplace):
    """Return the least and the most that `check` says of a run, in bytes; None where it says nothing."""
    found = re.search(r"needs ([0-9.]+) (\w+) to ([0-9.]+) (\w+) on the disk", workplace.command("check").stderr)
    return found and (float(found[1]) * UNITS[found[2]], float(found[3]) * UNITS[found[4]])


@pytest.mark.long
@pytest.mark.parametrize("words", ["sync: full", "sync: append\n  key: [user]"])
def test_what_is_said_was_true(events, free, words):
    """What the plan takes lies between the least and the most, also with the figures of an earlier plan."""
    free(10**9)
    events.pipeline(EVENTS.replace("sync: full", words))
    first = said_of(events)
    events.run()
    (plan,) = plans_of(events)
    taken = sum(path.stat().st_size for path in plan.iterdir())
    again = said_of(events)

    log = 4 * 1024 * 1024
    assert first[0] < taken < first[1] - log
    assert again[0] < taken < again[1] - log


def test_of_rows_that_are_all_the_same_little_is_said(events, free):
    """Five times as many, and they fit where the others do not."""
    free(80_000)
    other = events.command("plan")
    events.write("events.csv", "user,note\n" + "u1,the same in every row\n" * ROWS * 5)
    same = events.command("plan")

    assert (other.exit_code, same.exit_code) == (75, 0)


@pytest.mark.parametrize(
    ("streams", "options"),
    [
        (EVENTS, ["--limit", "5"]),
        (EVENTS.replace("sync: full", "sync: full\n  where: \"user = 'u7'\""), []),
        (EVENTS.replace("{type: csv, path: events.csv}", '{type: sql, url: "sqlite:///events.db", table: events}'), []),
    ],
    ids=["a limit", "a condition", "a database"],
)
def test_where_nobody_knows_how_much_comes_nothing_is_refused(events, free, streams, options):
    """As before, the disk itself says so then."""
    with closing(sqlite3.connect(events.folder / "events.db")) as database:
        database.execute("CREATE TABLE events (user, note)")
        database.execute("INSERT INTO events VALUES ('u7', 'x')")
        database.commit()
    events.pipeline(streams)
    free(1_000)

    assert events.command("plan", *options).exit_code == 0


@pytest.mark.long
def test_a_condition_leaves_as_much_as_the_last_time(events, free):
    """Once a plan has shown that few rows stay, nothing is warned of; and no other condition is refused for it."""
    events.pipeline(EVENTS.replace("sync: full", "sync: full\n  where: \"user = 'u7'\""))
    free(4_500_000)
    first, second = events.run(), events.run()
    events.pipeline(EVENTS.replace("sync: full", "sync: full\n  where: \"user <> 'u7'\""))
    events.run()
    events.pipeline(EVENTS.replace("sync: full", "sync: full\n  where: \"user = 'u8'\""))
    free(1_000)
    fourth = events.run()

    assert ("warning" in first.stderr, "warning" in second.stderr) == (True, False)
    assert (fourth.exit_code, "warning" in fourth.stderr) == (0, True)


def test_a_source_that_holds_less_than_the_last_time_is_not_refused(events, free):
    """Its last plan is of rows that are gone."""
    free(10**9)
    events.run()
    events.write("events.csv", "user,note\n" + "".join(f"u{number},x\n" for number in range(ROWS)))
    free(60_000)

    assert events.run().exit_code == 0


@pytest.mark.parametrize("sync", ["full", "append"])
def test_lines_within_a_field_are_no_rows(events, free, sync):
    """A text of many short lines is one row, for which there are no hashes but its own."""
    note = '"{' + "\n".join(f'""k{n}"": {n},' for n in range(3_000)) + '}"'
    events.write("events.csv", "user,at,note\n" + f"u1,2025-01-01,{note}\n" * 4)
    mapped = "at: {column: at, timezone: UTC}, attributes".replace("at:", "timestamp:", 1)
    events.pipeline(EVENTS.replace("full", sync).replace("attributes", mapped))
    free(10**9)
    low, _ = said_of(events)
    events.run()
    (plan,) = plans_of(events)

    assert low < sum(path.stat().st_size for path in plan.iterdir())


@pytest.mark.long
def test_dead_letters_count_as_many_as_the_last_time(events, free):
    """A rejected row takes more room than one that is sent; the next run is warned of what it met before."""
    events.write("events.csv", "user,note\n" + ",nobody's\n" * ROWS)
    free(5_000_000)
    first, second = events.run(), events.run()

    assert ("warning" in first.stderr, "warning" in second.stderr) == (False, True)


@pytest.mark.long
def test_files_that_were_loaded_before_need_no_room(events, free):
    """With `new_files:` only the others count."""
    events.pipeline(EVENTS.replace("events.csv}", "'*.csv', new_files: true}"))
    first = events.run()
    free(1_000)
    nothing_new = events.run()
    events.write("more.csv", (events.folder / "events.csv").read_bytes())
    more = events.run()

    assert (first.exit_code, nothing_new.exit_code, more.exit_code) == (0, 0, 75)


@pytest.mark.long
def test_what_several_streams_read_is_kept_and_counts_once_more(events, free):
    """A named source lies on the disk until all is planned; so do the tables of a query."""
    free(10**9)
    alone = said_of(events)[0]
    text = (
        events.pipeline("- {name: a}")
        .read_text()
        .replace("  - {name: a}", "")
        .replace("streams:", "sources:\n  rows: {type: csv, path: events.csv}\nstreams:")
    )
    stream = (
        "  - {name: NAME, record: event, source: SOURCE, sync: full, fields: {userId: user, event: {value: did}}}\n"
    )
    twice = stream.replace("NAME", "a").replace("SOURCE", "rows") + stream.replace("NAME", "b").replace(
        "SOURCE", "rows"
    )
    events.write("pipeline.yaml", text + twice)
    shared = said_of(events)[0]
    query = stream.replace("NAME", "a").replace("SOURCE", "{type: query, sql: select user from rows limit 3}")
    events.write("pipeline.yaml", text + query)

    assert shared == pytest.approx(3 * alone, rel=0.2)
    assert said_of(events)[0] == pytest.approx(alone, rel=0.2)


@pytest.mark.long
def test_each_window_of_a_backfill_is_asked_for_by_itself(events, emulator, free):
    """Those that fit are loaded; the first that does not ends the backfill, which goes on from there."""
    lines = (events.folder / "events.csv").read_bytes()
    events.write("2026-01-01.csv", b"user,note\nu1,x\n")
    events.write("2026-01-02.csv", lines)
    events.pipeline(EVENTS.replace("events.csv", "'{interval_start:%Y-%m-%d}.csv'"))
    words = ("backfill", "--from", "2026-01-01", "--to", "2026-01-03", "--every", "day")
    free(10_000)
    first = events.command(*words)
    sent = emulator.state()["events"]
    free(10**9)
    second = events.command(*words)

    assert (first.exit_code, sent) == (75, 1)
    assert (second.exit_code, emulator.state()["events"]) == (0, 1 + ROWS)


def test_a_compressed_export_counts_as_what_it_holds(events, free):
    """Nobody counts its rows, and its bytes say enough."""
    events.write("events.csv.gz", gzip.compress((events.folder / "events.csv").read_bytes()))
    events.pipeline(EVENTS.replace("events.csv", "events.csv.gz"))
    free(10_000)

    assert events.run().exit_code == 75


@pytest.mark.long
def test_a_replay_asks_for_nothing(events, free):
    """It takes as much as the letters that a person gives it; the disk says when that is too much."""
    events.write("events.csv", "user,note\n,x\nu1,y\n")
    run = events.run()
    free(10)
    replay = events.command_of("replay", run.summary["dead_letters"], "--remap", "--pipeline",
                               str(events.folder / "pipeline.yaml"))  # fmt: skip

    assert (run.exit_code, replay.exit_code) == (3, 3)


@pytest.mark.long
def test_a_disk_that_does_not_say_how_much_is_free_refuses_nothing(events, free):
    """Some programs that serve a folder answer 0 of 0."""
    free(None)

    assert events.run().exit_code == 0
