"""`plan --diff` is exact after the real program was killed at random moments, and after such a run was abandoned."""

import os
import random
import subprocess
import sys
import time

import pytest
from known_companies import Companies, assert_same, diff_of
from workplace import KEY

pytestmark = pytest.mark.rehearsal
KILLS = 8


def kill_a_run(workplace, emulator, dice):
    """Start a run, and kill it: after some of its requests, or at any time."""
    before, enough = emulator.state()["requests"], dice.choice([1, 5, 20, 60, 10**6])
    command = [sys.executable, "-m", "bucket_loader", "run", str(workplace.folder / "pipeline.yaml"), "--quiet"]
    variables = os.environ | {"BUCKET_BASE_URL": workplace.url, "BUCKET_SECRET_KEY": KEY}
    with subprocess.Popen(command, env=variables) as process:
        until = time.monotonic() + dice.uniform(1, 8)
        while process.poll() is None and time.monotonic() < until and emulator.state()["requests"] - before < enough:
            time.sleep(0.01)
        process.kill()


def test_the_cells_are_exact_after_kills(workplace, emulator):
    """The next run finishes what was sent before a death, and remembers the values that were sent."""
    dice, companies = random.Random(18), Companies(workplace, 18)  # noqa: S311  # no secret depends on it
    companies.begin(20_000)
    emulator.faults({"kind": "latency", "seconds": 0.02})
    for _ in range(KILLS):
        kill_a_run(workplace, emulator, dice)
        companies.change(cells=9_000, of=8_000, new=50, gone=20)
    assert workplace.run().exit_code == 0
    expected = companies.change(cells=1_000, of=700, new=50, gone=20)
    assert_same(diff_of(workplace), expected)


def test_an_abandoned_run_is_known_as_far_as_it_was_answered(workplace, emulator):
    """What was delivered is as it was sent, what got no answer is unknown, and all else is as it was before."""
    dice, companies = random.Random(3), Companies(workplace, 3)  # noqa: S311  # no secret depends on it
    companies.begin(5_000)
    assert workplace.run().exit_code == 0
    expected = {
        one["id"]["companyId"]: one for one in companies.change(cells=4_500, of=4_000, new=0, gone=0)["records"]
    }
    before = len(emulator.journal())
    emulator.faults({"kind": "latency", "seconds": 0.1})
    while len(emulator.journal()) - before in {0, 4_000}:  # it has begun, and is not done
        kill_a_run(workplace, emulator, dice)
    arrived = {one["item"]["companyId"] for one in emulator.journal()[before:]}
    emulator.faults()
    assert workplace.command("abandon", "latest").exit_code == 0

    found = {one["id"]["companyId"]: one for one in diff_of(workplace)["records"]}
    unknown = {known for known, one in found.items() if one["fields"] is None}
    assert {known: one for known, one in found.items() if known not in unknown} == {
        known: one for known, one in expected.items() if known in found.keys() - unknown
    }
    assert expected.keys() - found.keys() <= arrived  # what is unchanged now has arrived
    assert found.keys() & arrived <= unknown  # and of what has arrived no old value is shown
    assert workplace.run().exit_code == 0
    again = companies.change(cells=1_000, of=700, new=50, gone=20)
    assert_same(diff_of(workplace), again)
