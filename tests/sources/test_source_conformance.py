"""What every source promises. A new source type is one more function in the table below."""

import json
import pickle
import sqlite3
from contextlib import closing

import duckdb
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dbt_artifacts import dbt_source, manifest_of, node
from deltalake import write_deltalake
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError
from servers import fill_mariadb, fill_postgres, mariadb_url, postgres_url
from source_helpers import (
    arrow_source,
    csv_source,
    delta_source,
    excel_source,
    iceberg_source,
    jsonl_source,
    parquet_source,
    query_source,
    sql_source,
)

from bucket_loader.config.sources import SOURCE_TYPES, CsvSource, FixtureSource, FrameSource
from bucket_loader.model import ROWS_MAX
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.databases.address import Address
from bucket_loader.sources.databases.alchemy import Alchemy
from bucket_loader.sources.registry import open_source
from bucket_loader.sources.staged import stage
from bucket_loader.testing import SourceSuite
from bucket_loader.testing.sources import columns


def text(columns):
    """Spell the rows as CSV."""
    lines = [f'{one},"{name}"' if name else f"{one}," for one, name in zip(*columns.values(), strict=True)]
    return "id,name\n" + "\n".join(lines)


def from_csv(base, columns):
    """Read CSV."""
    return csv_source(base, text(columns))


def from_parquet(base, columns):
    """Read Parquet."""
    pq.write_table(pa.table(columns), base / "data.parquet", row_group_size=1000)
    return parquet_source(base, "data.parquet")


def from_jsonl(base, columns):
    """Read JSON Lines."""
    lines = [json.dumps(row) + "\n" for row in pa.table(columns).to_pylist()]
    return jsonl_source(base, "".join(lines), columns=list(columns))


