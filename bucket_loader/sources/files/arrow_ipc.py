"""Arrow IPC: files (which Feather files are) and streams. Types are kept as they are."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

from bucket_loader.model import InputBatch, Reading, SourceError, ordinals_from, repeated_text
from bucket_loader.sources.base import repeated, slices
from bucket_loader.sources.files.input_file import InputFile, added_columns
from bucket_loader.sources.files.listing import Files
from bucket_loader.sources.values.types import common_schema, plain_schema, to_schema

if TYPE_CHECKING:
    import pyarrow as pa

_FILE_MAGIC: Final = b"ARROW1"
_OLD_FEATHER: Final = b"FEA1"
# What a writer puts behind the last batch of a stream. Readers do without it, and so take a short stream for a whole.
_END_OF_STREAM: Final = b"\xff\xff\xff\xff\0\0\0\0"


class ArrowFiles(Files):
    """Arrow files with the same columns in each; `key=value` folders become columns of text."""

    def read(self) -> Reading:
        """Check every file's columns, then give the rows of one file after the other."""
        found = self.found()
        schema = common_schema({file: _schema(file) for file in found})
        return Reading(schema, (batch for file in found for batch in _rows(file, schema)))


def _schema(file: InputFile) -> "pa.Schema":
    import pyarrow as pa

    with _opened(file) as (found, _):
        schema = plain_schema(found)
    for name, places in repeated(schema.names).items():
        raise SourceError(
            f"{file.name} has the column {name!r} more than once, at {' and '.join(map(str, places))}",
            hint="one would hide the other; rename one where the file is written",
        )
    return pa.schema([*schema, *(pa.field(key, pa.string()) for key in added_columns(file, schema.names))])


def _rows(file: InputFile, schema: "pa.Schema") -> Iterator[InputBatch]:
    partitions = dict(file.partitions)
    first = 1
    with _opened(file, at_once=True) as (_, batches):
        for batch in batches:
            _validate(batch)
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            for key in partitions.keys() - columns.keys():
                columns[key] = repeated_text(partitions[key], batch.num_rows)
            for start, piece in slices(to_schema(columns, schema, file.name)):
                yield InputBatch(piece, ordinals_from(first + start, piece.num_rows), file.name)
            first += batch.num_rows


def _validate(batch: "pa.RecordBatch") -> None:
    """Hold every offset and length against the data: Arrow takes them as they are written, wherever they lead."""
    import pyarrow as pa

    for column in batch.columns:
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            # Offsets come first. Text that is not UTF-8 concerns its row alone, and is refused with it.
            if "UTF8" not in str(error):
                raise


@contextmanager
def _opened(file: InputFile, *, at_once: bool = False) -> "Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]":
    import pyarrow as pa

    try:
        with file.open(at_once=at_once) as stream:
            head = stream.read(len(_FILE_MAGIC))
            if head.startswith(_OLD_FEATHER):
                raise SourceError(
                    f"{file.name} is a Feather file of version 1", hint="write it again with version 2, the default now"
                )
            if head != _FILE_MAGIC:
                _require_end(file, stream)
            stream.seek(0)
            if head == _FILE_MAGIC:
                reader = pa.ipc.open_file(stream)
                yield reader.schema, (reader.get_batch(index) for index in range(reader.num_record_batches))
            else:
                streamed = pa.ipc.open_stream(stream)
                yield streamed.schema, iter(streamed)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        trouble = file.trouble(error) if isinstance(error, OSError) else None
        raise trouble or SourceError(
            f"{file.name} is not a sound Arrow file: {str(error).splitlines()[0]}",
            hint="it may be cut short, damaged, or another format; copy or export it again",
        ) from error


def _require_end(file: InputFile, stream: BinaryIO) -> None:
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - len(_END_OF_STREAM)))
    if stream.read() != _END_OF_STREAM:
        raise SourceError(
            f"{file.name} is no Arrow file, and no Arrow stream with an end mark",
            hint="it may be cut short, still be written, or be another format; whoever writes it has to close it",
        )
