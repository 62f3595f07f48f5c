"""SQLite: typed value by value, so a column's Arrow type is decided by all its values, before the first is given."""

import itertools
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
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
    did_you_mean,
    identifier,
    int64_array,
)
from bucket_loader.sources.base import Parameter, gathered, repeated, without_rows
from bucket_loader.sources.databases.server import SourceQuery
from bucket_loader.sources.databases.sqlite_types import columns_of
from bucket_loader.sources.databases.sqlite_values import TEXT, converted, decoded, plain
from bucket_loader.sources.files.input_file import fingerprint
from bucket_loader.sources.files.local import LocalFile, log_of, open_file
from bucket_loader.sources.values.texts import all_sound, problem, shown

if TYPE_CHECKING:
    import pyarrow as pa

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_BUSY_S: Final = 5.0
_NO_TABLE: Final = re.compile(r"no such table: (.+)")
_TABLES: Final = (
    "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY 1"
)
_TABLES_SHOWN: Final = 40
# Rows made Arrow at once: so few that their Python objects stay in the processor's cache, which halves the time.
_ROWS_AT_ONCE: Final = 2048
_BYTES_AT_ONCE: Final = BATCH_BYTES_MAX // 2


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
            head = _values(cursor, _ROWS_AT_ONCE // 2)
            columns = columns_of(
                names,
                [head[place::count] for place in range(count)],
                whole=len(head) < _ROWS_AT_ONCE // 2 * count,
                ask=lambda asked: connection.execute(f"{rows} {asked}", bound).fetchall(),
            )
            schema = pa.schema([(column.name, column.type(self._file.name)) for column in columns])
            yield without_rows(schema, query.origin)
            yield from gathered(self._batches(head, cursor, schema, query))

    def _batches(
        self, head: list[Any], cursor: sqlite3.Cursor, schema: "pa.Schema", query: SourceQuery
    ) -> Iterator[InputBatch]:
        first, count, width, values = 1, _ROWS_AT_ONCE // 2, len(schema), head
        while values:
            batch = self._batch([values[place::width] for place in range(width)], first, schema, query)
            rows = len(values) // width
            yield batch
            first += rows
            count = max(1, min(_ROWS_AT_ONCE, 2 * count, _BYTES_AT_ONCE // (batch.data.nbytes // rows + 1)))
            values = _values(cursor, count)

    def _batch(self, columns: list[Sequence[Any]], first: int, schema: "pa.Schema", query: SourceQuery) -> InputBatch:
        import numpy as np
        import pyarrow as pa

        arrays = [plain(values, field.type) for values, field in zip(columns, schema, strict=True)]
        others: dict[int, Sequence[Any]] = {
            place: decoded(columns[place]) for place, array in enumerate(arrays) if array is None
        }
        sound: Sequence[int] = range(len(columns[0]))
        unread: list[Rejection] = []
        if not all(map(all_sound, others.values())):
            rows = _asked([decoded(values) for values in columns], schema.names, query)
            unread = _unsound(rows, first, schema.names, query.origin)
            bad = {rejection.origin.row - first for rejection in unread}
            sound = [index for index in sound if index not in bad]
            columns = list(zip(*(rows[index] for index in sound), strict=True)) or [()] * len(schema)
            others = dict(enumerate(columns))
        try:
            for place, values in others.items():
                arrays[place] = converted(values, schema.field(place).type)
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
                connection.text_factory = TEXT
                connection.execute("PRAGMA query_only = ON")
                connection.execute("BEGIN")
                yield connection
        except sqlite3.Error as error:
            raise self._refused(error) from error

    def _refused(self, error: sqlite3.Error) -> SourceError:
        if (table := _NO_TABLE.match(str(error))) is not None:
            return self._without(table[1])
        # The low byte is the kind of error, the rest its variety.
        if (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in _BUSY:
            return SourceUnavailableError(
                f"{self._file.name} is locked by another program", hint="run again when it is done writing"
            )
        return SourceError(
            f"{self._file.name} cannot be queried: {error}",
            hint="the query must be one SELECT over the tables of this file; try it in the sqlite3 shell",
        )

    def _without(self, table: str) -> SourceError:
        """Return that there is no such table, with those that there are."""
        place = f"file:{quote(str(self._file.path.absolute()))}?mode=ro"
        names: list[str] = []
        with suppress(sqlite3.Error), closing(sqlite3.connect(place, uri=True, timeout=_BUSY_S)) as connection:
            names = [name for (name,) in connection.execute(_TABLES)]
        hint = did_you_mean(table, names, f"it has: {', '.join(names[:_TABLES_SHOWN]) or 'none'}")
        return SourceError(f"{self._file.name} has no table {table!r}", hint=hint)


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


def _values(cursor: sqlite3.Cursor, rows: int) -> list[Any]:
    """Return the next rows flat, because rows that are kept as tuples are looked at by Python's garbage collector."""
    return list(itertools.chain.from_iterable(itertools.islice(cursor, rows)))


def _bound(value: Parameter) -> str | int:
    return _text(value) if isinstance(value, datetime) else value if isinstance(value, int) else str(value)


def _text(at: datetime) -> str:
    # SQLite has no type for times: they are texts, and this spelling is what its own functions write, so that
    # comparing them as texts compares them as times.
    return at.replace(tzinfo=None).isoformat(sep=" ")
