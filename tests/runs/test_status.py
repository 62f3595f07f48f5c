"""`status`: past runs one a line, one run in full, the last run of every pipeline; and what a run may be called."""

import json
import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console
from workplace import COMPANIES

from bucket_loader.model.errors import UsageError
from bucket_loader.reporting import events
from bucket_loader.reporting.past import heading, listed
from bucket_loader.reporting.terminal import marks_of

BEGAN = datetime(2026, 1, 31, 23, 30, 5, tzinfo=UTC)
PAST = events.RunsListed("run", (
    events.PastRun("20260131T233005000Z", "succeeded", BEGAN, 252.0, 1_234_567, 0, 0),
    events.PastRun("20260131T223005000Z", "unfinished", BEGAN - timedelta(hours=1), None, 12, 3, 5_000),
    events.PastRun("20260131T213005000Z", "failed", BEGAN - timedelta(hours=2), 0.4),
))  # fmt: skip


@pytest.fixture
def marks():
    """The signs of a terminal that knows them all."""
    return marks_of(Console(force_terminal=True))


@pytest.fixture
def berlin(monkeypatch):
    """A machine in Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def shown(width, marks):
    """Return the lines of the past runs at a width."""
    return [line.plain for line in listed(PAST, width, marks)]


@pytest.mark.parametrize("width", range(36, 140, 4))
def test_no_line_is_wider_than_the_screen(width, marks):
    """From a phone's width on, and each run is there."""
    lines = shown(width, marks)

    assert max(map(len, lines)) <= width
    assert all(any(run.name in line for line in lines) for run in PAST.runs)


@pytest.mark.parametrize("width", [36, 60, 80, 200])
def test_what_is_drawn_of_runs_is_as_wide_as_the_screen_allows(width, marks):
    """A sign for each run, the newest last; a blank for one that goes on, the lowest for nothing."""
    trend = events.Trend("delivered", (*range(58, 0, -1), None, 0))
    listing = events.RunsListed("run", PAST.runs, (trend, events.Trend("took", (None,), unit="seconds")))
    *_, title, delivered, took = [line.plain for line in listed(listing, width, marks)]

    assert title == "from the oldest run to the newest:"
    assert delivered.startswith("delivered  █" if width > 70 else "delivered  ")
    assert delivered[11:].split("  most")[0].endswith("▂ ▁")
    assert ("most 58, last 0" in delivered) == (width == 200)
    assert took.rstrip() == "took"
    assert max(len(delivered), len(took)) <= width


def test_a_run_is_a_line_of_eighty_columns_in_local_time(marks, berlin):
    """Newest first: the name, when, how it ended, what was sent and rejected, and how long it took."""
    assert shown(80, marks) == [
        "run                  when         state              sent  rejected        took",
        "20260131T233005000Z  02-01 00:30  ✓ succeeded   1,234,567         0  4 min 12 s",
        "20260131T223005000Z  01-31 23:30  ! unfinished         12         3",
        "20260131T213005000Z  01-31 22:30  ✗ failed              0         0       0.4 s",
    ]  # fmt: skip


def test_a_narrow_screen_gets_a_few_lines_for_each_run(marks, berlin):
    """Nothing is cut."""
    assert shown(40, marks)[:8] == [
        "20260131T233005000Z",
        "  ✓ succeeded",
        "  2026-02-01 00:30, took 4 min 12 s",
        "  1,234,567 sent",
        "20260131T223005000Z",
        "  ! unfinished",
        "  2026-01-31 23:30",
        "  12 sent, 3 rejected, 5,000 pending",
    ]
    assert heading(PAST.runs[0], marks) == "✓ succeeded: began 2026-02-01 00:30:05, took 4 min 12 s"


@pytest.fixture
def two_runs(companies):
    """A workplace with two runs, and their names, newest first."""
    companies.run()
    companies.run()
    found = json.loads(companies.command("status", "--json").stdout)["runs"]
    return companies, [one["run"] for one in found]


def test_a_run_is_called_by_its_name_by_a_beginning_or_latest(two_runs):
    """Wherever a run is asked for; the JSON is that of `status`, with this run alone."""
    workplace, (newest, older) = two_runs

    assert newest != older
    for word in ("latest", newest):
        found = json.loads(workplace.command("status", word, "--json").stdout)
        assert [one["run"] for one in found["runs"]] == [newest]
        assert json.loads(workplace.command("audit", word, "--json").stdout)["run"] == newest
    beginning = next(older[:size] for size in range(1, 20) if not newest.startswith(older[:size]))
    assert json.loads(workplace.command("audit", beginning, "--json").stdout)["run"] == older


def test_a_beginning_of_several_runs_is_refused_with_their_names(two_runs):
    """The person sees what to write more of."""
    workplace, names = two_runs

    for command in ("status", "audit", "abandon", "release"):
        refused = workplace.command(command, "20")
        assert refused.exit_code == UsageError.exit_code
        assert all(name in refused.stderr for name in names)
    assert "there is no run 19" in workplace.command("status", "19").stderr


def test_one_run_is_shown_with_all_that_is_known_of_it(workplace):
    """Its counts, its rejected rows, and what to do next."""
    workplace.write("accounts.csv", "id,name\na,A\n,B\n")
    workplace.pipeline(COMPANIES)
    run = workplace.run().summary

    told = workplace.command("status", "latest").stderr

    assert told.startswith(f"run {run['run']}\n! rejected: began ")
    assert "companies     2          1         1" in told
    assert f"rejected  {run['dead_letters']}" in told
    assert f"next: mend the rows or `fields:`, then `bucket-loader replay {run['dead_letters']} --remap`" in told


def test_status_without_a_pipeline_shows_the_last_run_of_each(companies, monkeypatch):
    """Those that never ran, and those with mistakes, are there as well."""
    companies.run()
    (companies.folder / "other.yaml").write_text(
        (companies.folder / "pipeline.yaml").read_text("utf-8").replace("test", "other")
    )
    companies.write("wrong.yaml", "name: wrong\nstreams:\n  - name: x\n")
    monkeypatch.chdir(companies.folder)

    told = companies.command_of("status").stderr.splitlines()
    found = json.loads(companies.command_of("status", "--json").stdout)["pipelines"]

    *lines, last = told
    assert [line.split()[0] for line in lines] == ["pipeline", "other.yaml", "pipeline.yaml", "wrong.yaml"]
    assert last == "`bucket-loader check wrong.yaml` says why it cannot be read"
    assert "never run" in told[1]
    assert "succeeded" in told[2]
    assert "cannot be read" in told[3]
    assert [one["file"] for one in found] == ["other.yaml", "pipeline.yaml", "wrong.yaml"]
    assert [one["last"] is not None for one in found] == [False, True, False]
    assert os.fspath(companies.folder) not in "".join(told)
