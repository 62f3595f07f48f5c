"""How often and how long is tried: no second passes on a real clock."""

import itertools
import random
import threading
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given, strategies as st

from bucket_loader.delivery.http.client import RETRY_AFTER_S_MAX, parse_retry_after
from bucket_loader.delivery.http.retry import (
    SUSPICIOUS_AFTER,
    SUSPICIOUS_ALONE_AFTER,
    WAIT_S_FIRST,
    WAIT_S_MAX,
    Case,
    Patience,
    Retry,
)
from bucket_loader.model.outcomes import Outcome, Verdict

FINAL = [Verdict.DELIVERED, Verdict.REJECTED, Verdict.REFUSED_KEY, Verdict.TOO_BIG, Verdict.MISROUTED]
AGAIN = [Verdict.NOT_SENT, Verdict.THROTTLED, Verdict.SERVER_ERROR, Verdict.UNKNOWN]
DELIVERED = Outcome(Verdict.DELIVERED, 200)
ERROR = Outcome(Verdict.SERVER_ERROR, 500)
LOST = Outcome(Verdict.UNKNOWN)


class Clock(threading.Event):
    """A clock that moves when it is waited for; also the event that stops a run."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        """Tell the time."""
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        """Let the time pass."""
        assert timeout is not None
        self.waits.append(timeout)
        self.now += timeout
        return self.is_set()


class Trial:
    """A retry with outcomes in turn; the last goes on for ever."""

    def __init__(self, *outcomes: Outcome, patience_s: float = 1800.0, attempt_s: float = 0.0) -> None:
        self.clock = Clock()
        self.patience = Patience(patience_s, self.clock)
        self.retry = Retry(self.patience, self.clock)
        self.attempts = 0
        self.told: list[tuple[int, Outcome]] = []
        self.attempt_s = attempt_s
        self.succeed_elsewhere = False
        self._turns = itertools.chain(outcomes, itertools.repeat(outcomes[-1]))

    def attempt(self) -> Outcome:
        """Attempt once; meanwhile another chunk may succeed."""
        self.attempts += 1
        self.clock.now += self.attempt_s
        if self.succeed_elsewhere:
            self.patience.answered()
        return next(self._turns)

    def run(self, *, hold: bool = False, alone: bool = False, yields: bool = False) -> Outcome:
        """Attempt until it is final."""
        case = Case(hold, alone, began=0, successes_before=self.patience.successes, yields=yields)
        return self.retry.attempt_until_final(
            self.attempt, lambda outcome: self.told.append((self.attempts, outcome)), case
        )


@pytest.mark.parametrize("verdict", FINAL)
@pytest.mark.parametrize("hold", [False, True])
def test_what_is_final_is_never_repeated(verdict, hold):
    """A success, a refusal, a bad key, a body too big or another host is attempted once, without a wait."""
    trial = Trial(Outcome(verdict))
    outcome = trial.run(hold=hold)

    assert (outcome.verdict, trial.attempts, trial.clock.waits, trial.told) == (verdict, 1, [], [])


@pytest.mark.parametrize("verdict", AGAIN)
def test_what_is_not_final_is_repeated_until_it_is(verdict):
    """Nothing sent, a throttle, a server error and an unknown are repeated, each told before its repetition."""
    trial = Trial(Outcome(verdict), Outcome(verdict), Outcome(verdict), DELIVERED)

    assert trial.run() == DELIVERED
    assert trial.attempts == 4
    assert [attempt for attempt, _ in trial.told] == [1, 2, 3]


def test_every_verdict_is_either_repeated_or_not():
    """No verdict is forgotten by these tests."""
    assert sorted(FINAL + AGAIN) == sorted(Verdict)


@pytest.mark.parametrize("outcome", [ERROR, LOST, Outcome(Verdict.THROTTLED, 503, retry_after_s=1.0)])
def test_hold_never_repeats_an_ambiguous_attempt(outcome):
    """At most once: what may have been applied is final, at the first attempt and after free ones."""
    free = Outcome(Verdict.NOT_SENT)
    for before in ([], [free], [free, Outcome(Verdict.THROTTLED, 429)]):
        trial = Trial(*before, outcome, DELIVERED)

        assert trial.run(hold=True) == outcome
        assert trial.attempts == len(before) + 1


@pytest.mark.parametrize("outcome", [Outcome(Verdict.NOT_SENT), Outcome(Verdict.THROTTLED, 429)])
def test_hold_repeats_what_was_not_applied(outcome):
    """What was not sent, or only throttled, is free to repeat also at most once."""
    trial = Trial(outcome, outcome, DELIVERED)

    assert trial.run(hold=True) == DELIVERED


def test_waits_double_are_jittered_and_capped():
    """The n-th wait lies between half of and the whole of its doubled length, which ends at the cap."""
    trial = Trial(Outcome(Verdict.NOT_SENT), patience_s=2_000)
    trial.run()

    doubled = [min(WAIT_S_FIRST * 2**number, WAIT_S_MAX) for number in range(len(trial.clock.waits))]
    assert len(doubled) > 60
    for wait, whole in zip(trial.clock.waits, doubled, strict=True):
        assert whole / 2 <= wait <= whole
    assert len(set(trial.clock.waits)) == len(doubled)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("asked", [0.0, 0.5, 7.0, 300.0])
def test_retry_after_is_honoured(status, asked):
    """Never sooner than the server asks, and at most a tenth of the usual wait later."""
    trial = Trial(Outcome(Verdict.THROTTLED, status, retry_after_s=asked), DELIVERED)
    trial.run()

    (wait,) = trial.clock.waits
    assert asked <= wait <= asked + WAIT_S_MAX / 10


def test_patience_ends_it_and_nothing_else_does():
    """An outage is waited out for as long as patience, and ended at most one wait later."""
    trial = Trial(Outcome(Verdict.NOT_SENT), patience_s=600)
    outcome = trial.run()

    assert outcome.verdict is Verdict.NOT_SENT
    assert 600 < trial.clock.now <= 600 + WAIT_S_MAX


def test_patience_begins_again_with_each_success_of_another():
    """As long as the API does something for somebody, an outage of one chunk is not over."""
    trial = Trial(*[Outcome(Verdict.NOT_SENT)] * 200, DELIVERED, patience_s=60)
    trial.succeed_elsewhere = True

    assert trial.run() == DELIVERED


def test_no_patience_is_one_attempt():
    """With a patience of nothing the first failure is the last."""
    trial = Trial(Outcome(Verdict.NOT_SENT), patience_s=0, attempt_s=0.1)
    trial.run()

    assert trial.attempts == 1


def test_a_stop_ends_it_before_the_next_attempt():
    """A signal ends the back-off at once, with the outcome so far."""
    trial = Trial(ERROR)
    attempt = trial.attempt

    def stopping() -> Outcome:
        if trial.attempts == 2:
            trial.clock.set()
        return attempt()

    trial.attempt = stopping  # type: ignore[method-assign]

    assert trial.run() == ERROR
    assert trial.attempts == 3


@pytest.mark.parametrize(("alone", "attempts"), [(False, SUSPICIOUS_AFTER), (True, SUSPICIOUS_ALONE_AFTER)])
def test_server_errors_of_one_chunk_alone_are_suspicious(alone, attempts):
    """A chunk that brings server errors while others succeed is given up on, a single record later than others."""
    trial = Trial(ERROR)
    trial.succeed_elsewhere = True
    trial.retry._firsts.extend([False] * 30)  # the weather is fine

    assert trial.run(alone=alone) == ERROR
    assert trial.attempts == attempts


@pytest.mark.parametrize(("failing", "least"), [(0, SUSPICIOUS_ALONE_AFTER), (10, 7), (33, 12), (60, 24)])
def test_the_worse_the_weather_the_more_it_takes_to_blame_a_record(failing, least):
    """So many of a hundred requests fail anyhow: a single record must fail oftener than bad luck explains."""
    trial = Trial(ERROR)
    trial.succeed_elsewhere = True
    trial.retry._firsts.extend([True] * failing + [False] * (100 - failing))

    assert trial.run(alone=True) == ERROR
    assert least <= trial.attempts <= least + 6


def test_what_was_throttled_does_not_count_against_a_record():
    """Only server errors are held against a record, not attempts that were throttled, lost or never sent."""
    others = [Outcome(Verdict.THROTTLED, 503), Outcome(Verdict.NOT_SENT), LOST] * 4
    trial = Trial(*others, ERROR, ERROR, *others, DELIVERED)
    trial.succeed_elsewhere = True

    assert trial.run(alone=True) == DELIVERED


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("verdict", [Verdict.UNKNOWN, Verdict.NOT_SENT, Verdict.THROTTLED])
def test_nothing_but_server_errors_is_suspicious(verdict, alone):
    """Cuts, time-outs and throttles are never taken for a record's fault."""
    trial = Trial(*[Outcome(verdict)] * 40, DELIVERED)
    trial.succeed_elsewhere = True

    assert trial.run(alone=alone) == DELIVERED


