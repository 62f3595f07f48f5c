"""How the pacing finds what a server admits, over minutes of virtual time: the real pacer and the real retries.

By default a part of each grid runs; `BUCKET_LOADER_PACING=all` runs all of it (about two minutes of CPU).
"""

import math
import os
from itertools import product

import pytest
from pacing_model import SERVED, Server, lognormal, run, stalls

from bucket_loader.delivery.http.concurrency import AUTO_MAX
from bucket_loader.model.outcomes import Outcome, Verdict

pytestmark = pytest.mark.long

ALL = os.environ.get("BUCKET_LOADER_PACING") == "all"
RATES, BURSTS, LATENCIES, ASKED = (20, 60, 200), (1, 5, 20), (0.02, 0.08, 0.2), (None, 0.0)
# Each rate with each burst; what else varies, varies along.
PART = [(rate, burst, LATENCIES[(i + j) % 3], ASKED[(i + j) % 2])
        for (i, rate), (j, burst) in product(enumerate(RATES), enumerate(BURSTS))]  # fmt: skip
GRID = list(product(RATES, BURSTS, LATENCIES, ASKED)) if ALL else PART

OUTAGES = {
    "refused": (Outcome(Verdict.NOT_SENT), 0.001),
    "hanging": (Outcome(Verdict.UNKNOWN), 30.0),
    "500": (Outcome(Verdict.SERVER_ERROR, 500), 0.05),
    "503 in a second": (Outcome(Verdict.THROTTLED, 503, retry_after_s=1.0), 0.05),
    "503 in five": (Outcome(Verdict.THROTTLED, 503, retry_after_s=5.0), 0.05),
    "429": (Outcome(Verdict.THROTTLED, 429), 0.05),
}


def always(seconds):
    """Return the same latency to every request."""
    return lambda: seconds


@pytest.mark.parametrize(("rate", "burst", "latency_s", "asked"), GRID)
def test_a_hidden_rate_is_found(rate, burst, latency_s, asked):
    """After a minute at least 90 % of what is admitted is used, and under 5 % of requests meet a 429."""
    found = run(Server(always(latency_s), limit=lambda _now: rate, burst=burst, asks=asked), 80)

    assert found.per_s(60, 80) >= 0.9 * rate
    assert found.share(Verdict.THROTTLED, 60, 80) < 0.05


@pytest.mark.parametrize("asked", ASKED)
def test_the_slow_sink_is_used_within_ten_seconds(asked):
    """Answers after 80 ms, 200 requests a second: from the tenth second on 95 % of it, with under 2 % of 429s."""
    found = run(Server(always(0.08), limit=lambda _now: 200, burst=5, asks=asked), 30)

    for begin, end in ((10, 20), (20, 30)):
        assert found.per_s(begin, end) >= 0.95 * 200
        assert found.share(Verdict.THROTTLED, begin, end) < 0.02


@pytest.mark.parametrize("latency_s", [0.05, 0.2] if ALL else [0.08])
def test_a_few_server_errors_do_not_slow_it_down(latency_s):
    """With one answer in twenty a 500, and no limit, as many requests are made as without, but for the pauses."""
    without = run(Server(always(latency_s)), 15)
    with_errors = run(Server(always(latency_s), errors=0.05), 15)

    assert with_errors.per_s(10, 15) >= 0.8 * without.per_s(10, 15)
    assert with_errors.limit(10, 15)[0] >= 0.9 * AUTO_MAX


@pytest.mark.parametrize("kind", OUTAGES if ALL else ["refused", "hanging", "503 in a second"])
def test_an_outage_is_probed_and_forgotten(kind):
    """Ten minutes of outage: a probe a second at most, nobody gives up, and soon as fast as before."""
    server = Server(
        always(0.08), limit=lambda _now: 100, trouble=lambda now: OUTAGES[kind] if 20 <= now < 620 else None
    )
    found = run(server, 665)

    assert 20 <= found.requests(622, 620 + 0.1) + found.requests(22, 620) <= 600
    assert found.gave_up == []
    assert found.per_s(650, 665) >= 0.95 * found.per_s(10, 20)
    assert found.per_s(630, 650) >= 0.8 * found.per_s(10, 20)


