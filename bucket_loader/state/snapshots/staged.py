"""Staged rows, looked at range by range: a file for each range of keys, so that no row is read more than twice.

Staged rows are Parquet with `key` and `content`. A row's position is its place in all of them.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bucket_loader.model import as_numpy, int64_array
from bucket_loader.state.duck import quoted
from bucket_loader.state.records import Records
from bucket_loader.state.snapshots.pages import as_keys
from bucket_loader.state.snapshots.parts import KeyRange

if TYPE_CHECKING:
    from bucket_loader.model import Numbers

HASHES: Final = ("key", "content")
_ROWS_AT_ONCE: Final = 1 << 19
_WIDE_AT_ONCE: Final = 1 << 16  # with more than hashes
_SHOWN: Final = "CAST(key AS UUID) AS key, CAST(content AS UUID) AS content"


@dataclass(frozen=True)
class StagedRange:
    """The staged rows of a range of keys.

    Attributes:
        keys: the range.
        rows: its rows, in files which say where they stood; or all rows, as they are.
        is_all: whether they are all.
    """

    keys: KeyRange
    rows: Records
    is_all: bool = False

    def show(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Show the rows as `staged`, the hashes as UUIDs: 16 bytes in place, where a blob would be a pointer."""
        files = self.rows.files
        starts = self.rows.starts[:-1] if self.is_all else [None] * len(files)
        shown = " UNION ALL ".join(map(_shown, files, starts))
        connection.execute(f"CREATE OR REPLACE VIEW staged AS {shown}")

    def read(self, columns: Sequence[str]) -> tuple["Numbers", pa.Table]:
        """Return the rows' positions, and some of their columns."""
        names = [*columns, *([] if self.is_all else ["position"])]
        batches = list(self.rows.batches(names))
        table = pa.Table.from_batches(batches) if batches else self.rows.taken([], names)
        if self.is_all:
            return np.arange(table.num_rows), table
        return as_numpy(table["position"].combine_chunks()), table.select(list(columns))


def _shown(file: Path, start: int | None) -> str:
    """Return the SELECT of a file's rows: they say where they stood, or the file's first stood at `start`."""
    if start is None:
        return f"SELECT position, {_SHOWN} FROM read_parquet({quoted(file)})"
    rows = f"read_parquet({quoted(file)}, file_row_number = true)"
    return f"SELECT file_row_number + {start} AS position, {_SHOWN} FROM {rows}"


def by_range(
    staged: Records, ranges: Sequence[KeyRange], folder: Path, columns: Sequence[str] = HASHES
) -> list[StagedRange]:
    """Cut staged rows by ranges of keys, which cover all of them.

    Args:
        staged: the rows.
        ranges: the ranges, ascending.
        folder: where to write a file for each, if there are several.
        columns: what to write of the rows, the key first.
    """
    if len(ranges) == 1:
        return [StagedRange(ranges[0], staged, is_all=True)]
    files = cut(staged, ranges, folder / "staged", columns=columns)
    return [StagedRange(keys, Records.of(path)) for keys, path in zip(ranges, files, strict=True)]


def cut(
    rows: Records, ranges: Sequence[KeyRange], base: Path, *, first: int = 0, columns: Sequence[str] = HASHES
) -> list[Path]:
    """Write a file for each range of keys, with the rows that are in it and their positions.

    Args:
        rows: staged rows; or rows that were cut before, which say their positions.
        ranges: the ranges, ascending; they cover all keys.
        base: what the names of the files begin with.
        first: the position of the first row.
        columns: what to write of the rows, the key first.
    """
    files = [base.with_name(f"{base.name}-{number}.parquet") for number in range(len(ranges))]
    bounds = np.array([keys.after for keys in ranges[:-1]])
    with ExitStack() as stack:
        fields = [rows.schema.field(name) for name in columns]
        schema = pa.schema([pa.field("position", pa.int64()), *fields])
        writers = [stack.enter_context(pq.ParquetWriter(path, schema, compression="none")) for path in files]
        for batch in _positioned(rows, first, columns):
            numbers = np.searchsorted(bounds, _first_bits(batch["key"]), side="right")
            order = np.argsort(numbers, kind="stable")
            edges = np.searchsorted(numbers[order], np.arange(len(ranges) + 1))
            ordered = pa.RecordBatch.from_arrays(batch.columns, schema=schema).take(int64_array(order))
            for number, writer in enumerate(writers):
                if edges[number + 1] > edges[number]:
                    writer.write_batch(ordered.slice(edges[number], edges[number + 1] - edges[number]))
    return files


def _positioned(rows: Records, first: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield some columns of rows, behind their positions."""
    at_once = _ROWS_AT_ONCE if len(columns) <= len(HASHES) else _WIDE_AT_ONCE
    if "position" in rows.schema.names:
        yield from rows.batches(["position", *columns], at_once)
        return
    for batch in rows.batches(columns, at_once):
        positions = int64_array(np.arange(first, first + batch.num_rows))
        yield pa.RecordBatch.from_arrays([positions, *batch.columns], ["position", *columns])
        first += batch.num_rows


def _first_bits(keys: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the first 16 bits of each key."""
    return np.ascontiguousarray(as_keys(keys)).view(">u2").reshape(-1, 8)[:, 0].astype(np.int64)
