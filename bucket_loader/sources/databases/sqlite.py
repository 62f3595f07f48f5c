"""SQLite: typed value by value, so a column's Arrow type is decided by all its values, before the first is given."""

import itertools
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from bucket_loader.model import (
    BATCH_BYTES_MAX,
    InputBatch,
    Origin,
    Reading,
    Rejection,
    SourceError,
    SourceUnavailableError,
    identifier,
    int64_array,
)
from bucket_loader.sources.base import Parameter, repeated, slices, without_rows
from bucket_loader.sources.databases.server import SourceQuery
from bucket_loader.sources.files.input_file import fingerprint
from bucket_loader.sources.files.local import LocalFile, log_of, open_file
from bucket_loader.sources.values.texts import all_sound, problem, shown

if TYPE_CHECKING:
    import pyarrow as pa

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_BUSY_S: Final = 5.0
# Columns looked at in one pass: five counts each, and SQLite gives 2,000 at most.
_COLUMNS_AT_ONCE: Final = 300
_COUNTS: Final = 5
# Rows fetched at once: few at first, until it is known how big they are.
_FIRST_ROWS: Final = 1024
_ROWS_AT_ONCE: Final = 16_384
# Beyond this a float rounds integers.
_EXACT: Final = 2**53


@dataclass(frozen=True)
class _Column:
    """A column: its name, and which of SQLite's types its values have."""

    name: str
    integers: int
    reals: int
    texts: int
    blobs: int
    big_integers: int

    def type(self, file: LocalFile) -> "pa.DataType":
        """Choose the Arrow type that holds every value as it is.

        Numbers among texts become texts; so do reals among integers that a float would round.
        """
        import pyarrow as pa

        if self.blobs:
            if self.integers or self.reals or self.texts:
                raise SourceError(
                    f"{file.name}: the column {self.name!r} has blobs among other values",
                    hint="say in the query how they are meant, for example hex(x) or cast(x as text)",
                )
            return pa.binary()
        if self.texts or not (self.integers or self.reals):
            return pa.string()
        if not self.reals:
            return pa.int64()
        return pa.string() if self.big_integers else pa.float64()


