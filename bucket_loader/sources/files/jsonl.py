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

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from bucket_loader.config import JsonLinesSource
from bucket_loader.model import InputBatch, Locate, Reading, SlicedRows, SourceError, repeated_text
from bucket_loader.sources.base import SourceContext, gathered, numbered, without_rows
from bucket_loader.sources.files.columns import added_columns
from bucket_loader.sources.files.input_file import InputFile
from bucket_loader.sources.files.items import FileItem, FileRows, can_travel, items_of, reading
from bucket_loader.sources.files.jsonl_column import ChangedError, Column, Spelt
from bucket_loader.sources.files.jsonl_pieces import Lines, LookedAt, Parsed, parsed, require_few
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

        found = self.found()
        looked, columns = self._looked(found)
        added = dict.fromkeys(name for file in found for name in added_columns(file, list(columns)))
        if found and not columns:
            raise SourceError(
                f"{found[0].name} has no rows, so that nothing says what its columns are",
                hint="where that is right, name them: `columns: [...]`",
            )
        types = {name: column.type for name, column in columns.items()} | dict.fromkeys(added, pa.string())
        rows = JsonLinesRows(self._spec.compression, columns, pa.schema(list(types.items())))
        return reading(rows.schema, found, SlicedRows([one.item for one in looked], FileRows(rows).read))

    def _looked(self, found: Sequence[InputFile]) -> "tuple[list[Looked], dict[str, Column]]":
        """Look at every line, wherever that is done; return also the columns, in the order of the rows."""
        look = Look(self._spec.compression, tuple(self._spec.columns), travels=can_travel(found))
        made = list(self._context.run(look, items_of(found)))
        seen = [one for one in made if isinstance(one, dict)]
        looked = sorted((one for one in made if isinstance(one, Looked)), key=lambda one: one.item.number)
        names = dict.fromkeys(self._spec.columns)
        for one in looked:
            names |= dict.fromkeys(one.names)
            require_few(one.item.files[-1].file, names)
        return looked, {name: sum((some[name] for some in seen if name in some), Column()) for name in names}


@dataclass(frozen=True)
class Looked:
    """An item that was looked at.

    Attributes:
        item: with each file as it was looked at.
        names: columns that had not been met before, in the order of the rows.
    """

    item: FileItem
    names: tuple[str, ...]


@dataclass(frozen=True)
class Look:
    """Looks at every line of items. It pickles.

    Attributes:
        compression: of the files.
        columns: those that are there in any case.
        travels: whether other processes can open the files.
    """

    compression: str
    columns: tuple[str, ...]
    travels: bool

    def __call__(self, items: Iterable[FileItem]) -> Iterator[Looked | dict[str, Column]]:
        """Look at items, which come in ascending order; yield each, and at last what is known of the columns."""
        columns = {name: Column() for name in self.columns}
        lines = Lines(self.compression, columns)
        for item in items:
            known = len(columns)
            looked = item.of(lines.look)
            yield Looked(looked, tuple(columns)[known:])
        yield columns


@dataclass(frozen=True)
class JsonLinesRows:
    """Returns the rows of a file that was looked at. It pickles.

    Attributes:
        compression: of the files.
        columns: those that stand in the lines, of all files.
        schema: the columns of all files, and those of their folders.
    """

    compression: str
    columns: dict[str, Column]
    schema: "pa.Schema"

    def __call__(self, seen: LookedAt) -> Iterator[InputBatch]:
        """Return the rows.

        Raises:
            SourceError: they are not those that were looked at.
        """
        return gathered(self._batches(seen))

    def _batches(self, seen: LookedAt) -> Iterator[InputBatch]:
        import pyarrow as pa

        for some in parsed(seen, self.compression, list(self.columns)):
            if not some.numbers:
                yield without_rows(self.schema, seen.file.name, some.unread)
                continue
            try:
                batch = self._batch(seen.file, some)
            except (ChangedError, pa.ArrowException, msgspec.DecodeError) as error:
                raise SourceError(
                    f"{seen.file.name} changed while it was read", hint="run again when nothing writes it"
                ) from error
            yield from numbered(batch, some.numbers, seen.file.name, some.unread)

    def _batch(self, file: InputFile, some: Parsed) -> "pa.RecordBatch":
        import pyarrow as pa

        folders, count = dict(file.partitions), len(some.numbers)
        arrays = [
            self.columns[field.name].array(Spelt(some.values[field.name]))
            if field.name in some.values
            else pa.nulls(count, field.type)
            if field.name in self.columns
            else repeated_text(folders.get(field.name), count)
            for field in self.schema
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)
