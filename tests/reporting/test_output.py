"""What stderr is: objects where they are asked for, nothing in a quiet run that succeeds, never a reason to fail."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
import warnings

import pytest
from workplace import COMPANIES

from bucket_loader.delivery.tally import StreamTally, Tally
from bucket_loader.model.counts import Counts
from bucket_loader.reporting import events, output
from bucket_loader.reporting.json_lines import JsonListener, Objects
from bucket_loader.reporting.output import Output
from bucket_loader.reporting.progress import watched
from bucket_loader.reporting.summary import Summary

EVENTS = """
- name: clicks
  record: event
  source: {type: csv, path: clicks.csv}
  key: [id]
  fields: {userId: user, event: {value: clicked}, timestamp: {column: at, timezone: UTC}}
"""
WINDOWS = """
- name: clicks
  record: event
  source: {type: query, sql: "select * from clicks where seen >= :interval_start and seen < :interval_end"}
  key: [id]
  fields: {userId: user, event: {value: clicked}, timestamp: seen}
"""
CLICKS_SOURCE = (
    "sources:\n  clicks: {type: query, sql: \"select 'c' || n as id, 'u' || n as user, "
    "timestamptz '2026-01-01 12:00:00Z' + to_days(n::int) as seen from range(3) t(n)\"}\n"
)


def objects(text):
    """Read a stderr of which every line has to be an object."""
    found = [json.loads(line) for line in text.splitlines()]
    assert all({"at", "level", "event", "message"} <= one.keys() for one in found)
    return found


@pytest.fixture
def clicks(workplace):
    """A workplace with five clicks to load, one a chunk."""
    rows = "".join(f"c{n},u{n},2026-01-01T00:00:0{n}Z\n" for n in range(5))
    workplace.write("clicks.csv", "id,user,at\n" + rows)
    file = workplace.pipeline(EVENTS)
    text = file.read_text("utf-8")
    file.write_text(text.replace("patience: 1s", "patience: 1s\n  chunk: {records: 1}\n  concurrency: 1"), "utf-8")
    return workplace


@pytest.fixture
def companies(workplace):
    """A workplace with three companies to load, one of them without an id."""
    workplace.write("accounts.csv", "id,name,seats\n00123,Acme,5\n123,Beta,7\n,Gamma,\n")
    workplace.pipeline(COMPANIES)
    return workplace


# --- objects -------------------------------------------------------------------------------------------------------


def test_a_run_tells_objects_and_its_summary_last(companies):
    """Each line is one; the last has all that `--json` prints, which stays where it was."""
    result = companies.run("--log-format", "json")

    *others, last = objects(result.stderr)
    assert (last["event"], last["pipeline"], last["level"]) == ("summary", "test", "warning")
    assert {name: last[name] for name in result.summary} == result.summary
    (rejected,) = [one for one in others if one["event"] == "rejected"]
    assert rejected["run"] == last["run"]
    assert (rejected["stream"], rejected["records"], rejected["dead_letters"]) == ("companies", 1, last["dead_letters"])


def test_the_environment_may_ask_for_objects(companies):
    """A scheduler sets it once for all its jobs; text stays what is told otherwise."""
    asked = companies.command("run", BUCKET_LOADER_LOG_FORMAT="json")
    plain = companies.command("run", "--full")

    assert objects(asked.stderr)[-1]["event"] == "summary"
    assert plain.stderr.startswith("test: run ")


def test_a_retry_names_its_run_and_chunk(clicks, emulator):
    """What is sent again is told when it is, also where nothing can be there twice."""
    emulator.faults({"kind": "status", "status": 429, "retry_after": 0, "times": 1})

    result = clicks.run("--log-format", "json")

    retries = [one for one in objects(result.stderr) if one["event"] == "retry"]
    assert [(one["run"], one["stream"], one["chunk"], one["attempts"]) for one in retries] == [
        (result.summary["run"], "clicks", "0-0", 1)
    ]


def test_a_hold_names_its_run_and_chunk_and_the_summary_says_what_next(clicks, emulator):
    """An unknown that is held waits for a person, who is told which, and how."""
    clicks.pipeline(EVENTS + "  on_unknown: hold\n")
    emulator.faults({"kind": "status", "status": 500, "times": 1})

    result = clicks.run("--log-format", "json")

    held, summary = objects(result.stderr)
    assert (held["event"], held["run"], held["stream"], held["chunk"]) == ("held", summary["run"], "clicks", "0-4")
    assert (summary["exit_code"], "bucket-loader release" in summary["next"]) == (75, True)


def test_progress_comes_now_and_then():
    """With rate, done and total; the reading as well."""
    lines = []
    listener = JsonListener(Objects(), lines.append, period_s=0.1)
    tally = Tally(run="r", now=StreamTally("events", 1_000, 100), requests=1)
    listener.tell(events.RowsRead("events", 10, 0))
    time.sleep(0.11)
    listener.tell(events.RowsRead("events", 20, 1))
    with watched(listener, tally):
        time.sleep(0.35)

    reading, *told = objects("\n".join(lines))
    assert (reading["event"], reading["read"], reading["rejected"]) == ("planning", 20, 1)
    assert 1 <= len(told) <= 3
    assert {one["event"] for one in told} == {"progress"}
    assert [told[0][name] for name in ("run", "stream", "done", "total", "requests")] == ["r", "events", 100, 1_000, 1]
    assert "per_second" in told[0]


def test_a_backfill_tells_each_window_and_their_sum_last(workplace):
    """Each window is a run of its own, with its own object."""
    workplace.pipeline(WINDOWS, head=CLICKS_SOURCE)
    window = ("--from", "2026-01-01", "--to", "2026-01-04", "--every", "day", "--log-format", "json")

    first = workplace.command("backfill", *window)
    again = workplace.command("backfill", *window)

    windows = [one for one in objects(first.stderr) if one["event"] == "window"]
    last = objects(first.stderr)[-1]  # a slow machine may tell of planning in between
    assert [one["streams"]["clicks"]["delivered"] for one in windows] == [1, 1, 1]
    assert (last["event"], last["windows"], last["skipped"], last["exit_code"]) == ("summary", 3, 0, 0)
    assert objects(again.stderr)[-1]["skipped"] == 3


@pytest.mark.parametrize(
    "words",
    [("plan", "--show", "5"), ("check",), ("status",), ("audit", "nowhere"), ("prune",), ("rehearse",)],
    ids=lambda words: words[0],
)
def test_no_command_tells_a_row_or_anything_but_objects(companies, words):
    """What a person may ask to see of a row, or in a table, goes into no log."""
    companies.run()

    result = companies.command(*words, "--log-format", "json")

    assert objects(result.stderr)
    assert "Acme" not in result.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "--bogus"), "has no option `--bogus`"),
        (("run", "--limit", "0"), "--limit"),
        (("run", "--stream", "nobody"), "no stream is named"),
        (("nothing",), "has no command `nothing`"),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "",
)
def test_a_mistake_is_an_object_too(companies, words, told):
    """Also one in the command line itself, which is found before its words are understood."""
    result = companies.command(*words, "--log-format=json")

    (error,) = objects(result.stderr)
    assert result.exit_code == 2
    assert (error["event"], error["level"], error["exit_code"]) == ("error", "error", 2)
    assert told in error["message"]


def test_a_bug_is_told_by_its_type_and_place_alone(companies, monkeypatch):
    """Its message may quote a row."""

    def broken(*_):
        raise LookupError("row 00123 Acme")

    monkeypatch.setattr("bucket_loader.planning.planner.make_plan", broken)
    result = companies.command("run", "--log-format", "json")

    (crash,) = objects(result.stderr)
    assert (result.exit_code, crash["event"], crash["level"]) == (1, "crash", "critical")
    assert crash["exception"] == "builtins.LookupError"
    assert crash["frames"][-1].endswith(" broken")
    assert "Acme" not in result.stderr


def test_what_libraries_say_is_told_without_what_they_fill_in(capsys, monkeypatch):
    """Log lines, warnings and the end of a thread: objects, without values, keys and passwords."""
    monkeypatch.setenv("BUCKET_SECRET_KEY", "sec_canary")

    def fall():
        raise ValueError("val-canary")

    with Output("json"):
        library = logging.getLogger("a.library")
        library.warning("pool of %s is full", "val-canary")
        library.info("not told: sec_canary")
        library.error("cannot use sec_canary at postgresql://me:pw-canary@host/db")
        try:
            fall()
        except ValueError:
            library.exception("it failed")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("val-canary is old", UserWarning, stacklevel=1)
        thread = threading.Thread(target=fall)
        thread.start()
        thread.join()

    text = capsys.readouterr().err
    told = objects(text)
    assert [one["message"] for one in told[:3]] == ["pool of %s is full", "cannot use *** at postgresql://***@host/db",
                                                    "it failed"]  # fmt: skip
    assert (told[0]["logger"], told[0]["level"]) == ("a.library", "warning")
    assert told[2]["exception"] == "builtins.ValueError"
    assert (told[3]["logger"], told[3]["message"].rpartition(": ")[2]) == ("py.warnings", "UserWarning")
    assert told[4]["event"] == "crash"
    assert "canary" not in text


def test_afterwards_logging_is_what_it_was(companies):
    """A program that calls the command line keeps its own logging."""
    before = list(logging.getLogger().handlers), warnings.showwarning, threading.excepthook

    companies.run("--log-format", "json")

    assert (list(logging.getLogger().handlers), warnings.showwarning, threading.excepthook) == before
    assert logging.getLogger("bucket_loader").level == logging.NOTSET


# --- quiet ---------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_quiet_run_that_succeeds_says_nothing_even_of_what_was_unknown(clicks, emulator, form):
    """A run that was killed is finished by the next; that is in the ledger and the summary, and no mail at night."""
    emulator.faults({"kind": "status", "status": 500, "rate": 1.0})
    stopped = clicks.run("--quiet", "--log-format", form)
    emulator.faults()

    finished = clicks.run("--quiet", "--log-format", form)

    assert (stopped.exit_code, finished.exit_code, finished.stderr) == (75, 0, "")
    assert "Each run tries again" in stopped.stderr


def test_a_quiet_run_that_fails_says_what_happened_where_and_what_next(companies):
    """The mail of a job with rejected rows: the counts, the file, why, and the command that takes them up again."""
    result = companies.run("--quiet")

    letters = result.summary["dead_letters"]
    assert "finished, and some rows were rejected" in result.stderr
    assert f"rejected rows and why: {letters}" in result.stderr
    assert f"next: mend the rows or `fields:`, then `bucket-loader replay {letters} --remap`" in result.stderr


def test_a_quiet_run_tells_its_warnings_when_it_fails(clicks, emulator):
    """What was held back comes before the summary."""
    clicks.pipeline(EVENTS + "  on_unknown: hold\n")
    emulator.faults({"kind": "status", "status": 500, "times": 1})

    result = clicks.run("--quiet")

    assert result.exit_code == 75
    assert result.stderr.startswith("WARNING stream clicks: chunk 0-4 is held")
    assert "next: 5 records are held" in result.stderr


def test_a_quiet_backfill_tells_of_every_window_that_failed(workplace):
    """Also of one in the middle, when the last went well."""
    bad = CLICKS_SOURCE.replace("'u' || n as user", "case n when 1 then null else 'u' || n end as user")
    workplace.pipeline(WINDOWS, head=bad)

    result = workplace.command("backfill", "--from", "2026-01-01", "--to", "2026-01-04", "--every", "day", "--quiet")

    assert result.exit_code == 3
    assert result.stderr.count("finished, and some rows were rejected") == 1
    assert "rejected rows and why: /" in result.stderr


def test_what_is_held_back_is_bounded(capsys):
    """A long outage fills no memory."""
    with Output() as out:
        out.be_quiet()
        for number in range(output.HELD_MAX + 10):
            logging.getLogger("bucket_loader").warning("line %d", number)
        out.tell(events.CommandInterrupted(130))

    lines = capsys.readouterr().err.splitlines()
    assert (len(lines), lines[-1]) == (output.HELD_MAX, f"WARNING line {output.HELD_MAX + 9}")


# --- as a scheduler starts it --------------------------------------------------------------------------------------


def started(place, *words, **options):
    """Start the program as cron does: no terminal, nothing in the environment, and elsewhere."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/", "LANG": "C", "SHELL": "/bin/sh",
                   "BUCKET_BASE_URL": place.url, "BUCKET_SECRET_KEY": place.key}  # fmt: skip
    command = [sys.executable, "-m", "bucket_loader", "run", str(place.folder / "pipeline.yaml"), *words]
    return subprocess.run(command, cwd="/", env=environment, stdin=subprocess.DEVNULL, check=False,
                          **{"capture_output": True, **options})  # fmt: skip


