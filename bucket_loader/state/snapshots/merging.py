"""Writing parts: sorted, and merged in tiers, so that what is written stays in proportion to what is new."""

import shutil
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from bucket_loader.model import DISK, Disk, int64_array
from bucket_loader.state.snapshots.pages import (
    PAGE_ROWS,
    PART_SCHEMA,
    Written,
    as_keys,
    order_of,
    part_schema,
    schema_of,
    write_pages,
)
from bucket_loader.state.snapshots.parts import Memory, Part, key_ranges, known_in, opened

_SORTED_BYTES: Final = 1 << 25  # sorted together: a million rows of hashes, three times
_MERGED_ROWS: Final = 1 << 18  # merged together
_MERGED_RECORDS: Final = 1 << 15  # where they hold records
_LARGER: Final = 2  # each part has at least so many times the rows of all newer ones together
Keeps = Callable[[pa.RecordBatch], pa.Array]
"""Returns which rows of a batch stay."""
Pruned = Callable[[pa.Array], pa.Array]
"""Returns what stays of some records: JSON each, or null."""


class _Scratch(Disk):
    """A disk for files that need not outlive this process."""

    def sync(self, descriptor: int) -> None:
        """Do nothing."""


class _Known:
    """Counts by how many rows that go by change the count of known keys."""

    def __init__(self, before: Memory) -> None:
        self._before = before
        self._count = 0

    def counted(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self._count += known_in(batch["content"]) - self._before.known_among(as_keys(batch["key"]))
            yield batch

    def __call__(self) -> int:
        return self._count


def write_part(
    path: Path,
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema = PART_SCHEMA,
    *,
    before: Memory | None = None,
    disk: Disk = DISK,
) -> Written:
    """Write a part durably: complete under its name, or not there.

    Args:
        path: its name.
        batches: its rows, each key once, in any order.
        schema: its columns.
        before: what is remembered already, so that keys which it knows do not count as known twice.
        disk: where it lies.
    """
    known = _Known(before or Memory())
    pieces = list[Part]()
    with _scratch(path.parent) as folder:
        for piece in _pieces(batches):
            ordered = _sorted(piece)
            if not pieces and piece.nbytes < _SORTED_BYTES:  # it is the only one
                return write_pages(path, known.counted(ordered.to_batches()), schema, known=known, disk=disk)
            pieces.append(_scratch_part(folder / str(len(pieces)), ordered))
        return write_pages(path, known.counted(merged(Memory(pieces), schema)), schema, known=known, disk=disk)


def take_over(files: Sequence[Path], path: Path, *, before: Memory, disk: Disk = DISK) -> Written:
    """Write a part that stands for files of older versions.

    Args:
        files: Parquet, oldest first, their rows in any order.
        path: its name.
        before: what parts that are older say, so that keys which these know do not count as known twice.
        disk: where it lies.
    """
    schema = part_schema(ids=any("ids" in pq.read_schema(file).names for file in files))
    known = _Known(before)
    pieces = list[Part]()
    with _scratch(path.parent) as folder:
        for file in files:
            with pq.ParquetFile(file, pre_buffer=False) as rows:
                held = pa.schema([schema.field(column) for column in rows.schema_arrow.names])
                for piece in _pieces(rows.iter_batches(use_threads=False)):
                    pieces.append(_scratch_part(folder / str(len(pieces)), _sorted(piece.cast(held))))
        return write_pages(path, known.counted(merged(Memory(pieces), schema)), schema, known=known, disk=disk)


def rows_of(file: Path) -> int:
    """Return how many rows a file of older versions has.

    Raises:
        OSError: it cannot be read.
    """
    try:
        return int(pq.read_metadata(file).num_rows)
    except pa.ArrowException as error:
        raise OSError(f"{file}: {error}") from None


def merge(memory: Memory, path: Path, disk: Disk = DISK) -> Written:
    """Write a part that says what neighbouring parts say together."""
    return write_pages(path, merged(memory, memory.schema), memory.schema, known=lambda: memory.known, disk=disk)


def rewrite(memory: Memory, path: Path, keeps: Keeps, disk: Disk = DISK) -> Written:
    """Write a part that says what parts say together of those rows that stay.

    Args:
        memory: the parts: all of a stream.
        path: its name.
        keeps: returns which rows of a batch stay.
        disk: where it lies.
    """
    known = _Known(Memory())
    rows = (batch.filter(keeps(batch)) for batch in merged(memory, memory.schema))
    return write_pages(path, known.counted(rows), memory.schema, known=known, disk=disk)


def reshaped(part: Part, path: Path, columns: Container[str], keeps: Pruned, disk: Disk = DISK) -> Written:
    """Write a part anew: of the same rows, but with fewer columns, and records of which less is kept.

    Args:
        part: the part.
        path: its new name.
        columns: which of its columns stay.
        keeps: returns what stays of some records.
        disk: where it lies.
    """
    schema = schema_of([name for name in part.index.schema.names if name in columns])

    def rows() -> Iterator[pa.RecordBatch]:
        for batch in merged(Memory([part]), schema):
            place = schema.get_field_index("record")
            yield batch.set_column(place, schema.field(place), keeps(batch["record"])) if place >= 0 else batch

    return write_pages(path, rows(), schema, known=lambda: part.index.known, disk=disk)


def claims(memory: Memory) -> int:
    """Return how many rows a memory claims: they were sent, and no answer came."""
    return sum(batch["content"].null_count for batch in merged(memory, PART_SCHEMA))


def holds_delivered(memory: Memory) -> bool:
    """Whether a memory holds anything that was delivered, beside claims and removed rows; the first ends the look."""
    contents = (memory.of(keys)["content"] for keys in key_ranges(memory.rows, PAGE_ROWS))
    return any(known_in(content) > content.null_count for content in contents)


def to_merge(rows: Sequence[int], groups: Sequence[int]) -> int:
    """Return how many of the newest parts become one; 0 where all stay.

    A part is merged when all newer ones together have grown to more than half of it: so there are few parts, and a row
    is written again only when its memory has grown by half.

    Args:
        rows: of each part, oldest first.
        groups: of each part; parts of different groups stay apart.
    """
    newer = count = 0
    for number in range(len(rows) - 1, -1, -1):
        if groups[number] != groups[-1]:
            break
        if newer and rows[number] < _LARGER * newer:
            count = len(rows) - number
        newer += rows[number]
    return count


def _pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Join batches to tables that fit into memory."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(one.nbytes for one in held) >= _SORTED_BYTES:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


def _sorted(table: pa.Table) -> pa.Table:
    return table.take(int64_array(order_of(as_keys(table["key"])))).combine_chunks()


def merged(memory: Memory, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield what parts say together, by ascending keys."""
    for keys in key_ranges(memory.rows, _MERGED_RECORDS if "record" in schema.names else _MERGED_ROWS):
        yield from memory.of(keys, schema).combine_chunks().to_batches()


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Make a folder to work in; what a death has left there is removed first."""
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _scratch_part(path: Path, table: pa.Table) -> Part:
    return opened(path, write_pages(path, table.to_batches(), table.schema, known=lambda: 0, disk=_Scratch()))
