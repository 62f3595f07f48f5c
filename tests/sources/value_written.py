"""Random tables written into every source that has their types; each writer returns the source of it."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from source_helpers import csv_source, jsonl_source, query_source
from value_arrow import (
    in_arrow,
    in_delta,
    in_parquet,
    in_python,
    python_value,
    to_arrow,
    to_delta,
    to_folder,
    to_int96,
    to_memory,
    to_pandas,
    to_pandas_of_arrow,
    to_parquet,
)
from value_databases import (
    in_duckdb,
    in_postgresql,
    is_in_duckdb,
    postgres_value,
    sqlite_value,
    to_duckdb,
    to_postgres,
    to_sqlite,
)
from value_kinds import Kind, Unsayable
from value_tables import Json, Node, Struct, Table, json_text, parts_of

from bucket_loader.model.rows import Reading, Rejection
from bucket_loader.sources.base import alike
from bucket_loader.sources.staged import StagedSource, stage


def _nothing(node: Node, value: Any) -> None:
    """Every value is said."""


@dataclass(frozen=True)
class Place:
    """A source, and what it has types and words for.

    Attributes:
        write: writes a table and returns the source.
        keeps: whether it has a type for a column.
        says: raises `Unsayable` where it has no words for a value.
        as_text: whether numbers come as texts.
        star: whether it is read with `*` too.
        typed: the kinds that it has types for, although others come as texts.
        folds: whether it takes names that differ in case for one.
    """

    write: Callable[[Path, Table], Any]
    keeps: Callable[[str, Node], bool]
    says: Callable[[Node, Any], object] = _nothing
    as_text: bool = False
    star: bool = True
    folds: bool = False
    typed: frozenset[str] = frozenset()


# --- texts ---------------------------------------------------------------------------------------------------------


def _text(node: Node, value: Any) -> str | None:
    if value is None:
        return None
    return node.text(value) if isinstance(node, Kind) else json_text(node, value)


def to_csv(folder: Path, table: Table) -> Any:
    """Write CSV."""
    lines = [["id", *(name for name, _ in table.columns)]]
    for number, row in zip(table.ids, table.rows, strict=True):
        lines.append([number, *(_text(node, value) for (_, node), value in zip(table.columns, row, strict=True))])
    cells = ([_cell(cell) for cell in line] for line in lines)
    return csv_source(folder, "".join(",".join(line) + "\n" for line in cells).encode("utf-8", "surrogatepass"))


def _cell(text: str | None) -> str:
    return "" if text is None else '"' + text.replace('"', '""') + '"'


def _line_value(node: Node, value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(node, Json) and not isinstance(value, (list, dict)):
        raise Unsayable  # the column would be one of text, or of numbers
    if not isinstance(node, Kind):
        return json_text(node, value)
    if node.json is not None:
        return node.json(value)
    text = node.text(value)
    return "null" if text is None else json.dumps(text)


def to_lines(folder: Path, table: Table) -> Any:
    """Write JSON Lines."""
    lines = []
    for number, row in zip(table.ids, table.rows, strict=True):
        found = [f"{json.dumps(name)}:{_line_value(node, value)}"
                 for (name, node), value in zip(table.columns, row, strict=True)]  # fmt: skip
        lines.append("{" + ", ".join([f'"id": "{number}"', *found]) + "}\n")
    return jsonl_source(folder, "".join(lines), columns=["id", *(name for name, _ in table.columns)])


# --- a query over another source -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Queried:
    """A query over a source that was kept, and what could not be read of that."""

    query: Any
    kept: StagedSource

    def read(self) -> Reading:
        """Return the rows of the query."""
        return self.query.read()

    def unseen(self) -> Iterable[Rejection]:
        """Return the rows that the query cannot see."""
        return self.kept.unread()


def queried(write: Callable[[Path, Table], Any]) -> Callable[[Path, Table], Any]:
    """Return a writer that reads another one's source through a query."""

    def to_query(folder: Path, table: Table) -> Any:
        source = write(folder, table)
        kept = stage(source.read(), folder / "staged.parquet", fingerprint=source.fingerprint())
        return Queried(query_source(folder, "select * from data", {"data": kept.path}), kept)

    return to_query


def _says_text(node: Node, value: Any) -> None:
    """A query over text that is not UTF-8 is refused as a whole: DuckDB does not say which row has it."""
    if "\\ud" in repr(value):
        raise Unsayable


def in_query(keeps: Callable[[str, Node], bool]) -> Callable[[str, Node], bool]:
    """Return what a query keeps of a source: SQL does not tell names apart that differ only in case."""

    def kept(name: str, node: Node) -> bool:
        structs = [part for part in parts_of(node) if isinstance(part, Struct)]
        return keeps(name, node) and all(not alike(name for name, _ in one.members) for one in structs)

    return kept


def _always(_: str, __: Node) -> bool:
    return True


PLACES = {
    "Parquet": Place(to_parquet, in_parquet),
    "INT96": Place(to_int96, in_parquet),
    "folder": Place(to_folder, in_parquet),
    "Arrow": Place(to_arrow, in_arrow),
    "memory": Place(to_memory, in_arrow),
    "Delta": Place(to_delta, in_delta),
    "pandas": Place(to_pandas, in_python, python_value),
    "pandas of Arrow": Place(to_pandas_of_arrow, in_arrow),
    "DuckDB": Place(to_duckdb, in_duckdb, is_in_duckdb, folds=True),
    "PostgreSQL": Place(to_postgres, in_postgresql, postgres_value),
    "SQLite": Place(to_sqlite, _always, sqlite_value, as_text=True, star=False, typed=frozenset({"float64"})),
    "CSV": Place(to_csv, _always, _text, as_text=True, star=False),
    "JSON Lines": Place(to_lines, _always, _line_value, as_text=True, star=False),
    "query of Parquet": Place(queried(to_parquet), in_query(in_parquet), _says_text, folds=True),
    "query of Arrow": Place(queried(to_memory), in_query(in_arrow), _says_text, folds=True),
    "query of DuckDB": Place(queried(to_duckdb), in_duckdb, is_in_duckdb, folds=True),
    "query of JSON Lines": Place(queried(to_lines), _always, _line_value, as_text=True, star=False, folds=True),
}  # fmt: skip
LOCAL = [name for name in PLACES if name != "PostgreSQL"]
