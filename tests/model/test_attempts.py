"""Attempts as the ledger spells them: they come back as they were, each in the same number of letters."""

from collections import Counter

from hypothesis import given, settings, strategies as st

from bucket_loader.model.attempts import (
    ATTEMPT_LETTERS,
    ATTEMPTS_FIRST,
    ATTEMPTS_LAST,
    Attempt,
    count_statuses,
    keep_attempt,
    read_attempts,
    spell_attempts,
)

ATTEMPTS = st.lists(
    st.builds(Attempt, st.integers(0, 10**13 - 1), st.none() | st.integers(100, 999), st.integers(0, 10**7 - 1))
)


@settings(deadline=None)
@given(ATTEMPTS)
def test_attempts_are_read_as_they_were_spelt(attempts):
    """Whatever was answered, and also when nothing was; the length tells how many there are."""
    text = spell_attempts(attempts)

    assert read_attempts(text) == tuple(attempts)
    assert len(text) == len(attempts) * ATTEMPT_LETTERS


def test_one_that_took_longer_than_can_be_spelt_stays_within_its_letters():
    """A machine that slept for a week during an attempt spoils no other."""
    text = spell_attempts([Attempt(1_764_528_000_123, None, 7 * 86_400_000), Attempt(0, 200, 1)])

    assert text == "1764528000123:---:9999999 0000000000000:200:0000001 "


def test_of_many_attempts_the_first_and_the_last_are_kept():
    """An outage of hours costs the memory of sixteen attempts."""
    attempts = [Attempt(number, 500, 1) for number in range(1_000)]
    kept = []
    for attempt in attempts:
        keep_attempt(kept, attempt)

    assert kept == [*attempts[:ATTEMPTS_FIRST], *attempts[-ATTEMPTS_LAST:]]


def test_answers_are_counted_and_those_that_are_not_known_are_too():
    """A status each, `none` for no answer, and `unrecorded` for what the count of attempts has beyond them."""
    text = spell_attempts([Attempt(0, 500, 1), Attempt(1, None, 1), Attempt(2, 500, 1), Attempt(3, 200, 1)])

    assert count_statuses(text, 4) == Counter({"500": 2, "200": 1, "none": 1})
    assert count_statuses(text, 1_000) == Counter({"500": 2, "200": 1, "none": 1, "unrecorded": 996})
    assert count_statuses("", 0) == Counter()
