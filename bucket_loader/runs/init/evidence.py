"""What `init` has seen of a source: its columns, and a sample of their values. Guesses are made from this alone."""

import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from bucket_loader.config import AnySource, FileSource, scheme_of
from bucket_loader.model import InputBatch, SourceError
from bucket_loader.runs.init.names import unwrapped, words_of
from bucket_loader.runs.init.nested import Leaf, leaves_of
from bucket_loader.sources import SourceContext, open_source

SAMPLE_ROWS: Final = 1_000
SPREAD_ROWS: Final = 100  # of each batch after the first rows
_RARE: Final = 50
_RARE_IN_ALL: Final = 10
_BATCHES_MAX: Final = 20  # of a file of this disk

Family = Literal["text", "number", "boolean", "zoned", "naive", "binary", "nested", "other"]
"""What a column is, as far as guesses differ; `naive` is a moment or a date without a zone."""


@dataclass(frozen=True)
class Column:
    """A column and a sample of its values that are not null; or a leaf inside of a nested column.

    Attributes:
        name: as the source has it; that of a leaf is dotted.
        type: in Arrow.
        values: texts, numbers, truths and bytes as they are; moments and dates as numbers; the items of lists.
        nulls: how many of the sample are null.
        leaf: where it lies inside of a column; None for a column of its own.
    """

    name: str
    type: pa.DataType
    values: Sequence[Any]
    nulls: int
    leaf: Leaf | None = None

    @cached_property
    def words(self) -> str:
        """The words of its name, without what tools wrap it in."""
        return unwrapped(words_of(self.name))

    @property
    def is_own(self) -> bool:
        """Whether it is a column of its own, whose name nothing is wrapped around."""
        return self.leaf is None and self.words == words_of(self.name)

    @property
    def family(self) -> Family:
        """What it is."""
        return family(self.type)

    @cached_property
    def texts(self) -> Sequence[str]:
        """The values that are texts and not blank."""
        return [value for value in self.values if isinstance(value, str) and value.strip()]

    @cached_property
    def distinct(self) -> int:
        """How many different values there are."""
        return len(set(map(str, self.values)))

    @property
    def is_distinct(self) -> bool:
        """Whether every row of the sample has a value, and none has another one's."""
        return not self.nulls and bool(self.values) and self.distinct == len(self.values)

    @property
    def is_empty(self) -> bool:
        """Whether the sample holds no value of it."""
        return not self.values or (self.family == "text" and not self.texts)

    @cached_property
    def usual(self) -> "Column":
        """The column without the values of rare shapes: what one row in fifty has is a mistake, and no evidence."""
        shapes = [_shape(value) for value in self.values]
        counted = Counter(shapes)
        rare = {shape for shape, count in counted.items() if count * _RARE < len(shapes)}
        if not rare or sum(counted[shape] for shape in rare) * _RARE_IN_ALL > len(shapes):
            return self
        kept = [value for value, shape in zip(self.values, shapes, strict=True) if shape not in rare]
        return replace(self, values=kept)

    def all_match(self, pattern: str) -> bool:
        """Whether there are values, and each is a text of this form."""
        return bool(self.values) and self.count(pattern) == len(self.values)

    def count(self, pattern: str) -> int:
        """Return how many values are texts of this form."""
        form = re.compile(pattern, re.ASCII)
        return sum(1 for value in self.values if isinstance(value, str) and form.fullmatch(value))


def _shape(value: object) -> str:
    return re.sub(r"[A-Za-z]+", "a", re.sub(r"\d", "9", str(value)))


def family(kind: pa.DataType) -> Family:
    """Return what an Arrow type is, as far as guesses differ."""
    tests: tuple[tuple[Any, Family], ...] = (
        (_is_text, "text"),
        (_is_number, "number"),
        (types.is_boolean, "boolean"),
        (lambda kind: types.is_timestamp(kind) and kind.tz is not None, "zoned"),
        (lambda kind: types.is_timestamp(kind) or types.is_date(kind), "naive"),
        (_is_binary, "binary"),
        (lambda kind: types.is_nested(kind) or isinstance(kind, pa.JsonType), "nested"),
    )
    return next((found for test, found in tests if test(kind)), "other")


def _is_text(kind: pa.DataType) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))


