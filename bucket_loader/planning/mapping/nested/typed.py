"""Structs, lists and maps in SQL: their types say which values stand where, and each has the form of its type.

A map comes as a list of entries, a struct of `k` and `v`: DuckDB takes long to make a map of it, and refuses some.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, Literal

import pyarrow as pa

from bucket_loader.config import FieldSpec
from bucket_loader.model import literal
from bucket_loader.planning.mapping.forms.form import Family
from bucket_loader.planning.mapping.forms.natural import natural
from bucket_loader.planning.mapping.forms.numbers import WHOLE_MAX
from bucket_loader.planning.mapping.members import NestedColumn
from bucket_loader.planning.mapping.nested.fragments import LEAVES_MAX
from bucket_loader.planning.mapping.nested.leaves import Leaf, Statement, opening_of, statement
from bucket_loader.planning.mapping.nested.lists import CHARACTERS_MAX, ITEMS_MAX
from bucket_loader.planning.mapping.nested.spelling import DEPTH_MAX

NAMES_MAX: Final = 256  # DuckDB holds a vector for each step of each value
_FLOAT_DIGITS: Final = range(6, 10)  # six are kept by every float of 32 bits, and nine tell all of them apart
_FLOAT_MIN: Final = "1.2e-38"  # those below keep fewer
_UNCERTAIN_NAMES: Final = (
    "\\u00",  # names are escaped in another way than values
    "__proto__", "constructor", "prototype",  # Bucket drops them
)  # fmt: skip

Status = Literal["free", "hidden", "uncertain"]
"""What is known of a name: it is the value's own; another member has it and wins; or only Python can say."""


def typed_statement(column: NestedColumn, kind: pa.DataType, status: Callable[[str], Status]) -> Statement | None:
    """Return the statement that spells values of a type; None where DuckDB cannot.

    Args:
        column: how it is spelt.
        kind: the values' type.
        status: what is known of a dotted name; where it ends with a dot, of all names of a map.
    """
    found = _Spelling(column, status)
    leaves = list(found.leaves(_Place("c", kind, column.name, "true")))
    names = sorted(leaf.name for leaf in leaves)
    # The names of a map must stand side by side, and nobody else's among them.
    meets = any(other.startswith(name) for name, other in pairwise(names) if name.endswith("."))
    if meets or len({*names}) < len(names) or len(names) > NAMES_MAX:
        return None
    return statement(leaves, [found.values, found.texts], ["c IS NOT NULL"])


@dataclass(frozen=True)
class _Place:
    """Where a value stands.

    Attributes:
        value: SQL for it.
        kind: its type.
        name: dotted.
        there: SQL for whether what it stands in is there.
        depth: how many others it stands in.
    """

    value: str
    kind: pa.DataType
    name: str
    there: str
    depth: int = 0

    def inside(self) -> "Iterator[_Place]":
        """Return the members of a struct."""
        for member in self.kind:
            value = f"{self.value}[{literal(member.name)}]"
            yield _Place(value, member.type, f"{self.name}.{member.name}", f"{self.value} IS NOT NULL", self.depth + 1)


@dataclass(frozen=True)
class _Form:
    """How a value `{x}` is spelt.

    Attributes:
        value: what is spelt, in terms of `{x}`; NULL where that is null.
        json: its JSON text, in terms of `{v}`, the value.
        wrong: whether only Python can say, in terms of both.
    """

    value: str
    json: str
    wrong: str = "false"

    @property
    def at_once(self) -> str:
        """The JSON text, in terms of `{x}`."""
        return self.json.replace("{v}", self.value)

    @property
    def is_wrong(self) -> str:
        """Whether only Python can say, in terms of `{x}`."""
        return self.wrong.replace("{v}", self.value)