def test_cron_gets_a_mail_only_when_there_is_something_to_do(companies):
    """Nothing at all on exit 0; else text that every mail program shows: ASCII, no control characters."""
    bad = started(companies, "--quiet")
    good = started(companies, "--quiet", "--allow-rejected", "1")

    assert (good.returncode, good.stdout, good.stderr) == (0, b"", b"")
    assert (bad.returncode, bad.stdout) == (3, b"")
    assert bad.stderr.isascii()
    assert b"\x1b" not in bad.stderr
    assert f"rejected rows and why: {companies.folder}".encode() in bad.stderr


@pytest.mark.parametrize("way", ["closed", "full", "none"])
def test_a_stderr_that_takes_nothing_changes_no_exit_code(companies, way):
    """The reader of a pipe has gone, the log's disk is full, or there is no stderr: the run ends as it ends."""
    if way == "full" and not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("only Linux has /dev/full")
    reading, writing = os.pipe()
    os.close(reading)
    with open("/dev/full" if way == "full" else os.devnull, "w") as file:  # noqa: PTH123
        target = {"closed": writing, "full": file, "none": file}[way]
        closing = {"preexec_fn": lambda: os.close(2)} if way == "none" else {}
        result = started(companies, "--json", capture_output=False, stdout=subprocess.PIPE, stderr=target, **closing)
    os.close(writing)

    assert result.returncode == 3
    assert json.loads(result.stdout)["streams"]["companies"]["delivered"] == 2


def test_the_level_follows_the_exit_code(capsys):
    """Collectors alert on levels: what needs a person is a warning or an error."""
    levels = {}
    with Output("json") as out:
        for code in (0, 99, 3, 75, 143, 2, 4, 5):
            summary = Summary("r", "p", "s", code, "t", {"s": Counts(read=1, pending=1)})
            out.tell(events.RunEnded(summary))
            levels[code] = objects(capsys.readouterr().err)[-1]["level"]

    assert levels == {0: "info", 99: "info", 3: "warning", 75: "warning", 143: "warning",
                      2: "error", 4: "error", 5: "error"}  # fmt: skip
