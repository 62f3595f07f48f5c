"""The columns of a Delta table under the names that its files have for them, and back.

After a rename a table's files still have the old name. `delta.columnMapping.mode` says how a column is found: by its
name (`none`), by a physical name that the schema keeps (`name`), or by an id (`id`); members of structs as well.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

_PHYSICAL_NAME: Final = b"delta.columnMapping.physicalName"
_ID: Final = b"delta.columnMapping.id"
_ID_IN_FILE: Final = b"PARQUET:field_id"


def stored_schema(schema: "pa.Schema", mode: str, there: "pa.Schema | None") -> "pa.Schema":
    """Return the columns as a file has them.

    Args:
        schema: the table's columns that files hold, with what the table keeps beside them.
        mode: the table's way of finding columns.
        there: the file's own columns, where they are found by their ids.
    """
    import pyarrow as pa

    members = None if there is None else list(there)
    return pa.schema([_stored(field, mode, members) for field in schema])


def _stored(field: "pa.Field", mode: str, there: "list[pa.Field] | None") -> "pa.Field":
    import pyarrow as pa

    name = _stored_name(field, mode, there)
    found = next((one.type for one in there or () if one.name == name), None)
    return pa.field(name, _stored_type(field.type, mode, found), field.nullable)


def _stored_name(field: "pa.Field", mode: str, there: "list[pa.Field] | None") -> str:
    kept = field.metadata or {}
    if mode == "none" or _PHYSICAL_NAME not in kept:
        return str(field.name)
    physical, number = str(kept[_PHYSICAL_NAME], "utf-8"), kept[_ID]
    ids = {(one.metadata or {}).get(_ID_IN_FILE): one.name for one in there or ()}
    ids.pop(None, None)
    # A file without ids was written before they were, with the physical names.
    return str(ids.get(number, f"{physical} (not in this file)")) if ids else physical


def _stored_type(kind: "pa.DataType", mode: str, there: "pa.DataType | None") -> "pa.DataType":
    import pyarrow as pa
    from pyarrow import types

    members = None if there is None else [there.field(place) for place in range(there.num_fields)]
    if types.is_struct(kind):
        return pa.struct([_stored(field, mode, members) for field in kind])
    if types.is_map(kind):
        key, item = (None, None) if there is None else (there.key_type, there.item_type)
        return pa.map_(_stored_type(kind.key_type, mode, key), _stored_type(kind.item_type, mode, item))
    if types.is_list(kind):
        return pa.list_(_stored_type(kind.value_type, mode, members[0].type if members else None))
    return kind


def as_named(column: "pa.Array", field: "pa.Field") -> "pa.Array":
    """Return a column with the table's names for the members of its structs."""
    return column if column.type == field.type else column.view(field.type)
