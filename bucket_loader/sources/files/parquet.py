"""Parquet files: one, all that a glob matches, or a partitioned directory. Types are kept as they are."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from bucket_loader.model import (
    BATCH_BYTES_MAX,
    ROWS_MAX,
    InputBatch,
    Reading,
    SourceError,
)
from bucket_loader.sources.base import counted
from bucket_loader.sources.files.columns import common_schema, with_added, with_added_names
from bucket_loader.sources.files.input_file import InputFile
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
        found = self.found()
        schemas, far = {}, dict[str, str]()
        for file in found:
            schemas[file], int96 = _schema(file)
            far |= {name: coarser(unit, far.get(name, unit)) for name, unit in _far(file, int96).items()}
        schema = common_schema({file: _with_units(one, far) for file, one in schemas.items()})
        return Reading(schema, (batch for file in found for batch in _rows(file, schema, far)))


def _schema(file: InputFile) -> "tuple[pa.Schema, list[str]]":
    """Return the columns of a file, and which of them hold INT96."""
    import pyarrow as pa

    with _opened(file) as parquet:
        schema = plain_schema(parquet.schema_arrow, file.name)
        for name in _intervals(parquet):
            schema = schema.set(schema.get_field_index(name), pa.field(name, pa.string()))
        int96 = int96_columns(parquet)
    if not schema.names:
        raise SourceError(f"{file.name} has no columns", hint="look at what writes it")
    return with_added_names(schema, file), int96


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


def _rows(file: InputFile, schema: "pa.Schema", far: Mapping[str, str]) -> Iterator[InputBatch]:
    with _opened(file, at_once=True) as parquet, ExitStack() as stack:
        intervals = _intervals(parquet)
        int96 = [name for name in int96_columns(parquet) if name in far]
        beside = [Moments(stack.enter_context(_opened(file, int96=far[name])), name) for name in int96]
        found = (_with_moments(batch, beside) for batch in _batches(parquet))
        spelt = (_with_texts(batch, intervals) for batch in found)
        yield from counted((to_schema(with_added(batch, file), schema, file.name) for batch in spelt), file.name)


def _batches(parquet: "pq.ParquetFile") -> "Iterator[pa.RecordBatch]":
    """Read a file; where values hold dictionaries, group by group of its rows: each has dictionaries of its own."""
    size = _rows_at_once(parquet)
    if not any(_holds_dictionaries(field.type) for field in parquet.schema_arrow):
        yield from parquet.iter_batches(batch_size=size)
        return
    for group in range(parquet.num_row_groups):
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
