"""Random tables: columns of every type, nested to depth 3, and the records that they mean."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import value_forms as forms
from hypothesis import strategies as st
from value_forms import NoForm
from value_kinds import BINARIES, KINDS, Kind, Unsayable

DEPTH = 3
AS_OF = "2026-02-01T00:00:00.000Z"
NAMES = ("a", "b", "c", "A", "a.b", "a.b.c", "x y", 'q"uote', "select", "ünï", "Ünï", "c0", "i", "s0", "value")
MEMBERS = ("a", "b", "A", "b.c", "x y", "0", "key", "ß")


@dataclass(frozen=True)
class List:
    """A list, in one of Arrow's forms."""

    inner: "Node"
    form: str = "list"


@dataclass(frozen=True)
class Map:
    """A map."""

    key: Kind
    item: "Node"


@dataclass(frozen=True)
class Struct:
    """A struct."""

    members: tuple[tuple[str, "Node"], ...]


@dataclass(frozen=True)
class Json:
    """A document of JSON, whose values are drawn as it is spelt."""


Node = Kind | List | Map | Struct | Json


def kinds(node: Node) -> Iterator[Kind | Json]:
    """Return the single kinds in a node, keys too."""
    match node:
        case List():
            yield from kinds(node.inner)
        case Map():
            yield node.key
            yield from kinds(node.item)
        case Struct():
            for _, member in node.members:
                yield from kinds(member)
        case _:
            yield node


def parts_of(node: Node) -> list[Node]:
    """Return a node and all that is in it, at whatever depth."""
    match node:
        case List():
            return [node, *parts_of(node.inner)]
        case Map():
            return [node, *parts_of(node.key), *parts_of(node.item)]
        case Struct():
            return [node, *(part for _, one in node.members for part in parts_of(one))]
        case _:
            return [node]


def nodes(depth: int = DEPTH) -> st.SearchStrategy[Node]:
    """Draw a type."""
    if depth == 0:
        return KINDS
    inner = st.deferred(lambda: nodes(depth - 1))
    names = st.lists(st.sampled_from(MEMBERS), min_size=1, max_size=3, unique=True)
    structs = names.flatmap(lambda found: st.tuples(*([inner] * len(found))).map(
        lambda members: Struct(tuple(zip(found, members, strict=True)))))  # fmt: skip
    lists = st.builds(List, inner, st.sampled_from(["list", "large_list", "list_view"]))
    nested = st.one_of(structs, lists, st.builds(Map, KINDS.filter(_is_key), inner), st.just(Json()))
    return KINDS | nested


def _is_key(kind: Kind) -> bool:
    return kind.name not in {"null", "runs", "runs of numbers"} and "dictionary" not in kind.name


_NUMBERS = st.sampled_from(["0", "-0", "1.10", "1e5", "1E-7", "9007199254740993", "-0.0", "1e22", "1e37", "1e40",
                            "1e300", "1e309", "1e400", "12345678901234567890.125", "0.30000000000000004", "1e-320", "7",
                            "1.0", "100000000000000000000000000000000000000000.5", "1.5e308", "1e-400"])  # fmt: skip


@dataclass(frozen=True)
class Number:
    """A number of JSON, as it is written."""

    text: str


def _documents() -> st.SearchStrategy[Any]:
    single = st.none() | st.booleans() | _NUMBERS.map(Number) | st.sampled_from(["", "00123", 'q"', "ü\u2028🪣", "\\"])
    return st.recursive(single, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        st.sampled_from(MEMBERS), inner, max_size=2), max_leaves=4)  # fmt: skip


def values(node: Node) -> st.SearchStrategy[Any]:
    """Draw a value of a type; one in six is null."""
    return st.integers(0, 5).flatmap(lambda number: st.none() if number == 5 else _values(node))


def _values(node: Node) -> st.SearchStrategy[Any]:
    match node:
        case List():
            return st.lists(values(node.inner), max_size=3)
        case Map():
            pairs = st.tuples(node.key.values, values(node.item))
            return st.lists(pairs, max_size=2, unique_by=lambda pair: repr(pair[0]))
        case Struct():
            return st.fixed_dictionaries({name: values(member) for name, member in node.members})
        case Json():
            return _documents()
        case _:
            return node.values


