"""The table of all types, written into every place; each writer gives the words of the pipeline's source."""

import json
import re
import sqlite3
import uuid
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from all_types import documented
from deltalake import write_deltalake
from pyiceberg.catalog import load_catalog
from servers import PASSWORD, fill_postgres, in_postgres, mariadb, mariadb_url, postgres_url

Table = dict[str, list[str | None]]
TYPES = {one.name: one.types for one in documented()}
ADDRESS = {"city": "text", "zip": "text", "rooms": "bigint", "since": "date"}


def _each(table: Table, place: str, known: dict[str, object]) -> dict[str, list[object]]:
    """Return the values of a place: each text by what is known of its type there; nothing known leaves it as it is."""
    found: dict[str, list[object]] = {"id": table["id"]}
    for name, types in TYPES.items():
        of = known.get(types[place], str)
        found[name] = [None if text is None else of(text) for text in table[name]]
    return found


def csv(folder: Path, table: Table) -> str:
    """Write CSV: null is nothing, every text is quoted."""
    columns = [["" if text is None else '"' + text.replace('"', '""') + '"' for text in column]
               for column in table.values()]  # fmt: skip
    lines = [",".join(table), *(",".join(row) for row in zip(*columns, strict=True))]
    (folder / "types.csv").write_bytes("".join(f"{line}\n" for line in lines).encode())
    return "{type: csv, path: types.csv}"


# --- Arrow: Parquet, Delta, Iceberg --------------------------------------------------------------------------------

_SPAN = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?\d+(?:\.\d+)?)S)?)?")


def months_days_micros(text: str) -> tuple[int, int, int]:
    """Read a span."""
    years, months, days, *clock = (Decimal(part or 0) for part in _SPAN.fullmatch(text).groups())
    hours, minutes, seconds = clock
    return int(years * 12 + months), int(days), int((hours * 3600 + minutes * 60 + seconds) * 1_000_000)


def moment(text: str) -> datetime:
    """Read a time; one without a zone as if it were in UTC."""
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def address(text: str) -> dict[str, object]:
    """Read an address."""
    found = json.loads(text)
    return {**found, "since": found["since"] and date.fromisoformat(found["since"])}


ARROW = {
    **dict.fromkeys(("int16", "int32", "int64", "uint64"), int),
    **dict.fromkeys(("float64", "float32"), float),
    **{f"decimal({digits})": Decimal for digits in ("12,2", "20,0", "38,10", "30,9", "50,10")},
    "bool": "true".__eq__,
    "date32": date.fromisoformat,
    "time64": time.fromisoformat,
    "timestamp": lambda text: moment(text).replace(tzinfo=None),
    "timestamp UTC": moment,
    "uuid": lambda text: uuid.UUID(text).bytes,
    "duration": lambda text: months_days_micros(text)[2],
    "list of string": json.loads,
    "list of int64": json.loads,
    "struct": address,
    "map": lambda text: list(json.loads(text).items()),
    "binary": bytes.fromhex,
}


def _arrow_type(word: str) -> pa.DataType:
    if match := re.fullmatch(r"decimal\((\d+),(\d+)\)", word):
        digits, scale = map(int, match.groups())
        return pa.decimal128(digits, scale) if digits <= 38 else pa.decimal256(digits, scale)
    given = {
        "timestamp": pa.timestamp("us"), "timestamp UTC": pa.timestamp("us", "UTC"), "time64": pa.time64("us"),
        "duration": pa.duration("us"), "uuid": pa.uuid(), "json": pa.json_(), "text": pa.string(),
        "list of string": pa.list_(pa.string()), "list of int64": pa.list_(pa.int64()),
        "struct": pa.struct([("city", "string"), ("zip", "string"), ("rooms", "int64"), ("since", "date32")]),
        "map": pa.map_(pa.string(), pa.string()),
    }  # fmt: skip
    return given.get(word) or getattr(pa, {"bool": "bool_"}.get(word, word))()


