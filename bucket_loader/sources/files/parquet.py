"""Parquet files: one, all that a glob matches, or a partitioned directory. Types are kept as they are."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Final

from bucket_loader.model import (
    BATCH_BYTES_MAX,
    ROWS_MAX,
    SLICE_ROWS,
    InputBatch,
    Reading,
    SlicedRows,
    SourceError,
)
from bucket_loader.sources.base import counted
from bucket_loader.sources.files.columns import common_schema, with_added, with_added_names
from bucket_loader.sources.files.input_file import InputFile
from bucket_loader.sources.files.items import reading
from bucket_loader.sources.files.listing import Files
from bucket_loader.sources.files.tables import refuse_tables
from bucket_loader.sources.values.durations import parquet_texts
from bucket_loader.sources.values.int96 import WIDEST, Moments, coarser, in_unit, int96_columns, units
from bucket_loader.sources.values.types import plain_schema, to_schema

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Bytes read ahead in each column; without it a whole column of a row group is held at once.
_READ_AHEAD_BYTES: Final = 256 * 1024
# The same for a store, where each piece is a request.
_REMOTE_AHEAD_BYTES: Final = 1024 * 1024


class ParquetFiles(Files):
    """Parquet files with the same columns in each; `key=value` folders become columns of text."""

    _are_files = False  # and no table's, as was seen

    def found(self) -> list[InputFile]:
        """List them.

        Raises:
            SourceError: they belong to a table.
        """
        found = super().found()
        if not self._are_files:
            refuse_tables(self._spec, self._context, found)
            self._are_files = True
        return found

    def read(self) -> Reading:
        """Check every file's columns, then return the rows of one file after the other."""
        footers = {file: _footer(file) for file in self.found()}
        far = dict[str, str]()
        for file, footer in footers.items():
            far |= {name: coarser(unit, far.get(name, unit)) for name, unit in _far(file, footer.int96).items()}
        schema = common_schema({file: _with_units(footer.schema, far) for file, footer in footers.items()})
        slices = _slices({file: footer.counts for file, footer in footers.items()})
        return reading(schema, footers, SlicedRows(slices, ParquetRows(schema, far).read))


@dataclass(frozen=True)
class _Footer:
    """What the end of a file says: its columns, which of them hold INT96, and how many rows each row group has."""

    schema: "pa.Schema"
    int96: list[str]
    counts: list[int]


def _footer(file: InputFile) -> _Footer:
    import pyarrow as pa

    with _opened(file) as parquet:
        schema = plain_schema(parquet.schema_arrow, file.name)
        for name in _intervals(parquet):
            schema = schema.set(schema.get_field_index(name), pa.field(name, pa.string()))
        int96 = int96_columns(parquet)
        counts = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
    if not schema.names:
        raise SourceError(f"{file.name} has no columns", hint="look at what writes it")
    return _Footer(with_added_names(schema, file), int96, counts)


def _far(file: InputFile, int96: list[str]) -> dict[str, str]:
    """Return the units of the columns of INT96 that nanoseconds do not hold; all of their values are looked at."""
    if not int96:
        return {}
    with _opened(file, at_once=True, int96=WIDEST) as parquet:
        return {name: unit for name, unit in units(parquet, int96).items() if unit != "ns"}


def _with_units(schema: "pa.Schema", far: Mapping[str, str]) -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([field.with_type(in_unit(field.type, far.get(field.name))) for field in schema])


def _intervals(parquet: "pq.ParquetFile") -> list[str]:
    """Name the columns of Parquet's own intervals, which pyarrow gives as bytes.

    Raises:
        SourceError: there are some inside of lists or structs, where their bytes would be taken for the value.
    """
    columns = [parquet.schema.column(place) for place in range(len(parquet.schema))]
    found = [column.path for column in columns if column.converted_type == "INTERVAL"]
    if inside := [path for path in found if path not in parquet.schema_arrow.names]:
        raise SourceError(
            f"the column {inside[0]!r} is a Parquet INTERVAL inside of another value, which is not read",
            hint="convert it to text where it is written; or leave the column out there",
        )
    return found


# --- slices --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RowGroups:
    """Row groups of a file, one behind the other.

    Attributes:
        file: the file.
        numbers: the row groups.
        first: the number of their first row.
    """

    file: InputFile
    numbers: range
    first: int


@dataclass(frozen=True)
class ParquetSlice:
    """Row groups that are read together: as many as are enough, of as many files as that takes."""

    number: int
    pieces: tuple[RowGroups, ...]


