"""What every source is told of the run, and how it cuts its rows to input batches."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.config import SourceSpec, type_of
from bucket_loader.model import (
    BATCH_BYTES_MAX,
    ROWS_MAX,
    InputBatch,
    LoadedFile,
    Rejection,
    UsageError,
    int64_array,
    ordinals_from,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from bucket_loader.sources.spark.tasks import SparkTasks


# Rejections in one batch, so that a file of nothing but bad lines takes little more memory than another.
UNREAD_MAX: Final = 8192

Parameter = datetime | date | int | str
"""What is bound in a query: a moment (aware, UTC); for `:cursor` also a date, a whole number or a text."""

Run = Callable[[Callable[[Iterable[Any]], Iterator[Any]], Sequence[Any]], Iterator[Any]]
"""Runs a function over items, and yields what is made of them in any order; it may call the function several times."""


def run_here(function: Callable[[Iterable[Any]], Iterator[Any]], items: Sequence[Any]) -> Iterator[Any]:
    """Run a function over items with one call, in this process."""
    return function(items)


@dataclass(frozen=True)
class SourceContext:
    """What a source may know of the run besides its own words.

    Attributes:
        base: the folder that relative paths start from: the pipeline file's.
        parameters: `interval_start`, `interval_end`, `as_of`, `cursor`, as far as they are known.
        tables: the named sources that a query may use, each staged once as a Parquet file.
        loaded: the files that were loaded before, where only new ones are wanted; else None.
        cursor_column: the column that the stream reads on from, where it has a cursor; `:cursor` is then a parameter.
        is_used: whether anybody asks for a column; a bad value in one that nobody asks for costs no row.
        tasks: what runs functions as tasks of Spark, where the plan is made there.
        run: runs a function, wherever the plan is made, where rows have to be looked at before they are read.
    """

    base: Path
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    tables: Mapping[str, Path] = field(default_factory=dict)
    loaded: frozenset[LoadedFile] | None = None
    cursor_column: str | None = None
    is_used: Callable[[str], bool] = lambda _: True
    tasks: "SparkTasks | None" = None
    run: Run = run_here

    def moment(self, name: str) -> datetime:
        """Return a parameter that is a moment, as UTC."""
        value = self.parameter(name)
        assert isinstance(value, datetime)  # noqa: S101  # only `cursor` may be anything else
        return value

    def parameter(self, name: str) -> Parameter:
        """Return one parameter; a moment as UTC.

        Raises:
            UsageError: it is used by a path or a query, and the run does not have it.
        """
        if name not in self.parameters:
            if name.startswith("interval_"):
                hint = "give --interval-start and --interval-end"
            elif name == "as_of":
                hint = "give --as-of"
            else:
                hint = "say what it is: `cursor: {column: updated_at, start: 2024-01-01}` on the stream"
            raise UsageError(f"the source uses {name}, which this run does not have", hint=hint)
        value = self.parameters[name]
        return value.astimezone(UTC) if isinstance(value, datetime) else value

    def bound(self, names: Iterable[str]) -> dict[str, Parameter]:
        """Return the parameters that a query uses."""
        return {name: self.parameter(name) for name in names}


def zoneless(value: Parameter) -> Parameter:
    """Return a moment without its zone, for a driver that binds no other; what is no moment stays."""
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def slices(batch: "pa.RecordBatch") -> Iterator[tuple[int, "pa.RecordBatch"]]:
    """Cut a batch into pieces of at most `ROWS_MAX` rows and about `BATCH_BYTES_MAX` bytes, each with its offset.

    A single row is never cut, however big. Nothing is copied.
    """
    pending = [(start, batch.slice(start, ROWS_MAX)) for start in range(0, batch.num_rows, ROWS_MAX)]
    pending.reverse()
    while pending:
        start, piece = pending.pop()
        if piece.num_rows > 1 and piece.nbytes > BATCH_BYTES_MAX:
            # Halving, because one huge value says nothing about its neighbours' sizes.
            half = piece.num_rows // 2
            pending += [(start + half, piece.slice(half)), (start, piece.slice(0, half))]
        else:
            yield start, piece


def numbered(
    batch: "pa.RecordBatch", ordinals: Sequence[int], name: str, unread: Sequence[Rejection]
) -> Iterator[InputBatch]:
    """Return N rows, and what could not be read among them, as input batches in the order of their numbers."""
    import numpy as np

    waiting = list(unread)
    for start, piece in slices(batch):
        numbers = np.array(ordinals[start : start + piece.num_rows], dtype=np.int64)
        before = sum(1 for rejection in waiting if rejection.origin.row < numbers[-1])
        yield InputBatch(piece, int64_array(numbers), name, waiting[:before])
        del waiting[:before]
    if waiting:
        yield without_rows(batch.schema, name, waiting)


def counted(batches: "Iterable[pa.RecordBatch]", name: str, first: int = 1) -> Iterator[InputBatch]:
    """Cut batches to size, and number their rows."""
    for batch in batches:
        for start, piece in slices(batch):
            yield InputBatch(piece, ordinals_from(first + start, piece.num_rows), name)
        first += batch.num_rows


def without_rows(schema: "pa.Schema", name: str, unread: Sequence[Rejection] = ()) -> InputBatch:
    """Return a batch that carries no rows, only the columns and what could not be read."""
    import pyarrow as pa

    empty = pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)
    return InputBatch(empty, ordinals_from(1, 0), name, unread)


def gathered(batches: Iterable[InputBatch]) -> Iterator[InputBatch]:
    """Join small batches of one source, and cut what is too big, so that each has about `ROWS_MAX` rows."""
    waiting: list[InputBatch] = []
    rows = size = unread = 0
    for batch in batches:
        rows += batch.data.num_rows
        size += batch.data.nbytes
        unread += len(batch.unread)
        if waiting and (rows > ROWS_MAX or size > BATCH_BYTES_MAX or unread > UNREAD_MAX):
            yield from _joined(waiting)
            waiting, rows, size, unread = [], batch.data.num_rows, batch.data.nbytes, len(batch.unread)
        waiting.append(batch)
    if waiting:
        yield from _joined(waiting)


def _joined(batches: Sequence[InputBatch]) -> Iterator[InputBatch]:
    import pyarrow as pa

    name, unread = batches[0].source, [rejection for batch in batches for rejection in batch.unread]
    data = pa.concat_batches([batch.data for batch in batches])
    if data.num_rows == 0:
        yield without_rows(data.schema, name, unread)
    ordinals = pa.concat_arrays([batch.ordinals for batch in batches])
    for start, piece in slices(data):
        yield InputBatch(piece, ordinals.slice(start, piece.num_rows), name, unread if start == 0 else ())


def repeated(names: Iterable[str]) -> dict[str, list[int]]:
    """Find the names given more than once, each with its positions from 1."""
    places: dict[str, list[int]] = {}
    for position, name in enumerate(names, start=1):
        places.setdefault(name, []).append(position)
    return {name: positions for name, positions in places.items() if len(positions) > 1}


def folded(name: str) -> str:
    """Return what SQL takes a name for: letters of ASCII are the same in both cases, all others are not."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def alike(names: Iterable[str]) -> list[list[str]]:
    """Return the groups of names that SQL does not tell apart."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(folded(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def extra(model: type[SourceSpec]) -> None:
    """Require the library of a source type, which comes with an extra.

    Raises:
        UsageError: it is not installed; names the command that installs it.
    """
    from importlib.util import find_spec

    row = type_of(model)
    if find_spec(row.library) is None:
        raise UsageError(
            f"this source needs {row.library}, which is not installed", hint=f"pip install 'bucket-loader[{row.extra}]'"
        )
