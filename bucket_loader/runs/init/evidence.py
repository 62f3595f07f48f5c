"""What `init` has seen of a source: its columns, and a sample of their values. Guesses are made from this alone."""

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
from pyarrow import types

from bucket_loader.config import AnySource
from bucket_loader.model import InputBatch, SourceError
from bucket_loader.sources import SourceContext, open_source

SAMPLE_ROWS: Final = 1_000

Family = Literal["text", "number", "boolean", "zoned", "naive", "binary", "nested", "other"]
"""What a column is, as far as guesses differ; `naive` is a moment or a date without a zone."""


@dataclass(frozen=True)
class Column:
    """A column and a sample of its values that are not null.

    Attributes:
        name: as the source has it.
        type: in Arrow.
        values: texts, numbers, truths and bytes as they are; moments and dates as numbers; none of what is nested.
        nulls: how many of the sample are null.
    """

    name: str
    type: pa.DataType
    values: Sequence[Any]
    nulls: int

    @property
    def words(self) -> str:
        """The name in lower case with `_` between its words: `User ID`, `userId` and `$user_id` are `user_id`."""
        apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.name)
        return re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")

    @property
    def family(self) -> Family:
        """What it is."""
        return family(self.type)

    @property
    def is_distinct(self) -> bool:
        """Whether every row of the sample has a value, and none has another one's."""
        return not self.nulls and bool(self.values) and len(set(map(str, self.values))) == len(self.values)

    def all_match(self, pattern: str) -> bool:
        """Whether there are values, and each is a text of this form."""
        return bool(self.values) and self.count(pattern) == len(self.values)

    def count(self, pattern: str) -> int:
        """Return how many values are texts of this form."""
        form = re.compile(pattern, re.ASCII)
        return sum(1 for value in self.values if isinstance(value, str) and form.fullmatch(value))


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
        columns: its columns.
        notes: what the source says of how it is read.
    """

    columns: Sequence[Column]
    notes: tuple[str, ...] = ()


def sample_of(spec: AnySource) -> Sample:
    """Read the first rows of a source.

    Raises:
        SourceError: it cannot be read, or has no columns.
    """
    reading = open_source(spec, SourceContext(Path.cwd())).read()
    if not reading.schema.names:
        raise SourceError("the source has no columns", hint="is it the right file?")
    batches = list(first_rows(reading.batches))
    columns = [_column(field, [batch.column(place) for batch in batches]) for place, field in enumerate(reading.schema)]
    return Sample(columns, reading.notes)


def first_rows(batches: Iterator[InputBatch]) -> Iterator[pa.RecordBatch]:
    """Return the first rows, or those before a place that cannot be read; the trial meets that place again."""
    rows = 0
    with suppress(SourceError):
        for batch in batches:
            yield batch.data.slice(0, SAMPLE_ROWS - rows)
            rows += batch.data.num_rows
            if rows >= SAMPLE_ROWS:
                break
    if isinstance(batches, Generator):
        batches.close()


def _column(field: pa.Field, arrays: "Iterable[pa.Array[Any]]") -> Column:
    values: list[Any] = []
    nulls = 0
    kind = field.type
    for array in arrays:
        nulls += array.null_count
        plain = array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array
        kind = plain.type
        values += [value for value in _values(plain) if value is not None]
    return Column(field.name, kind, values, nulls)


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
