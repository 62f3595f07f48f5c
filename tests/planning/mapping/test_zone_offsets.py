"""Local times moved by a table of a zone's offsets: wherever it answers, it says what the look at each time says."""

import pytest

from bucket_loader.planning.mapping.database import connected
from bucket_loader.planning.mapping.forms.times import by_days_around
from bucket_loader.planning.mapping.forms.zone_offsets import at_once

# An hour and half an hour of daylight saving, a day left out, changes in Ramadan, midnights left out, no change at all.
ZONES = [
    "Europe/Copenhagen",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "Asia/Tokyo",
]


@pytest.fixture(scope="module")
def database():
    """Odd moments from before the table's years to after them, one in each eleven hours, and others."""
    connection = connected()
    connection.execute(
        "CREATE TABLE times AS SELECT l + to_microseconds((hash(l) % 39600000000)::BIGINT) AS l FROM (SELECT unnest("
        "generate_series(TIMESTAMP '2004-12-01', TIMESTAMP '2036-02-01', INTERVAL 11 HOUR)) AS l) UNION ALL "
        "SELECT unnest([NULL, TIMESTAMP 'infinity', TIMESTAMP '-infinity', TIMESTAMP '1900-01-01', "
        "TIMESTAMP '9999-12-31'])"
    )
    yield connection
    connection.close()


def compared(database, zone, dst):
    """Return how many of the times the table answers, and how many of its answers are others."""
    quick, slow = at_once("l", zone), by_days_around("l", zone, dst)
    found = database.execute(
        f"SELECT count(q) / count(*), count(*) FILTER (q IS NOT NULL AND q IS DISTINCT FROM s) "
        f"FROM (SELECT {quick} AS q, {slow} AS s FROM times)"
    )
    return found.fetchone()


@pytest.mark.parametrize("zone", ZONES)
def test_the_table_says_what_a_look_at_each_time_says(database, zone):
    """It answers nearly always, and leaves what is near a clock change to who looks."""
    answered, others = compared(database, zone, None)

    assert others == 0
    assert answered > 0.9


@pytest.mark.long
def test_in_all_zones(database):
    """Whatever their clocks did."""
    zones = [zone for (zone,) in database.execute("SELECT name FROM pg_timezone_names()").fetchall()]

    assert len(zones) > 500
    assert [zone for zone in zones if compared(database, zone, "earliest")[1]] == []