@dataclass
class _Spelling:
    """What the statement is made of, as far as it was gone through.

    Attributes:
        column: how it is spelt.
        status: what is known of a name.
        values: the first level: `v<k>`, what is spelt.
        texts: the second level: `t<k>`, the texts of lists and maps.
    """

    column: NestedColumn
    status: Callable[[str], Status]
    values: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def leaves(self, place: _Place) -> Iterator[Leaf]:
        """Return the leaves of a value."""
        if self.column.beside.leaves_out(place.name):
            return
        if place.depth > DEPTH_MAX:
            yield self._uncertain(place)
            return
        if pa.types.is_struct(place.kind) or pa.types.is_map(place.kind):
            if self.column.send_nulls and place.depth:
                yield self._null(place)
            if pa.types.is_map(place.kind):
                yield self._map(place)
                return
            for inner in place.inside():
                yield from self.leaves(inner)
        elif _is_list(place.kind):
            yield self._list(place)
        else:
            yield self._scalar(place)

    def _scalar(self, place: _Place) -> Leaf:
        form = self._form(place.kind)
        if form is None or self.status(place.name) != "free":
            return self._uncertain(place)
        number = self._add(form.value.replace("{x}", place.value))
        wrong = form.wrong.replace("{x}", place.value).replace("{v}", f"v{number}")
        certain = None if wrong == "false" else f"NOT ({wrong})"
        return self._leaf(place, form.json.replace("{v}", f"v{number}"), f"v{number} IS NOT NULL", certain)

    def _list(self, place: _Place) -> Leaf:
        form, length = self._form(place.kind.value_type), f"len({place.value})"
        if self.status(place.name) != "free":
            return self._uncertain(place, length)
        if form is None:
            certain = f"{place.value} IS NULL OR {length} = 0"
            return replace(
                self._leaf(place, f"CASE WHEN {length} = 0 THEN '[]' END", f"{length} = 0", certain), length=length
            )
        number = self._add(_items(place.value, form))
        items, text = f"v{number}", f"t{number}"
        self.texts.append(f"'[' || array_to_string({items}, ',') || ']' AS {text}")
        certain = f"{length} <= {ITEMS_MAX} AND strlen({text}) + 2 * {length} <= {CHARACTERS_MAX}"
        if form.wrong != "false":
            certain += f" AND NOT {_any(place.value, form.is_wrong)}"
        certain = f"{place.value} IS NULL OR ({certain})"
        return replace(self._leaf(place, text, f"{place.value} IS NOT NULL", certain), length=length)

    def _map(self, place: _Place) -> Leaf:
        name, form = f"{place.name}.", self._form(place.kind.item_type)
        is_known = pa.types.is_string(place.kind.key_type) and form is not None
        if not is_known or self.status(name) != "free":
            return Leaf(name, certain=None if self.status(name) == "hidden" else f"{place.value} IS NULL")
        assert form is not None  # noqa: S101  # narrows the type
        number = self._add(f"list_sort(list_transform({place.value}, lambda e: e.k))")
        keys, text = f"v{number}", f"t{number}"
        value = form.at_once.replace("{x}", "e.v")
        value = f"coalesce({value}, 'null')" if self.column.send_nulls else value
        member = f"{literal(opening_of(name)[:-2])} || substr(CAST(to_json(e.k) AS VARCHAR), 2) || ':' || {value}"
        entries = f"list_transform(list_sort({place.value}), lambda e: {member})"
        self.texts += [f"array_to_string({entries}, ',') AS {text}", f"CAST(to_json({keys}) AS VARCHAR) AS k{number}"]
        certain = [
            f"len({keys}) <= {LEAVES_MAX - NAMES_MAX}",
            f"NOT coalesce(list_bool_or(list_transform({keys}, lambda e, i: e = {keys}[i + 1])), false)",
            *(f"NOT contains(k{number}, {literal(part)})" for part in _UNCERTAIN_NAMES),
        ]
        if form.wrong != "false":
            certain.append(f"NOT {_any(place.value, form.is_wrong.replace('{x}', 'x.v'))}")
        joined = f"{place.value} IS NULL OR ({' AND '.join(certain)})"
        return Leaf(name, text, f"{text} <> ''", certain=joined)

    def _null(self, place: _Place) -> Leaf:
        """Return the leaf that an object is where it is null."""
        is_null, status = f"{place.value} IS NULL AND {place.there}", self.status(place.name)
        if status != "free":
            return Leaf(place.name, certain=f"NOT ({is_null})" if status == "uncertain" else None)
        return Leaf(place.name, f"CASE WHEN {is_null} THEN 'null' END", is_null, opening_of(place.name))

    def _uncertain(self, place: _Place, length: str | None = None) -> Leaf:
        """Return a leaf of which nothing is spelt; and nothing is known of it either, unless its name is hidden."""
        if self.status(place.name) == "hidden":
            return Leaf(place.name, length=length)
        is_none = f"NOT ({place.there})" if self.column.send_nulls else f"{place.value} IS NULL"
        return Leaf(place.name, certain=is_none, length=length)

    def _leaf(self, place: _Place, json_text: str, there: str, certain: str | None) -> Leaf:
        opening = opening_of(place.name)
        if not self.column.send_nulls:
            return Leaf(place.name, json_text, there, opening, certain)
        json_text = f"CASE WHEN {place.there} THEN coalesce({json_text}, 'null') END"
        return Leaf(place.name, json_text, place.there, opening, certain)

    def _add(self, value: str) -> int:
        self.values.append(f"{value} AS v{len(self.values)}")
        return len(self.values) - 1

    def _form(self, kind: pa.DataType) -> _Form | None:
        """Return the form of a value that holds no others; None where it has none here."""
        if (found := _family(kind)) is None:
            return None
        of, duckdb_type = found
        spec = FieldSpec(column=self.column.column, timezone=self.column.timezone, dst=self.column.dst)
        value = _shortest("{x}") if pa.types.is_float32(kind) else "{x}"
        value = f"CASE WHEN NOT isnan({{x}}) THEN {value} END" if of == "float" else value
        form = natural(of, duckdb_type, spec, "")
        parsed = form.parsed.replace("{n}", value)
        wrong = [one.predicate.replace("{n}", value).replace("{p}", parsed) for one in form.wrong]
        if pa.types.is_float32(kind):
            wrong.append(f"{{x}} <> 0 AND abs({{x}}) < {_FLOAT_MIN}")
        joined = " OR ".join(f"({one})" for one in wrong) or "false"
        return _Form(form.value.replace("{p}", parsed), form.json, joined)


