"""What people see: the progress display on a terminal and elsewhere, and the summary."""

import io
import time

from rich.console import Console

from bucket_loader.delivery import Tally
from bucket_loader.records import Counts
from bucket_loader.report import Reporter, Resumed, Summary


def console(*, terminal):
    """Make a console that writes to memory."""
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, legacy_windows=False)


def test_a_terminal_shows_a_bar_with_rate_and_state():
    """The bar is drawn from the first moment, knows its end, and says what stands in the way."""
    out = console(terminal=True)
    tally = Tally()
    with Reporter(out).delivering(tally):
        time.sleep(0.15)  # nothing has begun yet
        tally.stream, tally.records, tally.delivered, tally.state = "events", 1_000, 250, "500: UNKNOWN_ERROR"
        time.sleep(0.3)
        tally.delivered = 1_000
        time.sleep(0.2)

    text = out.file.getvalue()
    assert "events" in text
    assert "250/1,000" in text
    assert "1,000/1,000" in text
    assert "500: UNKNOWN_ERROR" in text


def test_reading_is_shown_on_a_terminal():
    """Rows are counted as they come; the display goes when the plan is made."""
    out = console(terminal=True)
    reporter = Reporter(out)
    with reporter.planning():
        reporter.read("users", 16_384, 3)
        time.sleep(0.2)

    assert "planning users: 16,384 rows read, 3 rejected" in out.file.getvalue()


def test_a_pipe_gets_plain_lines(monkeypatch):
    """Elsewhere than on a terminal there is no control character, and a line only every few seconds."""
    monkeypatch.setattr("bucket_loader.report.PLAIN_PERIOD_S", 0.1)
    out = console(terminal=False)
    tally = Tally(stream="events", records=1_000, delivered=100)
    with Reporter(out).delivering(tally):
        time.sleep(0.25)
        tally.delivered = 200
        time.sleep(0.2)

    lines = out.file.getvalue().splitlines()
    assert 2 <= len(lines) <= 5
    assert lines[0].startswith("delivering events: 100 of 1,000 records")
    assert "\x1b" not in out.file.getvalue()


def test_quiet_says_nothing_of_a_success():
    """With `--quiet` a good run leaves no line, and a bad one still does."""
    out = console(terminal=False)
    reporter = Reporter(out, quiet=True)
    good = Summary("r", "p", "succeeded", 0, "2026-01-01T00:00:00.000Z", {"s": Counts(read=1, delivered=1)})
    bad = Summary("r", "p", "unfinished", 75, "2026-01-01T00:00:00.000Z", {"s": Counts(read=1, pending=1)})

    reporter.say("hello")
    reporter.summary(good)
    silent = out.file.getvalue()
    reporter.summary(bad)

    assert silent == ""
    assert "unfinished" in out.file.getvalue()


def test_the_summary_shows_resumed_runs_and_possible_duplicates():
    """Nothing that a person should know is left to the JSON."""
    out = console(terminal=False)
    counts = Counts(read=5, delivered=5, possibly_duplicated=2)
    summary = Summary(
        "r2", "p", "succeeded", 0, "2026-01-01T00:00:00.000Z", {"s": counts}, resumed=(Resumed("r1", {"s": counts}),)
    )

    Reporter(out).summary(summary)

    text = out.file.getvalue()
    assert "s (resumed)" in text
    assert "2 records may be there twice" in text
