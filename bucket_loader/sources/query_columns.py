"""Which columns of a staged source a query may see, where SQL does not tell some of their names apart.

DuckDB takes `Email` and `email` for one name, and calls the second one `email_1`. So a query sees of such columns the
one that it names exactly, or none of them when it names none; whatever could mean more than one is refused.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bucket_loader.model import SourceError
from bucket_loader.sources.base import alike, folded
from bucket_loader.sources.values.types import members_alike

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Mentions:
    """The columns that a query names.

    Attributes:
        names: as it spells them.
        is_open: whether it also takes columns that it does not name, as `*` does.
    """

    names: frozenset[str]
    is_open: bool


def mentions(tree: object) -> Mentions:
    """Find the columns that a parsed query names."""
    nodes = list(_nodes(tree))
    tables = {folded(node[word]) for node in nodes for word in ("table_name", "alias") if node.get(word)}
    names = [name for node in nodes for word in ("column_names", "using_columns") for name in node.get(word) or ()]
    rows = any(folded(node["column_names"][-1]) in tables for node in nodes if node.get("column_names"))
    return Mentions(frozenset(names), rows or any(map(_takes_unnamed, nodes)))


def _takes_unnamed(node: dict[str, Any]) -> bool:
    return (
        node.get("class") in {"STAR", "POSITIONAL_REFERENCE"}
        or node.get("type") == "PIVOT"
        or node.get("ref_type") == "NATURAL"
        or bool(node.get("column_name_alias"))
    )


def _nodes(tree: object) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(part)


def visible(table: str, schema: "pa.Schema", named: Mentions) -> dict[int, str]:
    """Return the columns of a source that a query sees, by their places.

    Raises:
        SourceError: the query could mean more than one by a name.
    """
    hidden: set[str] = set()
    for names in alike(schema.names):
        spelt = {name for name in named.names if folded(name) == folded(names[0])}
        if named.is_open or not (len(spelt) == 0 or (len(spelt) == 1 and spelt <= set(names))):
            raise _refused(f"{table} has the columns {' and '.join(map(repr, names))}")
        hidden |= set(names) - spelt
    for field in schema:
        if (members := members_alike(field.type)) is None:
            continue
        if named.is_open or folded(field.name) in map(folded, named.names):
            raise _refused(f"{table} has the names {' and '.join(map(repr, members))} inside of {field.name!r}")
        hidden.add(field.name)
    return {place: name for place, name in enumerate(schema.names) if name not in hidden}


def coming_from(tree: object, outputs: Sequence[str], columns: frozenset[str]) -> set[str]:
    """Return the columns of a query's result that come from some columns of its tables; all, where nobody could say.

    Args:
        tree: the parsed query.
        outputs: the columns that it gives.
        columns: of the tables, folded.
    """
    nodes = [node for node in _nodes(tree) if "select_list" in node]
    if not columns or not _names(tree, columns):
        return set()
    if len(nodes) != 1 or _names([part for word, part in nodes[0].items() if word != "select_list"], columns):
        return set(outputs)
    items = nodes[0]["select_list"]
    if not any(node.get("class") == "STAR" for node in _nodes(items)):
        return {output for output, item in zip(outputs, items, strict=True) if _names(item, columns)}
    named = [item for item in items if item.get("class") != "STAR"]
    if any(_names(item, columns) and not _output(item) for item in named) or any(
        item.get("replace_list") or item.get("rename_list") or item.get("expr") for item in items
    ):
        return set(outputs)
    made = {_output(item): bool(_names(item, columns)) for item in named}
    return {output for output in outputs if made.get(output, folded(output) in columns)}


def _names(tree: object, columns: frozenset[str]) -> bool:
    named = mentions(tree)
    starred = any(map(_takes_unnamed, _nodes(tree)))
    return starred or any(folded(name) in columns for name in named.names)


def _output(item: dict[str, Any]) -> str:
    """Return the name that an item of a SELECT gives its value; empty where DuckDB makes one up."""
    return str(item.get("alias") or (item["column_names"][-1] if item.get("class") == "COLUMN_REF" else ""))


def _refused(what: str) -> SourceError:
    return SourceError(
        f"the query: {what}, which SQL does not tell apart",
        hint='name every column that you want, and the one of them exactly ("Email"), without `*`; '
        "or rename one where it is written",
    )