def _arrow_table(table: Table, place: str) -> pa.Table:
    values = _each(table, place, ARROW)
    kinds = {"id": pa.string(), **{name: _arrow_type(types[place]) for name, types in TYPES.items()}}
    return pa.table({name: _array(values[name], kind) for name, kind in kinds.items()})


def _array(values: list[object], kind: pa.DataType) -> pa.Array:
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))
    return pa.array(values, kind)


def parquet(folder: Path, table: Table) -> str:
    """Write Parquet."""
    pq.write_table(_arrow_table(table, "Parquet"), folder / "types.parquet", row_group_size=70)
    return "{type: parquet, path: types.parquet}"


def delta(folder: Path, table: Table) -> str:
    """Write a Delta table."""
    write_deltalake(folder / "types.delta", _arrow_table(table, "Delta"))
    return "{type: delta, path: types.delta}"


def iceberg(folder: Path, table: Table) -> str:
    """Write an Iceberg table."""
    rows = _arrow_table(table, "Iceberg")
    catalog = load_catalog("tests", type="sql", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
    catalog.create_namespace("a")
    made = catalog.create_table("a.types", schema=rows.schema)
    made.append(rows)
    catalog.close()
    return f"{{type: iceberg, metadata: '{made.metadata_location.removeprefix('file://')}'}}"


# --- databases -----------------------------------------------------------------------------------------------------

_IN_DUCKDB = {
    "blob": "unhex({})",
    "json": "CAST({} AS JSON)",
    "varchar[]": "CAST(CAST({} AS JSON) AS VARCHAR[])",
    "bigint[]": "CAST(CAST({} AS JSON) AS BIGINT[])",
    "struct": "CAST(CAST({} AS JSON) AS STRUCT(city VARCHAR, zip VARCHAR, rooms BIGINT, since DATE))",
    "map": "CAST(CAST({} AS JSON) AS MAP(VARCHAR, VARCHAR))",
    "interval": "CASE WHEN {0} IS NOT NULL THEN to_months({0}_parts[1]) + to_days({0}_parts[2]) "
    "+ to_microseconds({0}_parts[3]) END",
}


def _in_duckdb(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    parts = {f"{name}_parts": [text and months_days_micros(text) for text in table[name]]
             for name, types in TYPES.items() if types["DuckDB"] == "interval"}  # fmt: skip
    shown = [_IN_DUCKDB.get(types["DuckDB"], f"CAST({{}} AS {types['DuckDB']})").format(name) + f" AS {name}"
             for name, types in TYPES.items()]  # fmt: skip
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("given", pa.table({**table, **{name: pa.array(of, pa.list_(pa.int64()))
                                                       for name, of in parts.items()}}))  # fmt: skip
    connection.execute(f"CREATE TABLE types AS SELECT id, {', '.join(shown)} FROM given")
    connection.unregister("given")


def in_duckdb(folder: Path, table: Table) -> str:
    """Write DuckDB."""
    with closing(duckdb.connect(folder / "types.duckdb")) as connection:
        _in_duckdb(connection, table)
    return "{type: sql, url: 'duckdb:///types.duckdb', table: types}"


def parquet_of_duckdb(folder: Path, table: Table) -> str:
    """Write Parquet as DuckDB does, with Parquet's own intervals, which have no sign."""
    with closing(duckdb.connect()) as connection:
        _in_duckdb(connection, {**table, "elapsed": [None] * len(table["id"])})
        connection.register("texts", pa.table({"id": table["id"], "elapsed": table["elapsed"]}))
        rows = (
            "SELECT * REPLACE ((SELECT t.elapsed FROM texts t WHERE t.id = types.id) AS elapsed) FROM types ORDER BY id"
        )
        connection.execute(f"COPY ({rows}) TO '{folder}/theirs.parquet'")
    return "{type: parquet, path: theirs.parquet}"


def in_sqlite(folder: Path, table: Table) -> str:
    """Write SQLite, which has no NaN."""
    known = {"integer": lambda text: {"true": 1, "false": 0}.get(text) if text in {"true", "false"} else int(text),
             "real": float, "blob": bytes.fromhex}  # fmt: skip
    values = _each(table, "SQLite", known)
    columns = ", ".join(f"{name} {types['SQLite']}" for name, types in TYPES.items())
    with closing(sqlite3.connect(folder / "types.db")) as connection:
        connection.execute(f"CREATE TABLE types (id text, {columns})")
        connection.executemany(f"INSERT INTO types VALUES ({', '.join('?' * len(values))})",
                               zip(*values.values(), strict=True))  # fmt: skip
        connection.commit()
    return "{type: sql, url: 'sqlite:///types.db', table: types}"


_IN_POSTGRES = {
    "bytea": "decode({}, 'hex')",
    "text[]": "CASE WHEN {0} IS NOT NULL THEN ARRAY(SELECT x FROM json_array_elements_text({0}::json) "
    "WITH ORDINALITY AS of(x, n) ORDER BY n) END",
    "bigint[]": "CASE WHEN {0} IS NOT NULL THEN ARRAY(SELECT x::bigint FROM json_array_elements_text({0}::json) "
    "WITH ORDINALITY AS of(x, n) ORDER BY n) END",
    "composite": "json_populate_record(null::address, {}::json)",
}


def in_postgresql(folder: Path, table: Table) -> str:
    """Write PostgreSQL."""
    fill_postgres("given", pa.table(table))
    casts = {
        name: _IN_POSTGRES.get(types["PostgreSQL"], f"{{}}::{types['PostgreSQL']}") for name, types in TYPES.items()
    }
    shown = [cast.format(f"given.{name}") + f" AS {name}" for name, cast in casts.items()]
    in_postgres(
        "DROP TABLE IF EXISTS types",
        "DROP TYPE IF EXISTS address",
        f"CREATE TYPE address AS ({', '.join(f'{name} {kind}' for name, kind in ADDRESS.items())})",
        f"CREATE TABLE types AS SELECT id, {', '.join(shown)} FROM given",
    )
    return f"{{type: sql, url: '{postgres_url()}', table: types}}"


def in_mariadb(folder: Path, table: Table) -> str:
    """Write MariaDB, which has no NaN."""
    import pymysql

    number = lambda text: None if text == "NaN" else float(text)  # noqa: E731
    known = {"boolean": "true".__eq__, "blob": bytes.fromhex, "double": number, "float": number,
             "timestamp(6)": lambda text: f"{moment(text):%Y-%m-%d %H:%M:%S.%f}"}  # fmt: skip
    values = _each(table, "MariaDB", known)
    columns = ", ".join(f"{name} {types['MariaDB']} null" for name, types in TYPES.items())
    where = {"host": "127.0.0.1", "port": mariadb(), "user": "loader", "password": PASSWORD, "database": "shop"}
    with closing(pymysql.connect(autocommit=True, **where)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute(f"CREATE OR REPLACE TABLE types (id text, {columns})")
        cursor.executemany(f"INSERT INTO types VALUES ({', '.join(['%s'] * len(values))})",
                           list(zip(*values.values(), strict=True)))  # fmt: skip
    return f"{{type: sql, url: '{mariadb_url()}', table: types}}"


WRITERS = {
    "CSV": csv, "Parquet": parquet, "PostgreSQL": in_postgresql, "MariaDB": in_mariadb, "SQLite": in_sqlite,
    "DuckDB": in_duckdb, "Delta": delta, "Iceberg": iceberg, "Parquet of DuckDB": parquet_of_duckdb,
}  # fmt: skip
SERVERS = {"PostgreSQL": pytest.mark.postgres, "MariaDB": pytest.mark.mariadb}


def places(*names: str) -> list[object]:
    """Return the writers of these names for `parametrize`, each with the marker that it needs."""
    return [pytest.param(name, marks=SERVERS.get(name, ())) for name in names]
