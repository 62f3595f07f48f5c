"""Kill the loader whenever it hurts, under faults; then count every record."""

import json
import os
import random
import signal
import time
from collections import Counter

import pytest
from bench import KEY, id_of
from loading import Loading, requests_seen, wait_for_requests

KILLS = int(os.environ.get("BUCKET_LOADER_KILLS", "9"))
CYCLES = 3
FAULTS = [
    {"kind": "status", "status": 500, "rate": 0.05},
    {"kind": "cut_after", "rate": 0.02},
    {"kind": "latency", "seconds": 0.04},
]
CONCURRENCY = 8


def note(tmp_path, **numbers):
    """Keep a cycle's numbers, for whoever wants to add them up."""
    (tmp_path / "numbers.json").write_text(json.dumps(numbers), "utf-8")


def arrived(emulator):
    """Count how often each record arrived."""
    return Counter(id_of(entry["item"]) for entry in emulator.journal())


def everything(loading):
    """Give every record once."""
    return Counter([f"e{number}" for number in range(loading.events)] + [f"u{n}" for n in range(loading.users)])


@pytest.mark.parametrize("cycle", range(CYCLES))
@pytest.mark.timeout(600)
def test_kills_lose_nothing_and_repeat_only_what_was_named(tmp_path, emulator, cycle):
    """Killed at random moments again and again: all arrives, and oftener than once only what the ledger names."""
    emulator.faults(*FAULTS, seed=cycle)
    randomly = random.Random(cycle)  # noqa: S311  # repeatable, not secret
    loading = Loading(tmp_path / "here", emulator.url, KEY, concurrency=CONCURRENCY)
    kills, in_doubt = 0, []
    for _ in range(-(-KILLS // CYCLES)):
        process, seen = loading.start(), requests_seen(emulator.url)
        if randomly.random() < 0.8:  # the others die while they start, plan, or begin the ledger
            wait_for_requests(emulator.url, seen, process)
            time.sleep(randomly.uniform(0, 0.7))
        else:
            time.sleep(randomly.uniform(0.3, 1.5))
        process.send_signal(signal.SIGKILL)
        kills += loading.wait(process) == -signal.SIGKILL
        in_doubt.append(loading.intents())
    emulator.faults(*FAULTS[:2], seed=cycle + 100)
    code = loading.wait(loading.start())
    found, named = arrived(emulator), loading.doubtful()

    assert code == 0, loading.stderr()
    assert "Traceback" not in loading.stderr()
    assert found.keys() == everything(loading).keys()
    repeated = {name: times - 1 for name, times in found.items() if times > 1}
    assert all(times <= named.get(name, 0) for name, times in repeated.items())
    # What a kill leaves in doubt is what was in flight; the rest of the named had a 500 or a cut.
    assert max(in_doubt) <= CONCURRENCY
    note(tmp_path, kills=kills, in_doubt=in_doubt, repeated=sum(repeated.values()), named=len(named))


@pytest.mark.parametrize("moment", range(6))
def test_sigterm_drains(tmp_path, emulator, moment):
    """A SIGTERM at a random moment ends the run in seconds with 143 and no unknowns; the next run finishes it."""
    emulator.faults({"kind": "latency", "seconds": 0.05}, {"kind": "status", "status": 500, "rate": 0.1}, seed=moment)
    randomly = random.Random(moment)  # noqa: S311  # repeatable, not secret
    loading = Loading(tmp_path / "here", emulator.url, KEY, events=1_200, users=600, concurrency=4)
    process = loading.start()
    wait_for_requests(emulator.url, 0, process)
    time.sleep(randomly.uniform(0, 0.8))
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, took_s = loading.wait(process), time.monotonic() - began
    first = loading.summary()
    emulator.faults()

    assert code in {0, 143}
    assert took_s < 5 + 5  # five on a machine of its own
    assert [counts["unknown"] for counts in first["streams"].values()] == [0, 0]
    assert loading.wait(loading.start()) == 0
    assert arrived(emulator) == everything(loading)
    assert first["exit_code"] == code


def test_two_sigterms_end_it_at_once_and_lose_nothing(tmp_path, emulator):
    """A second signal does not wait for the answers in flight; the ledger names what they may have done."""
    emulator.faults({"kind": "latency", "seconds": 3})
    loading = Loading(tmp_path / "here", emulator.url, KEY, events=200, users=20, concurrency=4)
    process = loading.start()
    wait_for_requests(emulator.url, 0, process)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    code = loading.wait(process)
    emulator.faults()

    assert code in {-signal.SIGTERM, 143}
    assert loading.wait(loading.start()) == 0
    found, named = arrived(emulator), loading.doubtful()
    assert found.keys() == everything(loading).keys()
    assert all(times - 1 <= named.get(name, 0) for name, times in found.items())