@dataclass(frozen=True)
class Sample:
    """The first rows of a source.

    Attributes:
        columns: its columns, and in place of each nested one its leaves.
        rows: how many rows were seen.
        notes: what the source says of how it is read.
        local_times: whether moments without a zone lie inside of nested columns.
        batches: the rows themselves.
    """

    columns: Sequence[Column]
    rows: int = 0
    notes: tuple[str, ...] = ()
    local_times: bool = False
    batches: Sequence[pa.RecordBatch] = ()

    def called(self, pattern: str) -> list[Column]:
        """Return the columns whose words are wholly of this form."""
        form = re.compile(pattern)
        return [column for column in self.columns if form.fullmatch(column.words)]

    def tells_apart(self, columns: Sequence[Column]) -> bool:
        """Whether no two rows have the same in all these columns, each of which is one of its own and has no gaps."""
        if not self.batches or any(
            column.leaf is not None or column.nulls or "" in column.values for column in columns
        ):
            return False
        rows = pa.Table.from_batches(self.batches).select([column.name for column in columns])
        return bool(rows.group_by(rows.column_names).aggregate([]).num_rows == rows.num_rows)

    def only(self, name: str, value: str) -> "Sample":
        """Return the rows that have a value in a column, as a sample of their own."""
        kept = [batch.filter(pc.equal(batch.column(name), value)) for batch in self.batches]
        return _seen(self.batches[0].schema, kept, self.notes)

    def known(self, column: Column) -> "Sample":
        """Return the rows that have a value in a column of its own."""
        if column.leaf is not None or not self.batches:
            return self
        kept = [batch.filter(_has_value(batch.column(column.name))) for batch in self.batches]
        return _seen(self.batches[0].schema, kept, self.notes)


def _has_value(array: "pa.Array[Any]") -> "pa.Array[Any]":
    valid = array.is_valid()
    return pc.and_kleene(valid, pc.not_equal(array, "")) if _is_text(array.type) else valid


def sample_of(spec: AnySource) -> Sample:
    """Read the first rows of a source.

    Raises:
        SourceError: it cannot be read, or has no columns.
    """
    reading = open_source(spec, SourceContext(Path.cwd())).read()
    if not reading.schema.names:
        raise SourceError("the source has no columns", hint="is it the right file?")
    is_here = isinstance(spec, FileSource) and scheme_of(spec.path) is None
    batches = first_rows(reading.batches, batches_max=_BATCHES_MAX if is_here else 1)
    return _seen(reading.schema, list(batches), reading.notes)


def _seen(schema: pa.Schema, batches: Sequence[pa.RecordBatch], notes: tuple[str, ...]) -> Sample:
    columns = [
        column
        for place, field in enumerate(schema)
        for column in _columns(field, [batch.column(place) for batch in batches])
    ]
    rows = sum(batch.num_rows for batch in batches)
    return Sample(columns, rows, notes, any(_holds_local_time(field.type) for field in schema), batches)


def _holds_local_time(kind: pa.DataType, *, inside: bool = False) -> bool:
    if not types.is_nested(kind):
        return inside and family(kind) == "naive" and not types.is_date(kind)
    return any(_holds_local_time(kind.field(place).type, inside=True) for place in range(kind.num_fields))


def first_rows(batches: Iterator[InputBatch], *, batches_max: int = 1) -> Iterator[pa.RecordBatch]:
    """Return the first rows and some of those after them, or those before a place that cannot be read.

    The first rows of an export may be unlike the others. The trial meets a place that cannot be read again.

    Args:
        batches: the rows.
        batches_max: how many batches are looked into after those of the first rows.
    """
    rows = 0
    with suppress(SourceError):
        for batch in batches:
            first = batch.data.slice(0, max(SAMPLE_ROWS - rows, 0))
            yield from filter(len, (first, _spread(batch.data.slice(first.num_rows))))
            batches_max -= rows + batch.data.num_rows >= SAMPLE_ROWS
            rows += batch.data.num_rows
            if not batches_max:
                break
    if isinstance(batches, Generator):
        batches.close()


def _spread(rows: pa.RecordBatch) -> pa.RecordBatch:
    step = -(-rows.num_rows // SPREAD_ROWS)
    return rows if step <= 1 else rows.take([*range(0, rows.num_rows - 1, step), rows.num_rows - 1])  # a footer is last


def _columns(field: pa.Field, arrays: "Iterable[pa.Array[Any]]") -> Iterator[Column]:
    """Return a column, or the leaves of a nested one."""
    plain = [array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array for array in arrays]
    kind = plain[0].type if plain else field.type
    leaves = leaves_of(field.name, kind, plain) if family(kind) in {"nested", "text"} else None
    if leaves is not None:
        rows = sum(map(len, plain))
        for leaf, found in leaves.items():
            yield Column(leaf.name, found.type, found.values, rows - found.rows, leaf)
        return
    values = [value for array in plain for value in _values(array) if value is not None]
    yield Column(field.name, kind, values, sum(array.null_count for array in plain))


def _values(array: "pa.Array[Any]") -> Sequence[Any]:
    """Return values as guesses need them: a moment as a number, since Python has none of the year 20000."""
    match family(array.type):
        case "zoned" | "naive":
            whole = pa.int32() if types.is_date32(array.type) else pa.int64()
            found: list[Any] = array.view(whole).to_pylist()
            return found
        case "nested":
            return ()
        case "other" if not isinstance(array.type, pa.UuidType):
            return ()
        case _:
            return list(array.to_pylist())