class Sqlite:
    """An SQLite file, read in one transaction, so that both passes over it see the same."""

    quoted = staticmethod(identifier)

    def __init__(self, file: LocalFile) -> None:
        self._file = file

    def fingerprint(self) -> str:
        """Identify the file, and its write-ahead log."""
        return fingerprint([self._file, *log_of(self._file, "-wal")])

    def read(self, query: SourceQuery) -> Reading:
        """Look at all values to fix the columns' types, then return the rows."""
        bound = {name: _bound(value) for name, value in query.parameters.items()}
        stream = self._stream(query, bound)
        # The types hold in this transaction only, so it stays open between the two.
        schema = next(stream).data.schema
        return Reading(schema, stream)

    def _stream(self, query: SourceQuery, bound: Mapping[str, str | int]) -> Iterator[InputBatch]:
        import pyarrow as pa

        sql = query.sql.strip().rstrip(";")

        with self._opened() as connection:
            # As a table in another query only a SELECT will do; the line break, because it may end in a comment.
            rows = f"(\n{sql}\n)"
            count = len(connection.execute(f"WITH __rows AS {rows} SELECT * FROM __rows LIMIT 0", bound).description)
            cursor = connection.execute(sql, bound)
            names = [column[0] for column in cursor.description]
            for name, places in repeated(names).items():
                raise SourceError(
                    f"{self._file.name}: the query gives {name!r} more than once, "
                    f"as columns {' and '.join(map(str, places))}",
                    hint="name each column once, with `as` where two tables share a name",
                )
            rows = f"WITH __rows({', '.join(f'c{place}' for place in range(count))}) AS {rows}"
            columns = self._columns(connection, rows, names, bound)
            schema = pa.schema([(column.name, column.type(self._file)) for column in columns])
            yield without_rows(schema, query.origin)
            yield from self._batches(cursor, schema, query)

    def _columns(
        self, connection: sqlite3.Connection, rows: str, names: Sequence[str], bound: Mapping[str, str | int]
    ) -> list[_Column]:
        """Look at all values. `rows` names the columns by their places: SQLite does not tell `Email` from `email`."""
        columns = []
        for start in range(0, len(names), _COLUMNS_AT_ONCE):
            some = names[start : start + _COLUMNS_AT_ONCE]
            counts = ", ".join(_counts(f"__rows.c{start + place}") for place in range(len(some)))
            (found,) = connection.execute(f"{rows} SELECT {counts} FROM __rows", bound).fetchall()
            values = iter(found)
            columns += [_Column(name, *itertools.islice(values, _COUNTS)) for name in some]
        return columns

    def _batches(self, cursor: sqlite3.Cursor, schema: "pa.Schema", query: SourceQuery) -> Iterator[InputBatch]:
        first, count = 1, _FIRST_ROWS
        while rows := cursor.fetchmany(count):
            batch = self._batch(rows, first, schema, query)
            for start, piece in slices(batch.data):
                numbers = batch.ordinals.slice(start, piece.num_rows)
                yield InputBatch(piece, numbers, query.origin, batch.unread if start == 0 else ())
            if batch.data.num_rows == 0:
                yield batch
            first += len(rows)
            count = max(1, min(_ROWS_AT_ONCE, 2 * count, BATCH_BYTES_MAX // (batch.data.nbytes // len(rows) + 1)))

    def _batch(self, rows: list[tuple[Any, ...]], first: int, schema: "pa.Schema", query: SourceQuery) -> InputBatch:
        import numpy as np
        import pyarrow as pa

        columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
        sound: Sequence[int] = range(len(rows))
        unread: list[Rejection] = []
        if not all(map(all_sound, columns)):
            rows = _asked(columns, schema.names, query)
            unread = _unsound(rows, first, schema.names, query.origin)
            bad = {rejection.origin.row - first for rejection in unread}
            sound = [index for index in sound if index not in bad]
            columns = list(zip(*(rows[index] for index in sound), strict=True)) or [()] * len(schema)
        try:
            arrays = [_array(values, field.type) for values, field in zip(columns, schema, strict=True)]
        except (pa.ArrowException, TypeError) as error:
            raise SourceError(
                f"{self._file.name}: the query gave values of another type when it was run again",
                hint="a query must give the same rows each time; leave random values out of it",
            ) from error
        numbers = int64_array(np.array(sound, dtype=np.int64) + first)
        return InputBatch(pa.RecordBatch.from_arrays(arrays, schema=schema), numbers, query.origin, unread)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        open_file(self._file).close()
        try:
            place = f"file:{quote(str(self._file.path.absolute()))}?mode=ro"
            asked = sqlite3.connect(place, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            with closing(asked) as connection:
                # Bytes that are not UTF-8 become visible in the text, instead of ending the run.
                connection.text_factory = lambda value: value.decode("utf-8", "surrogateescape")
                connection.execute("PRAGMA query_only = ON")
                connection.execute("BEGIN")
                yield connection
        except sqlite3.Error as error:
            raise self._refused(error) from error

    def _refused(self, error: sqlite3.Error) -> SourceError:
        # The low byte is the kind of error, the rest its variety.
        if (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in _BUSY:
            return SourceUnavailableError(
                f"{self._file.name} is locked by another program", hint="run again when it is done writing"
            )
        return SourceError(
            f"{self._file.name} cannot be queried: {error}",
            hint="the query must be one SELECT over the tables of this file; try it in the sqlite3 shell",
        )


def _asked(columns: list[Sequence[Any]], names: list[str], query: SourceQuery) -> list[tuple[Any, ...]]:
    """Return the rows, without the bad texts of columns that nobody asks for."""
    kept = [
        values if query.is_used(name) else [None if problem(value, name) else value for value in values]
        for name, values in zip(names, columns, strict=True)
    ]
    return list(zip(*kept, strict=True))


def _unsound(rows: list[tuple[Any, ...]], first: int, names: list[str], origin: str) -> list[Rejection]:
    unread = []
    for ordinal, row in enumerate(rows, start=first):
        values = dict(zip(names, row, strict=True))
        reasons = tuple(reason for name, value in values.items() if (reason := problem(value, name)))
        if reasons:
            unread.append(Rejection("read", Origin(origin, ordinal), reasons, shown(values)))
    return unread


def _counts(name: str) -> str:
    """Count a column's values by type; `_Column` takes them in this order."""
    of_type = [f"coalesce(sum(typeof({name}) = '{kind}'), 0)" for kind in ("integer", "real", "text", "blob")]
    big = f"coalesce(sum(typeof({name}) = 'integer' AND {name} NOT BETWEEN -{_EXACT} AND {_EXACT}), 0)"
    return ", ".join([*of_type, big])


def _array(values: Sequence[Any], kind: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    if kind == pa.string():
        values = [value if value is None or isinstance(value, str) else _spelt(value) for value in values]
    return pa.array(values, kind)


def _spelt(value: float) -> str:
    """Spell a number as SQLite does; a real that its 15 digits do not hold, with all that it takes."""
    if isinstance(value, bytes):
        raise TypeError("a blob among texts")
    if isinstance(value, int):
        return str(value)
    digits, _, exponent = f"{value:.15g}".partition("e")
    text = digits if "." in digits or not digits.lstrip("-").isdigit() else f"{digits}.0"
    text = f"{text}e{exponent}" if exponent else text
    return text if float(text) == value else repr(value)


def _bound(value: Parameter) -> str | int:
    return _text(value) if isinstance(value, datetime) else value if isinstance(value, int) else str(value)


def _text(at: datetime) -> str:
    # SQLite has no type for times: they are texts, and this spelling is what its own functions write, so that
    # comparing them as texts compares them as times.
    return at.replace(tzinfo=None).isoformat(sep=" ")
