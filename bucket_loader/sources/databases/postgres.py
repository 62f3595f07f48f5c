"""PostgreSQL, and Redshift by its wire: Arrow straight from the server, in one read-only snapshot.

A query with bound parameters cannot be streamed by the driver (it holds the whole result: 870 MB for 3 million rows
where 120 MB do), so parameters are bound to settings of the transaction, and the query reads those.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.config import with_parameters
from bucket_loader.model import BATCH_BYTES_MAX, InputBatch, SourceError, identifier
from bucket_loader.sources.base import Parameter, repeated, without_rows
from bucket_loader.sources.databases.late import loaded_late
from bucket_loader.sources.databases.postgres_types import Column, arrays, column_of, probe, widened
from bucket_loader.sources.databases.server import CONNECT_S, Server, SourceQuery, repeated_columns, without_values
from bucket_loader.sources.values.casting import asked, given

if TYPE_CHECKING:
    import pyarrow as pa
    from adbc_driver_manager.dbapi import Connection, Cursor

# Bytes that the driver gathers for one batch: a little less than one may have, so that none is cut in two. 16 MiB is
# its own choice, and costs three times that in memory.
_BATCH_BYTES: Final = BATCH_BYTES_MAX * 7 // 8
# A dead network is noticed after a minute and a half, not after the system's two hours.
_CONNECTION: Final = {
    "connect_timeout": str(CONNECT_S),
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "6",
    "application_name": "bucket_loader",
}
# So that text forms do not depend on who asks.
_SETTINGS: Final = (
    "TIME ZONE 'UTC'",
    "client_encoding = 'UTF8'",
    "datestyle = 'ISO, YMD'",
    "intervalstyle = 'iso_8601'",
)
# What libpq, or a server that is up but not ready, says when trying again later may help.
_LATER: Final = (
    "connection refused",
    "could not translate host name",
    "temporary failure",
    "timeout expired",
    "timed out",
    "no route to host",
    "unreachable",
    "no such file or directory",
    "server closed the connection",
    "connection reset",
    "starting up",
    "shutting down",
    "recovery mode",
    "not yet accepting",
    "too many",
    "connection slots",
)
# Classes of SQLSTATE: the connection, the server's resources, its operator; and a standby that had to go on.
_LATER_STATES: Final = ("08", "53", "57P", "58", "40")
_NAMES_ARE_SHOWN: Final = ("42", "3D", "3F", "0A", "28")


_TYPES: Final = {datetime: "timestamptz", date: "date", int: "bigint", str: "text"}


class Postgres(Server):
    """A PostgreSQL server."""

    quoted = staticmethod(identifier)

    def stream(self, query: SourceQuery) -> Iterator[InputBatch]:
        """Fix the columns' types, then stream the rows of the same snapshot."""
        import pyarrow as pa

        sql = self.one_select(query.sql)
        with self._connected() as connection, self._worded(connection, query):
            with closing(connection.cursor()) as cursor:
                self._begin(cursor, query)
                sql = self._with_parameters(cursor, sql, query)
                columns = self._columns(cursor, sql)
            schema = pa.schema([column.field for column in columns])
            yield without_rows(schema, query.origin)
            first = 1
            for batch in _batches(connection, _wrapped(sql, columns)):
                typed, refused = arrays(batch, columns)
                refused = asked(refused, query.is_used)
                raw = dict(zip(schema.names, batch.columns, strict=False))
                yield from given(pa.RecordBatch.from_arrays(typed, schema=schema), first, query.origin, refused, raw)
                first += batch.num_rows

    def _begin(self, cursor: "Cursor", query: SourceQuery) -> None:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for setting in _SETTINGS:
            cursor.execute(f"SET LOCAL {setting}")
        if query.timeout_s is not None:
            cursor.execute(f"SET LOCAL statement_timeout = {max(1, round(query.timeout_s * 1000))}")

    def _with_parameters(self, cursor: "Cursor", sql: str, query: SourceQuery) -> str:
        for name, value in query.parameters.items():
            text = value.isoformat() if isinstance(value, date) else str(value)
            cursor.execute(f"SELECT set_config('bucket_loader.{name}', $1, true)", [text])
            cursor.fetchall()
        kinds = {name: _TYPES[type(value)] for name, value in query.parameters.items()}
        return with_parameters(
            sql, lambda name: f"current_setting('bucket_loader.{name}')::{kinds[name]}", self.dialect
        )

    def _columns(self, cursor: "Cursor", sql: str) -> list[Column]:
        described = cursor.adbc_execute_schema(sql)
        repeated_columns(self, repeated(described.names))
        if not described.names:
            raise self.refused("the query gives no columns", hint="write one SELECT with columns")
        columns = [column_of(field, self) for field in described]
        if any(column.unmeasured for column in columns):
            cursor.execute(probe(f"({sql}\n) AS __rows", columns))
            columns = widened(columns, cursor.fetchall()[0])
        return columns

    @contextmanager
    def _connected(self) -> "Iterator[Connection]":
        with loaded_late("pyarrow.dataset"):
            from adbc_driver_postgresql import dbapi

        uri = self.address.rebuilt("postgresql", **_CONNECTION)
        try:
            connection = dbapi.connect(uri)
        except dbapi.Error as error:
            raise self._unconnected(str(error)) from None
        with closing(connection):
            yield connection

    def _unconnected(self, said: str) -> SourceError:
        said = said.partition("Failed to connect: ")[2] or said
        if any(phrase in said.lower() for phrase in _LATER):
            return self.unavailable(said)
        hint = "look at user, password and database in the URL"
        if "ssl" in said.lower() or "certificate" in said.lower():
            hint = "TLS: look at `sslmode` and `sslrootcert` in the URL, and at the server's certificate"
        return self.refused(f"the connection was refused: {said}", hint=hint)

    @contextmanager
    def _worded(self, connection: "Connection", query: SourceQuery) -> Iterator[None]:
        """Word what goes wrong, also in mid-stream, where the driver knows no more than a text."""
        import pyarrow as pa
        from adbc_driver_postgresql import dbapi

        try:
            yield
        except (dbapi.Error, pa.ArrowException, OSError) as error:
            raise self._refusal(error, connection, query) from None

    def _refusal(self, error: Exception, connection: "Connection", query: SourceQuery) -> SourceError:
        from adbc_driver_postgresql import dbapi

        state = str(getattr(error, "sqlstate", None) or "")
        said = _primary(error)
        if state == "57014" or "statement timeout" in said:
            return self.too_slow(query.timeout_s)
        if state == "25006" or "in a read-only transaction" in said:
            return self.writes()
        if state.startswith(_LATER_STATES):
            return self.unavailable(said)
        try:
            connection.rollback()  # a connection that is gone cannot
        except dbapi.Error:
            return self.unavailable("the connection broke while rows were read")
        if not state.startswith(_NAMES_ARE_SHOWN):
            said = without_values(said)
        return self.refused(f"the query failed: {said}")


