"""One SELECT over all batches: they go in as one Arrow stream, and its result is cut back into a table for each.

A statement for each batch would be planned anew each time, which took as long as a third of its rows. DuckDB reads the
stream on its own threads, a few batches ahead; what reading raises there is raised here.
"""

import threading
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import pyarrow as pa

from bucket_loader.model import ROWS_MAX, InputBatch, Rejection, ordinals_from, prefetched
from bucket_loader.planning.mapping.nested.spelling import NoFormError

Failures = dict[tuple[int, int], NoFormError]
"""What was wrong with nested values, by the column's number and the row."""

INPUT: Final = "input"
UNREAD_MAX: Final = 50_000  # rejections; a file may hold nothing else


@dataclass(frozen=True)
class Prepared:
    """A batch on its way into the SELECT.

    Attributes:
        whole: the batch as it came.
        batch: the N rows of it that go into the SELECT.
        places: N int64, where in `whole` those are; None when they are all of it.
        columns: the columns that the SELECT reads, N rows, without `i`.
        failures: what was wrong with nested values, by the column's number and the row.
        unparsed: the rows that hold text which is no JSON where something inside of it is read, with the column.
        refused: the rows that cannot even go in.
    """

    whole: InputBatch
    batch: InputBatch
    places: pa.Int64Array | None
    columns: list[pa.Array]
    failures: Failures
    unparsed: Mapping[int, str]
    refused: list[Rejection]

    @property
    def rows(self) -> int:
        """How many rows go into the SELECT."""
        return int(self.batch.data.num_rows)


@dataclass(frozen=True)
class BatchQuery:
    """The SELECT that every batch goes through.

    Attributes:
        connection: a database of its own.
        sql: a SELECT over the table `input` that gives each row's `i`, in order, with what it says of the row.
        schema: the columns of `input`, the first of them `i`.
    """

    connection: duckdb.DuckDBPyConnection
    sql: str
    schema: pa.Schema

    def results(self, batches: Iterator[Prepared]) -> Generator[tuple[Prepared, pa.Table]]:
        """Return each batch with what the SELECT says of its rows, in order."""
        with closing(_Feed(batches, self.schema)) as feed:
            try:
                while not feed.ended:
                    yield from self._results(feed)
            except (duckdb.Error, pa.ArrowException, OSError):
                feed.raise_error()
                raise

    def _results(self, feed: "_Feed") -> Iterator[tuple[Prepared, pa.Table]]:
        feed.begin()
        with ExitStack() as stack:
            stack.callback(self.connection.unregister, INPUT)
            self.connection.register(INPUT, pa.RecordBatchReader.from_batches(self.schema, feed))
            left, result = threading.Event(), stack.enter_context(closing(self._read()))
            found = stack.enter_context(closing(prefetched(result, left, 1)))
            stack.callback(self.connection.interrupt)
            stack.callback(left.set)
            rows = _Rows(next(found))
            for batch in found:
                rows.add(batch)
                yield from feed.completed(rows)
            yield from feed.completed(rows)
            feed.require_none_left()

    def _read(self) -> Generator[Any]:
        """Return the result's schema, then its batches; the thread that reads them waits in DuckDB for the source."""
        with self.connection.sql(self.sql).to_arrow_reader(ROWS_MAX) as result:
            yield result.schema
            yield from result


class _Feed:
    """The batches on their way, read one call at a time from whatever thread, and those that are in the SELECT."""

    def __init__(self, batches: Iterator[Prepared], schema: pa.Schema) -> None:
        self._batches = batches
        self._schema = schema
        self._sent: deque[Prepared] = deque()
        self._rows = self._unread = 0
        self._reading = threading.Lock()
        self._error: BaseException | None = None
        self.ended = False

    def begin(self) -> None:
        """Begin another SELECT."""
        self._rows = self._unread = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self

    def __next__(self) -> pa.RecordBatch:
        with self._reading:
            try:
                return self._next()
            except StopIteration:
                raise
            except BaseException as error:
                self._error = error  # only its text comes out at the other end
                raise

    def _next(self) -> pa.RecordBatch:
        # Rejections wait here for the rows before them. Too many, and this SELECT has to end.
        while not self.ended and self._unread <= UNREAD_MAX:
            prepared = next(self._batches, None)
            if prepared is None:
                self.ended = True
                break
            self._unread += len(prepared.refused) + len(prepared.whole.unread)
            self._sent.append(prepared)
            if prepared.rows:  # an empty one has nothing to send
                numbers = ordinals_from(self._rows, prepared.rows)
                self._rows += prepared.rows
                return pa.RecordBatch.from_arrays([numbers, *prepared.columns], schema=self._schema)
        raise StopIteration

    def completed(self, rows: "_Rows") -> Iterator[tuple[Prepared, pa.Table]]:
        """Return the batches whose rows are all there, each with its own."""
        while self._sent and self._sent[0].rows <= rows.count:
            prepared = self._sent.popleft()
            yield prepared, rows.take(prepared.rows)

    def require_none_left(self) -> None:
        """Hold the SELECT to its word: as many rows out as in."""
        if self._sent:
            raise AssertionError("the mapping gave fewer rows than it took")

    def raise_error(self) -> None:
        """Raise what reading raised, if it did."""
        if self._error is not None:
            try:
                raise self._error from None
            finally:
                self._error = None

    def close(self) -> None:
        """Read no further; returns when nobody is reading."""
        self.ended = True
        with self._reading:
            self._sent.clear()


class _Rows:
    """Rows of the result that were not taken yet."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._held: deque[pa.RecordBatch] = deque()
        self._first = 0
        self.count = 0

    def add(self, batch: pa.RecordBatch) -> None:
        self._held.append(batch)
        self.count += batch.num_rows

    def take(self, count: int) -> pa.Table:
        """Return the next rows, and see that they are the next."""
        taken, left = [], count
        while left:
            batch = self._held.popleft()
            if batch.num_rows > left:
                self._held.appendleft(batch.slice(left))
                batch = batch.slice(0, left)
            taken.append(batch)
            left -= batch.num_rows
        table = pa.Table.from_batches(taken, self._schema).combine_chunks()
        if not table["i"].equals(pa.chunked_array([ordinals_from(self._first, count)])):
            raise AssertionError("the mapping gave rows in another order than it took them")
        self._first += count
        self.count -= count
        return table
