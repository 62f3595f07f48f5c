"""Every event is rendered by every listener: as lines for a person, as JSON objects, as metrics."""

import io
import json
import logging
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from rich.console import Console

from bucket_loader.model.counts import Counts
from bucket_loader.model.errors import PatienceError
from bucket_loader.model.waits import Wait
from bucket_loader.reporting import events
from bucket_loader.reporting.events import AssertionFailed, AssertionsEnded
from bucket_loader.reporting.json_lines import JsonListener, Objects
from bucket_loader.reporting.prometheus import Textfile
from bucket_loader.reporting.summary import Summary
from bucket_loader.reporting.text import TextListener
from bucket_loader.state.dead_letters import Group

SUMMARY = Summary("r", "p", "succeeded", 0, "t", {"s": Counts(read=5, delivered=5)})
DAY = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
PROGRESS = events.DeliveryProgress("r", "s", 1_000, 240, 10, 3, 1, 25.0)
WAIT = Wait("server_error", "h answers with an error: 500", "Mend it.", 3, 12.0, 4.0, 600.0)
WAITING = "waiting for 12 s: h answers with an error: 500. Try 4 in 4 s. Given up at"
PAST = events.PastRun("r", "succeeded", DAY[0], 3.0, 5)
UNKNOWN = events.ChunksUnknown("r", "s", ("0-4", "5-9"), 10, held=False)
ERROR = PatienceError("an outage outlived patience", hint="run again")
WRONG = AssertionFailed("t.yml", 5, "user u1", "1", "2", "u2")

# What is told, the first line that a person reads, the first object's event and message, and the exit code measured.
RENDERED = [
    (UNKNOWN,
     f"WARNING {UNKNOWN.text}", ("unknown", "stream s: the answer to 10 records"), None),
    (events.ChunksUnknown("r", "s", ("0-4",), 5, held=True),
     "WARNING stream s: the answer to 5 records that went out before the crash is unknown; held: chunk 0-4",
     ("held", "stream s: the answer to 5 records"), None),
    (events.ChunkRetried("r", "s", "0-4", 2, "500", ambiguous=True),
     "INFO stream s: chunk 0-4 is sent again after 500; it may be applied twice",
     ("retry", "stream s: chunk 0-4 is sent again after 500; it may be applied twice"), None),
    (events.ChunkHeld("r", "s", "0-4", "500"), "WARNING stream s: chunk 0-4 is held: 500",
     ("held", "stream s: chunk 0-4 is held: 500"), None),
    (events.ChunkSetAside("r", "s", "0-4", "500"),
     "INFO stream s: chunk 0-4 is set aside, and tried again after all others: 500",
     ("set_aside", "stream s: chunk 0-4 is set aside, and tried again after all others: 500"), None),
    (events.RowsRead("s", 5, 1), "planning s: 5 rows read, 1 rejected", ("planning", "planning s: 5 rows read"), None),
    (events.PlanningEnded(), None, None, None),
    (events.StreamPlanned("s", "user", "full", Counts(read=5, pending=4, rejected=1)),
     "s (user, full): 5 rows read, 4 records to send, 1 rejected", ("note", "s (user, full): 5 rows read"), None),
    (events.RecordShown('{"userId":"u"}'), '    {"userId":"u"}', None, None),
    (events.Lines(("huddle is on",)), "huddle is on", None, None),
    (events.PlanRejected(Path("letters")), "rejected rows and why: letters",
     ("rejected", "s: 1 row of s.csv: no id (row 3)"), None),
    (events.Doubt("empty", "s", "c", 9, 9, "9 of 9 values are empty", "is it?"), "  ! 9 of 9 values are empty",
     ("doubt", "s: 9 of 9 values are empty; is it?"), None),
    (events.DeliveryBegan("r"), None, None, None),
    (PROGRESS, "delivering s: 250 of 1,000 records, 25/s, 30 s left, 10 rejected, 1 retry",
     ("progress", "delivering s: 250 of 1,000 records, 25/s"), None),
    (events.StreamDelivered("r", "s", 1_000, 990, 10, 4.0), None, None, None),  # the summary says it soon enough
    (events.Waits(WAIT, "r", "s"),
     f"{WAITING} TIME, in 10 min, with exit code 75. Mend it. Ctrl-C ends it now; nothing is lost.",
     ("waiting", WAITING), None),
    (events.WaitEnded(), None, None, None),  # nothing was said of it
    (events.DeliveryEnded("r"), None, None, None),
    (events.RunResumed("r", "t"), "finishing run r, begun t", ("note", "finishing run r, begun t"), None),
    (events.WindowEnded(2, 3, *DAY, SUMMARY),
     "window 2 of 3, 2026-01-01 00:00 to 2026-01-02 00:00: succeeded, 5 delivered (run r)",
     ("window", "window 2 of 3, 2026-01-01 00:00"), None),
    (events.RunEnded(SUMMARY), "p: run r", ("summary", "succeeded in 0.0 s, 0 requests"), 0),
    (events.WindowsEnded((), 4, 75), None, ("summary", "0 windows, and 4 loaded before"), 75),
    (AssertionsEnded("t.yml", 9, (), 0), "t.yml: all 9 assertions hold",
     ("assertions", "t.yml: all 9 assertions hold"), 0),
    (AssertionsEnded("t.yml", 9, (WRONG,), 3), "t.yml: 1 of 9 assertions do not hold",
     ("assertion", "t.yml:5: user u1: expected 1, found 2"), 3),
    (events.CommandFailed(ERROR), "error: an outage outlived patience", ("error", "an outage outlived patience"), 75),
    (events.CommandCrashed(KeyError("row data")), None, ("crash", "a bug: please report it"), 1),
    (events.CommandInterrupted(130), None, None, 130),
    (events.ThreadCrashed(KeyError, None), None, ("crash", "a bug in a thread"), None),
    (events.NotTold("h.example", "it takes too long", ended_well=False),
     "warning: the webhook at h.example was not told how this ended: it takes too long",
     ("not_told", "the webhook at h.example was not told"), None),
    (events.Complaint("no space"), "error: no space", ("error", "no space"), None),
    (events.Note("  a word "), "  a word ", ("note", "a word"), None),
    (events.Note("a :key: [b]x"), "a :key: [b]x", ("note", "a :key: [b]x"), None),
    (events.RunsListed("run", (PAST,)), "run  when                 state        sent  rejected  took",
     ("run", "r: succeeded"), None),
    (events.RunShown(PAST, (("as of", "t"),), ("stream", "read"), (("s", "5"),), "rest"), "run r",
     ("run", "r: succeeded"), None),
    (events.Table(("run",), (("[b]r",),)), "┏━━━━━━┓", ("note", "┏━━━━━━┓"), None),
    (events.QueryResult(("run", "n"), (("[b]r", "12"),), frozenset({1})), "run    n", ("note", "┏━━━━━━┳━━━━┓"), None),
]  # fmt: skip
NAMES = [f"{number}-{type(event).__name__}" for number, (event, *_) in enumerate(RENDERED)]