@dataclass(frozen=True)
class ParquetRows:
    """The rows of some files, slice by slice.

    Attributes:
        schema: the columns of all files.
        far: the units of the columns of INT96 that nanoseconds do not hold.
    """

    schema: "pa.Schema"
    far: Mapping[str, str]

    def read(self, slices: Iterable[ParquetSlice]) -> Iterator[InputBatch]:
        """Return the rows of some slices, one slice behind the other; a file that goes on is not opened again."""
        pieces = ((one.number, piece) for one in slices for piece in one.pieces)
        for file, of_file in groupby(pieces, lambda pair: pair[1].file):
            yield from self._rows(file, of_file)

    def _rows(self, file: InputFile, pieces: Iterable[tuple[int, RowGroups]]) -> Iterator[InputBatch]:
        with _opened(file, at_once=True) as parquet, ExitStack() as stack:
            intervals = _intervals(parquet)
            int96 = [name for name in int96_columns(parquet) if name in self.far]
            beside = {name: stack.enter_context(_opened(file, int96=self.far[name])) for name in int96}
            for number, piece in pieces:
                moments = [Moments(one, name, piece.numbers) for name, one in beside.items()]
                found = (_with_moments(batch, moments) for batch in _batches(parquet, piece.numbers))
                spelt = (_with_texts(batch, intervals) for batch in found)
                plain = (to_schema(with_added(batch, file), self.schema, file.name) for batch in spelt)
                yield from (replace(batch, slice=(number, 0)) for batch in counted(plain, file.name, piece.first))


def _slices(counts: Mapping[InputFile, Sequence[int]]) -> list[ParquetSlice]:
    """Cut files at row groups, in order, each slice as soon as it has enough rows."""
    found: list[ParquetSlice] = []
    pieces: list[RowGroups] = []
    rows = 0
    for file, groups in counts.items():
        begins, first, row = 0, 1, 1
        for group, count in enumerate(groups, start=1):
            rows, row = rows + count, row + count
            if group == len(groups) or rows >= SLICE_ROWS:
                pieces.append(RowGroups(file, range(begins, group), first))
                begins, first = group, row
            if rows >= SLICE_ROWS:
                found.append(ParquetSlice(len(found), tuple(pieces)))
                pieces, rows = [], 0
    return [*found, ParquetSlice(len(found), tuple(pieces))] if pieces else found


def _batches(parquet: "pq.ParquetFile", groups: range) -> "Iterator[pa.RecordBatch]":
    """Read row groups; where values hold dictionaries, one by one: each has dictionaries of its own."""
    size = _rows_at_once(parquet)
    if not any(_holds_dictionaries(field.type) for field in parquet.schema_arrow):
        yield from parquet.iter_batches(batch_size=size, row_groups=[*groups])
        return
    for group in groups:
        yield from parquet.iter_batches(batch_size=size, row_groups=[group])


def _holds_dictionaries(kind: "pa.DataType") -> bool:
    from pyarrow import types

    inner = [kind.field(place).type for place in range(kind.num_fields)]
    return any(types.is_dictionary(one) or _holds_dictionaries(one) for one in inner)


def _with_texts(batch: "pa.RecordBatch", intervals: Sequence[str]) -> "pa.RecordBatch":
    """Return a batch with the texts of Parquet's own intervals."""
    for name in intervals:
        batch = batch.set_column(batch.schema.get_field_index(name), name, parquet_texts(batch.column(name)))
    return batch


def _with_moments(batch: "pa.RecordBatch", columns: Sequence[Moments]) -> "pa.RecordBatch":
    """Return a batch with columns that are read beside it."""
    for column in columns:
        place = batch.schema.get_field_index(column.name)
        batch = batch.set_column(place, column.name, column.take(batch.num_rows))
    return batch


@contextmanager
def _opened(file: InputFile, *, at_once: bool = False, int96: str = "ns") -> "Iterator[pq.ParquetFile]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with file.open(at_once=at_once) as stream:
            # Uncompressed pages have no other protection against a flipped bit than their checksums, where written.
            ahead = _READ_AHEAD_BYTES if isinstance(stream, io.IOBase) else _REMOTE_AHEAD_BYTES
            parquet = pq.ParquetFile(
                stream,
                page_checksum_verification=True,
                pre_buffer=False,
                buffer_size=ahead,
                coerce_int96_timestamp_unit=int96,
            )
            with parquet:
                yield parquet
    except (pa.ArrowException, OSError) as error:
        trouble = file.trouble(error) if isinstance(error, OSError) else None
        raise trouble or SourceError(
            f"{file.name} is not a sound Parquet file: {str(error).splitlines()[0]}",
            hint="it may be cut short, damaged, or another format; copy or export it again",
        ) from error


def _rows_at_once(parquet: "pq.ParquetFile") -> int:
    groups = [parquet.metadata.row_group(index) for index in range(parquet.metadata.num_row_groups)]
    row_bytes = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=1)
    return max(1, min(ROWS_MAX, int(BATCH_BYTES_MAX / max(1, row_bytes))))
