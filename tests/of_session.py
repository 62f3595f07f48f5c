"""What all tests of a session share because it takes long to make: databases in memory, and fingerprints of keys.

A new DuckDB takes 12 ms of CPU and a run opens three, which was a fifth of all tests' time. The databases are the real
ones; a connection sees nothing of what another has made in it.
"""

from contextlib import contextmanager
from functools import cache, partial
from itertools import count

import pytest

from bucket_loader.planning.mapping import database
from bucket_loader.state import duck, opening

_NUMBERS = count(1)


@pytest.fixture(scope="session", autouse=True)
def _shared(tmp_path_factory):
    """Share them."""
    spill = str(tmp_path_factory.mktemp("shared") / "spill")
    with (
        database.new_database() as mapping,
        duck.new_database(spill) as own,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(database, "new_database", mapping.cursor)  # what a mapping makes is its connection's own
        patch.setattr(duck, "new_database", partial(_catalog_in, own))
        patch.setattr(opening, "fingerprint_of", cache(opening.fingerprint_of))  # a state keeps its salt
        yield


@contextmanager
def _catalog_in(own, _spill):
    """Give a connection to an empty catalog; it goes with all that is attached meanwhile."""
    name = f"catalog{next(_NUMBERS)}"
    with own.cursor() as connection:
        connection.execute(f"ATTACH ':memory:' AS {name}; USE {name}")
        try:
            yield connection
        finally:
            connection.execute("USE memory")
            for (attached,) in connection.execute(_ATTACHED, [name]).fetchall():
                connection.execute(f"DETACH {attached}")


_ATTACHED = (
    "SELECT database_name FROM duckdb_databases() "
    "WHERE database_name = $1 OR NOT (internal OR database_name = 'memory' OR starts_with(database_name, 'catalog'))"
)
