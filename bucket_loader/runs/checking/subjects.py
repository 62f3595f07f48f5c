"""What is doubted in a stream: its ids, its times, its score, its attributes; each with the SQL of its values.

The rows of a plan are one table for this: `record` is the record's JSON, `c0`, `c1`, ... are the columns of the source.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import pyarrow as pa

from bucket_loader.config import FieldSpec, Stream, Values
from bucket_loader.model import identifier, literal
from bucket_loader.planning import Plan, PlannedStream
from bucket_loader.state import Records

if TYPE_CHECKING:
    import duckdb

About = Literal["id", "time", "score", "attribute"]

ROWS: Final = "rows"  # the table
_ROWS_AT_ONCE: Final = 2_048


@dataclass(frozen=True)
class Subject:
    """One field of a stream, and where its values stand.

    Attributes:
        stream: the stream.
        field: `userId`, `timestamp`, `attributes.seats`, ...
        spec: what the pipeline file says of it; for a column that came by `*`, that column alone.
        about: what is doubted of it.
        number: the column's number; None where no single column stands behind the field.
        is_text: whether the column holds texts.
        is_date: whether it holds dates, which have no time of the day.
    """

    stream: Stream
    field: str
    spec: FieldSpec
    about: About
    number: int | None = None
    is_text: bool = False
    is_date: bool = False

    @property
    def name(self) -> str:
        """What a person knows it by: the column, or the field where there is none."""
        return self.spec.column or self.field

    @property
    def words(self) -> str:
        """The same in a sentence."""
        return f"column {self.spec.column!r}" if self.spec.column is not None else self.field

    @property
    def path(self) -> str:
        """SQL: where its value is in the record."""
        path = self.field.replace("~", "~0").replace("/", "~1").replace(".", "/", 1)
        return literal("/" + path)

    @property
    def sent(self) -> str:
        """SQL: what is sent, as text."""
        return f"json_extract_string(record, {self.path})"

    @property
    def read(self) -> str | None:
        """SQL: what the source has, as text; None where no single column stands behind it."""
        return None if self.number is None else f"CAST(c{self.number} AS VARCHAR)"

    @property
    def zone(self) -> str:
        """The zone that its times were written in."""
        return self.spec.timezone or self.stream.timezone or "UTC"

    @property
    def in_sql(self) -> str:
        """What an expression calls it."""
        if self.spec.column is None:
            return f"({self.spec.sql})"
        is_plain = _PLAIN.fullmatch(self.spec.column) and self.spec.column not in _RESERVED
        return self.spec.column if is_plain else identifier(self.spec.column)

    def line(self, **words: str) -> str:
        """Return the field as a person would write it, with these words more, each in YAML."""
        instead = {other for word in words for other in (word, *_INSTEAD.get(word, ()))}
        kept = {name: getattr(self.spec, name) for name in FieldSpec.model_fields if name in self.spec.model_fields_set}
        if "null_values" in words and self.spec.null_values:
            words["null_values"] = f"{_in_yaml(self.spec.null_values)[:-1]}, {words['null_values'][1:]}"
        given = {name: _in_yaml(value) for name, value in kept.items() if name not in instead} | words
        inner = ", ".join(f"{name}: {text}" for name, text in given.items())
        return f"{_in_yaml(self.field.removeprefix('attributes.'))}: {{{inner}}}"

    def line_of_sql(self, sql: str, **words: str) -> str:
        """Return the field as an expression, with these words more."""
        return self.line(sql=_quoted(sql), **words)


# A word of a field, and those that it stands in place of.
_INSTEAD: Final = {"sql": ("column", "format", "unit", "encoding"), "format": ("unit",), "unit": ("format",)}
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")
_RESERVED: Final = {  # of SQL's, those that columns are called by
    "all", "any", "array", "case", "check", "column", "default", "desc", "describe", "end", "fetch", "for", "from",
    "group", "in", "into", "is", "limit", "offset", "on", "only", "order", "primary", "references", "select", "show",
    "some", "table", "to", "unique", "user", "using", "values", "when", "where", "window", "with",
}  # fmt: skip


def _in_yaml(value: object) -> str:
    """Spell a value of a field in one line of YAML."""
    match value:
        case list() | tuple():
            return f"[{', '.join(map(_in_yaml, value))}]"
        case str():
            return value if _BARE.fullmatch(value) else _quoted(value)
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


_BARE: Final = re.compile(r"(?!(?i:y|n|yes|no|on|off|true|false|null|nan)$)[A-Za-z_][A-Za-z0-9_/.-]*")


def _quoted(text: str) -> str:
    return f'"{text}"' if '"' not in text and "\\" not in text else "'" + text.replace("'", "''") + "'"


def subjects_of(stream: Stream, columns: pa.Schema) -> list[Subject]:
    """Return what there is to doubt in a stream, given the columns of its source."""
    return [
        _subject(stream, field, spec, columns)
        for field, spec in _fields(stream, columns.names)
        if spec.column is not None or spec.sql is not None
    ]


def _fields(stream: Stream, columns: Sequence[str]) -> Iterator[tuple[str, FieldSpec]]:
    named = stream.fields.by_path()
    yield from named.items()
    used = {one.column for one in named.values()}
    for name, spec in stream.fields.given().items():
        if isinstance(spec, Values) and spec.star is not None:
            others = {*used, *spec.star.exclude, *spec.named}
            yield from ((f"{name}.{one}", FieldSpec(column=one)) for one in columns if one not in others)


def _subject(stream: Stream, field: str, spec: FieldSpec, columns: pa.Schema) -> Subject:
    number = columns.names.index(spec.column) if spec.column in columns.names else None
    kind = columns.field(number).type if number is not None else None
    if kind is not None and pa.types.is_nested(kind):
        number = None
    return Subject(
        stream,
        field,
        spec,
        _about(field, spec, kind),
        number,
        is_text=kind is not None and bool(pa.types.is_string(kind) or pa.types.is_large_string(kind)),
        is_date=kind is not None and bool(pa.types.is_date(kind)),
    )


def _about(field: str, spec: FieldSpec, kind: pa.DataType | None) -> About:
    if field in {"userId", "companyId"}:
        return "id"
    if field == "timestamp" or spec.type == "timestamp" or (kind is not None and pa.types.is_timestamp(kind)):
        return "time"
    return "score" if field == "score" else "attribute"


# --- their table ---------------------------------------------------------------------------------------------------


def columns_of(planned: Plan, stream: PlannedStream) -> pa.Schema | None:
    """Return the columns of a stream's source; None where nothing was read."""
    schema = planned.records(stream).schema
    return pa.schema(list(schema.field("row").type)) if "row" in schema.names else None


@contextmanager
def rows_of(connection: "duckdb.DuckDBPyConnection", planned: Plan, stream: PlannedStream) -> Iterator[None]:
    """Make a stream's rows the table, as often as it is asked."""
    connection.register(ROWS, _Rows(planned.records(stream)))
    try:
        yield
    finally:
        connection.unregister(ROWS)


class _Rows:
    """The records of a plan, read anew by each query, a few rows at a time.

    Columns go by number: SQL does not tell two names apart that differ only in case.
    """

    def __init__(self, records: Records) -> None:
        self._records = records

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        schema = self._records.schema
        kinds = [
            ("record", pa.string()),
            *((f"c{index}", one.type) for index, one in enumerate(schema.field("row").type)),
        ]
        return pa.RecordBatchReader.from_batches(pa.schema(kinds), self._batches()).__arrow_c_stream__()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._records.batches(["record", "row"], _ROWS_AT_ONCE):
            arrays = [batch["record"].cast(pa.string()), *batch["row"].flatten()]
            yield pa.RecordBatch.from_arrays(
                arrays, [f"c{index - 1}" if index else "record" for index in range(len(arrays))]
            )