@pytest.mark.parametrize("alone", [False, True])
def test_an_outage_of_server_errors_is_not_suspicious(alone):
    """When nothing succeeds anywhere it is an outage, however often one record fails."""
    trial = Trial(ERROR, patience_s=900)
    trial.run(alone=alone)

    assert trial.clock.now > 900


@pytest.mark.parametrize(("alone", "attempts"), [(False, SUSPICIOUS_AFTER), (True, SUSPICIOUS_ALONE_AFTER)])
def test_a_chunk_that_yields_is_given_back_undecided(alone, attempts):
    """While something else can be tried, a chunk that keeps bringing server errors does not block it."""
    trial = Trial(ERROR)

    assert trial.run(alone=alone, yields=True) == ERROR
    assert trial.attempts == attempts


# --- Retry-After ---------------------------------------------------------------------------------------------------

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None), ("", None), ("soon", None), ("-", None), ("nan", None), ("1 2", None), ("0x10", None),
        ("0", 0.0), ("7", 7.0), (" 7 ", 7.0), ("0.5", 0.5), ("-5", 0.0), ("1e3", 300.0), ("inf", 300.0),
        ("-inf", 0.0), ("21600", 300.0), ("9" * 400, 300.0),
        ("Thu, 01 Jan 2026 00:00:42 GMT", 42.0), ("Thu, 01 Jan 2026 00:00:42 -0000", 42.0),
        ("Thu, 01 Jan 2026 01:00:42 +0100", 42.0), ("Wed, 31 Dec 2025 23:00:00 GMT", 0.0),
        ("Fri, 01 Jan 2027 00:00:00 GMT", 300.0), ("Thu, 32 Jan 2026 00:00:00 GMT", None),
        ("Thu, 01 Jan 99999 00:00:00 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_read_or_passed_over(text, seconds):
    """Seconds, fractions and dates are read and capped; nonsense is as if nothing was said."""
    assert parse_retry_after(text, NOW.timestamp()) == seconds


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_a_date_means_the_same_in_every_zone(monkeypatch, zone):
    """The machine's time zone takes no part in reading a date."""
    import time

    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        read = [parse_retry_after(f"Thu, 01 Jan 2026 00:00:42 {name}", NOW.timestamp()) for name in ("GMT", "-0000")]
    time.tzset()

    assert read == [42.0, 42.0]


@given(st.text() | st.text("0123456789+-.eE: ,GMTJanThu"))
def test_retry_after_never_raises(text):
    """Whatever stands there, it is a wait within the cap, or nothing."""
    seconds = parse_retry_after(text, NOW.timestamp())

    assert seconds is None or 0 <= seconds <= RETRY_AFTER_S_MAX


@given(st.integers(min_value=-(10**6), max_value=10**6))
def test_dates_and_seconds_agree(seconds):
    """A date so many seconds away is as good as the seconds."""
    moment = datetime.fromtimestamp(NOW.timestamp() + seconds, UTC)

    assert parse_retry_after(format_datetime(moment, usegmt=True), NOW.timestamp()) == parse_retry_after(
        str(seconds), NOW.timestamp()
    )


def test_workers_do_not_come_back_together():
    """Two workers that fail at the same moment do not try again at the same moment."""
    random.seed(1)
    waits = []
    for _ in range(2):
        trial = Trial(ERROR, DELIVERED)
        trial.run()
        waits += trial.clock.waits

    assert waits[0] != waits[1]
