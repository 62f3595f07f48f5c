"""The rows of one shape, as a file or as a table of a database, and the records that they make."""

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from benchmarks.exports import Exports, copy
from benchmarks.shapes.shape import IDS, Shape

URL: Final = "BENCHMARK_POSTGRES"
BATCH: Final = 10_000
READERS: Final = {
    "parquet": "read_parquet('{path}')",
    "csv": "read_csv('{path}', types = {{'used_at': 'VARCHAR', 'os_version': 'VARCHAR'}})",
    "jsonl": "read_json('{path}', format = 'newline_delimited', columns = {columns})",
}
JSON_COLUMNS: Final = dict.fromkeys((*IDS, "used_at"), "VARCHAR") | {"properties": "JSON"}


@dataclass(frozen=True)
class ShapeExports(Exports):
    """Makes the source of a shape when it is first asked for, in a folder of its own.

    Attributes:
        shape: which.
    """

    shape: Shape

    @classmethod
    def beside(cls, exports: Exports, shape: Shape) -> "ShapeExports":
        """Return a shape's, in a folder among those of others."""
        folder = exports.folder / f"shape-{shape.name}"
        folder.mkdir(exist_ok=True)
        return cls(folder, shape)

    def events(self, rows: int, form: str = "") -> Path:
        """Return the file, or for a table of PostgreSQL an empty file with the table's name."""
        form = form or self.shape.form
        path = self.folder / f"events_{rows}.{form}"
        if not path.exists():
            {"sqlite": _to_sqlite, "postgres": _to_postgres}.get(form, copy)(self.shape.rows(rows), path)
        return path

    def records(self, rows: int) -> str:
        """Return SQL for the records, each as a JSON text, nulls left out."""
        made = self.shape.records(f"({self.shape.rows(rows)})")
        return f"SELECT json_merge_patch('{{}}', to_json(record))::VARCHAR FROM ({made}) record"

    def copying(self, rows: int, path: Path) -> str:
        """Return SQL that makes a file of the records of a source that DuckDB reads."""
        read = READERS[self.shape.form].format(path=self.events(rows), columns=JSON_COLUMNS)
        return f"COPY ({self.shape.records(read)}) TO '{path}' (FORMAT json)"

    def copied(self, rows: int) -> list[dict[str, Any]]:
        """Return the records that DuckDB makes of such a source."""
        path = self.folder / "copied.jsonl"
        with duckdb.connect() as connection:
            connection.execute(self.copying(rows, path))
        return [json.loads(line, parse_int=float) for line in path.read_text().splitlines()]


def _to_sqlite(query: str, path: Path) -> None:
    with duckdb.connect() as connection, closing(sqlite3.connect(path)) as database:
        found = connection.execute(query)
        columns = [f"{name} {kind}" for name, kind, *_ in found.description]
        database.execute(f"CREATE TABLE events ({', '.join(columns)})")
        signs = ", ".join("?" * len(columns))
        while rows := found.fetchmany(BATCH):
            database.executemany(f"INSERT INTO events VALUES ({signs})", rows)
        database.commit()


def _to_postgres(query: str, path: Path) -> None:
    from adbc_driver_postgresql import dbapi

    table = path.stem
    with duckdb.connect() as rows, closing(dbapi.connect(os.environ[URL], autocommit=True)) as connection:
        found = rows.sql(query).to_arrow_table()
        with closing(connection.cursor()) as cursor:
            cursor.adbc_ingest(table, found, mode="create")
            cursor.execute(f"ALTER TABLE {table} ALTER properties TYPE jsonb USING properties::jsonb")
    path.touch()
