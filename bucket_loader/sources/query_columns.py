"""Which columns of a staged source a query may see, where SQL does not tell some of their names apart.

DuckDB takes `Email` and `email` for one name, and calls the second one `email_1`. So a query sees of such columns the
one that it names exactly, or none of them when it names none; whatever could mean more than one is refused.
"""

from collections.abc import Iterator
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


def _refused(what: str) -> SourceError:
    return SourceError(
        f"the query: {what}, which SQL does not tell apart",
        hint='name every column that you want, and the one of them exactly ("Email"), without `*`; '
        "or rename one where it is written",
    )
