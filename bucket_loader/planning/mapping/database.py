"""The mapping's DuckDB: a database in memory, with nothing in it and no way out of it."""

from typing import Final

import duckdb

_THREADS: Final = 2  # measured: reading and writing beside it keep no third one busy


def connected() -> duckdb.DuckDBPyConnection:
    """Open an empty database that reaches no file and no network, and keeps rows in order."""
    connection = duckdb.connect(config={"threads": _THREADS})
    connection.execute("SET TimeZone = 'UTC'; SET enable_external_access = false")
    connection.execute("SET enable_progress_bar = false")  # it would go to stdout
    connection.execute("SET disabled_optimizers = 'in_clause'")  # it makes a join of it, which loses the order
    return connection