@dataclass(frozen=True)
class Table:
    """Columns by name, and rows of values in their order.

    Attributes:
        columns: each column's name and type.
        rows: the values.
        ids: the row's ids.
        star: whether it is read with `*`, where a source's types say what the values are.
    """

    columns: tuple[tuple[str, Node], ...]
    rows: tuple[tuple[Any, ...], ...]
    ids: tuple[str, ...]
    star: bool = False

    def of(self, keeps: Callable[[str, Node], bool], says: Callable[[Node, Any], object]) -> "Table":
        """Return the columns that a source has types for, and the rows that it has words for."""
        places = [place for place, (name, node) in enumerate(self.columns) if keeps(name, node)]
        kept = tuple(self.columns[place] for place in places)
        rows = []
        for number, row in zip(self.ids, self.rows, strict=True):
            some = tuple(row[place] for place in places)
            if all(_is_said(node, value, says) for (_, node), value in zip(kept, some, strict=True)):
                rows.append((number, some))
        return Table(kept, tuple(row for _, row in rows), tuple(number for number, _ in rows), self.star)

    def parts(self) -> "Iterator[Table]":
        """Return tables of one column and one row, then of one column."""
        for place, column in enumerate(self.columns):
            for number, row in zip(self.ids, self.rows, strict=True):
                yield Table((column,), ((row[place],),), (number,), self.star)
        for place, column in enumerate(self.columns):
            yield Table((column,), tuple((row[place],) for row in self.rows), self.ids, self.star)


def _is_said(node: Node, value: object, says: Callable[[Node, Any], object]) -> bool:
    try:
        says(node, value)
    except Unsayable:
        return False
    return True


@st.composite
def tables(draw: Callable[..., Any]) -> Table:
    """Draw a table."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=8, unique=True))
    columns = tuple((name, draw(nodes())) for name in names)
    rows = draw(st.lists(st.tuples(*(values(node) for _, node in columns)), min_size=1, max_size=6))
    return Table(columns, tuple(rows), tuple(f"{number:03}" for number in range(len(rows))), draw(st.booleans()))


# --- what a table means --------------------------------------------------------------------------------------------


def json_text(node: Node, value: Any) -> str:
    """Spell a value as JSON text."""
    if value is None:
        return "null"
    match node:
        case List():
            return f"[{','.join(json_text(node.inner, one) for one in value)}]"
        case Map():
            return _object((_key_in_json(node.key, key), json_text(node.item, one)) for key, one in value)
        case Struct():
            return _object((name, json_text(one, value[name])) for name, one in node.members)
        case Json():
            return document_text(value)
        case _:
            return node.spelt(value)


def _object(members: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}: {spelt}" for name, spelt in members) + "}"


def _key_in_json(kind: Kind, key: Any) -> str:
    try:
        return _key(kind, key)
    except NoForm:
        raise Unsayable from None


def document_text(value: Any) -> str:
    """Spell a document."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, list):
        return f"[{', '.join(map(document_text, value))}]"
    if isinstance(value, dict):
        return _object((key, document_text(one)) for key, one in value.items())
    return json.dumps(value)


def _key(kind: Kind, key: Any) -> str:
    if isinstance(key, str) and kind.said is forms.text:
        return key
    return (kind.said(key) or "null").strip('"')


def _whole(node: Node, value: Any, *, as_text: bool) -> str:
    """Return what stands inside a list that stays one: objects in it without their nulls."""
    if value is None:
        return "null"
    match node:
        case List():
            return "[" + ",".join(_whole(node.inner, one, as_text=as_text) for one in value) + "]"
        case Map():
            return _object([(_key(node.key, key), _whole(node.item, one, as_text=as_text)) for key, one in value])
        case Struct():
            return _object([(name, _whole(one, value[name], as_text=as_text)) for name, one in node.members])
        case Json():
            return _whole_document(value)
    spelt = node.text(value) if as_text and node.read is not None else None
    return (node.said(value) if spelt is None else forms.json_number(spelt)) or "null"


