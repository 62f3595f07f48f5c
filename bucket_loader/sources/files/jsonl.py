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

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import msgspec

from bucket_loader.config import JsonLinesSource
from bucket_loader.model import (
    ROWS_MAX,
    InputBatch,
    Reading,
    SourceError,
    number_array,
    repeated_text,
    text_array,
    truth_array,
)
from bucket_loader.sources.base import SourceContext, numbered
from bucket_loader.sources.files.columns import added_columns
from bucket_loader.sources.files.input_file import InputFile
from bucket_loader.sources.files.jsonl_parser import UNREAD_MAX, Parsed, Row, parsed
from bucket_loader.sources.files.listing import Files

if TYPE_CHECKING:
    import pyarrow as pa

_T = TypeVar("_T")

COLUMNS_MAX: Final = 4096
DIGITS_MAX: Final = 38  # of a decimal, in Arrow and in DuckDB
_NULL: Final = msgspec.Raw(b"null")
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_NUMBERS: Final = b"-0123456789"
_KINDS: Final = {
    **dict.fromkeys(b'"', "text"),
    **dict.fromkeys(b"tf", "boolean"),
    **dict.fromkeys(_NUMBERS, "number"),
    **dict.fromkeys(b"{[", "nested"),
}


class JsonLines(Files):
    """JSON Lines files; what a line lacks is null, and `key=value` folders become columns of text."""

    def __init__(self, spec: JsonLinesSource, context: SourceContext) -> None:
        super().__init__(spec, context)
        self._spec: JsonLinesSource = spec

    def read(self) -> Reading:
        """Look at every line of every file, then return the rows of one file after the other."""
        import pyarrow as pa

        found, sound = self.found(), set[int]()
        columns = {name: Column() for name in self._spec.columns}
        for file in found:
            for some in parsed(file, self._spec.compression, sound):
                _look(file, some.rows, columns)
        added = dict.fromkeys(name for file in found for name in added_columns(file, list(columns)))
        if found and not columns:
            raise SourceError(
                f"{found[0].name} has no rows, so that nothing says what its columns are",
                hint="where that is right, name them: `columns: [...]`",
            )
        types = {name: column.type for name, column in columns.items()} | dict.fromkeys(added, pa.string())
        schema = pa.schema(list(types.items()))
        parts = ((file, parsed(file, self._spec.compression, sound)) for file in found)
        return Reading(schema, (batch for file, part in parts for batch in _batches(file, part, columns, schema)))


def _batches(
    file: InputFile, part: Iterator[Parsed], columns: "dict[str, Column]", schema: "pa.Schema"
) -> Iterator[InputBatch]:
    import pyarrow as pa

    folders = dict(file.partitions)
    for some in _gathered(part):
        try:
            arrays = [
                columns[name].array([row.get(name, _NULL) for row in some.rows])
                if name in columns
                else repeated_text(folders.get(name), len(some.rows))
                for name in schema.names
            ]
        except (pa.ArrowException, msgspec.DecodeError, ArithmeticError) as error:
            raise SourceError(
                f"{file.name} changed while it was read", hint="run again when nothing writes it"
            ) from error
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        yield from numbered(batch, some.numbers, file.name, some.unread)


def _look(file: InputFile, rows: Sequence[Row], columns: "dict[str, Column]") -> None:
    for row in rows:
        if not row.keys() <= columns.keys():
            columns |= {name: Column() for name in row if name not in columns}
    if len(columns) > COLUMNS_MAX:
        raise SourceError(
            f"{file.name} has more than {COLUMNS_MAX:,} names in its objects",
            hint="are names data, such as dates or ids? put such objects one level deeper",
        )
    for name, column in columns.items():
        column.look([row[name] for row in rows if name in row])


def _gathered(some: Iterator[Parsed]) -> Iterator[Parsed]:
    """Join what was parsed to about the size of a batch."""
    gathered = Parsed()
    for one in some:
        gathered = Parsed(gathered.rows + one.rows, gathered.numbers + one.numbers, gathered.unread + one.unread)
        if len(gathered.rows) >= ROWS_MAX // 2 or len(gathered.unread) >= UNREAD_MAX:
            yield gathered
            gathered = Parsed()
    if gathered.rows or gathered.unread:
        yield gathered


class Column:
    """What kinds of value a column has, the type that holds them all unchanged, and values in that type."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self.small = True  # every number is whole and has 64 bits
        self.before = self.after = 0  # digits of its numbers, before and after the point

    def look(self, raws: Sequence[msgspec.Raw]) -> None:
        """Take note of more values."""
        texts = list(map(bytes, raws))
        kinds = {_KINDS[first] for first in {text[0] for text in texts} if first in _KINDS}
        self.kinds |= kinds
        if "number" in kinds:
            self._measure([text for text in texts if text[0] in _NUMBERS])

    def _measure(self, numbers: Sequence[bytes]) -> None:
        try:
            msgspec.json.decode(b"[" + b",".join(numbers) + b"]", type=list[_Int64])
        except msgspec.ValidationError:
            self.small = False
        else:
            self.before = max(self.before, *map(len, numbers), 1)
            return
        for number in numbers:
            try:
                _, digits, exponent = Decimal(number.decode()).as_tuple()
            except ArithmeticError:  # an exponent of twenty digits
                exponent = DIGITS_MAX + 1
                digits = ()
            self.before = max(self.before, len(digits) + int(exponent), 1)
            self.after = max(self.after, -int(exponent))

    @property
    def type(self) -> "pa.DataType":
        """The type that changes no value seen."""
        import pyarrow as pa

        if "nested" in self.kinds:
            return pa.json_(pa.string())
        if self.kinds == {"boolean"}:
            return pa.bool_()
        if self.kinds == {"number"} and self.small:
            return pa.int64()
        if self.kinds == {"number"} and self.before + self.after <= DIGITS_MAX:
            return pa.decimal128(self.before + self.after, self.after)
        return pa.string()

    def array(self, raws: Sequence[msgspec.Raw]) -> "pa.Array":
        """Return N values in the column's type."""
        import pyarrow as pa

        kind = self.type
        if pa.types.is_boolean(kind):
            return truth_array(_decoded(raws, bool))
        if pa.types.is_int64(kind):
            return number_array(_decoded(raws, int), kind)
        if pa.types.is_decimal(kind):
            return pa.array(_decoded(raws, Decimal), kind)
        if isinstance(kind, pa.JsonType):
            spelt = [None if text == b"null" else text for text in map(bytes, raws)]
            return pa.ExtensionArray.from_storage(kind, text_array(spelt))
        texts = _decoded(raws, str) if self.kinds <= {"text"} else list(map(_text, raws))
        return text_array([None if text is None else text.encode() for text in texts])


def _decoded(raws: Sequence[msgspec.Raw], kind: type[_T]) -> list[_T | None]:
    values: list[_T | None] = msgspec.json.decode(b"[" + b",".join(raws) + b"]", type=list[kind | None])  # type: ignore[valid-type]
    return values


def _text(raw: msgspec.Raw) -> str | None:
    text = bytes(raw)
    if text == b"null":
        return None
    return msgspec.json.decode(raw, type=str) if text.startswith(b'"') else text.decode()
