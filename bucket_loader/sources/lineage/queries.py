"""Which tables a query reads, and which of their columns each of its own is made from: read from its parse.

The parser is OpenLineage's (extra `lineage`), which knows the SQL of the warehouses. No word of the query's text goes
further than here: it may hold values.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from bucket_loader.config import sql_code

if TYPE_CHECKING:
    from collections.abc import Mapping

_DIALECTS: Final = {"postgresql": "postgres", "mariadb": "mysql"}
_STAR: Final = re.compile(r"\bselect\s+(?:distinct\s+)?(?:\w+\.)?\*", re.IGNORECASE)

Table = tuple[str, ...]
"""The parts of a table's name, as a query spells them."""


class Read(NamedTuple):
    """What a query reads.

    Attributes:
        tables: the tables.
        columns: for columns of the query, the tables' columns that each is made from.
        is_whole: whether every other column is the one of the same name, of the one table.
    """

    tables: "tuple[Table, ...]"
    columns: "Mapping[str, tuple[tuple[Table, str], ...]]"
    is_whole: bool


def read_by(query: str, scheme: str) -> Read | None:
    """Return what a query reads; None where that cannot be told.

    Args:
        query: the query.
        scheme: the kind of database, as its URL begins.
    """
    try:
        from openlineage_sql import parse
    except ImportError:
        return None
    try:
        found = parse([query], dialect=_DIALECTS.get(scheme, scheme))
    except RuntimeError:  # there is no statement in it
        return None
    if found is None or found.errors or not found.in_tables:
        return None
    tables = tuple(dict.fromkeys(map(_parts, found.in_tables)))
    columns = {one.descendant.name: tuple(dict.fromkeys(_origins(one.lineage, tables))) for one in found.column_lineage}
    star = _STAR.search(sql_code(query)) is not None
    return Read(tables, {name: origins for name, origins in columns.items() if origins}, star and len(tables) == 1)


def _parts(table: object) -> Table:
    return tuple(part for name in ("database", "schema", "name") if (part := getattr(table, name)))


def _origins(lineage: object, tables: "tuple[Table, ...]") -> "Iterator[tuple[Table, str]]":
    """Yield the columns of tables among those that the parser found; of a part of the query it tells no more."""
    for column in lineage:  # type: ignore[attr-defined]  # the library has no types
        if column.origin is not None and (table := _parts(column.origin)) in tables:
            yield table, column.name