class Redshift(Postgres):
    """A Redshift cluster: PostgreSQL's wire, without its settings, and without the COPY that the driver streams by."""

    def _begin(self, cursor: "Cursor", query: SourceQuery) -> None:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute("SET timezone TO 'UTC'")
        if query.timeout_s is not None:
            cursor.execute(f"SET statement_timeout = {max(1, round(query.timeout_s * 1000))}")

    def _with_parameters(self, cursor: "Cursor", sql: str, query: SourceQuery) -> str:  # noqa: ARG002  # as above
        # Digits that we wrote ourselves; its settings cannot be made up as PostgreSQL's can.
        values = {name: _literal(value) for name, value in query.parameters.items()}
        return with_parameters(sql, values.__getitem__, self.dialect)


def _literal(value: Parameter) -> str:
    if isinstance(value, int):
        return str(value)
    text = f"{value:%Y-%m-%d %H:%M:%S.%f}+00" if isinstance(value, datetime) else str(value)
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'::{_TYPES[type(value)]}"


def _wrapped(sql: str, columns: list[Column]) -> str:
    """Select what the driver can carry, where it cannot carry a column as it is."""
    if all(column.plain for column in columns):
        return sql
    shown = [f"{column.selected} AS {identifier(column.name)}" for column in columns]
    shown += [f"{column.refused_if} AS {identifier(f'__refused_{place}')}"
              for place, column in enumerate(columns) if column.refused_if]  # fmt: skip
    return f"SELECT {', '.join(shown)} FROM ({sql}\n) AS __rows"


def _batches(connection: "Connection", sql: str) -> "Iterator[pa.RecordBatch]":
    from adbc_driver_postgresql import StatementOptions, dbapi

    options = {StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES)}
    cursor = connection.cursor(adbc_stmt_kwargs=options)
    try:
        cursor.execute(sql)
        yield from cursor.fetch_record_batch()
    except GeneratorExit:  # closing alone would read all that is left
        with suppress(dbapi.Error):
            cursor.adbc_cancel()
        raise
    finally:
        cursor.close()


def _primary(error: Exception) -> str:
    """Return the server's message alone, without the query that the driver adds to it."""
    details: Any = getattr(error, "details", None) or ()
    for name, value in details:
        if name in {"PG_DIAG_MESSAGE_PRIMARY", b"PG_DIAG_MESSAGE_PRIMARY"}:
            return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    said = str(error).partition("ERROR:")[2] or str(error)
    return said.partition("\n\nQuery was:")[0].strip()
