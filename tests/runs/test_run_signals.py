"""Signals: what drains a run, what a host keeps, and what a second one does."""

import ctypes
import signal
import subprocess
import sys
import threading
from functools import partial
from types import SimpleNamespace

import pytest
from workplace import KEY

from bucket_loader.runs.job import Job
from bucket_loader.runs.signals import drained_on_signals

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LIBC = ctypes.CDLL(None)


def a_job(*, in_host=False):
    """Return what the handlers touch of a job."""
    job = SimpleNamespace(stopped=threading.Event(), signal_number=0, in_host=in_host, signalled=False)
    job.drain = partial(Job.drain, job)
    return job


@pytest.fixture(autouse=True)
def own_handlers():
    """Leave pytest's handlers as they are."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def action_of(number):
    """Return what the system does about a signal: its handler and flags, as it has them."""
    buffer = ctypes.create_string_buffer(512)
    assert LIBC.sigaction(int(number), None, buffer) == 0
    return buffer.raw[:16], buffer.raw[136:140]  # of glibc; in between it leaves what it does not set


@pytest.mark.parametrize("number", NUMBERS)
def test_a_first_signal_drains_and_a_second_is_the_hosts(number):
    """SIGHUP as SIGTERM; the second one goes to the handler that the host had, and so does the third."""
    heard, job = [], a_job(in_host=True)
    signal.signal(number, lambda *words: heard.append(words[0]))
    with drained_on_signals(job):
        signal.raise_signal(number)
        assert (job.stopped.is_set(), job.signal_number, heard) == (True, number, [])
        signal.raise_signal(number)
        signal.raise_signal(number)
    assert heard == [number, number]


def test_a_second_ctrl_c_raises_in_a_host():
    """As Ctrl-C does in Python; whatever signal was the first."""
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupted():
        with drained_on_signals(a_job(in_host=True)):
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_that_is_ignored_stays_so(number):
    """`nohup`, and jobs in the background: nothing drains."""
    signal.signal(number, signal.SIG_IGN)
    job = a_job()
    with drained_on_signals(job):
        signal.raise_signal(number)
    assert (job.stopped.is_set(), signal.getsignal(number)) == (False, signal.SIG_IGN)


@pytest.mark.parametrize("how", ["python", "restarting", "of a library", "default"])
def test_handlers_are_given_back_as_they_were(how):
    """Python's, one that does not interrupt system calls, one that a library has set behind Python's back, and none."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_DFL if how == "default" else lambda *_: None)
        if how == "restarting":
            signal.siginterrupt(number, 0)
        elif how == "of a library":
            LIBC.signal(int(number), ctypes.cast(LIBC.getpid, ctypes.c_void_p))
    before = {number: (signal.getsignal(number), action_of(number)) for number in NUMBERS}
    job = a_job()
    with drained_on_signals(job):
        signal.raise_signal(signal.SIGHUP)

    assert job.stopped.is_set()
    assert {number: (signal.getsignal(number), action_of(number)) for number in NUMBERS} == before


HOST = """
import os, signal, threading, time
from bucket_loader import load

signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background may have been told to ignore it
words = {"destination": {"base_url": os.environ["BUCKET_BASE_URL"], "key": os.environ["BUCKET_SECRET_KEY"]}}
def twice():
    while not os.path.exists("sending"):
        time.sleep(0.05)
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(2.0)
threading.Thread(target=twice, daemon=True).start()
began = time.monotonic()
try:
    load("pipeline.yaml")
except KeyboardInterrupt:
    print("raised", signal.getsignal(signal.SIGINT) is signal.default_int_handler, flush=True)
print("then", load("pipeline.yaml").exit_code, flush=True)
"""


@pytest.mark.long
def test_a_host_lives_through_two_ctrl_cs_and_loads_again(companies, emulator):
    """The second raises there; the state is free for the next `load()`, which finishes what was in flight."""
    emulator.faults({"kind": "latency", "seconds": 60, "times": 1})
    environment = {"BUCKET_BASE_URL": companies.url, "BUCKET_SECRET_KEY": KEY, "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(
        [sys.executable, "-c", HOST], cwd=companies.folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as host:
        while emulator.state()["requests"] == 0 and host.poll() is None:
            threading.Event().wait(0.05)
        (companies.folder / "sending").touch()
        told, _ = host.communicate(timeout=120)

    assert (host.returncode, told.split()) == (0, ["raised", "True", "then", "0"])
    assert emulator.state()["companies"] == 3


@pytest.mark.parametrize("command", ["plan", "impact"])
def test_a_plan_that_is_interrupted_leaves_nothing(companies, monkeypatch, command):
    """SIGTERM while rows are read: exit 143, a line that says so, and no half of a plan."""
    features = companies.write("features.json", "[]")
    progress = Job.progress

    def terminated(job, *told):
        signal.raise_signal(signal.SIGTERM)
        progress(job, *told)

    monkeypatch.setattr(Job, "progress", terminated)
    result = companies.command(command, *(["--features", str(features)] if command == "impact" else []))

    assert (result.exit_code, "interrupted" in result.stderr) == (143, True)
    assert not list(companies.folder.glob(".bucket_loader/*/plans/*"))