def test_an_outage_longer_than_patience_ends_the_run():
    """Patience is neither cut short nor stretched by pacing, but for the last wait."""
    found = run(Server(trouble=lambda now: OUTAGES["500"] if now >= 10 else None), 700, patience_s=300)

    assert len(found.gave_up) == found.pacer.workers
    assert 310 <= found.gave_up[0] <= 310 + 31
    assert found.requests(312, 700) <= 64 + 31


@pytest.mark.parametrize(("workers", "work_s"), [(4, 0.05), (8, 0.05), (8, 0.2), (16, 0.05)] if ALL else [(8, 0.05)])
def test_a_server_that_queues_is_not_sent_ever_more(workers, work_s):
    """Where latency rises beyond N requests at once, the limit stays near N, and the server stays busy."""
    found = run(Server(always(work_s), workers=workers), 60)
    least, most = found.limit(15, 60)

    assert 0.5 * workers <= least
    assert most <= 2.6 * workers
    assert found.mean_limit(15, 60) <= 2 * workers
    assert found.per_s(15, 60) >= 0.95 * workers / work_s


def test_a_server_that_slows_down_for_everybody_is_not_starved():
    """Latency that stays up with fewer requests is not our doing: all slots come back."""
    moment = {"now": 0.0}
    server = Server(lambda: 0.1 if moment["now"] < 15 else 0.4)
    answer = server.answer
    server.answer = lambda now: (moment.update(now=now), answer(now))[1]
    found = run(server, 45)

    assert found.limit(14, 15)[0] >= 0.9 * AUTO_MAX
    assert found.limit(38, 45)[0] >= 0.9 * AUTO_MAX


@pytest.mark.parametrize(("median_s", "sigma"), [(0.02, 1.0), (0.08, 0.5), (0.08, 1.0)] if ALL else [(0.08, 0.8)])
def test_noisy_latency_costs_no_slots(median_s, sigma):
    """Latency that varies by itself is not taken for a queue."""
    found = run(Server(lognormal(median_s, sigma)), 20)

    mean_s = median_s * math.exp(sigma**2 / 2)
    assert found.per_s(10, 20) >= 0.85 * AUTO_MAX / mean_s


@pytest.mark.parametrize(("burst", "latency_s", "asked"),
                         list(product(BURSTS, LATENCIES, ASKED)) if ALL else [(5, 0.08, 0.0)])  # fmt: skip
def test_a_limit_that_changes_is_followed(burst, latency_s, asked):
    """A limit that falls to a quarter is found in five seconds, and one that rises fourfold in twenty."""
    server = Server(always(latency_s), limit=lambda now: 50 if 40 <= now < 80 else 200, burst=burst, asks=asked)
    found = run(server, 105)

    assert found.per_s(45, 50) >= 0.85 * 50
    assert found.share(Verdict.THROTTLED, 45, 80) < 0.05
    assert found.per_s(95, 105) >= 0.85 * 200
    assert found.share(Verdict.THROTTLED, 80, 105) < 0.05


@pytest.mark.parametrize("answer", [SERVED, *(outcome for outcome, _ in OUTAGES.values())])
def test_what_a_user_sets_is_kept(answer):
    """No more requests at once than `concurrency`, none sooner than `requests_per_second` allows, whatever comes."""
    server = Server(trouble=lambda now: (answer, 0.3) if now > 2 else None)
    found = run(server, 10, concurrency=3, requests_per_second=40)
    slower = run(Server(always(0.02)), 10, concurrency=3, requests_per_second=40)

    assert found.most_in_flight == 3
    assert min(later - earlier for earlier, later in zip(found.sent, found.sent[1:], strict=False)) >= 0.0249
    assert slower.per_s(2, 10) == pytest.approx(40, rel=0.02)


