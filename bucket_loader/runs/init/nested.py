"""What lies inside of nested columns: each leaf with its values, as if it were a column of its own."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
from pyarrow import types

_DEPTH_MAX: Final = 8


@dataclass(frozen=True)
class Leaf:
    """Where a value lies inside of a column.

    Attributes:
        column: the nested column.
        path: the names of the members, from outside to inside; empty for a list that is the column itself.
        form: what the column is: structs of Arrow, JSON, or text that holds JSON.
    """

    column: str
    path: tuple[str, ...]
    form: str

    @property
    def name(self) -> str:
        """Its dotted name."""
        return ".".join([self.column, *self.path])


@dataclass
class Found:
    """The values of a leaf.

    Attributes:
        values: those that are not null; of lists their items.
        rows: how many rows have one.
        is_list: whether they are lists.
        holds_objects: whether the lists hold objects or lists.
        kind: its type, where its values could not be looked at.
    """

    values: list[Any] = field(default_factory=list)
    rows: int = 0
    is_list: bool = False
    holds_objects: bool = False
    kind: pa.DataType | None = None

    @property
    def type(self) -> pa.DataType:
        """Its type: that of all its values, else null, which no guess is made of."""
        if self.kind is not None:
            return self.kind
        if self.holds_objects:
            return pa.list_(pa.struct([]))
        try:
            kind = pa.infer_type(self.values)
        except (pa.ArrowException, OverflowError):
            kind = pa.null()
        return pa.list_(kind) if self.is_list else kind


def leaves_of(name: str, kind: pa.DataType, arrays: "Sequence[pa.Array[Any]]") -> Mapping[Leaf, Found] | None:
    """Return the leaves of a column; None where it is not nested."""
    form = "json" if isinstance(kind, pa.JsonType) else "struct" if types.is_nested(kind) else "text"
    try:
        values = [value for array in arrays for value in array.to_pylist() if value is not None]
    except (ValueError, OverflowError):  # moments beyond the years of Python
        return {Leaf(name, path, form): Found(kind=inside) for path, inside in _members(kind, ())}
    if form == "text" and not all(isinstance(value, str) and value[:1] in {"{", ""} for value in values):
        return None
    if form != "struct":
        read = _parsed([value for value in values if value])
        if not read or (form == "text" and not all(isinstance(value, dict) for value in read)):
            return {} if form == "json" else None
        values = read
    found: dict[Leaf, Found] = {}
    is_map = types.is_map(kind)
    for value in values:
        for path, inside in _walked(dict(value) if is_map else value, ()):
            _note(found.setdefault(Leaf(name, path, "map" if is_map else form), Found()), inside)
    return found


def _parsed(texts: Sequence[str]) -> list[Any]:
    """Return what JSON texts hold; none where one of them is no JSON."""
    try:
        return [json.loads(text) for text in texts]
    except ValueError:
        return []


def _walked(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and len(path) < _DEPTH_MAX:
        for name, inside in value.items():
            yield from _walked(inside, (*path, str(name)))
    elif value is not None:
        yield path, value


def _members(kind: pa.DataType, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], pa.DataType]]:
    """Return the leaves that a type has."""
    if not types.is_struct(kind):
        yield path, kind
        return
    for place in range(kind.num_fields):
        yield from _members(kind.field(place).type, (*path, kind.field(place).name))


def _note(found: Found, value: object) -> None:
    found.rows += 1
    if not isinstance(value, list):
        found.values.append(value)
        return
    found.is_list = True
    found.holds_objects |= any(isinstance(item, dict | list | tuple) for item in value)
    found.values += [item for item in value if item is not None and not isinstance(item, dict | list | tuple)]
