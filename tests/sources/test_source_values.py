"""Random schemas and values of every type, nested to depth 3: the same records from every source, or refused alike."""

import os

import pytest
from value_agreement import play
from value_written import LOCAL

# More by hand: `make values` plays 500 seeds.
SEEDS = int(os.environ.get("BUCKET_LOADER_VALUE_SEEDS", "6"))
TABLES = 20


def test_a_value_is_the_same_from_every_source():
    """A few tables, each through two of the sources; what disagrees is shown as small as it gets."""
    assert play(1, 9, LOCAL, places=2) == []


@pytest.mark.values
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("number", range(100, 100 + SEEDS))
def test_many_values_are_the_same_from_every_source(number):
    """Many tables, each through five of the sources."""
    assert play(number, TABLES, LOCAL) == []


@pytest.mark.postgres
@pytest.mark.timeout(600)
def test_a_value_is_the_same_from_postgresql():
    """Arrays and composites included."""
    assert play(2, 40, ["PostgreSQL"]) == []