def _whole_document(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",".join(map(_whole_document, value)) + "]"
    if isinstance(value, dict):
        return _object([(name, _whole_document(one)) for name, one in value.items()])
    found = [said for _, said in _document_leaves("", value)]
    return found[0] if found else "null"


def _object(members: list[tuple[str, str]]) -> str:
    said = {name: text for name, text in members if text != "null"}
    if len(said) < len([text for _, text in members if text != "null"]):
        raise NoForm
    return "{" + ",".join(f"{forms.text(name)}:{said[name]}" for name in sorted(said)) + "}"


def _leaves(name: str, node: Node, value: Any, *, as_text: bool, keep: bool = False) -> Iterator[tuple[str, str]]:  # noqa: C901  # a table of types
    """Return the values in a nested one, with their dotted names; a list is one, or each item."""
    if value is None:
        return
    match node:
        case List() if keep:
            yield name, _whole(node, value, as_text=as_text)
        case List():
            for place, one in enumerate(value):
                yield from _leaves(f"{name}.{place}", node.inner, one, as_text=as_text)
        case Map():
            for key, one in value:
                yield from _leaves(f"{name}.{_key(node.key, key)}", node.item, one, as_text=as_text, keep=keep)
        case Struct():
            for member, one in node.members:
                yield from _leaves(f"{name}.{member}", one, value[member], as_text=as_text, keep=keep)
        case Json():
            yield from _document_leaves(name, value, keep=keep)
        case _:
            spelt = node.text(value) if as_text and node.read is not None else None
            said = node.said(value) if spelt is None else forms.json_number(spelt)
            forms.text(name)
            if said is not None:
                yield name, said


def _document_leaves(name: str, value: Any, *, keep: bool = False) -> Iterator[tuple[str, str]]:
    if isinstance(value, list) and keep:
        forms.text(name)
        yield name, _whole_document(value)
    elif isinstance(value, (list, dict)):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _document_leaves(f"{name}.{key}", one, keep=keep)
    elif isinstance(value, Number):
        yield name, forms.json_number(value.text)
    elif value is not None:
        yield name, json.dumps(value) if isinstance(value, bool) else forms.text(value)


def _members(table: Table, row: tuple[Any, ...], *, as_text: bool, typed: frozenset[str], keep: bool) -> Iterator[str]:
    names = {name for name, _ in table.columns}
    nested = [name for name, node in table.columns if not isinstance(node, Kind)]
    for (name, node), value in sorted(zip(table.columns, row, strict=True), key=lambda pair: pair[0][0]):
        if isinstance(node, Kind):
            said = None if value is None else _alone(node, value, as_text=as_text and node.name not in typed)
            found = [(name, said)] if said is not None else []
        else:
            found = sorted(_leaves(name, node, value, as_text=as_text, keep=keep))
            if _meets(
                [leaf for leaf, _ in found], names - {name}, [one for one in nested if one.startswith(f"{name}.")]
            ):
                raise NoForm
        yield from (f"{json.dumps(leaf, ensure_ascii=False)}:{said}" for leaf, said in found)


def _meets(leaves: list[str], names: set[str], below: list[str]) -> bool:
    """Whether two values have one dotted name, or a value one that belongs to another column."""
    return len(set(leaves)) < len(leaves) or any(
        leaf in names or any(leaf.startswith(f"{one}.") for one in below) for leaf in leaves
    )


def _alone(kind: Kind, value: Any, *, as_text: bool) -> str | None:
    if kind in BINARIES:
        return f'"{value.hex()}"'
    return kind.read(value) if as_text and kind.read is not None else kind.said(value)


def meant(
    table: Table, *, as_text: bool, typed: frozenset[str] = frozenset(), keep: bool = False
) -> dict[str, str | None]:
    """Return each row's record by its id; None for a row that is rejected."""
    found: dict[str, str | None] = {}
    for number, row in zip(table.ids, table.rows, strict=True):
        try:
            members = ",".join(_members(table, row, as_text=as_text, typed=typed, keep=keep))
        except NoForm:
            found[number] = None
            continue
        attributes = f',"attributes":{{{members}}}' if members else ""
        found[number] = (
            f'{{"type":"company","companyId":"{number}"{attributes},"timestamp":"{AS_OF}","context":{{"active":false}}}}'
        )
    return found


def words(table: Table, *, star: bool) -> dict[str, Any]:
    """Return the words of the fields: each column's own, or `*` with those that need some."""
    named = {name: {"column": name, **(node.words if isinstance(node, Kind) else {"type": "json"})}
             for name, node in table.columns}  # fmt: skip
    if not star:
        return named
    return {"*": {}, **{name: named[name] for name, node in table.columns if node in BINARIES}}
