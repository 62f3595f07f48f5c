"""Times: how a moment is spelt, and how a text is read as one."""

from datetime import UTC, datetime

import pytest

from bucket_loader.model.times import read_time, wire_now, wire_timestamp


def test_a_moment_is_cut_to_milliseconds():
    """Nothing is rounded up: a moment is never spelt as a later one."""
    assert wire_timestamp(datetime(2024, 6, 1, 12, 0, 0, 999_999, UTC)) == "2024-06-01T12:00:00.999Z"


def test_what_was_spelt_is_read_again():
    """A time of the ledger and one of the wire are the same text."""
    assert wire_timestamp(read_time(text := wire_now())) == text


@pytest.mark.parametrize(
    "text", ["2026-01-31", "2026-01-31T00:00:00", "2026-01-31T00:00:00Z", "2026-01-31T01:00:00+01:00"]
)
def test_a_time_without_a_zone_is_in_utc(text):
    """A person may leave the zone out, and means UTC."""
    assert read_time(text) == datetime(2026, 1, 31, tzinfo=UTC)
    assert read_time(text).tzinfo is UTC
