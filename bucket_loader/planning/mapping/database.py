"""The mapping's DuckDB: a database in memory, with nothing in it and no way out of it."""

from functools import cached_property
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


class SideDatabase:
    """Another one beside the SELECT's, opened when it is first asked for: most pipelines have nothing nested."""

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """Its connection."""
        return connected()

    def close(self) -> None:
        """Let go of it, and of the memory that it keeps, if it was opened."""
        if "connection" in vars(self):
            self.connection.close()
