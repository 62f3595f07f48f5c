"""How a column is spelt in the pipeline file: as a field of a stream, and inside of an expression."""

import re
from collections.abc import Mapping
from typing import Final

from bucket_loader.model import identifier
from bucket_loader.runs.init.evidence import Column
from bucket_loader.runs.init.guess import spelt

# Words of SQL that columns are called like.
_RESERVED: Final = frozenset(
    """
    all and any array as asc between both case cast check collate column constraint create default desc distinct do else
    end except false fetch for foreign from full group having in initially inner intersect into is join lateral leading
    left like limit natural not null offset on only or order outer primary qualify references returning right select
    similar some table then to trailing true union unique using when where window with
    """.split()  # noqa: SIM905  # a list of them would be a screen long
)


def spelt_field(column: Column, words: Mapping[str, str] | None = None) -> str:
    """Spell a field that is made from a column, with the words that it has beside it."""
    return spelt(column.name, words or {})


def sql_of(column: Column) -> str:
    """Spell a column inside of an expression."""
    if column.leaf is None or not column.leaf.path:
        return sql_name(column.name)
    outer, path = sql_name(column.leaf.column), column.leaf.path
    if column.leaf.form == "struct":
        return ".".join([outer, *map(sql_name, path)])
    if column.leaf.form == "map":
        return f"{outer}[{sql_text(path[0])}]"
    return f"{outer}->>{sql_text(_inside(path))}"


def _inside(path: tuple[str, ...]) -> str:
    """Spell a path inside of JSON: a name alone where that is clear, else a JSON pointer."""
    if len(path) == 1 and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ -]*", path[0]):
        return path[0]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def sql_name(name: str) -> str:
    """Spell the name of a column inside of an expression."""
    is_plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and name.lower() not in _RESERVED
    return name if is_plain else identifier(name)


def sql_text(text: str) -> str:
    """Spell a text inside of an expression."""
    return "'" + text.replace("'", "''") + "'"
