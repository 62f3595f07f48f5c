"""A table or a query of a database, by its URL. A new database is one class here and one line in the table."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

from bucket_loader.config import SqlSource, sql_parameters, with_parameter_style
from bucket_loader.errors import SourceError, SourceUnavailableError
from bucket_loader.records import InputBatch, Reading
from bucket_loader.sources import duck, files
from bucket_loader.sources.base import SourceContext, quoted
from bucket_loader.sources.files import SourceFile

if TYPE_CHECKING:
    import duckdb


class Engine(Protocol):
    """What a kind of database is, for us: opened read-only, always."""

    def __init__(self, file: SourceFile) -> None:
        """Take the database's place; nothing is opened yet."""
        ...

    def fingerprint(self) -> str:
        """Identify the database's content, without changing it."""
        ...

    def read(self, sql: str, origin: str, parameters: Mapping[str, datetime]) -> Reading:
        """Run one query; its parameters are spelt `:name`."""
        ...


# Scheme -> engine. What the two have in common today is that the database is a file.
_ENGINES: Final = {
    "sqlite": "bucket_loader.sources.sqlite:Sqlite",
    "duckdb": "bucket_loader.sources.sql:DuckDb",
}
_HINT: Final = (
    "this version reads sqlite:///relative.db, sqlite:////absolute.db, duckdb:///relative.duckdb and "
    "duckdb:////absolute.duckdb; export others to CSV or Parquet"
)


class Database:
    """A table or a query of a database."""

    def __init__(self, spec: SqlSource, context: SourceContext) -> None:
        self._context = context
        self._engine = _engine(spec.url.get_secret_value(), context)
        self._sql = spec.query or f"SELECT * FROM {quoted(spec.table or '')}"
        self._origin = spec.table or "query"

    def fingerprint(self) -> str:
        """Identify the database's content, the query and its parameters."""
        bound = [(name, value.isoformat()) for name, value in self._parameters().items()]
        return hashlib.sha256(repr((self._engine.fingerprint(), self._sql, bound)).encode()).hexdigest()

    def read(self) -> Reading:
        """Run the query, and stream what it gives."""
        return self._engine.read(self._sql, self._origin, self._parameters())

    def _parameters(self) -> dict[str, datetime]:
        return self._context.bound(sorted(set(sql_parameters(self._sql))))


def _engine(url: str, context: SourceContext) -> Engine:
    """Find the engine of a URL. No message here shows the URL, which may hold a password."""
    scheme, found, rest = url.partition("://")
    if not found or scheme not in _ENGINES:
        shown = scheme if found and scheme.replace("+", "").isalnum() else "that"
        raise SourceError(f"a database URL of the kind {shown!r} cannot be read", hint=_HINT)
    if not rest.startswith("/") or rest.strip("/") in {"", ":memory:"}:
        raise SourceError(f"the {scheme} URL names no file", hint=_HINT)
    module, name = _ENGINES[scheme].split(":")
    file = files.named(context.base.absolute() / Path(rest[1:]), context)
    return cast("Engine", getattr(import_module(module), name)(file))


class DuckDb:
    """A DuckDB file."""

    def __init__(self, file: SourceFile) -> None:
        self._file = file

    def fingerprint(self) -> str:
        """Identify the file, and its write-ahead log."""
        return files.fingerprint([self._file, *files.log_of(self._file, ".wal")])

    def read(self, sql: str, origin: str, parameters: Mapping[str, datetime]) -> Reading:
        """Check the query, and run it when the first batch is asked for."""
        query = with_parameter_style(sql, "${}")
        duck.one_select(query)
        with self._opened(query, parameters) as relation:
            schema = duck.arrow_schema(relation, f"{self._file.name}: the query")
        return Reading(schema, self._batches(query, origin, parameters))

    def _batches(self, query: str, origin: str, parameters: Mapping[str, datetime]) -> Iterator[InputBatch]:
        with self._opened(query, parameters) as relation:
            yield from duck.batches(relation, origin)

    @contextmanager
    def _opened(self, query: str, parameters: Mapping[str, datetime]) -> "Iterator[duckdb.DuckDBPyRelation]":
        import duckdb
        import pyarrow as pa

        files.open_file(self._file).close()
        try:
            with duckdb.connect(self._file.path, read_only=True, config=duck.CONFIG) as connection:
                duck.lock_down(connection)
                yield connection.sql(query, params=dict(parameters)) if parameters else connection.sql(query)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            if "lock on file" in str(error):
                raise SourceUnavailableError(
                    f"{self._file.name} is open in another program that writes it", hint="run again when it is closed"
                ) from error
            raise SourceError(
                f"{self._file.name} cannot be queried: {duck.said(error)}", hint="try the query in DuckDB"
            ) from error
