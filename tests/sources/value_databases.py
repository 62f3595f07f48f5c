"""Random tables written into databases."""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
from source_helpers import sql_source
from value_kinds import BINARIES, Kind, Unsayable, quoted
from value_tables import Json, List, Map, Node, Struct, Table, document_text, json_text, kinds, parts_of

from bucket_loader.sources.base import alike


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _duck_type(node: Node) -> str:
    match node:
        case List():
            return f"{_duck_type(node.inner)}[]"
        case Map():
            return f"MAP({_duck_type(node.key)}, {_duck_type(node.item)})"
        case Struct():
            return f"STRUCT({', '.join(f'{_identifier(name)} {_duck_type(one)}' for name, one in node.members)})"
        case Json():
            return "JSON"
        case _:
            return node.duckdb


def in_duckdb(_: str, node: Node) -> bool:
    """Whether DuckDB has the types."""
    structs = [part for part in parts_of(node) if isinstance(part, Struct)]
    named = all(not alike(name for name, _ in one.members) for one in structs)
    return named and all(isinstance(kind, Json) or kind.duckdb != "" for kind in kinds(node))


def _duck_value(node: Node, value: Any) -> str:
    if value is None:
        return "NULL"
    match node:
        case List():
            found = f"[{', '.join(_duck_value(node.inner, one) for one in value)}]"
        case Map():
            keys = ", ".join(_duck_value(node.key, key) for key, _ in value)
            found = f"MAP([{keys}], [{', '.join(_duck_value(node.item, one) for _, one in value)}])"
        case Struct():
            members = (f"{_identifier(name)} := {_duck_value(one, value[name])}" for name, one in node.members)
            found = f"struct_pack({', '.join(members)})"
        case Json():
            found = quoted(document_text(value))
        case _:
            found = node.sql(value)
    return f"CAST({found} AS {_duck_type(node)})"


@cache
def _duck() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def is_in_duckdb(node: Node, value: Any) -> None:
    """Refuse what DuckDB cannot hold."""
    try:
        _duck().execute(f"SELECT CAST({_duck_value(node, value)} AS VARCHAR)").fetchone()
    except duckdb.Error:
        raise Unsayable from None


def to_duckdb(folder: Path, table: Table) -> Any:
    """Write a DuckDB file."""
    columns = "".join(f", {_identifier(name)} {_duck_type(node)}" for name, node in table.columns)
    with closing(duckdb.connect(folder / "t.duckdb")) as connection:
        connection.execute(f"SET TimeZone = 'UTC'; CREATE TABLE t (__id VARCHAR{columns})")
        for number, row in zip(table.ids, table.rows, strict=True):
            found = (_duck_value(node, value) for (_, node), value in zip(table.columns, row, strict=True))
            connection.execute(f"INSERT INTO t VALUES ({', '.join([quoted(number), *found])})")
    return sql_source(folder, "duckdb:///t.duckdb", query="select __id as id, * exclude (__id) from t")


_SQLITE = {"int64": int, "int32": int, "int16": int, "int8": int, "float64": float, "boolean": int}


def sqlite_value(node: Node, value: Any) -> Any:
    """Return a value as SQLite has it."""
    if value is None:
        return None
    if not isinstance(node, Kind):
        return json_text(node, value)
    if node in BINARIES:
        return value
    return _SQLITE[node.name](value) if node.name in _SQLITE else node.text(value)


def to_sqlite(folder: Path, table: Table) -> Any:
    """Write an SQLite file; its columns have no type."""
    with closing(sqlite3.connect(folder / "t.db")) as connection:
        names = [f"c{place}" for place in range(len(table.columns))]
        connection.execute(f"CREATE TABLE t ({', '.join(['id', *names])})")
        for number, row in zip(table.ids, table.rows, strict=True):
            found = [sqlite_value(node, value) for (_, node), value in zip(table.columns, row, strict=True)]
            found = [value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value for value in found]
            marks = ", ".join("CAST(? AS TEXT)" if isinstance(value, bytes) and node not in BINARIES else "?"
                              for value, (_, node) in zip(found, table.columns, strict=True))  # fmt: skip
            connection.execute(f"INSERT INTO t VALUES (?{', ' if marks else ''}{marks})", [number, *found])
        connection.commit()
    shown = (f", {old} as {_identifier(name)}" for old, (name, _) in zip(names, table.columns, strict=True))
    return sql_source(folder, "sqlite:///t.db", query=f"select id{''.join(shown)} from t")


# PostgreSQL hands over as JSON what holds decimals or JSON, and refuses such composites with floats or times in them.
_AS_JSON = ("DECIMAL",)
_AS_TYPED = ("float", "timestamp", "date", "time", "interval", "bit", "binary")


def in_postgresql(_: str, node: Node) -> bool:
    """Whether PostgreSQL has the types, and hands them over."""
    parts = parts_of(node)
    if any(isinstance(part, Map) or (isinstance(part, List) and isinstance(part.inner, List)) for part in parts):
        return False
    if not all(isinstance(kind, Json) or kind.postgres for kind in kinds(node)):
        return False
    names = ["DECIMAL" if isinstance(kind, Json) else kind.name for kind in kinds(node)]
    return len(parts) == 1 or not (any(name.startswith(_AS_JSON) for name in names)
                                   and any(name.startswith(_AS_TYPED) for name in names))  # fmt: skip


def _postgres_type(node: Node, made: list[str]) -> str:
    match node:
        case List():
            return f"{_postgres_type(node.inner, made)}[]"
        case Struct():
            members = [f"{_identifier(name)} {_postgres_type(one, made)}" for name, one in node.members]
            made.append(f"CREATE TYPE v.t{len(made)} AS ({', '.join(members)})")
            return f"v.t{len(made) - 1}"
        case Json():
            return "json"
        case _:
            return node.postgres


def postgres_value(node: Node, value: Any) -> str:
    """Spell a value for PostgreSQL."""
    if value is None:
        return "NULL"
    match node:
        case List():
            return f"ARRAY[{', '.join(postgres_value(node.inner, one) for one in value)}]::{_postgres_type(node, [])}"
        case Struct():
            return f"ROW({', '.join(postgres_value(one, value[name]) for name, one in node.members)})"
        case Json():
            text = document_text(value)
        case _:
            text = (
                f"\\x{value.hex()}" if node in BINARIES else node.text(value) if node.name != "float64" else repr(value)
            )
    if text is None or "\0" in text or any(0xD800 <= ord(letter) < 0xE000 for letter in text):
        raise Unsayable
    return f"{quoted(text)}::{_postgres_type(node, [])}"


def to_postgres(folder: Path, table: Table) -> Any:
    """Write PostgreSQL."""
    from servers import in_postgres, postgres_url

    made: list[str] = []
    columns = [f"{_identifier(name)} {_postgres_type(node, made)}" for name, node in table.columns]
    rows = []
    for number, row in zip(table.ids, table.rows, strict=True):
        found = [postgres_value(node, value) for (_, node), value in zip(table.columns, row, strict=True)]
        rows.append(f"INSERT INTO v.t VALUES ({', '.join([quoted(number), *found])})")
    in_postgres("DROP SCHEMA IF EXISTS v CASCADE", "CREATE SCHEMA v", *made,
                f"CREATE TABLE v.t ({', '.join(['id text', *columns])})", *rows)  # fmt: skip
    return sql_source(folder, postgres_url(), query="select * from v.t order by id")
