"""How much at once: slots, and what answers do to their number."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucket_loader.records import Outcome, Verdict
from bucket_loader.sender.pacing import AUTO_MAX, AUTO_START, ERROR_SHARE_MAX, OUTAGE_AFTER, RECENT, Pacer

GOOD = Outcome(Verdict.DELIVERED, 200)
ERROR = Outcome(Verdict.SERVER_ERROR, 500)
THROTTLED = Outcome(Verdict.THROTTLED, 429)
FAILURES = [ERROR, Outcome(Verdict.UNKNOWN), Outcome(Verdict.NOT_SENT)]


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def pacer(concurrency=None, rate=None, clock=time.monotonic, stopped=None):
    """Make a pacer."""
    return Pacer(concurrency=concurrency, requests_per_second=rate, stopped=stopped or threading.Event(), clock=clock)


def free(found):
    """Tell whether a slot is to be had now."""
    return found._wait_s() <= 0


def slots(found, clock):
    """Take slots until none is left, and give them back untold; the clock moves on so that only the limit counts."""
    taken = 0
    while free(found):
        assert found.acquire()
        taken += 1
        clock.now += 10
    found._in_flight -= taken
    return taken


@pytest.mark.parametrize("concurrency", [1, 2, 16])
@pytest.mark.parametrize("outcome", [GOOD, THROTTLED, *FAILURES[:2]])
def test_a_fixed_concurrency_is_never_exceeded(concurrency, outcome):
    """However many threads ask, and whatever is answered, no more than the limit is in flight."""
    found, lock = pacer(concurrency, clock=(clock := Clock())), threading.Lock()
    now, most = [0], [0]

    def work(_):
        clock.now += 1
        assert found.acquire()
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.0005)
        with lock:
            now[0] -= 1
        clock.now += 2
        found.release(outcome)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(200)))

    assert 1 <= most[0] <= concurrency


@settings(deadline=None)
@given(st.lists(st.sampled_from([GOOD, GOOD, GOOD, THROTTLED, *FAILURES]), max_size=300))
def test_the_limit_stays_between_one_and_the_most(outcomes):
    """After any answers at all there is at least one slot, and never more than the most."""
    clock = Clock()
    found = pacer(clock=clock)
    for outcome in outcomes:
        clock.now += 400  # longer than any wait that is asked for
        assert found.acquire()
        found.release(outcome)
        clock.now += 400

        assert 1 <= slots(found, clock) <= AUTO_MAX


def test_good_answers_let_the_limit_grow():
    """An adaptive limit begins at its start and reaches the most while answers are good."""
    clock = Clock()
    found = pacer(clock=clock)
    before = slots(found, clock)
    for _ in range(400):
        found.acquire()
        found.release(GOOD)

    assert (before, slots(found, clock)) == (int(AUTO_START), AUTO_MAX)


def test_a_throttle_shrinks_the_limit_and_stops_everybody():
    """A 429 takes slots away, and nobody goes before the time it asks for."""
    clock = Clock()
    found = pacer(clock=clock)
    found.acquire()
    found.release(Outcome(Verdict.THROTTLED, 429, retry_after_s=30.0))

    assert not free(found)
    clock.now += 29.9
    assert not free(found)
    clock.now += 0.2
    assert slots(found, clock) < int(AUTO_START)


@pytest.mark.parametrize(("share", "shrinks"), [(0.05, False), (0.15, False), (0.5, True)])
def test_only_many_server_errors_shrink_the_limit(share, shrinks):
    """A few per cent of 500s leave the limit at its most; more than a fifth take it down."""
    clock = Clock()
    found = pacer(clock=clock)
    for _ in range(400):
        found.release(GOOD)
        found._in_flight = 0
    errors = int(RECENT * share)
    for number in range(RECENT * 4):
        found._in_flight += 1
        found.release(ERROR if number % RECENT < errors * 2 and number % 2 == 0 else GOOD)

    assert (slots(found, clock) < AUTO_MAX - 1) is shrinks
    assert 0 < ERROR_SHARE_MAX < 0.5


@pytest.mark.parametrize("outcome", FAILURES, ids=lambda outcome: outcome.verdict.value)
@pytest.mark.parametrize("concurrency", [None, 1, 16])
def test_an_outage_sends_one_probe_a_second(outcome, concurrency):
    """Once enough attempts have failed in a row, one at a time goes out, and never two within a second."""
    clock = Clock()
    found = pacer(concurrency, clock=clock)
    for _ in range(OUTAGE_AFTER):
        found._in_flight += 1
        found.release(outcome)
    probes = []
    for _ in range(2000):
        clock.now += 0.01
        if free(found):
            found.acquire()
            probes.append(clock.now)
            assert not free(found)
            found.release(outcome)

    assert all(later - earlier >= 1 for earlier, later in pairwise(probes))
    assert 18 <= len(probes) <= 21


def test_an_outage_sends_one_probe_a_second_from_many_threads():
    """Sixteen threads that all fail send no more than one probe a second between them."""
    stopped = threading.Event()
    found = pacer(16, stopped=stopped)
    probes = []

    def work():
        while found.acquire():
            probes.append(time.monotonic())
            found.release(FAILURES[2])

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    stopped.set()
    for thread in threads:
        thread.join(5)
    late = [probe for probe in probes if probe > probes[0] + 0.5]

    assert not any(thread.is_alive() for thread in threads)
    assert len(late) <= 5


def test_a_success_ends_an_outage():
    """After the first success all slots are back."""
    clock = Clock()
    found = pacer(8, clock=clock)
    for _ in range(OUTAGE_AFTER):
        found._in_flight += 1
        found.release(FAILURES[1])
    clock.now += 5
    during = slots(found, clock)
    found._in_flight += 1
    found.release(GOOD)
    clock.now += 5

    assert (during, slots(found, clock)) == (1, 8)


@pytest.mark.parametrize("rate", [0.5, 3.0, 100.0])
def test_a_given_rate_is_kept(rate):
    """`requests_per_second` spaces requests evenly, after a pause as well."""
    clock = Clock()
    found = pacer(16, rate, clock)
    sent = []
    for step in range(4000):
        clock.now += 0.1 / rate if step != 2000 else 1000 / rate
        if free(found):
            found.acquire()
            sent.append(clock.now)
            found.release(GOOD)

    gaps = [later - earlier for earlier, later in pairwise(sent)]
    assert min(gaps) >= 0.99 / rate


def test_a_stop_wakes_whoever_waits():
    """Threads that wait for a slot go home when the run is stopped."""
    stopped = threading.Event()
    found = pacer(1, stopped=stopped)
    assert found.acquire()
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(found.acquire) for _ in range(4)]
        stopped.set()
        got = [one.result(timeout=10) for one in waiting]

    assert got == [False] * 4
