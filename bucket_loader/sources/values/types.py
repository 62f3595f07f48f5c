"""Arrow types across files: plain ones, one for all files, and no value changed on the way."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bucket_loader.model import SourceError
from bucket_loader.sources.files.input_file import InputFile
from bucket_loader.sources.values.casting import decimal_type
from bucket_loader.sources.values.durations import holds_spans, is_span, texts

if TYPE_CHECKING:
    import pyarrow as pa


def plain_type(kind: "pa.DataType") -> "pa.DataType":
    """Give the type that a column has at the seam.

    Dictionaries, views and runs hold the same values, spans of time are their text, and a decimal of more digits than
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
    if is_span(kind):
        return pa.string()
    if types.is_decimal256(kind):
        return decimal_type(kind.precision, kind.scale)
    return _without_spans(kind) if holds_spans(kind) else kind


def _without_spans(kind: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa
    from pyarrow import types

    if types.is_struct(kind):
        return pa.struct([field.with_type(plain_type(field.type)) for field in kind])
    if types.is_map(kind):
        return pa.map_(plain_type(kind.key_type), plain_type(kind.item_type))
    return pa.list_(plain_type(kind.field(0).type))


def plain_schema(schema: "pa.Schema") -> "pa.Schema":
    """Give the columns without metadata, each with the type that it has at the seam."""
    import pyarrow as pa

    return pa.schema([pa.field(field.name, plain_type(field.type)) for field in schema])


def plain_table(table: "pa.Table") -> "pa.Table":
    """Give a table with the columns that `plain_schema` says."""
    import pyarrow as pa

    schema = plain_schema(table.schema)
    columns = [
        pa.chunked_array([as_type(chunk, field.type) for chunk in column.chunks], field.type)
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def common_schema(schemas: "Mapping[InputFile, pa.Schema]") -> "pa.Schema":
    """Find the columns that all files have, in the order of the first, each with a type that changes no value.

    Raises:
        SourceError: a file lacks or adds a column, or has one with another type; names both.
    """
    import pyarrow as pa

    if not schemas:
        return pa.schema([])
    first, expected = next(iter(schemas.items()))
    for file, schema in schemas.items():
        check_same_names(first, expected.names, file, schema.names)
    fields = []
    for name in expected.names:
        kinds = {file: schema.field(name).type for file, schema in schemas.items()}
        fields.append(pa.field(name, _common_type(name, kinds)))
    return pa.schema(fields)


def check_same_names(first: InputFile, expected: list[str], file: InputFile, names: list[str]) -> None:
    """Refuse a file whose columns are not those of the first; their order may differ."""
    hint = "all files of one source have the same columns; load the others with a source of their own"
    if missing := [name for name in expected if name not in names]:
        raise SourceError(f"{file.name} lacks the column {missing[0]!r} that {first.name} has", hint=hint)
    if extra := [name for name in names if name not in expected]:
        raise SourceError(f"{file.name} has a column {extra[0]!r} that {first.name} lacks", hint=hint)


def _common_type(name: str, kinds: "Mapping[InputFile, pa.DataType]") -> "pa.DataType":
    first, common = next(iter(kinds.items()))
    for file, kind in kinds.items():
        unified = _unified(common, kind)
        if unified is None or not (_kept(kind, unified) and _kept(common, unified)):
            raise SourceError(
                f"{file.name}: the column {name!r} is {kind}, in {first.name} it is {kinds[first]}",
                hint="give the column one type in all files; ids are best as text",
            )
        common = unified
    return common


def _unified(one: "pa.DataType", other: "pa.DataType") -> "pa.DataType | None":
    import pyarrow as pa
    from pyarrow import types

    if one == other:
        return one
    if all(types.is_timestamp(kind) and kind.tz is not None for kind in (one, other)):
        # The zone is only how an instant is shown.
        one, other = pa.timestamp(one.unit, "UTC"), pa.timestamp(other.unit, "UTC")
    try:
        schemas = [pa.schema([("x", kind)]) for kind in (one, other)]
        return pa.unify_schemas(schemas, promote_options="permissive").field("x").type
    except pa.ArrowTypeError:
        return None


def _kept(kind: "pa.DataType", wider: "pa.DataType") -> bool:
    """Tell whether a checked cast from `kind` to `wider` either keeps every value or fails.

    pyarrow would also merge decimals into floats (inexact), float32 into float64 (other digits) and text into bytes.
    """
    from pyarrow import types

    if kind == wider or types.is_null(kind):
        return True
    if types.is_integer(kind):
        return bool(types.is_integer(wider) or types.is_float64(wider) or types.is_decimal(wider))
    if types.is_list(kind) or types.is_large_list(kind):
        return _kept(kind.value_type, wider.value_type)
    if types.is_struct(kind):
        return all(_kept(field.type, wider.field(field.name).type) for field in kind)
    same_family = (types.is_decimal, types.is_timestamp)
    if any(family(kind) and family(wider) for family in same_family):
        return True
    return bool(types.is_string(kind) and types.is_large_string(wider))


def as_type(column: "pa.Array", kind: "pa.DataType") -> "pa.Array":
    """Bring a column to the type that `plain_type` gave it, or one that it has over all files.

    Raises:
        pa.ArrowInvalid: a value would change.
    """
    import pyarrow as pa

    if column.type == kind:
        return column
    if holds_spans(column.type):
        return texts(column, plain_type(column.type))
    if isinstance(kind, pa.JsonType):
        return pa.ExtensionArray.from_storage(kind, column.cast(pa.string()))
    return column.cast(kind)


def to_schema(columns: "Mapping[str, pa.Array]", schema: "pa.Schema", name: str) -> "pa.RecordBatch":
    """Bring a batch to the common columns; a value that would change is an error.

    Raises:
        SourceError: a value does not fit the common type, though its column's type seemed to.
    """
    import pyarrow as pa

    arrays = []
    for field in schema:
        try:
            arrays.append(as_type(columns[field.name], field.type))
        except pa.ArrowInvalid as error:
            raise SourceError(
                f"{name}: a value of the column {field.name!r} does not fit {field.type}, its type over all files",
                hint="give the column one type in all files; ids are best as text",
            ) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
