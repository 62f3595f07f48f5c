"""Limits of the machine and of the server: few connections, few files, few threads."""

import math
import resource
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from bench import Bench, events, stub
from scripted_server import OK, scripted

from bucket_loader.delivery import sending
from bucket_loader.delivery.http.watchdog import Watchdog
from bucket_loader.delivery.transport import FURTHER_S_FIRST, Pool, connections_max
from bucket_loader.model.errors import ThreadsError
from bucket_loader.model.outcomes import Outcome, Verdict
from bucket_loader.model.prefetch import prefetched, side_by_side

DELIVERED, NOT_SENT = Outcome(Verdict.DELIVERED, 200), Outcome(Verdict.NOT_SENT)


class Line:
    """A connection that is what a test says."""

    is_open = is_connected = False

    def answered(self, outcome):
        """Be open after an answer."""
        self.is_open = self.is_connected = outcome.status is not None
        return outcome


@pytest.fixture
def pool():
    """Return a pool of such connections, and its clock."""
    clock = SimpleNamespace(threading=threading, look_s=0.02, at_s=100.0)
    clock.now_s = lambda: clock.at_s
    return Pool(SimpleNamespace(connection=lambda _: Line()), "", clock), clock


def opened(pool, count):
    """Take connections that are answered."""
    lines = [pool.take_closed() for _ in range(count)]
    for line in lines:
        pool.give_back(line, line.answered(DELIVERED))
    return [pool.take_opened() for _ in range(count)]


def refused(pool):
    """Take a connection that cannot be had."""
    line = pool.take_closed()
    pool.give_back(line, line.answered(NOT_SENT))
    return line


def test_who_needs_a_connection_that_cannot_be_had_waits_for_an_open_one(pool):
    """The server took three and refused the fourth: the fifth that asks gets the first that is given back."""
    pool, _ = pool
    three, _ = opened(pool, 3), refused(pool)
    waiting = threading.Thread(target=lambda: three.append(pool.take()))
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()

    pool.give_back(three[0], DELIVERED)
    waiting.join(5)
    assert three[3] is three[0]


def test_one_further_connection_is_tried_from_time_to_time(pool):
    """One alone; when it is answered the next may follow at once, and when it is refused it takes longer."""
    pool, clock = pool
    opened(pool, 2)
    refused(pool)
    clock.at_s += 2 * FURTHER_S_FIRST + 0.01
    tried = pool.take_closed()
    assert tried not in (None, *pool._opened)
    assert not pool._may_open()

    pool.give_back(tried, tried.answered(DELIVERED))
    assert pool._may_open()
    refused(pool)
    clock.at_s += 2 * FURTHER_S_FIRST - 0.01
    assert not pool._may_open()


def test_without_an_open_connection_it_is_no_limit(pool):
    """An outage refuses all: whoever tries opens one, and nobody waits for what nobody has."""
    pool, _ = pool
    for _ in range(5):
        refused(pool)

    assert pool._most == math.inf
    assert pool._may_open()


def test_files_are_left_for_what_else_a_run_opens(monkeypatch):
    """The limit of open files bounds the connections; one is allowed in any case."""
    held = len(list(Path("/dev/fd").iterdir()))
    for limit, least, most in ((held + 40, 20, 24), (held, 1, 1), (resource.RLIM_INFINITY, math.inf, math.inf)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limit=limit: (limit, limit))
        assert least <= connections_max() <= most


def test_a_limit_of_files_is_kept_to(tmp_path, quick, monkeypatch):
    """Where three connections are possible no fourth is opened, and everything is sent."""
    monkeypatch.setattr(sending, "connections_max", lambda: 3)
    with scripted(served(threading.Semaphore(99))) as server:
        summary = Bench(tmp_path, server.url).run(events(200), chunk={"records": 5})

    assert summary.streams["events"].delivered == 200
    assert len(server.peers) <= 3


def test_a_limit_of_the_server_is_lived_with(tmp_path, quick):
    """It takes three connections at a time and resets the others: everything is sent over the three, idle or not."""
    with scripted(served(threading.Semaphore(3))) as server:
        summary = Bench(tmp_path, server.url).run(events(300), chunk={"records": 5})

    assert summary.streams["events"].delivered == 300
    assert len(server.peers) < 40


def served(places):
    """Make a script that answers as long as there is a place, and resets the connection otherwise."""

    def script(peer):
        if not places.acquire(blocking=False):
            peer.rst()
            return
        try:
            while True:
                peer.read()
                peer.pause(0.02)
                peer.send(OK)
        finally:
            places.release()

    return script


@pytest.mark.parametrize("granted", [0, 1, 3])
def test_workers_that_cannot_start_are_not_missed(tmp_path, monkeypatch, granted):
    """A limit on threads: one worker is enough, also without a thread of its own, and those that began are joined."""
    real, left = threading.Thread.start, [granted]

    def start(thread):
        if thread.name.startswith(("worker", "reader")):
            left[0] -= 1
            if left[0] < 0:
                raise RuntimeError(ThreadsError.REFUSED)
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with stub(delay_s=0.01) as bucket:
        summary = Bench(tmp_path, bucket.url).run(events(100), chunk={"records": 5})

    assert summary.streams["events"].delivered == 100
    assert set(bucket.ids().values()) == {1}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("worker", "reader"))]


def test_without_any_thread_it_says_so(monkeypatch):
    """What ends attempts in time needs one: the error has a code that is tried again, and says what to raise."""

    def start(_):
        raise RuntimeError(ThreadsError.REFUSED)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(ThreadsError, match="no further thread") as error:
        Watchdog()

    assert error.value.exit_code == 75
    assert list(side_by_side(str, [1, 2, 3], 2)) == ["1", "2", "3"]
    assert list(prefetched(iter([1, 2]), threading.Event(), 1)) == [1, 2]
