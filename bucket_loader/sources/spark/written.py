"""Rows that tasks of Spark wrote into files, read slice by slice in whatever process.

A query may give other rows each time it is asked; what stands in files does not change, however often a task is tried.
"""

import os
import secrets
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bucket_loader.model import SLICE_ROWS, InputBatch, SlicedRows
from bucket_loader.sources.base import counted
from bucket_loader.sources.spark.evenly import evenly
from bucket_loader.sources.spark.tasks import Place, SparkTasks, pickled_outcome
from bucket_loader.sources.values.types import to_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

_FORMAT: Final = "lz4"


@dataclass(frozen=True)
class RowFile:
    """A file of rows: an Arrow file, and how many rows each of its batches has."""

    path: Path
    counts: tuple[int, ...]


@dataclass(frozen=True)
class RowPiece:
    """Some rows of a file, one behind the other.

    Attributes:
        path: the file.
        batches: the batches that they are in.
        skipped: how many rows of the first batch come before them.
        rows: how many they are.
    """

    path: Path
    batches: range
    skipped: int
    rows: int


@dataclass(frozen=True)
class RowSlice:
    """Rows that are read together; `first` is the number of the first of them."""

    number: int
    first: int
    pieces: tuple[RowPiece, ...]


@dataclass(frozen=True)
class WrittenRows:
    """The rows of a table, a query or a DataFrame, slice by slice."""

    schema: "pa.Schema"
    name: str

    def read(self, slices: Iterable[RowSlice]) -> Iterator[InputBatch]:
        """Return the rows of some slices, one slice behind the other."""
        for one in slices:
            plain = (to_schema(batch, self.schema, self.name) for piece in one.pieces for batch in _rows(piece))
            yield from (replace(batch, slice=(one.number, 0)) for batch in counted(evenly(plain), self.name, one.first))


def written(frame: "DataFrame", schema: "pa.Schema", name: str, tasks: SparkTasks) -> SlicedRows:
    """Let the tasks write the rows of a DataFrame, and return them.

    Raises:
        SourceError: Spark refuses the query.
        SourceUnavailableError: it cannot finish it now.
    """
    with tasks.place() as place:
        files = tasks.outcomes(frame, _Writing(place))
    return SlicedRows(slices_of([file for file in files if file.counts]), WrittenRows(schema, name).read)


@dataclass(frozen=True)
class _Writing:
    """Writes the rows of a partition into a file of its own."""

    place: Place

    def __call__(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None  # noqa: S101  # only tasks come here
        number = context.partitionId()
        yield pickled_outcome(number, partial(self._written, number, batches))

    def _written(self, number: int, batches: "Iterator[pa.RecordBatch]") -> RowFile:
        path = self.place.folder() / f"rows-{number:06d}-{secrets.token_hex(8)}.arrow"
        first = next(batches, None)
        return RowFile(path, () if first is None else tuple(_kept(path, first.schema, chain([first], batches))))


def _kept(path: Path, schema: "pa.Schema", batches: "Iterable[pa.RecordBatch]") -> Iterator[int]:
    """Write batches, and yield how many rows each has."""
    import pyarrow as pa

    options = pa.ipc.IpcWriteOptions(compression=_FORMAT)
    with (
        os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
        pa.ipc.new_file(file, schema, options=options) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
            yield batch.num_rows


def slices_of(files: Sequence[RowFile]) -> list[RowSlice]:
    """Cut the rows of files, one file behind the other, by counts: how many files there are changes nothing."""
    starts = [0, *accumulate(sum(file.counts) for file in files)]
    cuts = range(0, starts[-1], SLICE_ROWS)
    return [
        RowSlice(number, first + 1, tuple(_pieces(files, starts, first, min(first + SLICE_ROWS, starts[-1]))))
        for number, first in enumerate(cuts)
    ]


def _pieces(files: Sequence[RowFile], starts: Sequence[int], first: int, after: int) -> Iterator[RowPiece]:
    for number in range(bisect_right(starts, first) - 1, bisect_left(starts, after)):
        begin, end = max(first, starts[number]) - starts[number], min(after, starts[number + 1]) - starts[number]
        ends = list(accumulate(files[number].counts, initial=0))
        batches = range(bisect_right(ends, begin) - 1, bisect_left(ends, end))
        yield RowPiece(files[number].path, batches, begin - ends[batches.start], end - begin)


def _rows(piece: RowPiece) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    left, skipped = piece.rows, piece.skipped
    with pa.OSFile(str(piece.path)) as source, pa.ipc.open_file(source) as file:
        for number in piece.batches:
            batch = file.get_batch(number).slice(skipped, left)
            yield batch
            left, skipped = left - batch.num_rows, 0
