"""Rows as they travel from a source: input batches, where a row came from, and why one was rejected.

A row is input, a record is output. Rows travel as Arrow batches; a Python object per row is made only for what was
rejected.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from bucket_loader.model.reasons import Code

if TYPE_CHECKING:
    import pyarrow as pa

Stage = Literal["read", "map", "validate", "deliver"]
Slice = tuple[int, int]
"""A slice's place in its source: the item that it is of, and which of that item's it is. Slices sort by it."""


@dataclass(frozen=True)
class Reason:
    """Why a row or record was rejected.

    Attributes:
        code: a stable word a program can rely on; `reasons.py` says what each means.
        message: for a person; holds no value from the row.
        field: the record's field, or the input column, that is at fault; None for the whole row.
    """

    code: Code
    message: str
    field: str | None = None


@dataclass(frozen=True)
class Origin:
    """Where a row came from.

    Attributes:
        source: its name for itself.
        row: the row's number in it, from 1.
        line: the line of a text file that it begins on, where that is known.
        sheet_row: the row of a spreadsheet.
    """

    source: str
    row: int
    line: int | None = None
    sheet_row: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what is known of it, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Rejection:
    """A row or record that will not be delivered, with everything a person needs to find it again."""

    stage: Stage
    origin: Origin
    reasons: tuple[Reason, ...]
    row: dict[str, Any]
    record: dict[str, Any] | None = None
    response: dict[str, Any] | None = None
    sequence: int | None = None


@dataclass(frozen=True)
class InputBatch:
    """A batch of rows, each with its ordinal, and the rows that could not even be read.

    Attributes:
        data: N rows, at most `ROWS_MAX`; the columns as the source names them.
        ordinals: N int64, the rows' numbers in `source`, from 1, ascending.
        source: the origin's name: a file's path as written, a table, `query`.
        unread: rejections of the read stage, met since the batch before.
        slice: the slice that it belongs to.
    """

    data: "pa.RecordBatch"
    ordinals: "pa.Int64Array"
    source: str
    unread: Sequence[Rejection] = ()
    slice: Slice = (0, 0)

    @property
    def count(self) -> int:
        """How many rows it stands for; those that could not be read count too."""
        return len(self.ordinals) + len(self.unread)

    def first(self, count: int) -> "InputBatch":
        """Return its first rows."""
        if count >= self.count:
            return self
        ordinals = sorted([*self.ordinals.to_pylist(), *(unread.origin.row for unread in self.unread)])[:count]
        last = ordinals[-1] if ordinals else 0
        unread = [rejection for rejection in self.unread if rejection.origin.row <= last]
        rows = len(ordinals) - len(unread)
        return replace(self, data=self.data.slice(0, rows), ordinals=self.ordinals.slice(0, rows), unread=unread)

    def take(self, places: "pa.Int64Array") -> "InputBatch":
        """Return some of its rows, without what could not be read."""
        return replace(self, data=self.data.take(places), ordinals=self.ordinals.take(places), unread=())

    def spread(self, count: int) -> "InputBatch":
        """Return so many of its rows at the most, each as far from the next."""
        step = -(-self.count // count)
        if step <= 1:
            return self
        places = [*range(0, len(self.ordinals), step)]
        return replace(self.take(places), unread=self.unread[::step])


ReadItems = Callable[[Iterable[Any]], Iterator[InputBatch]]
"""Returns the rows of some items, one item behind the other; each batch says which slice it belongs to."""


@dataclass(frozen=True)
class SlicedRows:
    """Rows that can be read item by item, in whatever process: both attributes pickle.

    Items follow from the source's bytes alone, and so do their slices. In their order, their rows are the source's.

    Attributes:
        items: what can be read by itself: one slice, or files whose slices are known once they are read.
        read: reads some of them.
    """

    items: Sequence[Any]
    read: ReadItems


def sliced(batches: Iterable[InputBatch], item: int = 0) -> Iterator[InputBatch]:
    """Cut the rows of an item to slices; a slice ends with the batch that makes it large enough."""
    number = rows = 0
    for batch in batches:
        yield replace(batch, slice=(item, number))
        rows += batch.count
        if rows >= SLICE_ROWS:
            number, rows = number + 1, 0


@dataclass(frozen=True)
class Reading:
    """One pass over a source.

    Attributes:
        schema: the input columns. Every batch has exactly these.
        batches: the rows, once, in the source's order; asked for by one thread at a time, not always the same.
        notes: what the user should know of how it is read, a sentence each.
        sliced: the same rows, for who reads them item by item; None where they can be read in one go only.
        has_order: whether a row that comes later is a later one; else nobody knows which of two holds.
    """

    schema: "pa.Schema"
    batches: Iterator[InputBatch]
    notes: tuple[str, ...] = ()
    sliced: SlicedRows | None = None
    has_order: bool = True


@dataclass(frozen=True)
class LoadedFile:
    """A file that was loaded, or is to be, and what it is known again by.

    Attributes:
        name: as the source calls it.
        bytes: its size.
        digest: of its content: `sha256:...`, or a store's own tag.
    """

    name: str
    bytes: int
    digest: str


@runtime_checkable
class ArrivingFiles(Protocol):
    """What a source of files is besides: it knows which of them it has not given before."""

    def arrivals(self) -> tuple[LoadedFile, ...]:
        """Return the files that a reading gives the rows of."""
        ...


Locate = Callable[[Origin], Origin]
"""Says where in its file a row is that a person has to find; it is asked for the rows of a file in their order."""


@runtime_checkable
class FindableRows(Protocol):
    """What a source of files that people read is besides: it knows the place of a row in its file."""

    def locator(self, name: str) -> Locate | None:
        """Return what locates the rows of the file of this name; None where it has none, or it lies elsewhere."""
        ...


class Source(Protocol):
    """What a source is: something with a fingerprint that can be read once.

    Both raise `SourceError` (refused) or `SourceUnavailableError` (try later).
    """

    def fingerprint(self) -> str:
        """Identify the bytes that `read` would give, cheaply; equal before and after means unchanged."""
        ...

    def read(self) -> Reading:
        """Open the source and give its columns and its rows."""
        ...


# Rows from which on a slice is large enough: so many fill a staged file, and a part of a plan.
SLICE_ROWS = 100_000
# Rows in one input batch. Measured: as fast as four times as many, and 60 MB less at the peak.
ROWS_MAX = 16_384
# Bytes in one input batch, so that a wide table does not multiply memory. Measured: as fast as four times as many, and
# 110 MB less at the peak for 120 columns.
BATCH_BYTES_MAX = 4 * 1024 * 1024


def row_as_json(batch: "pa.RecordBatch", index: int) -> dict[str, Any]:
    """Return one row as JSON can hold it, for a person to find it again: what JSON lacks is spelt as text."""
    row = batch.slice(index, 1)
    return {name: _plain(_value(column)) for name, column in zip(row.schema.names, row.columns, strict=True)}


def _value(column: "pa.Array") -> Any:  # noqa: ANN401  # any value of a row
    """Return the one value of a column; in Arrow's spelling where Python has none: beyond 9999, in a zone `utc`."""
    import pyarrow as pa

    try:
        return column[0].as_py()
    except (OverflowError, ValueError):
        if pa.types.is_timestamp(column.type) and column.type.tz is not None:
            column = column.cast(pa.timestamp(column.type.unit, "UTC"))  # Arrow does not know every zone, either
        if pa.types.is_temporal(column.type):
            return column.cast(pa.string())[0].as_py()
        is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        return column.cast(pa.large_binary())[0].as_py() if is_text else "(cannot be shown)"


def _plain(value: Any) -> Any:  # noqa: ANN401  # any value of a row
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(child) for child in value]
    return str(value)
