"""What senders say, and when: a mistake that no waiting mends is said at once, and nobody is lost without a word."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import servers
from driver import KEY, REFUSING, bucket
from shared import Shared
from test_senders import wait_until

from bucket_loader.runs import status

SIZE = {"users": 60, "companies": 40, "events": 900}
SLOW = {"kind": "latency", "seconds": 0.4}

pytestmark = [pytest.mark.rehearsal, pytest.mark.postgres]


@pytest.fixture
def load(tmp_path, forks, endpoints):
    """A load with its ledger on PostgreSQL, and an emulator that is slow."""
    servers.postgres()
    with bucket(endpoints[0].url) as it:
        it.faults(SLOW, REFUSING)
        yield Shared(tmp_path / "load", it, forks, concurrency=2, **SIZE)


def test_what_no_waiting_mends_is_said_while_others_send(load):
    """A misspelt name, another key and a damaged plan end with 2 at once; those who send go on."""
    run = load.plan()
    child = load.start("deliver", run)
    wait_until(lambda: load.asked("SELECT 1 FROM chunk WHERE state = 'delivered'") != [])
    misspelt = load.run("deliver", "misspelt"), load.told()["error"]["message"]
    another = {"BUCKET_SECRET_KEY": "sec_another_0123456789abcdef01"}
    load.environment, mine = {**load.environment, **another}, load.environment
    other_key = load.run("deliver", run), load.told()["error"]["message"]
    load.environment, part = mine, max(load.folder_of_plan.glob("*.parquet"))
    whole = part.read_bytes()
    part.write_bytes(whole[:100] + b"x" + whole[101:])
    damaged = load.run("deliver", run), load.told()["error"]["message"]
    part.write_bytes(whole)
    others_send = not child.ended()
    load.bucket.faults(REFUSING)

    assert (misspelt[0], other_key[0], damaged[0]) == (2, 2, 2)
    assert "plan of run misspelt" in misspelt[1]
    assert other_key[1] == "this state belongs to another key"
    assert "plan" in damaged[1]
    assert others_send
    assert child.wait() == 3, load.stderr()[-3000:]


def test_senders_with_different_rates_keep_to_the_least_and_say_so(load):
    """The one with the larger rate says what holds, once; `status` says it too."""
    text = (load.folder / "pipeline.yaml").read_text("utf-8")
    run = load.plan()
    load.write("pipeline.yaml", text.replace("timeout: 3s", "timeout: 3s, requests_per_second: 40"))
    first = load.start("deliver", run)
    wait_until(lambda: load.senders() != [])
    load.write("pipeline.yaml", text.replace("timeout: 3s", "timeout: 3s, requests_per_second: 8"))
    second = load.start("deliver", run)
    wait_until(lambda: load.asked("SELECT count(rate) FROM sender") == [(2,)])
    wait_until(lambda: load.asked("SELECT 1 FROM sender HAVING sum(share) BETWEEN 0.1 AND 8") != [])
    assert load.run("status", run) == 0
    shown = {one["told_requests_per_second"] for one in load.told()["runs"][0]["senders"]}
    load.bucket.faults(REFUSING)

    assert (first.wait(), second.wait()) == (3, 3), load.stderr()[-3000:]
    assert shown == {8.0, 40.0}
    said = "requests_per_second is 40 here, and 8 at another sender of the run: all together keep to the least"
    assert " ".join(load.stderr().split()).count(said) == 1
    assert "keep to the least, 8" in " ".join(status._rate(shown).split())


def test_who_waits_for_a_run_to_begin_says_until_when(load):
    """It looks each second whether it may join, and gives up after a minute: the minute is what it says."""
    run = load.plan()
    first = load.start("run", "--plan", str(load.folder_of_plan))
    wait_until(lambda: load.runs() != [])
    second = load.start("deliver", run)
    wait_until(lambda: "another copy is running" in load.stderr())
    load.bucket.faults(REFUSING)

    assert (first.wait(), second.wait()) == (3, 3), load.stderr()[-3000:]
    assert re.search(r", in (1 min|5\d s), with exit code 75", " ".join(load.stderr().split())), load.stderr()


def run_aloud(load, *, executable=sys.executable):
    """Run the plan with three senders in a real process, whose Python is another for those that it starts."""
    words = ["run", "pipeline.yaml", "--plan", str(load.folder_of_plan), "--senders", "3", "--as-of", load.as_of]
    code = f"import sys; sys.executable = {executable!r}; from bucket_loader.cli.commands import main; main({words!r})"
    environment = {**os.environ, "BUCKET_BASE_URL": load.bucket.url, "BUCKET_SECRET_KEY": KEY, **load.environment}
    return subprocess.run([sys.executable, "-c", code], cwd=load.folder, env=environment, check=False,
                          capture_output=True, text=True, timeout=120)  # fmt: skip


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (None, "could not be started: No such file or directory"),
        ("#!/bin/sh\nkill -9 $$\n", "was killed by signal 9"),
    ],
)
def test_a_command_whose_senders_all_die_says_so_and_sends_alone(load, tmp_path, script, why):
    """The reason, once, and that it goes on alone; the run ends as any."""
    python = tmp_path / "python"
    if script:
        python.write_text(script, "utf-8")
        python.chmod(0o700)
    load.plan()
    load.bucket.faults(REFUSING)
    done = run_aloud(load, executable=str(python))

    assert done.returncode == 3, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    assert done.stderr.count("a process of --senders") == 1, done.stderr
    assert "this process sends the rest alone" in done.stderr
    assert why in " ".join(done.stderr.split()), done.stderr


def test_a_sender_that_dies_beside_others_is_said(load):
    """One line, with the reason; the others send its part."""
    load.plan()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_aloud, load)
        wait_until(lambda: sum(has for *_, has in load.senders()) >= 2)
        os.kill(load.senders()[0][1], 9)
        wait_until(lambda: load.asked("SELECT 1 FROM sender WHERE ended IS NOT NULL") != [])
        load.bucket.faults(REFUSING)
        done = running.result()

    assert done.returncode == 3, done.stderr[-3000:]
    assert done.stderr.count("was killed by signal 9") == 1, done.stderr
    assert "the others send its part" in " ".join(done.stderr.split())
