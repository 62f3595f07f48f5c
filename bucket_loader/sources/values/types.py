"""Arrow types at the seam: fewer and plainer than those that sources have, and no value changed on the way."""

from typing import TYPE_CHECKING, Final

from bucket_loader.model import SourceError
from bucket_loader.sources.base import alike
from bucket_loader.sources.values import times_of_day
from bucket_loader.sources.values.casting import decimal_type
from bucket_loader.sources.values.durations import is_duration, texts
from bucket_loader.sources.values.floats import shortest

if TYPE_CHECKING:
    import pyarrow as pa

# Extension types whose values are read as what they mean; every other one is refused, for its storage means nothing.
_READ: Final = frozenset({"arrow.json", "arrow.uuid", "arrow.bool8"})
_EXTENSION_NAME: Final = b"ARROW:extension:name"


def plain_type(kind: "pa.DataType") -> "pa.DataType":
    """Return the type that a column has at the seam.

    Dictionaries, views and runs hold the same values, durations are their text, a half float is a float with the same
    digits, and a decimal of more digits than can be computed with is a number of JSON. A decimal whose last digits are
    left out has them, and a struct without members is nothing.
    """
    import pyarrow as pa
    from pyarrow import types

    if types.is_decimal256(kind) or (types.is_decimal(kind) and kind.scale < 0):
        return decimal_type(kind.precision + max(-kind.scale, 0), max(kind.scale, 0))
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if types.is_string_view(kind) or is_duration(kind):
        return pa.string()
    if types.is_binary_view(kind):
        return pa.binary()
    if types.is_float16(kind):
        return pa.float64()
    if isinstance(kind, pa.Bool8Type):
        return pa.bool_()
    if types.is_struct(kind) and kind.num_fields == 0:
        return pa.null()
    if types.is_nested(kind) and any(_nested_type(field.type) != field.type for field in _members(kind)):
        return _with_inner_types(kind)
    return kind


def _nested_type(kind: "pa.DataType") -> "pa.DataType":
    """Return the type of a value inside another one, where Python reads it.

    A time of day is its text there, since Python has neither 24:00:00 nor nanoseconds, and an instant is shown in
    UTC, since a zone may have a name that Python does not know (`+0530`, `utc`, `Z`).
    """
    import pyarrow as pa
    from pyarrow import types

    if types.is_time(kind):
        return pa.string()
    if types.is_timestamp(kind) and kind.tz is not None:
        return pa.timestamp(kind.unit, "UTC")
    return plain_type(kind)


def _members(kind: "pa.DataType") -> "list[pa.Field]":
    return [kind.field(place) for place in range(kind.num_fields)]


