"""`explain` of what a killed run was sending: nobody knows whether it arrived, and it says so until somebody does."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from os import environ

import pytest
from workplace import COMPANIES

pytestmark = pytest.mark.rehearsal
WAIT_S = 30.0


@pytest.fixture
def killed(workplace, emulator):
    """A workplace whose run was killed while the API had its request and had not answered."""
    workplace.write("accounts.csv", "id,name\nc1,Acme\n")
    file = workplace.pipeline(COMPANIES)
    emulator.faults({"kind": "latency", "seconds": 60, "on": "POST /bulk"})
    words = [sys.executable, "-m", "bucket_loader", "run", str(file), "--quiet"]
    variables = {**environ, "BUCKET_BASE_URL": workplace.url, "BUCKET_SECRET_KEY": workplace.key}
    process = subprocess.Popen(words, env=variables)
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and "intent" not in _states(workplace):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    emulator.faults()
    return workplace


def _states(workplace):
    for ledger in (workplace.folder / ".bucket_loader").glob("test@*/ledger.db"):
        with closing(sqlite3.connect(ledger)) as connection:
            try:
                return {state for (state,) in connection.execute("SELECT state FROM chunk")}
            except sqlite3.OperationalError:  # it is being laid out
                return set()
    return set()


def _only_row(workplace):
    life = json.loads(workplace.command("explain", "--company", "c1", "--json").stdout)
    ((row,),) = (run["rows"] for run in life["runs"])
    return row


def test_what_a_killed_run_was_sending_is_unknown_until_the_next_has_sent_it_again(killed):
    """Then it is delivered, possibly more than once; the attempt that nobody saw the end of is counted."""
    before = _only_row(killed)
    killed.run()
    after = _only_row(killed)

    assert (before["fate"], before["chunks"][0]["state"]) == ("unknown", "intent")
    assert after["fate_text"].startswith("delivered, possibly more than once: 1 attempt")
