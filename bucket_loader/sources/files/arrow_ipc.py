"""Arrow IPC: files (which Feather files are) and streams. Types are kept as they are."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final

from bucket_loader.model import InputBatch, Reading, SlicedRows, SourceError
from bucket_loader.sources.base import counted
from bucket_loader.sources.files.columns import common_schema, with_added, with_added_names
from bucket_loader.sources.files.input_file import InputFile
from bucket_loader.sources.files.items import FileRows, items_of, reading
from bucket_loader.sources.files.listing import Files
from bucket_loader.sources.values import times_of_day
from bucket_loader.sources.values.types import plain_schema, to_schema

if TYPE_CHECKING:
    import pyarrow as pa

_FILE_MAGIC: Final = b"ARROW1"
_OLD_FEATHER: Final = b"FEA1"
# What a writer puts behind the last batch of a stream. Readers do without it, and so take a short stream for a whole.
_END_OF_STREAM: Final = b"\xff\xff\xff\xff\0\0\0\0"
# What Arrow says of a value, and not of where the values are.
_OF_A_VALUE: Final = ("UTF8", "is not within the acceptable range")


class ArrowFiles(Files):
    """Arrow files with the same columns in each; `key=value` folders become columns of text."""

    def read(self) -> Reading:
        """Check every file's columns, then return the rows of one file after the other."""
        found = self.found()
        schema = common_schema({file: _schema(file) for file in found})
        return reading(schema, found, SlicedRows(items_of(found), FileRows(partial(_rows, schema=schema)).read))


def _schema(file: InputFile) -> "pa.Schema":
    with _opened(file) as (found, _):
        schema = plain_schema(found, file.name)
    return with_added_names(schema, file)


def _rows(file: InputFile, schema: "pa.Schema") -> Iterator[InputBatch]:
    with _opened(file, at_once=True) as (_, batches):
        sound = map(_validated, batches)
        yield from counted((to_schema(with_added(batch, file), schema, file.name) for batch in sound), file.name)


def _validated(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    """Hold every offset and length against the data: Arrow takes them as they are written, wherever they lead."""
    for column in batch.columns:
        _validate(column)
    return batch


def _validate(column: "pa.Array") -> None:
    import pyarrow as pa

    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        # Its own offsets come first. Text that is not UTF-8 concerns its row alone, and 24:00:00 is a time of day.
        of_a_value = any(words in str(error) for words in _OF_A_VALUE)
        if not of_a_value or (pa.types.is_time(column.type) and not times_of_day.are_within_a_day(column)):
            raise
        for child in _children(column):  # those behind the first such value have not been looked at
            _validate(child)


def _children(column: "pa.Array") -> "list[pa.Array]":
    from pyarrow import types

    if types.is_struct(column.type):
        return [column.field(place) for place in range(column.type.num_fields)]
    if types.is_map(column.type):
        return [column.keys, column.items]
    return [column.values] if types.is_nested(column.type) or types.is_run_end_encoded(column.type) else []


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
