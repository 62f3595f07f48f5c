"""Any other database, through SQLAlchemy: Python values, kept on disk until it is known what types they have.

What a driver says of its columns differs from one to the next, so a column's Arrow type is decided by all its values,
as for SQLite; a result may be too big to be run twice, so it is kept beside meanwhile, not in memory.
"""

import datetime as dt
import json
import pickle
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final

from bucket_loader.config import sql_parameters, with_parameters
from bucket_loader.model import InputBatch, Reason, SourceError, did_you_mean, identifier
from bucket_loader.sources.base import repeated, without_rows, zoneless
from bucket_loader.sources.databases.address import SCHEMES
from bucket_loader.sources.databases.server import Server, SourceQuery, repeated_columns, without_values
from bucket_loader.sources.values.casting import DECIMAL_DIGITS_MAX, Refused, asked, given
from bucket_loader.sources.values.durations import iso
from bucket_loader.sources.values.texts import problem

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy.engine import Connection, Engine

_ROWS_AT_ONCE: Final = 1000
_EXACT: Final = 2**53  # beyond it a float rounds integers
_INT64: Final = range(-(2**63), 2**63)
# What drivers say of a server that cannot be reached, in no common words.
_LATER: Final = (
    "connection refused", "could not connect", "cannot connect", "unreachable", "timed out", "login timeout",
    "name or service", "connection reset", "connection was closed", "broken pipe", "unavailable",
)  # fmt: skip


class Alchemy(Server):
    """A database that SQLAlchemy has a dialect for."""

    quoted = staticmethod(identifier)

    def fingerprint(self) -> str:
        """Return the database's place, without who asks."""
        url = self._url()
        return repr((url.drivername, url.host, url.port, url.database))

    def stream(self, query: SourceQuery) -> Iterator[InputBatch]:
        """Run the query, keep its rows, and return them with the types that all of them have."""
        import pyarrow as pa

        with TemporaryFile() as spool:
            columns, batches = self._kept(query, spool)
            schema = pa.schema([(column.name, column.kind(self)) for column in columns])
            yield without_rows(schema, query.origin)
            yield from _batches(spool, columns, schema, batches, query)

    def _kept(self, query: SourceQuery, spool: IO[bytes]) -> "tuple[list[_Column], int]":
        from sqlalchemy import text

        sql = self.one_select(query.sql)
        if query.timeout_s is not None:
            raise self.refused(
                "SQLAlchemy has no common word for `statement_timeout:`",
                hint="remove it, and set the timeout where the database's user is made",
            )
        names = sorted(set(sql_parameters(sql)))
        with self._worded(), self._connected() as connection:
            streamed = connection.execution_options(stream_results=True, max_row_buffer=_ROWS_AT_ONCE)
            bound = {name: zoneless(query.parameters[name]) for name in names}
            result = streamed.execute(text(_escaped(sql)).bindparams(**bound))
            keys = list(result.keys())
            repeated_columns(self, repeated(keys))
            padded = padded_places([of for _, of, *_ in result.cursor.description])
            columns = [_Column(key) for key in keys]
            batches = 0
            for rows in result.partitions(_ROWS_AT_ONCE):
                plain = [tuple(map(_plain, unpadded(row, padded))) for row in rows]
                for column, values in zip(columns, zip(*plain, strict=True), strict=True):
                    column.see(values)
                pickle.dump(plain, spool, pickle.HIGHEST_PROTOCOL)
                batches += 1
        return columns, batches

    @contextmanager
    def _connected(self) -> "Iterator[Connection]":
        engine = self._engine()
        try:
            with engine.connect() as connection:
                # Not every database has read-only transactions; the others are protected by the query's first word.
                yield connection
                connection.rollback()
        finally:
            engine.dispose()

    def _engine(self) -> "Engine":
        from sqlalchemy import create_engine
        from sqlalchemy.exc import NoSuchModuleError
        from sqlalchemy.pool import NullPool

        try:
            return create_engine(self._url(), poolclass=NullPool, hide_parameters=True)
        except NoSuchModuleError:
            raise SourceError(
                f"SQLAlchemy knows no database called {self.address.scheme!r}",
                hint=did_you_mean(
                    self.address.scheme,
                    SCHEMES,
                    "install its dialect: https://docs.sqlalchemy.org/dialects lists the packages",
                ),
            ) from None
        except ModuleNotFoundError as error:
            raise SourceError(
                f"reading {self.address.scheme} needs the module {error.name}, which is not installed",
                hint=f"pip install {error.name}",
            ) from None

    def _url(self) -> Any:  # noqa: ANN401  # SQLAlchemy's, which is optional
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(self.address.url)
        except (ArgumentError, ValueError):
            raise SourceError(
                "the database URL is no URL that SQLAlchemy reads", hint="percent-encode what is in it"
            ) from None
        url = url if self.address.user is None else url.set(username=self.address.user)
        return url if self.address.password is None else url.set(password=self.address.password)

    def _secrets(self) -> list[str]:
        """Return what no message may show: the password, and what an ODBC string or an option says of one."""
        url = self._url()
        values = [str(value) for value in url.query.values()]
        found = [match for value in values for match in re.findall(r"(?i)(?:pwd|password)=([^;&]+)", value)]
        return [secret for secret in (str(url.password or ""), *found, *values) if secret]

    @contextmanager
    def _worded(self) -> Iterator[None]:
        from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError, SQLAlchemyError

        try:
            yield
        except SQLAlchemyError as error:
            said = " ".join(str(getattr(error, "orig", None) or error).split())
            for secret in self._secrets():
                said = said.replace(secret, "***")
            if isinstance(error, DBAPIError) and (error.connection_invalidated or _is_later(said)):
                raise self.unavailable(said) from None
            named = isinstance(error, (ProgrammingError, OperationalError))
            raise self.refused(f"the query failed: {said if named else without_values(said)}") from None


