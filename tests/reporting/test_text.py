"""What people see: the progress display on a terminal and elsewhere, and the summary."""

import io
import time

import pytest
from rich.console import Console

from bucket_loader.model.counts import Counts
from bucket_loader.reporting.events import Note, PlanningEnded, RowsRead, RunEnded
from bucket_loader.reporting.summary import Resumed, Summary
from bucket_loader.reporting.terminal import aligned
from bucket_loader.reporting.text import TextListener


def console(*, terminal):
    """Make a console that writes to memory."""
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, legacy_windows=False)


def test_reading_is_shown_on_a_terminal():
    """Rows are counted as they come; the display goes when the plan is made."""
    out = console(terminal=True)
    listener = TextListener(out)
    listener.tell(RowsRead("users", 16_384, 3))
    time.sleep(0.2)
    listener.tell(PlanningEnded())

    assert "planning users: 16,384 rows read, 3 rejected" in out.file.getvalue()


@pytest.mark.parametrize("width", [20, 30, 40, 41, 60, 120])
def test_the_summary_can_be_read_at_any_width(width):
    """Where the table does not fit, each stream is a list: no number is cut, and no line of them is too long."""
    out = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    counts = Counts(read=1_234_567, delivered=1_234_560, rejected=7, superseded=0)
    summary = Summary("20260101T030000000Z", "nightly", "succeeded", 0, "t", {"companies": counts, "users": Counts()})

    TextListener(out).tell(RunEnded(summary))

    lines = out.file.getvalue().splitlines()
    assert max(map(len, lines)) <= max(width, len("  delivered  1,234,560"))
    assert [line.split() for line in lines if "delivered" in line] == (
        [["stream", "read", "delivered", "rejected"]]
        if width > 40
        else [["delivered", "1,234,560"], ["delivered", "0"]]
    )
    assert "1,234,567" in out.file.getvalue()


def test_a_name_of_wide_letters_keeps_the_columns():
    """What takes two cells counts as two."""
    text = list(aligned(["stream", "read"], [["会社", "1"], ["users", "20"]], 40))

    assert text == ["stream  read", "会社       1", "users     20"]


def test_a_run_that_was_finished_first_tells_its_dead_letters(tmp_path):
    """The new run may have none; the person still has to know where the rows are."""
    letters = tmp_path / "r1.jsonl"
    letters.touch()
    out = console(terminal=False)
    counts = Counts(read=1, rejected=1)
    resumed = (Resumed("r1", {"s": counts}, str(letters)),)

    summary = Summary("r2", "p", "rejected", 3, "t", {"s": Counts()}, resumed=resumed)
    TextListener(out, quiet=True).tell(RunEnded(summary))

    assert out.file.getvalue().replace("\n", "").count(str(letters)) == 2


def test_quiet_says_nothing_of_a_success():
    """With `--quiet` a good run leaves no line, and a bad one still does."""
    out = console(terminal=False)
    listener = TextListener(out, quiet=True)
    good = Summary("r", "p", "succeeded", 0, "2026-01-01T00:00:00.000Z", {"s": Counts(read=1, delivered=1)})
    bad = Summary("r", "p", "unfinished", 75, "2026-01-01T00:00:00.000Z", {"s": Counts(read=1, pending=1)})

    listener.tell(Note("hello"))
    listener.tell(RunEnded(good))
    silent = out.file.getvalue()
    listener.tell(RunEnded(bad))

    assert silent == ""
    assert "unfinished" in out.file.getvalue()


def test_the_summary_shows_resumed_runs_and_possible_duplicates():
    """Nothing that a person should know is left to the JSON."""
    out = console(terminal=False)
    counts = Counts(read=5, delivered=5, possibly_duplicated=2)
    summary = Summary(
        "r2", "p", "succeeded", 0, "2026-01-01T00:00:00.000Z", {"s": counts}, resumed=(Resumed("r1", {"s": counts}),)
    )

    TextListener(out).tell(RunEnded(summary))

    text = out.file.getvalue()
    assert "s (resumed)" in text
    assert "2 records may be there twice" in text