def from_arrow(base, columns):
    """Read an Arrow file."""
    table = pa.table(columns)
    with pa.OSFile(str(base / "data.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1000)
    return arrow_source(base, "data.arrow")


def from_arrow_stream(base, columns):
    """Read an Arrow stream."""
    table = pa.table(columns)
    with pa.OSFile(str(base / "data.arrows"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return arrow_source(base, "data.arrows")


def from_excel(base, columns):
    """Read a workbook."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("data")
    for row in [list(columns), *zip(*map(list, columns.values()), strict=True)]:
        sheet.append(row)
    book.save(base / "data.xlsx")
    return excel_source(base, "data.xlsx")


def from_delta(base, columns):
    """Read a Delta table."""
    write_deltalake(base / "data.delta", pa.table(columns), mode="overwrite")
    return delta_source(base, "data.delta")


def from_iceberg(base, columns):
    """Read an Iceberg table."""
    table = pa.table(columns)
    properties = {"name": "tests", "type": "sql", "uri": f"sqlite:///{base}/catalog.db", "warehouse": f"file://{base}"}
    catalog = load_catalog(**properties)
    try:
        catalog.create_namespace("a")
    except NamespaceAlreadyExistsError:
        catalog.drop_table("a.data")
    catalog.create_table("a.data", schema=table.schema).append(table)
    catalog.close()
    return iceberg_source(base, table="a.data", catalog=properties)


def from_sqlite(base, columns):
    """Read SQLite."""
    with closing(sqlite3.connect(base / "data.db")) as connection:
        connection.execute("DROP TABLE IF EXISTS data")
        connection.execute("CREATE TABLE data (id TEXT, name TEXT)")
        connection.executemany("INSERT INTO data VALUES (?, ?)", zip(*columns.values(), strict=True))
        connection.commit()
    return sql_source(base, "sqlite:///data.db", table="data")


def from_duckdb(base, columns):
    """Read DuckDB."""
    table = pa.table(columns)
    with closing(duckdb.connect(base / "data.duckdb")) as connection:
        connection.register("given", table)
        connection.execute("CREATE OR REPLACE TABLE data AS SELECT * FROM given")
    return sql_source(base, "duckdb:///data.duckdb", table="data")


def from_dbt(base, columns):
    """Read a model of dbt, by its manifest."""
    from_duckdb(base, columns)
    manifest = manifest_of(node("data", relation_name='"data"."main"."data"'))
    (base / "manifest.json").write_text(json.dumps(manifest))
    return dbt_source(base, model="data", manifest="manifest.json", url="duckdb:///data.duckdb")


def from_postgres(base, columns):
    """Read PostgreSQL."""
    fill_postgres("conformance", pa.table(columns))
    return sql_source(base, postgres_url(), table="conformance")


def from_mariadb(base, columns):
    """Read MariaDB."""
    fill_mariadb("conformance", pa.table(columns))
    return sql_source(base, mariadb_url(), table="conformance_rows")


def from_alchemy(base, columns):
    """Read through SQLAlchemy, which has no database of its own: SQLite once more."""
    from_sqlite(base, columns)
    source = sql_source(base, "sqlite:///data.db", table="data")
    url = f"sqlite+pysqlite:///{base / 'data.db'}"
    source._engine = Alchemy(Address("sqlite", "", "", {}, None, None, url))
    return source


def from_query(base, columns):
    """Run a query over a staged source."""
    staged = from_staged(base, columns)
    return query_source(base, "select * from data", {"data": staged.path})


def from_frame(base, columns):
    """Read a DataFrame."""
    return open_source(FrameSource(frame=pd.DataFrame(columns)), SourceContext(base))


def from_table(base, columns):
    """Read an Arrow table."""
    return open_source(FrameSource(frame=pa.table(columns)), SourceContext(base))


def from_fixture(base, columns):
    """Read a fixture whose header says types."""
    (base / "data.csv").write_text(text(columns).replace("id,name", "id:varchar,name:varchar", 1))
    spec = CsvSource(type="csv", path=str(base / "data.csv"))
    return open_source(FixtureSource(read=spec, typed=True), SourceContext(base))


def from_staged(base, columns):
    """Read what was staged."""
    source = from_csv(base, columns)
    return stage(source.read(), base / "staged.parquet", fingerprint=source.fingerprint())


SOURCES = [
    from_csv, from_parquet, from_jsonl, from_arrow, from_arrow_stream, from_excel, from_delta, from_iceberg,
    from_sqlite, from_duckdb, from_dbt, from_alchemy, from_query, from_frame, from_table, from_fixture, from_staged,
    pytest.param(from_postgres, marks=pytest.mark.postgres), pytest.param(from_mariadb, marks=pytest.mark.mariadb),
]  # fmt: skip


# A server shows one query one state of its data: there is no change to see, and its fingerprint is its place.
SNAPSHOTS = [from_postgres, from_mariadb, from_alchemy]


def test_every_source_type_is_in_the_suite(tmp_path):
    """Each row of the table is opened here; what a server gives, SQLite stands for.

    Rows that only Spark has are held in a real one.
    """
    found = {row.opens for row in SOURCE_TYPES if row.name == "spark"}
    for number, make in enumerate(make for make in SOURCES if callable(make)):  # the others need a server
        folder = tmp_path / str(number)
        folder.mkdir()
        reader = type(make(folder, columns(2)))
        found.add(f"{reader.__module__}:{reader.__qualname__}")

    assert [row.opens for row in SOURCE_TYPES if row.opens not in found] == []


@pytest.mark.parametrize("one", SOURCES)
class TestEverySource(SourceSuite):
    """One suite over all of them, the same that authors of other packages have."""

    @pytest.fixture(autouse=True)
    def _choose(self, one):
        self.one, self.shows_changes = one, one not in SNAPSHOTS

    def make(self, folder, columns):
        """Make one of them, with columns that have a type also where they are empty."""
        return self.one(folder, {name: values or pa.array([], pa.string()) for name, values in columns.items()})


@pytest.mark.parametrize("make", [from_csv, from_parquet, from_jsonl, from_arrow, from_arrow_stream])
def test_files_are_read_by_other_processes_as_here(tmp_path, make):
    """What other processes are handed pickles, and the same batches come of it, in the same slices."""
    reading = make(tmp_path, columns(ROWS_MAX + 7)).read()
    found = pickle.loads(pickle.dumps(reading.sliced))  # noqa: S301  # made above

    assert list(found.read(found.items)) == list(reading.batches)
