"""Arrow types at the seam: fewer and plainer than those that sources have, and no value changed on the way."""

from typing import TYPE_CHECKING

from bucket_loader.model import SourceError
from bucket_loader.sources.values.casting import decimal_type
from bucket_loader.sources.values.durations import holds_durations, is_duration, texts

if TYPE_CHECKING:
    import pyarrow as pa


def plain_type(kind: "pa.DataType") -> "pa.DataType":
    """Return the type that a column has at the seam.

    Dictionaries, views and runs hold the same values, durations are their text, and a decimal of more digits than
    can be computed with is a number of JSON.
    """
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if types.is_string_view(kind):
        return pa.string()
    if types.is_binary_view(kind):
        return pa.binary()
    if is_duration(kind):
        return pa.string()
    if types.is_decimal256(kind):
        return decimal_type(kind.precision, kind.scale)
    return _without_durations(kind) if holds_durations(kind) else kind


def _without_durations(kind: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa
    from pyarrow import types

    if types.is_struct(kind):
        return pa.struct([field.with_type(plain_type(field.type)) for field in kind])
    if types.is_map(kind):
        return pa.map_(plain_type(kind.key_type), plain_type(kind.item_type))
    return pa.list_(plain_type(kind.field(0).type))


def plain_schema(schema: "pa.Schema") -> "pa.Schema":
    """Return the columns without metadata, each with the type that it has at the seam."""
    import pyarrow as pa

    return pa.schema([pa.field(field.name, plain_type(field.type)) for field in schema])


def plain_table(table: "pa.Table") -> "pa.Table":
    """Return a table with the columns that `plain_schema` says."""
    import pyarrow as pa

    schema = plain_schema(table.schema)
    columns = [
        pa.chunked_array([as_type(chunk, field.type) for chunk in column.chunks], field.type)
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def as_type(column: "pa.Array", kind: "pa.DataType") -> "pa.Array":
    """Bring a column to the type that `plain_type` gave it, or one that it has over all files.

    Raises:
        pa.ArrowInvalid: a value would change.
    """
    import pyarrow as pa

    if column.type == kind:
        return column
    if holds_durations(column.type):
        return texts(column, plain_type(column.type))
    if isinstance(kind, pa.JsonType):
        return pa.ExtensionArray.from_storage(kind, column.cast(pa.string()))
    return column.cast(kind)


def to_schema(batch: "pa.RecordBatch", schema: "pa.Schema", name: str) -> "pa.RecordBatch":
    """Bring a batch to the columns that all of a source has, by their names; a value that would change is an error.

    Raises:
        SourceError: a value does not fit the common type, though its column's type seemed to.
    """
    import pyarrow as pa

    arrays = []
    for field in schema:
        try:
            arrays.append(as_type(batch.column(field.name), field.type))
        except pa.ArrowInvalid as error:
            raise SourceError(
                f"{name}: a value of the column {field.name!r} does not fit {field.type}, its type over all files",
                hint="give the column one type in all files; ids are best as text",
            ) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
