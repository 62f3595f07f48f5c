"""A DuckDB of its own for what joins hashes: little memory, and errors of its disk as the disk's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from bucket_loader.model import literal
from bucket_loader.sources import keep_silent

_MEMORY: Final = "256MB"
_THREADS: Final = 2  # each needs its share of that memory


@contextmanager
def own_database(temporary: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database that is thrown away; where it needs room, it takes a folder beside what it writes.

    Raises:
        OSError: the disk refuses.
    """
    with new_database(str(temporary / "spill")) as connection:
        # The right side of a join goes into the hash table, as it is written: the left one may hold ids.
        connection.execute("SET disabled_optimizers = 'build_side_probe_side'")
        keep_silent(connection)
        try:
            yield connection
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:  # the second where its folder is full
            raise OSError(str(error).splitlines()[0]) from None


def new_database(spill: str) -> duckdb.DuckDBPyConnection:
    """Make a database: 12 ms of CPU, so the tests of a session share one, in which each has a catalog of its own."""
    return duckdb.connect(
        config={
            "memory_limit": _MEMORY,
            "threads": _THREADS,
            "temp_directory": spill,
            "preserve_insertion_order": "false",
        }
    )


def one_row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    """Return the numbers of a query that has one row."""
    (row,) = connection.execute(query).fetchall()  # all: a result that is not at its end holds the connection
    return tuple(row)


def quoted(path: Path) -> str:
    """Return a path as SQL spells it."""
    return literal(str(path))