@pytest.fixture(autouse=True)
def _letters(monkeypatch):
    """Put one group of rejected rows into every dead-letter file."""
    group = Group("s", "s.csv", "no id", count=1, rows=[3])
    monkeypatch.setattr("bucket_loader.state.dead_letters.grouped", lambda _: [group])


def test_every_event_is_here():
    """A new one has no rendering until somebody writes it."""
    assert {type(event) for event, *_ in RENDERED} == set(get_args(events.Event))


@pytest.mark.parametrize(("event", "line", "_object", "_code"), RENDERED, ids=NAMES)
def test_a_person_reads_lines(event, line, _object, _code, caplog):
    """What happens to a chunk is logged: a program that calls `load` finds it in its own log."""
    out = io.StringIO()
    listener = TextListener(Console(file=out, width=120), period_s=0.0)
    listener.tell(events.RowsRead("s", 0, 0))  # the first is never written at once
    with caplog.at_level(logging.INFO, "bucket_loader"):
        listener.tell(event)

    logged = [f"{one.levelname} {one.getMessage()}" for one in caplog.records]
    written = re.sub(r"\d\d:\d\d:\d\d", "TIME", out.getvalue())
    assert next(iter([*logged, *written.splitlines()]), None) == line


@pytest.mark.parametrize(("event", "_line", "told", "_code"), RENDERED, ids=NAMES)
def test_a_program_reads_objects(event, _line, told, _code):
    """None holds row data, and all are valid JSON."""
    lines = []
    listener = JsonListener(Objects(), lines.append, period_s=0.0)
    listener.tell(events.RowsRead("s", 0, 0))
    listener.tell(event)

    found = [json.loads(line) for line in lines]
    assert bool(found) == bool(told)
    if told:
        assert (found[0]["event"], found[0]["message"][: len(told[1])]) == told
    assert not any("row data" in line or "userId" in line for line in lines)


@pytest.mark.parametrize(("event", "_line", "_object", "code"), RENDERED, ids=NAMES)
def test_prometheus_gets_the_end_of_a_command(event, _line, _object, code, tmp_path):
    """And nothing else."""
    complaints = []
    Textfile(tmp_path / "a.prom", time.monotonic(), complaints.append).tell(event)

    assert complaints == []
    assert (tmp_path / "a.prom").exists() == (code is not None)
    if code is not None:
        text = (tmp_path / "a.prom").read_text("utf-8")
        assert f'exit_code{{environment="",pipeline="a"}} {float(code)}' in text


@pytest.mark.parametrize("listener", ["text", "json"])
def test_a_quiet_listener_says_what_went_wrong_and_no_more(listener, capsys):
    """And lines and a table, which were asked for."""
    out, lines = io.StringIO(), []
    quiet = {
        "text": TextListener(Console(file=out), quiet=True, period_s=0.0),
        "json": JsonListener(Objects(), lines.append, quiet=True, period_s=0.0),
    }[listener]
    said = []
    for event, *_ in RENDERED:
        before = len(out.getvalue()) + len(lines)
        quiet.tell(event)
        if len(out.getvalue()) + len(lines) > before:
            said.append(type(event))

    assert quiet.period_s is None
    beside_chunks = [one for one in said if "Chunk" not in one.__name__]
    assert beside_chunks == {
        "text": [events.Lines, AssertionsEnded, events.CommandFailed, events.NotTold, events.Complaint,
                 events.RunsListed, events.RunShown, events.Table, events.QueryResult],
        "json": [events.WindowsEnded, AssertionsEnded, events.CommandFailed, events.CommandCrashed,
                 events.ThreadCrashed, events.NotTold, events.Complaint, events.RunsListed,
                 events.RunShown, events.Table, events.QueryResult],
    }[listener]  # fmt: skip
    assert capsys.readouterr().out == ""
