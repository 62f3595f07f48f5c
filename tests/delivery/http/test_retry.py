"""How long is waited before an attempt is repeated: no second passes on a real clock."""

import threading
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from bucket_loader.delivery.http.client import RETRY_AFTER_S_MAX, parse_retry_after
from bucket_loader.delivery.http.retry import BUDGET, WAIT_S_FIRST, WAIT_S_MAX, Backoff, Budget


class Clock:
    """A clock that moves when it is told to."""

    threading = threading

    def __init__(self) -> None:
        self.at_s = 0.0

    def now_s(self) -> float:
        """Return the time."""
        return self.at_s


def test_the_wait_doubles_up_to_a_most():
    """Half a second after the first attempt, twice as long after each further one, and never longer than the most."""
    backoff = Backoff()
    waits = [backoff(attempts) for attempts in range(1, 80)]

    assert waits[0] == WAIT_S_FIRST
    assert all(after == min(2 * before, WAIT_S_MAX) for before, after in pairwise(waits))
    assert backoff(100_000) == WAIT_S_MAX


def test_retries_beyond_the_budget_wait_until_they_are_earned():
    """A first attempt earns one retry, and so does a second of time; what is not earned yet waits for that long."""
    budget = Budget(1_800.0, clock := Clock())
    free = [budget.spend() for _ in range(int(BUDGET))]
    late = [budget.spend() for _ in range(3)]
    budget.earn()
    clock.at_s += 1.0

    assert (set(free), late, budget.spend()) == ({0.0}, [1.0, 2.0, 3.0], 2.0)


@pytest.mark.parametrize(("patience_s", "most"), [(1_800.0, WAIT_S_MAX), (60.0, 6.0)])
def test_no_retry_waits_longer_for_the_budget_than_for_anything(patience_s, most):
    """However many were made: at most as long as any retry waits, or a tenth of patience."""
    budget = Budget(patience_s, Clock())

    assert max(budget.spend() for _ in range(500)) == most


# --- Retry-After ---------------------------------------------------------------------------------------------------

NOW = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = RETRY_AFTER_S_MAX


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None), ("", None), ("soon", None), ("-", None), ("nan", None), ("1 2", None), ("0x10", None),
        ("0", 0.0), ("7", 7.0), (" 7 ", 7.0), ("0.5", 0.5), ("-5", 0.0), ("1e3", 1e3), ("inf", YEAR),
        ("-inf", 0.0), ("21600", 21_600.0), ("9" * 400, YEAR),
        ("Thu, 01 Jan 2026 00:00:42 GMT", 42.0), ("Thu, 01 Jan 2026 00:00:42 -0000", 42.0),
        ("Thu, 01 Jan 2026 01:00:42 +0100", 42.0), ("Wed, 31 Dec 2025 23:00:00 GMT", 0.0),
        ("Fri, 01 Jan 2027 00:00:00 GMT", 365 * 86_400.0),
        ("Sat, 01 Jan 2028 00:00:00 GMT", YEAR), ("Thu, 32 Jan 2026 00:00:00 GMT", None),
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
