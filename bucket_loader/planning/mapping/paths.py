"""Columns inside of other columns: `properties.rows` is member `rows` of the column `properties`.

A column of the source that has the whole name comes first. Else the longest beginning of the name that is a column is
the column, and the rest is looked up in it: members of structs, keys of maps, names of JSON objects. What is found is
one more column beside those of the source, and from there on like any of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bucket_loader.model import as_numpy, int64_array, text_array

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANY: Final = msgspec.json.Decoder(msgspec.Raw)
_NULL: Final = b"null"


@dataclass(frozen=True)
class Path:
    """A column inside of another one.

    Attributes:
        name: as it is written, with dots.
        column: the column that it begins at.
        steps: the members of structs and the keys of maps on the way.
        names: what comes after them, inside of JSON; it may be the parts of one name with dots.
        type: what is found there.
    """

    name: str
    column: str
    steps: tuple[str, ...]
    names: tuple[str, ...]
    type: pa.DataType

    def values(self, data: pa.RecordBatch) -> tuple[pa.Array, list[int]]:
        """Return the values, null where there is nothing; and the rows whose column holds text that is no JSON."""
        column = reduce(_member, self.steps, data.column(self.column))
        if not self.names:
            return column, []
        found: list[bytes | None] = []
        bad: list[int] = []
        for row, text in enumerate(_texts(column)):
            try:
                found.append(_in_json(text, self.names) if text is not None else None)
            except (msgspec.DecodeError, RecursionError):
                found.append(None)
                bad.append(row)
        return pa.ExtensionArray.from_storage(self.type, text_array(found)), bad

    def is_met(self, data: pa.RecordBatch) -> bool:
        """Whether any row has a value there."""
        values, _ = self.values(data)
        return bool(values.null_count < len(values))


def path_of(name: str, schema: pa.Schema) -> Path | None:
    """Return the column that a dotted name means inside of another; None where it is a column itself, or none."""
    if name in schema.names:
        return None
    for column, rest in _split(name):
        if column in schema.names and (found := _below(schema.field(column).type, rest)) is not None:
            steps, names, kind = found
            return Path(name, column, steps, names, kind)
    return None


def paths_of(names: Iterable[str], schema: pa.Schema) -> tuple[Path, ...]:
    """Return the paths among some names, each once."""
    found = (path_of(name, schema) for name in dict.fromkeys(names))
    return tuple(path for path in found if path is not None)


def names_inside(schema: pa.Schema) -> Iterator[str]:
    """Return the names of all members of structs, dotted."""
    for field in schema:
        if pa.types.is_struct(field.type):
            yield from (f"{field.name}.{name}" for name in (*field.type.names, *names_inside(pa.schema(field.type))))


def beginnings(name: str) -> list[str]:
    """Return a name, and what it begins with before each of its dots: each may be the column that it means."""
    return [name, *(beginning for beginning, _ in _split(name))]


def _split(name: str) -> Iterator[tuple[str, str]]:
    """Return a dotted name cut in two at each of its dots, the longest beginning first."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        yield ".".join(parts[:length]), ".".join(parts[length:])


_Below = tuple[tuple[str, ...], tuple[str, ...], pa.DataType]


def _below(kind: pa.DataType, rest: str) -> _Below | None:
    """Return the steps to a name inside of a type, the names inside of JSON, and the type that is there."""
    if pa.types.is_struct(kind) and rest in kind.names:
        return (rest,), (), kind.field(rest).type
    if pa.types.is_struct(kind):
        tried = ((name, _below(kind.field(name).type, after)) for name, after in _split(rest) if name in kind.names)
        return next((_after(name, found) for name, found in tried if found is not None), None)
    if pa.types.is_map(kind) and pa.types.is_string(kind.key_type):
        tried = ((name, _below(kind.item_type, after)) for name, after in _split(rest))
        return next((_after(name, found) for name, found in tried if found is not None), ((rest,), (), kind.item_type))
    return ((), tuple(rest.split(".")), pa.json_()) if _may_be_json(kind) else None


def _after(step: str, found: _Below) -> _Below:
    steps, names, kind = found
    return (step, *steps), names, kind


def _may_be_json(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _may_be_json(kind.value_type)
    return isinstance(kind, pa.JsonType) or bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _member(column: pa.Array, step: str) -> pa.Array:
    if pa.types.is_map(column.type):
        return _entry(column, step)
    return pc.struct_field(column, [column.type.get_field_index(step)])


def _entry(column: pa.MapArray, key: str) -> pa.Array:
    """Return the values of a key, the last where there are several. Arrow's own `map_lookup` makes no JSON."""
    entries = as_numpy(pc.indices_nonzero(pc.equal(column.keys, key)).cast(pa.int64()))
    rows = np.searchsorted(as_numpy(column.offsets.cast(pa.int64())), entries, "right") - 1
    found = np.full(len(column) + 1, -1)  # entries of rows that were cut away fall into the last place
    found[np.where((rows < 0) | (rows > len(column)), len(column), rows)] = entries
    places = int64_array(found[:-1])
    is_there = pc.and_(column.is_valid(), pc.greater_equal(places, 0))
    return column.items.take(pc.if_else(is_there, places, None))


def _texts(column: pa.Array) -> Sequence[str | None]:
    """Return the texts of a column; what is blank has nothing inside, as what is null."""
    stored = column.storage if isinstance(column.type, pa.JsonType) else column
    return [text if text is None or text.strip() else None for text in stored.to_pylist()]


def _in_json(text: str | bytes, names: Sequence[str]) -> bytes | None:
    """Return the JSON text of what is inside of an object; None where there is nothing, or no object.

    Raises:
        msgspec.DecodeError: the text is no JSON.
    """
    try:
        members = _OBJECT.decode(text)
    except msgspec.ValidationError:  # JSON, and no object
        _ANY.decode(text)
        return None
    for length in range(len(names), 0, -1):  # a name with dots comes first
        found = members.get(".".join(names[:length]))
        if found is not None and bytes(found) != _NULL:
            return bytes(found) if length == len(names) else _in_json(bytes(found), names[length:])
    return None