def _is_later(said: str) -> bool:
    return any(phrase in said.lower() for phrase in _LATER)


def _escaped(sql: str) -> str:
    """Leave our parameters to SQLAlchemy, and no other colon: its own search sees into texts and comments."""
    marked = with_parameters(sql, "\0{}\0".format)
    escaped = marked.replace("\\:", ":").replace(":", "\\:")
    parts = escaped.split("\0")
    return "".join(f":{part}" if place % 2 else part for place, part in enumerate(parts))


def padded_places(kinds: Sequence[object]) -> frozenset[int]:
    """Return the places of the columns that are CHAR(n), of the drivers whose description says so: Oracle's."""
    return frozenset(place for place, kind in enumerate(kinds) if getattr(kind, "name", None) in _PADDED)


def unpadded(row: Sequence[Any], places: frozenset[int]) -> Sequence[Any]:
    """Return a row without the blanks that fill a CHAR(n) up."""
    if not places:
        return row
    return [value.rstrip(" ") if place in places and isinstance(value, str) else value
            for place, value in enumerate(row)]  # fmt: skip


def _plain(value: object) -> object:
    """Return a value that Arrow knows; dictionaries and lists as JSON text."""
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (dict, list, tuple)):
        return _Json(json.dumps(value, ensure_ascii=False, default=str))
    if isinstance(value, dt.timedelta):
        return _duration(value)
    known = (str, int, float, Decimal, dt.date, dt.time, bytes, uuid.UUID)
    return value if value is None or isinstance(value, known) else str(value)


def _duration(value: dt.timedelta) -> str:
    sign = -1 if value < dt.timedelta() else 1  # Python makes only the days negative
    whole = abs(value)
    return iso(0, sign * whole.days, sign * (whole.seconds * 1_000_000 + whole.microseconds) * 1_000)


class _Json(str):
    """A text that was a nested value."""

    __slots__ = ()


_KINDS: Final[tuple[tuple[type, str], ...]] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "float"),
    (Decimal, "decimal"),
    (dt.datetime, "moment"),
    (dt.date, "date"),
    (dt.time, "time"),
    (bytes, "binary"),
    (uuid.UUID, "uuid"),
    (_Json, "json"),
    (str, "text"),
)
_NUMBERS: Final = frozenset({"integer", "float", "decimal"})
_PADDED: Final = frozenset({"DB_TYPE_CHAR", "DB_TYPE_NCHAR"})


