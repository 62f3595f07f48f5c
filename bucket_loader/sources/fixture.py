"""A fixture: a small file that stands for a source in a rehearsal.

A CSV file has no types, and most sources have: its header may name them, `seats:bigint`, in DuckDB's words. A column
without one is text.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bucket_loader.config import FixtureSource
from bucket_loader.model import InputBatch, Reading, SourceError, UsageError, identifier
from bucket_loader.sources import duck
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.registry import open_source

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_ ]*(\([0-9, ]+\))?(\[\])*")


class Fixture:
    """The rows of the file, numbered as they are there."""

    def __init__(self, spec: FixtureSource, context: SourceContext) -> None:
        if spec.read is None:
            raise UsageError("no fixture stands for the source", hint="give one: --source NAME=FILE")
        is_used = context.is_used
        if spec.typed:
            context = replace(context, is_used=lambda header: is_used(_split(header)[0]))
        self._file = open_source(spec.read, context)
        self._name = Path(getattr(spec.read, "path", "")).name
        self._typed = spec.typed

    def fingerprint(self) -> str:
        """Identify the file."""
        return self._file.fingerprint()

    def read(self) -> Reading:
        """Return the rows; with the types of the header, where it says any."""
        reading = self._file.read()
        reading = replace(reading, batches=map(self._called, reading.batches), sliced=None)
        if not self._typed or not any(_split(name)[1] for name in reading.schema.names):
            return reading
        batches = list(reading.batches)  # a person has written them: they are few
        table = _typed(batches, reading.schema, self._name)
        return replace(reading, schema=table.schema, batches=_cut(table, batches))

    def _called(self, batch: InputBatch) -> InputBatch:
        """Name the file alone: where it lies differs between machines."""
        unread = [replace(one, origin=replace(one.origin, source=self._name)) for one in batch.unread]
        return replace(batch, source=self._name, unread=unread)


def _split(header: str) -> tuple[str, str]:
    """Return the name of a column, and its type where the header says one."""
    name, colon, kind = header.rpartition(":")
    return (name, kind.strip()) if colon and name else (header, "")


def _typed(batches: list[InputBatch], schema: "pa.Schema", path: str) -> "pa.Table":
    """Read the texts of a file as the types that its header says.

    Raises:
        SourceError: one is no type, or a text is no value of it.
    """
    import duckdb
    import pyarrow as pa

    table = pa.Table.from_batches([batch.data for batch in batches], schema=schema)
    with duck.connected() as connection:
        duck.lock_down(connection)
        texts = connection.from_arrow(table)
        shown = [_column(connection, header, path) for header in schema.names]
        relation = texts.project(", ".join(shown))
        found = duck.arrow_schema(relation, path)
        try:
            rows = [batch.data for batch in duck.batches(relation, path)]
        except (duckdb.Error, pa.ArrowException, OSError):
            raise _no_value(texts, batches, schema, path) from None
    return pa.Table.from_batches(rows, schema=found)


def _column(connection: "duckdb.DuckDBPyConnection", header: str, path: str) -> str:
    import duckdb

    name, kind = _split(header)
    if not kind:
        return identifier(header)
    try:
        if not _TYPE.fullmatch(kind):
            raise ValueError(kind)  # noqa: TRY301  # one refusal for both
        connection.sql(f"SELECT CAST(NULL AS {kind})").fetchall()
    except (duckdb.Error, ValueError):
        raise SourceError(
            f"{path}: the header {header!r} says the type {kind!r}, which DuckDB does not know",
            hint="write for example seats:bigint, paid:boolean, at:timestamp, seen:timestamptz, tags:varchar[] "
            'or "price:decimal(12,2)" in quotes, since it holds a comma; JSON Lines can have a colon in a name',
        ) from None
    return f"CAST({identifier(header)} AS {kind}) AS {identifier(name)}"


def _no_value(
    texts: "duckdb.DuckDBPyRelation", batches: list[InputBatch], schema: "pa.Schema", path: str
) -> SourceError:
    """Return the error that names the first place where a text is no value of its column's type."""
    numbers = [number for batch in batches for number in batch.ordinals.to_pylist()]
    for header in schema.names:
        kind = _split(header)[1]
        wrong = f"{identifier(header)} IS NOT NULL AND TRY_CAST({identifier(header)} AS {kind}) IS NULL"
        for place, (is_wrong,) in enumerate(texts.project(wrong).fetchall() if kind else ()):
            if is_wrong:
                hint = "mend the value, or leave the type out: the column is text then"
                return SourceError(f"{path}: in row {numbers[place]} the column {header!r} holds no {kind}", hint=hint)
    return SourceError(f"{path}: a value is none of its column's type", hint="look at the types in its header")


def _cut(table: "pa.Table", batches: list[InputBatch]) -> Iterator[InputBatch]:
    """Return the rows in the batches that they came in, with their numbers and what could not be read."""
    import pyarrow as pa

    start = 0
    for batch in batches:
        piece = table.slice(start, batch.data.num_rows).combine_chunks().to_batches()
        empty = pa.RecordBatch.from_pylist([], schema=table.schema)
        yield replace(batch, data=piece[0] if piece else empty)
        start += batch.data.num_rows
