"""What a person sees in a terminal: the wrong address, an emulator that stops while it is sent to, and a lock.

The real program runs in a pty. Its lines are compared, with what differs from time to time masked.
"""

import fcntl
import json
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
from terminal import masked, session
from workplace import COMPANIES, KEY

pytestmark = pytest.mark.breadth

PIPELINE = f"""
name: test
destination:
  base_url: ${{BUCKET_BASE_URL}}
  key: ${{BUCKET_SECRET_KEY}}
  chunk: {{records: 1}}
  concurrency: 1
  requests_per_second: 20
streams:{COMPANIES}"""


@pytest.fixture
def folder(tmp_path):
    """A folder with a pipeline, and four hundred companies to send."""
    rows = "".join(f"c{number},Company {number}\n" for number in range(400))
    (tmp_path / "accounts.csv").write_text(f"id,name\n{rows}")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    return tmp_path


@contextmanager
def emulator(port=0, *words):
    """Run an emulator of its own, and yield its address and what ends it."""
    command = [sys.executable, "-m", "bucket_loader", "emulator", "--port", str(port), "--secret-key", KEY, *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield json.loads(process.stdout.readline())["url"], process.kill
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def on_terminal(folder, url, *words, columns=80):
    """Run the pipeline in a terminal."""
    return session(folder, "run", "pipeline.yaml", *words, columns=columns, BUCKET_BASE_URL=url, BUCKET_SECRET_KEY=KEY)


def test_where_nothing_listens_on_this_machine_the_run_ends_at_once(folder):
    """It says what is missing, and how to start one; nothing is waited out."""
    with on_terminal(folder, "http://127.0.0.1:1", "--patience", "30m") as terminal:
        code = terminal.ended()

    assert (code, terminal.masked) == (75, [
        "! companies BAR N/400  in SECONDS, 400 pending",
        "test: run RUN",
        "stream     read  delivered  rejected  pending",
        "companies   400          0         0      400",
        "! unfinished in SECONDS, 1 request",
        "error: nothing listens at 127.0.0.1:PORT",
        "  hint: start one: `bucket-loader emulator --port PORT`, and run this again;",
        "    nothing was sent",
    ])  # fmt: skip


def test_an_emulator_that_stops_meanwhile_is_waited_for(folder):
    """It was there in this run, so it may come back: what is waited for stands under the bar, and goes when it does."""
    data = ("--data", str(folder / "data"))
    with emulator(0, *data) as (url, stop), on_terminal(folder, url, "--patience", "30m", columns=60) as terminal:
        terminal.until(r"[1-9]\d*/400")
        stop()
        terminal.until(r"Try \d+")
        bar, *waiting = terminal.masked
        with emulator(url.rpartition(":")[2], *data):
            terminal.until(r"/s")
            moving = terminal.lines
            terminal.interrupt()
            code = terminal.ended()

    assert bar == "TURNS companies BAR N/400  waiting, N RETRIES"
    assert masked(" ".join(line.strip() for line in waiting)) == (
        "! waiting for SECONDS: 127.0.0.1:PORT cannot be reached: nothing listens there (connection refused). Try N in "
        "SECONDS. Given up at TIME, in SECONDS, with exit code 75. Is the host up, and `destination: base_url` right? "
        "Ctrl-C ends it now; nothing is lost."
    )
    assert not any("waiting" in line for line in moving)
    assert code == 130


def test_an_emulator_that_was_restarted_is_told_before_anything_is_compared(folder):
    """What is remembered of one that is gone does not count: all is sent to the one that is there now."""
    (folder / "accounts.csv").write_text("id,name\nc1,One\nc2,Two\n")
    with emulator() as (url, _), on_terminal(folder, url) as terminal:
        assert terminal.ended() == 0
    with emulator(url.rpartition(":")[2]), on_terminal(folder, url) as terminal:
        code = terminal.ended()

    assert (code, terminal.masked) == (0, [
        "2 records are remembered of an emulator that is gone. http://127.0.0.1:PORT is",
        "  another one: for it everything is new",
        "✓ companies BAR 2/2  in SECONDS",
        "test: run RUN",
        "stream     read  delivered  rejected",
        "companies     2          2         0",
        "✓ succeeded in SECONDS, 2 requests",
    ])  # fmt: skip


@contextmanager
def locked(folder):
    """Hold the lock of the only state in a folder, as another copy does."""
    with next(folder.glob(".bucket_loader/*/lock")).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lambda: fcntl.flock(lock, fcntl.LOCK_UN)


def test_another_copy_is_waited_for_in_place(companies):
    """What is waited for, until when, and that there is nothing to remove; it goes when the lock does."""
    companies.run()
    with (
        locked(companies.folder) as unlock,
        on_terminal(companies.folder, companies.url, "--wait-for-lock", "10m") as one,
    ):
        one.until("another copy")
        waiting = masked(" ".join(one.lines))
        unlock()
        code = one.ended()

    assert waiting.startswith("! waiting for SECONDS: another copy is running on /")
    assert "Given up at TIME, in SECONDS, with exit code 75. The lock goes with its process; there is" in waiting
    assert code == 0
    assert not any("waiting" in line for line in one.lines)


def test_elsewhere_than_on_a_terminal_a_wait_is_a_line_or_an_object(companies):
    """One at once, and the next in ten seconds; a quiet command says only how it ended."""
    companies.run()
    words = ("--wait-for-lock", "1500ms")
    with locked(companies.folder):
        lines = companies.run(*words).stderr.splitlines()
        objects = companies.run(*words, "--log-format", "json").stderr.splitlines()
        quiet = companies.run(*words, "--quiet").stderr

    assert [line for line in lines if line.startswith("waiting for 0.1 s: another copy is running on ")] == lines[:1]
    waiting, ended = map(json.loads, objects)
    assert (waiting["event"], waiting["cause"], waiting["level"], ended["event"]) == (
        "waiting",
        "lock",
        "warning",
        "error",
    )
    assert 0 < waiting["left_s"] <= 1.5
    assert quiet.startswith("error: another copy is running on ")


def test_a_terminal_that_goes_away_interrupts_the_run_which_drains(folder):
    """Nobody reads any more what it shows; it still ends as one that is interrupted, with nothing lost."""
    with emulator() as (url, _), on_terminal(folder, url) as terminal:
        terminal.until(r"[1-9]\d*/400")
        code = terminal.gone()
        found = json.loads(subprocess.run(
            [sys.executable, "-m", "bucket_loader", "status", "pipeline.yaml", "--json"],
            cwd=folder, env=os.environ | {"BUCKET_BASE_URL": url}, stdout=subprocess.PIPE, check=True,
        ).stdout)["runs"][0]  # fmt: skip

    assert code == 129
    assert (found["status"], found["unknown"]) == ("unfinished", [])
    counts = found["streams"]["companies"]
    assert counts["delivered"] + counts["pending"] == counts["read"] == 400
