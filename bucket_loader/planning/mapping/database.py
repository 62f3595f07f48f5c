"""The mapping's DuckDB: a database in memory, with nothing in it and no way out of it."""

from collections.abc import Callable
from functools import cached_property
from typing import Final

import duckdb
import pyarrow as pa

from bucket_loader.sources import keep_silent

_THREADS: Final = 2  # measured: reading and writing beside it keep no third one busy


def connected() -> duckdb.DuckDBPyConnection:
    """Open an empty database that reaches no file and no network, and keeps rows in order."""
    connection = new_database()
    connection.execute("SET TimeZone = 'UTC'; SET enable_external_access = false")
    keep_silent(connection)
    connection.execute("SET disabled_optimizers = 'in_clause'")  # it makes a join of it, which loses the order
    return connection


def new_database() -> duckdb.DuckDBPyConnection:
    """Make a database: 12 ms of CPU, so the tests of a session share one, in which each has a connection of its own."""
    return duckdb.connect(config={"threads": _THREADS})


class SideDatabase:
    """Another one beside the SELECT's, opened when it is first asked for: most pipelines have nothing nested."""

    def __init__(self) -> None:
        self._statements = 0

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """Its connection."""
        return connected()

    def prepared(self, sql_over: Callable[[str], str], first: pa.Array) -> "BatchStatement":
        """Prepare a SELECT; `first` is an array of the type that it is for.

        Args:
            sql_over: its text over a table, which has one column, `c`.
            first: an array of the column's type.
        """
        self._statements += 1
        return BatchStatement(self.connection, f"batch{self._statements}", sql_over, first)

    def give_back(self) -> None:
        """Give back what is freed, from now on. It takes CPU: half of what a row of a dozen names takes."""
        self.connection.execute("SET allocator_bulk_deallocation_flush_threshold = '1MB'")

    def close(self) -> None:
        """Let go of it, and of the memory that it keeps, if it was opened."""
        if "connection" in vars(self):
            self.connection.close()


class BatchStatement:
    """A SELECT that is planned once, and that each batch of values goes through: planning many names takes long."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, name: str, sql_over: Callable[[str], str], first: pa.Array
    ) -> None:
        self._connection = connection
        self._name = name
        self._batch = _Batch(first)
        connection.register(name, self._batch)
        connection.execute(f"PREPARE {name} AS {sql_over(name)}")

    def over(self, values: pa.Array) -> pa.Table:
        """Return what it says of N values, N rows in their order."""
        self._batch.values = values
        return self._connection.sql(f"EXECUTE {self._name}").to_arrow_table()

    def close(self) -> None:
        """Let go of it."""
        self._connection.execute(f"DEALLOCATE {self._name}")
        self._connection.unregister(self._name)


class _Batch:
    """The table of such a SELECT: DuckDB asks for its rows each time. It does not know the connection that knows it."""

    def __init__(self, values: pa.Array) -> None:
        self.values = values

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return pa.Table.from_arrays([self.values], ["c"]).__arrow_c_stream__(requested_schema)