def test_a_fixed_concurrency_is_all_used():
    """A number is kept to whatever latency does, and a few 429s do not slow it down."""
    queueing = run(Server(always(0.05), workers=2), 10, concurrency=8)
    limited = run(Server(always(0.08), limit=lambda _now: 50, burst=5), 40, concurrency=8)

    assert queueing.limit(0, 10) == (8, 8)
    assert limited.per_s(20, 40) >= 0.9 * 50


@pytest.mark.parametrize("share", [0.6, 0.95])
def test_a_struggling_server_is_not_hammered(share):
    """When most answers are errors few requests are made, nobody gives up, and soon after it is as fast as before."""
    server = Server(always(0.08), limit=lambda _now: 100)
    server.trouble = lambda now: OUTAGES["500"] if 10 <= now < 130 and server.chance.random() < share else None
    found = run(server, 175)

    assert found.requests(40, 130) <= 10 * 90
    assert found.gave_up == []
    assert found.per_s(160, 175) >= 0.9 * 100


def test_a_slot_wakes_one_waiter_not_all():
    """However many wait, a request costs the waking of two or three of them."""
    found = run(Server(always(0.08), limit=lambda _now: 200, burst=5), 20)

    assert found.world.wakes <= 3 * len(found.sent) + 64 * 2 * 20


def test_a_server_that_stalls_now_and_then_is_used_all_the_same():
    """What comes while a machine does nothing is looked at all at once, and partly refused: that is not a limit."""
    found = run(Server(always(0.08), limit=lambda _now: 200, burst=5, looks_at=stalls(2.0, 0.03)), 40)

    assert found.per_s(15, 40) >= 0.9 * 200
    assert found.share(Verdict.THROTTLED, 15, 40) < 0.02


BY_CHANCE = (0.02, 0.05, 0.1, 0.2)


@pytest.mark.parametrize(("share", "latency_s", "asked"),
                         list(product(BY_CHANCE, (0.02, 0.08, 0.5), ASKED)) if ALL else
                         [(0.02, 0.08, None), (0.2, 0.08, None), (0.1, 0.5, 0.0)])  # fmt: skip
def test_refusals_that_have_nothing_to_do_with_the_rate_cost_little(share, latency_s, asked):
    """Where 2 to 20 % are refused by chance and nothing else, at least 80 % of what is admitted is used."""
    without = run(Server(always(latency_s)), 15)
    found = run(Server(always(latency_s), by_chance=share, asks=asked), 60 if latency_s > 0.1 else 25)

    end = found.world.now - 600
    assert found.per_s(end - 5, end) >= 0.8 * (1 - share) * without.per_s(10, 15)
    assert found.gave_up == []


@pytest.mark.parametrize(("rate", "burst", "share", "asked"),
                         list(product((60, 200), (5, 20), BY_CHANCE, ASKED)) +
                         list(product((20,), (5, 20), BY_CHANCE[1:], ASKED)) if ALL else
                         [(200, 5, 0.2, 0.0), (60, 20, 0.02, None)])  # fmt: skip
def test_a_hidden_rate_is_found_beside_refusals_by_chance(rate, burst, share, asked):
    """A limit is used to 80 % of what chance leaves of it, without many refusals of its own."""
    server = Server(always(0.08), limit=lambda _now: rate, burst=burst, asks=asked, by_chance=share)
    found = run(server, 100 if rate < 100 else 60)

    assert found.per_s(40, found.world.now - 600) >= 0.8 * (1 - share) * rate
    assert found.share(Verdict.THROTTLED, 40, 60) < share + 0.3


def test_refusals_by_chance_that_end_are_forgotten():
    """Afterwards a limit costs a few 429s as before."""
    server = Server(always(0.08), limit=lambda _now: 60)
    answer = server.answer
    server.answer = lambda now: (setattr(server, "by_chance", 0.1 if now < 30 else 0.0), answer(now))[1]
    found = run(server, 150)

    assert found.per_s(130, 150) >= 0.9 * 60
    assert found.share(Verdict.THROTTLED, 130, 150) < 0.05
