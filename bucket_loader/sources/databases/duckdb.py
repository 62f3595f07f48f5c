"""DuckDB files: one SELECT over their tables, in a locked-down connection."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from bucket_loader.config import with_parameter_style
from bucket_loader.model import InputBatch, Reading, SourceError, SourceUnavailableError, identifier
from bucket_loader.sources import duck
from bucket_loader.sources.databases.server import SourceQuery
from bucket_loader.sources.files.input_file import fingerprint
from bucket_loader.sources.files.local import LocalFile, log_of, open_file

if TYPE_CHECKING:
    import duckdb


class DuckDb:
    """A DuckDB file."""

    quoted = staticmethod(identifier)

    def __init__(self, file: LocalFile) -> None:
        self._file = file

    def fingerprint(self) -> str:
        """Identify the file, and its write-ahead log."""
        return fingerprint([self._file, *log_of(self._file, ".wal")])

    def read(self, query: SourceQuery) -> Reading:
        """Check the query, and run it when the first batch is asked for."""
        spelt = replace(query, sql=with_parameter_style(query.sql, "${}"))
        duck.one_select(spelt.sql)
        with self._opened(spelt) as relation:
            schema = duck.arrow_schema(relation, f"{self._file.name}: the query")
        return Reading(schema, self._batches(spelt))

    def _batches(self, query: SourceQuery) -> Iterator[InputBatch]:
        with self._opened(query) as relation:
            yield from duck.batches(relation, query.origin)

    @contextmanager
    def _opened(self, query: SourceQuery) -> "Iterator[duckdb.DuckDBPyRelation]":
        import duckdb
        import pyarrow as pa

        open_file(self._file).close()
        try:
            with duck.connected(self._file.path) as connection:
                duck.lock_down(connection)
                bound = dict(query.parameters)
                yield connection.sql(query.sql, params=bound) if bound else connection.sql(query.sql)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            if "lock on file" in str(error):
                raise SourceUnavailableError(
                    f"{self._file.name} is open in another program that writes it", hint="run again when it is closed"
                ) from error
            raise SourceError(
                f"{self._file.name} cannot be queried: {duck.said(error)}", hint="try the query in DuckDB"
            ) from error
