"""How much at once: slots, and what answers do to their number."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from bucket_loader.delivery.http.concurrency import AUTO_MAX, AUTO_QUICK
from bucket_loader.delivery.http.pacing import (
    AUTO_START,
    ERROR_SHARE_MAX,
    FEW,
    OUTAGE_AFTER,
    PROBE_HANGS_S,
    RECENT,
    Pacer,
)
from bucket_loader.model.clock import SYSTEM
from bucket_loader.model.outcomes import Outcome, Verdict

GOOD = Outcome(Verdict.DELIVERED, 200)
ERROR = Outcome(Verdict.SERVER_ERROR, 500)
THROTTLED = Outcome(Verdict.THROTTLED, 429)
FAILURES = [ERROR, Outcome(Verdict.UNKNOWN), Outcome(Verdict.NOT_SENT)]


class Clock:
    """A clock that moves when it is told to."""

    threading = threading
    look_s = 0.5

    def __init__(self) -> None:
        self.now = 1000.0

    def now_s(self) -> float:
        """Return the time."""
        return self.now


def pacer(concurrency=None, rate=None, clock=SYSTEM, stopped=None):
    """Make a pacer."""
    return Pacer(concurrency=concurrency, requests_per_second=rate, stopped=stopped or threading.Event(), clock=clock)


def free(found):
    """Whether a slot is to be had now."""
    return found._wait_s(found._clock.now_s()) <= 0


def answer(found, outcome, *, after_s=0.0):
    """Take a slot, and give it back with an outcome."""
    slot = found.acquire()
    assert slot is not None
    found._clock.now += after_s
    found.release(slot, outcome)


def fail(found, outcome, times=OUTAGE_AFTER, *, after_s=0.0):
    """Answer so many requests that are all in flight at once; the limit does not matter."""
    with found._lock:
        slots = [found._take(found._clock.now_s(), watched=False) for _ in range(times)]
    found._clock.now += after_s
    for slot in slots:
        found.release(slot, outcome)


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
        slot = found.acquire()
        assert slot is not None
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.0005)
        with lock:
            now[0] -= 1
        clock.now += 2
        found.release(slot, outcome)

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
        answer(found, outcome)
        clock.now += 400

        assert 1 <= slots(found, clock) <= AUTO_MAX


def test_good_answers_let_the_limit_grow():
    """An adaptive limit begins at its start and reaches the most while answers are good."""
    clock = Clock()
    found = pacer(clock=clock)
    before = slots(found, clock)
    for _ in range(40):
        fail(found, GOOD, AUTO_MAX, after_s=0.08)
        clock.now += 1

    assert (before, slots(found, clock)) == (int(AUTO_START), AUTO_MAX)


def test_who_answers_at_once_needs_few_slots():
    """A server that answers at once gets as many slots as one thread fills: more would only wait for each other."""
    clock = Clock()
    found = pacer(clock=clock)
    for _ in range(40):
        fail(found, GOOD, AUTO_MAX, after_s=0.0005)
        clock.now += 1

    assert slots(found, clock) == int(AUTO_QUICK)


def grown(found):
    """Let a pacer find that its server answers at once."""
    for _ in range(40):
        fail(found, GOOD, AUTO_MAX, after_s=0.0005)
        found._clock.now += 1


def test_one_thread_has_all_in_flight_when_answers_come_at_once():
    """Then there is nothing to wait for, and no room beside what is in flight."""
    found = pacer(clock=Clock())
    assert found.at_once == 1
    grown(found)

    assert found.at_once == found.room == int(AUTO_QUICK)


@pytest.mark.parametrize("then", ["slow", "throttled", "failing"])
def test_threads_have_one_each_when_somebody_has_to_wait(then):
    """For an answer, for the rate, or for an outage to end."""
    found = pacer(clock=Clock())
    grown(found)
    outcome = {"slow": GOOD, "throttled": THROTTLED, "failing": ERROR}[then]
    fail(found, outcome, 1, after_s=0.5 if then == "slow" else 0.0005)

    assert found.at_once == 1
    assert found.room > found._concurrency.slots


def test_threads_have_one_each_at_a_rate_that_was_asked_for():
    """Each waits for its turn."""
    found = pacer(rate=50.0, clock=Clock())
    grown(found)

    assert found.at_once == 1


def test_a_slot_can_be_asked_for_without_waiting():
    """Who has answers to read gets one that is free, or none."""
    found = pacer(2, clock=Clock())

    assert [found.acquire(wait=False) is not None for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("asked", [1.0, 2.0, 30.0])
@pytest.mark.parametrize("concurrency", [None, 8])
def test_a_throttle_stops_everybody(asked, concurrency):
    """After a 429 nobody goes before the time that it asks for."""
    clock = Clock()
    found = pacer(concurrency, clock=clock)
    answer(found, Outcome(Verdict.THROTTLED, 429, retry_after_s=asked), after_s=0.1)

    assert not free(found)
    clock.now += asked - 0.1
    assert not free(found)
    clock.now += 0.2
    assert free(found)


@pytest.mark.parametrize(("asked", "freed"), [(1.0, True), (2.0, False)])
@pytest.mark.parametrize("served_first", [False, True])
def test_the_least_that_can_be_asked_for_is_taken_back_by_serving_others(asked, freed, served_first):
    """Retry-After knows whole seconds; who says 1 and serves what was sent later meant that one request."""
    clock = Clock()
    found = pacer(clock=clock)
    refused = found.acquire()
    clock.now += 0.01
    later = found.acquire()
    clock.now += 0.1
    told = [(refused, Outcome(Verdict.THROTTLED, 429, retry_after_s=asked)), (later, GOOD)]
    for slot, outcome in reversed(told) if served_first else told:
        found.release(slot, outcome)
    clock.now += 0.5

    assert free(found) is freed


def test_a_throttle_paces_what_was_not_paced():
    """The first 429 brings a pace, and no slot is lost for it."""
    clock = Clock()
    found = pacer(clock=clock)
    for _ in range(50):
        answer(found, GOOD, after_s=0.01)
    answer(found, THROTTLED)

    assert not free(found)
    clock.now += 0.011
    assert free(found)
    assert slots(found, clock) >= int(AUTO_START)


@pytest.mark.parametrize(("share", "shrinks"), [(0.05, False), (0.15, False), (0.5, True)])
def test_only_many_server_errors_shrink_the_limit(share, shrinks):
    """A few per cent of 500s leave the limit at its most; more than a fifth take it down."""
    clock = Clock()
    found = pacer(clock=clock)
    for _ in range(40):
        fail(found, GOOD, AUTO_MAX, after_s=0.08)
        clock.now += 1
    errors = int(RECENT * share)
    for number in range(RECENT * 4):
        answer(found, ERROR if number % RECENT < errors * 2 and number % 2 == 0 else GOOD, after_s=0.08)

    assert (slots(found, clock) < AUTO_MAX - 1) is shrinks
    assert 0 < ERROR_SHARE_MAX < 0.5


@pytest.mark.parametrize("outcome", FAILURES, ids=lambda outcome: outcome.verdict.value)
@pytest.mark.parametrize("concurrency", [None, 1, 16])
def test_an_outage_sends_one_probe_a_second(outcome, concurrency):
    """Once enough attempts have failed in a row, one at a time goes out, and never two within a second."""
    clock = Clock()
    found = pacer(concurrency, clock=clock)
    fail(found, outcome)
    probes = []
    for _ in range(2000):
        clock.now += 0.01
        if free(found):
            slot = found.acquire()
            probes.append(clock.now)
            assert not free(found)
            found.release(slot, outcome)

    assert all(later - earlier >= 1 for earlier, later in pairwise(probes))
    assert 18 <= len(probes) <= 21


@pytest.mark.long
def test_an_outage_sends_one_probe_a_second_from_many_threads():
    """Sixteen threads that all fail send no more than one probe a second between them."""
    stopped = threading.Event()
    found = pacer(16, stopped=stopped)
    probes = []

    def work():
        while slot := found.acquire():
            probes.append(time.monotonic())
            found.release(slot, FAILURES[2])

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


@pytest.mark.parametrize(("concurrency", "most"), [(8, 8), (None, AUTO_MAX)])
def test_a_success_ends_an_outage(concurrency, most):
    """After the first success all slots are back; where they adapt, half of them, and the others soon."""
    clock = Clock()
    found = pacer(concurrency, clock=clock)
    for _ in range(40):
        fail(found, GOOD, AUTO_MAX, after_s=0.08)
        clock.now += 1
    fail(found, FAILURES[1])
    answer_at = clock.now
    while not free(found):
        clock.now += 0.01
    answer(found, GOOD)

    assert clock.now - answer_at == pytest.approx(1, abs=0.02)
    assert slots(found, clock) == (most if concurrency else most // 2)


def test_a_probe_that_hangs_does_not_end_the_probing():
    """Who never gets an answer probes on, ten times more seldom."""
    clock = Clock()
    found = pacer(clock=clock)
    fail(found, FAILURES[1])
    probes = []
    while len(probes) < 4:
        clock.now += 0.01
        if free(found):
            found.acquire()
            probes.append(clock.now)

    assert all(PROBE_HANGS_S <= later - earlier < PROBE_HANGS_S + 0.1 for earlier, later in pairwise(probes))


@pytest.mark.parametrize("rate", [0.5, 3.0, 100.0])
def test_a_given_rate_is_kept(rate):
    """`requests_per_second` spaces requests evenly, after a pause as well."""
    clock = Clock()
    found = pacer(16, rate, clock)
    sent = []
    for step in range(4000):
        clock.now += 0.1 / rate if step != 2000 else 1000 / rate
        if free(found):
            answer(found, GOOD)
            sent.append(clock.now)

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

    assert got == [None] * 4


def test_until_something_was_delivered_few_chunks_are_under_way():
    """A mapping mistake shows after few requests; then there is room for those in flight, and some that wait."""
    found = pacer(clock=Clock())
    for _ in range(20):
        found.release(found.acquire(), Outcome(Verdict.REJECTED, 400))
    before = found.room
    answer(found, GOOD, after_s=0.1)

    assert before == FEW
    assert found._concurrency.slots < found.room <= found._concurrency.slots * 2


def test_a_fixed_concurrency_has_room_for_everybody():
    """A number is kept to from the first request on."""
    assert pacer(8, clock=Clock()).room == 8