@dataclass
class _Column:
    """A column: its name, and what kinds of values were seen in it."""

    name: str
    kinds: set[str] = field(default_factory=set)
    whole_digits: int = 1
    scale: int = 0
    big: bool = False
    huge: bool = False

    def see(self, values: Sequence[object]) -> None:
        for value in values:
            if value is None:
                continue
            kind = next(name for of, name in _KINDS if isinstance(value, of))
            if isinstance(value, dt.datetime):
                kind = "moment" if value.tzinfo is not None else "local"
            elif isinstance(value, Decimal) and value.is_finite():
                exponent = int(value.as_tuple().exponent)
                self.scale = max(self.scale, -exponent)
                self.whole_digits = max(self.whole_digits, value.adjusted() + 1)
            elif kind == "integer" and isinstance(value, int):
                self.whole_digits = max(self.whole_digits, len(str(abs(value))))
                self.big |= abs(value) > _EXACT
                self.huge |= value not in _INT64
            self.kinds.add(kind)

    def kind(self, server: Server) -> "pa.DataType":
        """Choose the Arrow type that holds every value as it is."""
        import pyarrow as pa

        if self.kinds == {"integer"}:
            return self._decimal() if self.huge else pa.int64()
        if self.kinds == {"float"} or (self.kinds == {"integer", "float"} and not self.big):
            return pa.float64()
        if self.kinds and self.kinds <= {"integer", "decimal"}:
            return self._decimal()
        if self.kinds <= {"text", "uuid", "json"} and self.kinds != {"json"}:
            return pa.string()
        if len(self.kinds) == 1:
            simple = {
                "boolean": pa.bool_(), "moment": pa.timestamp("us", "UTC"), "local": pa.timestamp("us"),
                "date": pa.date32(), "time": pa.time64("us"), "binary": pa.binary(), "json": pa.json_(),
            }  # fmt: skip
            return simple[next(iter(self.kinds))]
        raise server.refused(
            f"the column {self.name!r} has values of several types: {', '.join(sorted(self.kinds))}",
            hint=f"give it one in the query, for example CAST({self.name} AS VARCHAR(100))",
        )

    def _decimal(self) -> "pa.DataType":
        import pyarrow as pa

        fits = self.whole_digits + self.scale <= DECIMAL_DIGITS_MAX
        return pa.decimal128(DECIMAL_DIGITS_MAX, self.scale) if fits else pa.json_()

    def array(self, values: Sequence[Any], kind: "pa.DataType", refused: Refused) -> "pa.Array":
        """Return the values as Arrow; what JSON could not carry is refused."""
        import pyarrow as pa

        found = [_as(value, kind) for value in values]
        for place, value in enumerate(values):
            reason = problem(value, self.name)
            if isinstance(value, Decimal) and value.is_infinite():
                reason = Reason("infinity", "the value is infinite", self.name)
            if reason is not None:
                refused.setdefault(place, []).append(reason)
                found[place] = None
        if isinstance(kind, pa.BaseExtensionType):
            return pa.ExtensionArray.from_storage(kind, pa.array(found, pa.string()))
        return pa.array(found, kind)


def _as(value: Any, kind: "pa.DataType") -> Any:  # noqa: ANN401  # a value of any type
    import pyarrow as pa
    from pyarrow import types

    if value is None or (isinstance(value, Decimal) and value.is_nan()):
        return None
    if types.is_decimal(kind):
        return Decimal(value) if isinstance(value, int) else value
    if types.is_string(kind):
        return str(value)
    if isinstance(kind, pa.JsonType) and isinstance(value, (int, Decimal)):
        return format(Decimal(value), "f")
    return value


def _batches(
    spool: IO[bytes], columns: list[_Column], schema: "pa.Schema", count: int, query: SourceQuery
) -> Iterator[InputBatch]:
    import pyarrow as pa

    spool.seek(0)
    first = 1
    for _ in range(count):
        rows: list[tuple[Any, ...]] = pickle.load(spool)  # noqa: S301  # our own, from a file without a name
        refused: Refused = {}
        found = list(zip(*rows, strict=True))
        arrays = [
            column.array(values, kind.type, refused)
            for column, values, kind in zip(columns, found, schema, strict=True)
        ]
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        raw = {name: pa.array(list(map(_shown, values))) for name, values in zip(schema.names, found, strict=True)}
        yield from given(batch, first, query.origin, asked(refused, query.is_used), raw if refused else {})
        first += len(rows)


def _shown(value: object) -> str | None:
    return None if value is None else str(value).encode("utf-8", "backslashreplace").decode()