def without_maps(values: pa.Array) -> pa.Array:
    """Return values with the entries of maps as lists; the values are whole, no part of longer ones."""
    kind = values.type
    if pa.types.is_map(kind):
        entries = pa.StructArray.from_arrays([values.keys, without_maps(values.items)], ["k", "v"])
        return pa.ListArray.from_arrays(values.offsets, entries, mask=values.is_null())
    if not pa.types.is_struct(kind) or not any(_has_map(member.type) for member in kind):
        return values
    members = [without_maps(values.field(place)) for place in range(kind.num_fields)]
    names = [member.name for member in kind]
    return pa.StructArray.from_arrays(members, names, mask=values.is_null())


def _has_map(kind: pa.DataType) -> bool:
    return bool(pa.types.is_map(kind)) or (
        bool(pa.types.is_struct(kind)) and any(_has_map(member.type) for member in kind)
    )


def _items(list_: str, form: _Form) -> str:
    """Return SQL for the JSON texts of a list's items."""
    values = list_ if form.value == "{x}" else f"list_transform({list_}, lambda x: {form.value.replace('{x}', 'x')})"
    return f"list_transform({values}, lambda x: coalesce({form.json.replace('{v}', 'x')}, 'null'))"


def _any(list_: str, predicate: str) -> str:
    found = f"list_bool_or(list_transform({list_}, lambda x: {predicate.replace('{x}', 'x')}))"
    return f"coalesce({found}, false)"


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


_INTEGERS: Final = {
    pa.int8(): "TINYINT", pa.int16(): "SMALLINT", pa.int32(): "INTEGER", pa.int64(): "BIGINT",
    pa.uint8(): "UTINYINT", pa.uint16(): "USMALLINT", pa.uint32(): "UINTEGER", pa.uint64(): "UBIGINT",
}  # fmt: skip


def _family(kind: pa.DataType) -> tuple[Family, str] | None:
    types = pa.types
    if types.is_string(kind) or types.is_large_string(kind):
        return "text", "VARCHAR"
    if kind in _INTEGERS:
        return "integer", _INTEGERS[kind]
    if types.is_boolean(kind):
        return "boolean", "BOOLEAN"
    if types.is_float32(kind) or types.is_float64(kind):
        return "float", "DOUBLE"
    if types.is_date32(kind):
        return "date", "DATE"
    if types.is_timestamp(kind) and kind.unit != "ns":
        return ("zoned", "TIMESTAMP WITH TIME ZONE") if kind.tz is not None else ("timestamp", "TIMESTAMP")
    return None


def _shortest(float_: str) -> str:
    """Return SQL for a float of 32 bits as a double: a whole one as it is, else that with the fewest digits.

    The text that DuckDB has for it may be longer: 131799.125 for 131799.12.
    """
    double = f"CAST({float_} AS DOUBLE)"
    *shorter, longest = [f"TRY_CAST(printf('%.{digits}g', {double}) AS DOUBLE)" for digits in _FLOAT_DIGITS]
    found = " ".join(f"WHEN TRY_CAST({one} AS FLOAT) = {float_} THEN {one}" for one in shorter)
    return (
        f"CASE WHEN {float_} = trunc({float_}) AND abs({double}) < {WHOLE_MAX} THEN {double} {found} ELSE {longest} END"
    )
