"""Snowflake, through its Arrow driver. It has no read-only transactions: only the query's first word protects it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from bucket_loader.config import with_parameters
from bucket_loader.model import InputBatch, SourceError, identifier
from bucket_loader.sources.base import Parameter, repeated, without_rows
from bucket_loader.sources.databases.late import loaded_late
from bucket_loader.sources.databases.server import Server, SourceQuery, repeated_columns, without_values
from bucket_loader.sources.values.casting import given
from bucket_loader.sources.values.types import as_type

if TYPE_CHECKING:
    import pyarrow as pa
    from adbc_driver_manager.dbapi import Connection

# Types that Snowflake gives as JSON text.
_NESTED: Final = frozenset({"VARIANT", "OBJECT", "ARRAY", "MAP"})
_LATER: Final = ("connection refused", "no such host", "timeout", "timed out", "unreachable", "eof", "503", "504")
_TOO_SLOW: Final = ("statement reached its statement or warehouse timeout", "000630", "57014")


class Snowflake(Server):
    """A Snowflake account."""

    @staticmethod
    def quoted(name: str) -> str:
        """Spell an identifier: a plain one as it is, since Snowflake itself writes it in capitals."""
        plain = name.isascii() and name.replace("_", "a").replace("$", "a").isalnum() and not name[0].isdigit()
        return name if plain else identifier(name)

    def stream(self, query: SourceQuery) -> Iterator[InputBatch]:
        """Run the query; its columns are known before the first row."""
        import pyarrow as pa

        sql = _with_values(self.one_select(query.sql), query)
        with self._worded(query), self._connected(query) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(sql)
            reader = cursor.fetch_record_batch()
            repeated_columns(self, repeated(reader.schema.names))
            schema = pa.schema([pa.field(field.name, _kind(field)) for field in reader.schema])
            yield without_rows(schema, query.origin)
            first = 1
            try:
                for batch in reader:
                    whole = pa.RecordBatch.from_arrays(list(map(as_type, batch.columns, schema.types)), schema=schema)
                    yield from given(whole, first, query.origin, {}, {})
                    first += batch.num_rows
            except GeneratorExit:  # closing alone would read all that is left
                with suppress(Exception):
                    cursor.adbc_cancel()
                raise

    @contextmanager
    def _connected(self, query: SourceQuery) -> "Iterator[Connection]":
        from adbc_driver_snowflake import dbapi

        with closing(dbapi.connect(self._uri(query))) as connection:
            yield connection

    def _uri(self, query: SourceQuery) -> str:
        """Return the URL as the driver wants it: without a scheme; what it does not know sets the session."""
        user, password = (quote(part or "", safe="") for part in (self.address.user, self.address.password))
        options = {"TIMEZONE": "UTC", **self.address.options}
        if query.timeout_s is not None:
            options["STATEMENT_TIMEOUT_IN_SECONDS"] = str(max(1, round(query.timeout_s)))
        spelt = urlencode(options, quote_via=quote)
        return f"{user}:{password}@{self.address.hosts}/{quote(self.address.path)}?{spelt}"

    @contextmanager
    def _worded(self, query: SourceQuery) -> Iterator[None]:
        import pyarrow as pa

        with loaded_late("pyarrow.dataset"):
            from adbc_driver_snowflake import dbapi

        try:
            yield
        except (dbapi.Error, pa.ArrowException, OSError) as error:
            raise self._refusal(error, query) from None

    def _refusal(self, error: Exception, query: SourceQuery) -> SourceError:
        said = str(error)
        if any(word in said.lower() for word in _TOO_SLOW):
            return self.too_slow(query.timeout_s)
        if any(word in said.lower() for word in _LATER):
            return self.unavailable(said)
        # Syntax, names and who asks: none of them a value of a row.
        named = str(getattr(error, "sqlstate", None) or "").startswith(("42", "02", "28", "08"))
        return self.refused(f"the query failed: {said if named else without_values(said)}")


def _with_values(sql: str, query: SourceQuery) -> str:
    # Digits that we wrote ourselves: the driver binds parameters to what changes rows, not to what reads them.
    values = {name: _literal(value) for name, value in query.parameters.items()}
    return with_parameters(sql, values.__getitem__)


def _literal(value: Parameter) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return f"'{value:%Y-%m-%d %H:%M:%S.%f} +00:00'::timestamp_tz"
    escaped = str(value).replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'::{'date' if isinstance(value, date) else 'text'}"


def _kind(field: "pa.Field") -> "pa.DataType":
    import pyarrow as pa

    told = {key.lower(): value.decode().upper() for key, value in (field.metadata or {}).items()}
    if {told.get(b"logicaltype"), told.get(b"data_type")} & _NESTED:
        return pa.json_()
    if pa.types.is_timestamp(field.type) and field.type.tz is not None:
        return pa.timestamp(field.type.unit, "UTC")
    return field.type
