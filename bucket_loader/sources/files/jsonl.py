"""JSON Lines: one object a line. Every value keeps its exact spelling; numbers never pass through floats.

A first pass looks at every line, to know all columns and which kinds of value each has: nothing less would do, since
the last line may have a column that no other has. The second gives the rows. The kinds decide the type:

    texts only             text
    true and false         boolean
    whole numbers          64-bit integers
    other numbers          decimals, as wide as the widest, of 38 digits at the most
    objects or arrays      JSON, which the mapping flattens, every value by its own kind
    several kinds          text: each value as it is spelt
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from bucket_loader.config import JsonLinesSource
from bucket_loader.model import InputBatch, Locate, Reading, SourceError, repeated_text
from bucket_loader.sources.base import SourceContext, gathered, numbered, without_rows
from bucket_loader.sources.files.columns import added_columns
from bucket_loader.sources.files.input_file import InputFile
from bucket_loader.sources.files.jsonl_column import ChangedError, Column, Spelt
from bucket_loader.sources.files.jsonl_pieces import Lines, Parsed
from bucket_loader.sources.files.listing import Files

if TYPE_CHECKING:
    import pyarrow as pa


class JsonLines(Files):
    """JSON Lines files; what a line lacks is null, and `key=value` folders become columns of text."""

    def __init__(self, spec: JsonLinesSource, context: SourceContext) -> None:
        super().__init__(spec, context)
        self._spec: JsonLinesSource = spec

    def locator(self, name: str) -> Locate | None:
        """Return what locates the rows of a file: their numbers are those of their lines."""
        return (lambda origin: replace(origin, line=origin.row)) if self.local_file(name) is not None else None

    def read(self) -> Reading:
        """Look at every line of every file, then return the rows of one file after the other."""
        import pyarrow as pa

        found, columns = self.found(), {name: Column() for name in self._spec.columns}
        lines = Lines(self._spec.compression, columns)
        for file in found:
            lines.look(file)
        added = dict.fromkeys(name for file in found for name in added_columns(file, list(columns)))
        if found and not columns:
            raise SourceError(
                f"{found[0].name} has no rows, so that nothing says what its columns are",
                hint="where that is right, name them: `columns: [...]`",
            )
        types = {name: column.type for name, column in columns.items()} | dict.fromkeys(added, pa.string())
        schema = pa.schema(list(types.items()))
        parts = (gathered(_batches(file, lines.parsed(file), columns, schema)) for file in found)
        return Reading(schema, (batch for part in parts for batch in part))


def _batches(
    file: InputFile, parts: Iterator[Parsed], columns: "dict[str, Column]", schema: "pa.Schema"
) -> Iterator[InputBatch]:
    import pyarrow as pa

    for some in parts:
        if not some.numbers:
            yield without_rows(schema, file.name, some.unread)
            continue
        try:
            batch = _batch(file, some, columns, schema)
        except (ChangedError, pa.ArrowException, msgspec.DecodeError) as error:
            raise SourceError(
                f"{file.name} changed while it was read", hint="run again when nothing writes it"
            ) from error
        yield from numbered(batch, some.numbers, file.name, some.unread)


def _batch(file: InputFile, some: Parsed, columns: "dict[str, Column]", schema: "pa.Schema") -> "pa.RecordBatch":
    import pyarrow as pa

    folders, count = dict(file.partitions), len(some.numbers)
    arrays = [
        columns[field.name].array(Spelt(some.values[field.name]))
        if field.name in some.values
        else pa.nulls(count, field.type)
        if field.name in columns
        else repeated_text(folders.get(field.name), count)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
