"""Records on disk: Parquet files one behind the other, seen as one. A record's place counts through all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bucket_loader.model import int64_array

_AT_ONCE: Final = 65_536


def opened(path: Path) -> pq.ParquetFile:
    """Open a Parquet file, whatever its size."""
    # Pre-buffering keeps every row group that was read until the file is closed: memory would grow with it.
    return pq.ParquetFile(path, pre_buffer=False)


@dataclass(frozen=True)
class RowGroup:
    """A row group: the least that can be read of a file.

    Attributes:
        first: the place of its first record.
        count: how many it has.
    """

    first: int
    count: int
    _file: pq.ParquetFile
    _number: int

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return some columns of its records; all where none are named."""
        names = None if columns is None else list(columns)
        return self._file.read_row_group(self._number, columns=names, use_threads=False)


@dataclass(frozen=True)
class Records:
    """Files of records, one behind the other, of which there is at least one.

    Attributes:
        files: the files, all with the same columns.
        counts: how many records each has, where that is known; else their footers say it.
    """

    files: tuple[Path, ...]
    counts: tuple[int, ...] | None = None

    @classmethod
    def of(cls, *files: Path) -> "Records":
        """Return the records of some files."""
        return cls(files)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The place of each file's first record, and behind them the number of all."""
        counts = self.counts or [int(pq.read_metadata(file).num_rows) for file in self.files]
        return tuple(accumulate(counts, initial=0))

    def __len__(self) -> int:
        return self.starts[-1]

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        return pq.read_schema(self.files[0])

    @property
    def folder(self) -> Path:
        """The folder that they lie in."""
        return self.files[0].parent

    def batches(self, columns: Sequence[str], size: int = _AT_ONCE) -> Iterator[pa.RecordBatch]:
        """Yield some columns of all records, in order; no batch is of two files."""
        for path in self.files:
            with opened(path) as file:
                yield from file.iter_batches(batch_size=size, columns=list(columns), use_threads=False)

    def groups(self) -> Iterator[RowGroup]:
        """Yield the row groups, in order; each can be read until the next is asked for."""
        first = 0
        for path in self.files:
            for group in _groups(path, first):
                yield group
                first = group.first + group.count

    def taken(self, places: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Return some columns of the records at some ascending places; reads only the row groups they are in."""
        wanted = np.asarray(places, np.int64)
        bounds = np.searchsorted(wanted, self.starts)
        tables = [
            group.read(columns).take(int64_array(some - group.first))
            for path, start, (after, before) in zip(self.files, self.starts, pairwise(bounds.tolist()), strict=False)
            if after < before
            for group in _groups(path, start)
            if len(some := wanted[slice(*np.searchsorted(wanted, (group.first, group.first + group.count)))])
        ]
        # Arrow makes no empty array of an extension type (JSON), and no table of it by `empty_table`.
        return pa.concat_tables(tables) if tables else pa.Table.from_batches([], self.schema).select(list(columns))


def _groups(path: Path, first: int) -> Iterator[RowGroup]:
    with opened(path) as file:
        for number in range(file.num_row_groups):
            count = file.metadata.row_group(number).num_rows
            yield RowGroup(first, count, file, number)
            first += count