def _with_inner_types(kind: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa
    from pyarrow import types

    if types.is_struct(kind):
        return pa.struct([field.with_type(_nested_type(field.type)) for field in kind])
    if types.is_map(kind):
        return pa.map_(_nested_type(kind.key_type), _nested_type(kind.item_type))
    return pa.list_(_nested_type(kind.field(0).type))


def plain_schema(schema: "pa.Schema", origin: str = "the source") -> "pa.Schema":
    """Return the columns without metadata, each with the type that it has at the seam.

    Raises:
        SourceError: a column is, or holds, what has no certain text; or a struct in it has a name twice.
    """
    import pyarrow as pa

    for field in schema:
        if (foreign := _foreign(field)) is not None:
            raise SourceError(
                f"{origin}: the column {field.name!r} holds the type {foreign}, which has no text of its own",
                hint="convert it to text, or to a plain type, where it is written; or leave the column out there",
            )
        if (twice := _named_twice(field.type)) is not None:
            raise SourceError(
                f"{origin}: a struct in the column {field.name!r} has the name {twice!r} more than once",
                hint="one value would hide the other; rename one where it is written",
            )
    return pa.schema([pa.field(field.name, plain_type(field.type)) for field in schema])


def _foreign(field: "pa.Field") -> str | None:
    """Name the type at whatever depth that cannot be read as what it means; None where there is none.

    A reader that does not know an extension type hands over its storage, and leaves its name with the field.
    """
    import pyarrow as pa
    from pyarrow import types

    kind = field.type
    if isinstance(kind, pa.BaseExtensionType):
        return None if kind.extension_name in _READ else str(kind)
    name = str((field.metadata or {}).get(_EXTENSION_NAME, b""), "utf-8")
    if name and name not in _READ:
        return name
    if types.is_union(kind):
        return str(kind)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return _foreign(pa.field("", kind.value_type))
    return next((found for member in _members(kind) if (found := _foreign(member)) is not None), None)


def _named_twice(kind: "pa.DataType") -> str | None:
    """Return a name that a struct, at whatever depth, has more than once."""
    names = [field.name for field in _members(kind)]
    own = (name for name in names if names.count(name) > 1)
    inner = (twice for field in _members(kind) if (twice := _named_twice(field.type)) is not None)
    return next(own, None) or next(inner, None)


def members_alike(kind: "pa.DataType") -> list[str] | None:
    """Return names in a struct, at whatever depth, that SQL does not tell apart; None where there are none."""
    if groups := alike(field.name for field in _members(kind)):
        return groups[0]
    return next((found for field in _members(kind) if (found := members_alike(field.type)) is not None), None)


def plain_table(table: "pa.Table", origin: str = "the source") -> "pa.Table":
    """Return a table with the columns that `plain_schema` says."""
    import pyarrow as pa

    schema = plain_schema(table.schema, origin)
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
    from pyarrow import types

    if column.type == kind:
        return column
    if types.is_run_end_encoded(column.type):
        return as_type(_runs_taken(column), kind)
    if types.is_dictionary(column.type):
        words = as_type(
            column.dictionary, plain_type(column.dictionary.type)
        )  # Arrow takes nothing from a view of texts
        return as_type(words.take(column.indices), kind)
    if is_duration(column.type):
        return texts(column)
    if types.is_time(column.type) and types.is_string(kind):
        return times_of_day.texts(column)
    if types.is_float16(column.type):
        return shortest(column).cast(kind)
    if isinstance(column.type, pa.Bool8Type):
        return column.storage.cast(kind)
    if isinstance(kind, pa.JsonType):
        return pa.ExtensionArray.from_storage(kind, column.cast(pa.string()))
    if types.is_nested(column.type) and (plain_type(column.type) != column.type or _holds_json(kind)):
        return _rebuilt(column, kind)
    return column.cast(kind)


def _runs_taken(column: "pa.RunEndEncodedArray") -> "pa.Array":
    """Return each value as often as its run says."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = as_type(column.values, plain_type(column.values.type))  # of views, Arrow decodes nothing
    runs = pa.RunEndEncodedArray.from_arrays(column.run_ends, values)
    return pc.run_end_decode(runs.slice(column.offset, len(column)))


def _rebuilt(column: "pa.Array", kind: "pa.DataType") -> "pa.Array":
    """Bring what stands inside a nested column to its types, one level below."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_null(kind):
        return pa.nulls(len(column))
    if types.is_struct(column.type) and types.is_struct(kind):
        members = [as_type(_member(column, field.name), field.type) for field in kind]
        return pa.StructArray.from_arrays(members, fields=list(kind), mask=column.is_null())
    offsets, inner = lists(column)
    if types.is_map(kind):
        keys, items = as_type(inner.field(0), kind.key_type), as_type(inner.field(1), kind.item_type)
        return pa.MapArray.from_arrays(offsets, keys, items, mask=column.is_null()).cast(kind)
    inner = as_type(inner, kind.field(0).type)
    return pa.ListArray.from_arrays(offsets, inner, mask=column.is_null()).cast(kind)


def _holds_json(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return isinstance(kind, pa.JsonType) or any(_holds_json(field.type) for field in _members(kind))


def _member(column: "pa.StructArray", name: str) -> "pa.Array":
    import pyarrow as pa

    place = column.type.get_field_index(name)
    if place < 0:
        raise pa.ArrowInvalid(f"no member {name}")
    return column.field(place)


def lists(column: "pa.Array") -> "tuple[pa.Array, pa.Array]":
    """Return where each list begins, and all that is in them one after the other."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    if types.is_map(column.type):
        column = column.cast(pa.list_(column.type.field(0)))
    if types.is_list_view(column.type) or types.is_large_list_view(column.type):
        return _viewed_lists(column)
    lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32()), column.flatten()


def _viewed_lists(column: "pa.Array") -> "tuple[pa.Array, pa.Array]":
    """Return the same of views, whose lists may lie in any order, and whose runs Arrow does not flatten rightly."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    lengths = pc.if_else(column.is_valid(), column.sizes, 0).to_numpy(zero_copy_only=False)
    begins = column.offsets.to_numpy(zero_copy_only=False)
    places = [np.arange(begin, begin + length) for begin, length in zip(begins, lengths, strict=True)]
    values = column.values
    values = pc.run_end_decode(values) if types.is_run_end_encoded(values.type) else values
    inner = values.take(pa.array(np.concatenate([np.zeros(0, np.int64), *places]).astype(np.int64)))
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32()), inner


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
