"""The columns of several files of one source: the same in all, and those that their `key=value` folders add."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bucket_loader.model import SourceError, repeated_text
from bucket_loader.sources.base import repeated
from bucket_loader.sources.files.input_file import InputFile

if TYPE_CHECKING:
    import pyarrow as pa


def added_columns(file: InputFile, names: Sequence[str]) -> list[str]:
    """Return the columns that a file's folders add; one that it holds itself is the data, whatever the folder says."""
    return [key for key, _ in file.partitions if key not in names]


def with_added_names(schema: "pa.Schema", file: InputFile) -> "pa.Schema":
    """Return a file's columns, each named once, and those that its folders add, as text.

    Raises:
        SourceError: the file has a name more than once.
    """
    import pyarrow as pa

    for name, places in repeated(schema.names).items():
        raise SourceError(
            f"{file.name} has the column {name!r} more than once, at {' and '.join(map(str, places))}",
            hint="one would hide the other; rename one where the file is written",
        )
    return pa.schema([*schema, *(pa.field(key, pa.string()) for key in added_columns(file, schema.names))])


def with_added(batch: "pa.RecordBatch", file: InputFile) -> "pa.RecordBatch":
    """Return a batch with the columns that its file's folders add."""
    for key, value in file.partitions:
        if key not in batch.schema.names:
            batch = batch.append_column(key, repeated_text(value, batch.num_rows))
    return batch


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
    """Whether a checked cast from `kind` to `wider` either keeps every value or fails.

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
