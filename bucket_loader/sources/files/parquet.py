"""Parquet files: one, all that a glob matches, or a partitioned directory. Types are kept as they are."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from bucket_loader.sources.values.durations import parquet_texts
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

    def read(self) -> Reading:
        """Check every file's columns, then return the rows of one file after the other."""
        found = self.found()
        schema = common_schema({file: _schema(file) for file in found})
        return Reading(schema, (batch for file in found for batch in _rows(file, schema)))


def _schema(file: InputFile) -> "pa.Schema":
    import pyarrow as pa

    with _opened(file) as parquet:
        schema = plain_schema(parquet.schema_arrow, file.name)
        for name in _intervals(parquet):
            schema = schema.set(schema.get_field_index(name), pa.field(name, pa.string()))
    if not schema.names:
        raise SourceError(f"{file.name} has no columns", hint="look at what writes it")
    return with_added_names(schema, file)


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


def _rows(file: InputFile, schema: "pa.Schema") -> Iterator[InputBatch]:
    with _opened(file, at_once=True) as parquet:
        intervals = _intervals(parquet)
        found = parquet.iter_batches(batch_size=_rows_at_once(parquet))
        spelt = (_with_texts(batch, intervals) for batch in found)
        yield from counted((to_schema(with_added(batch, file), schema, file.name) for batch in spelt), file.name)


def _with_texts(batch: "pa.RecordBatch", intervals: Sequence[str]) -> "pa.RecordBatch":
    """Return a batch with the texts of Parquet's own intervals."""
    for name in intervals:
        batch = batch.set_column(batch.schema.get_field_index(name), name, parquet_texts(batch.column(name)))
    return batch


@contextmanager
def _opened(file: InputFile, *, at_once: bool = False) -> "Iterator[pq.ParquetFile]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with file.open(at_once=at_once) as stream:
            # Uncompressed pages have no other protection against a flipped bit than their checksums, where written.
            ahead = _READ_AHEAD_BYTES if isinstance(stream, io.IOBase) else _REMOTE_AHEAD_BYTES
            parquet = pq.ParquetFile(stream, page_checksum_verification=True, pre_buffer=False, buffer_size=ahead)
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
