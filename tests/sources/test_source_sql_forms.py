"""The same values make the same records, wherever they come from."""

import json
import sqlite3
from contextlib import closing

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from servers import in_mariadb, in_postgres, mariadb_url, postgres_url
from source_helpers import parquet_source, sql_source
from test_source_postgres import AT

from bucket_loader.config.stream import Stream
from bucket_loader.model.rows import Rejection
from bucket_loader.planning.mapping import compile_mapping
from bucket_loader.sources.staged import stage

# Each value as SQL that all of them understand, with the type that each calls it by (None: it has none).
VALUES = {
    "whole": ("9007199254740993", {"any": "bigint"}),
    "small": ("-7", {"any": "smallint"}),
    "price": ("1.10", {"any": "decimal(12,2)"}),
    "exact": ("1234567890123456789.125", {"any": "decimal(38,10)"}),
    "zero": ("0.00", {"any": "decimal(5,2)"}),
    "ratio": ("0.1", {"any": "double precision", "duckdb": "double", "mariadb": "double"}),
    "single": ("0.1", {"any": "real", "mariadb": "float"}),
    "paid": ("true", {"any": "boolean"}),
    "name": ("'Café \"A\" 🪣'", {"any": "varchar(40)"}),
    "day": ("'2026-01-31'", {"any": "date"}),
    "clock": ("'08:15:00.5'", {"any": "time(6)", "duckdb": "time"}),
    "local": ("'2026-01-31 08:15:00.123456'", {"any": "timestamp", "mariadb": "datetime(6)"}),
    "moment": ("'2026-01-31 08:15:00.123456+00'", {"any": "timestamptz", "mariadb": "timestamp(6)"}),
    "token": ("'6f0a4f2e-0000-4000-8000-000000000001'", {"any": "uuid"}),
    "nothing": ("null", {"any": "bigint"}),
}
RECORD = {
    "whole": "9007199254740993",
    "small": -7,
    "price": 1.1,
    "exact": "1234567890123456789.125",
    "zero": 0,
    "ratio": 0.1,
    "single": 0.1,
    "paid": True,
    "name": 'Café "A" 🪣',
    "day": "2026-01-31",
    "clock": "08:15:00.5",
    "local": "2026-01-31T08:15:00.123Z",
    "moment": "2026-01-31T08:15:00.123Z",
    "token": "6f0a4f2e-0000-4000-8000-000000000001",
}


def records(source, attributes="*"):
    """Map a source as a stream does, and give its records' text."""
    stream = Stream.model_validate(
        {"name": "s", "record": "company", "source": "x", "timezone": "UTC",
         "fields": {"companyId": "id", "attributes": attributes}}
    )  # fmt: skip
    reading = source.read()
    mapping = compile_mapping(stream, reading.schema, as_of=AT, record_bytes_max=100_000)
    found = []
    for batch in reading.batches:
        mapped = mapping.apply(batch)
        assert [*batch.unread, *mapped.rejections] == []
        found += mapped.records["record"].to_pylist()
    return found


def statements(database):
    """Make a table of all values, in the words of one database."""
    declared = ", ".join(f"{name} {types.get(database, types['any'])}" for name, (_, types) in VALUES.items())
    values = [value.removesuffix("+00'") + "'" if database == "mariadb" and value.endswith("+00'") else value
              for value, _ in VALUES.values()]  # fmt: skip
    return (
        "DROP TABLE IF EXISTS forms",
        f"CREATE TABLE forms (id varchar(10), {declared})",
        f"INSERT INTO forms VALUES ('00123', {', '.join(values)})",
    )


def from_postgres(folder):
    """Read PostgreSQL."""
    in_postgres(*statements("postgres"))
    return sql_source(folder, postgres_url(), table="forms")


def from_mariadb(folder):
    """Read MariaDB, whose `real` and `timestamp` are another thing than the standard's."""
    in_mariadb("SET time_zone = '+00:00'", *statements("mariadb"))
    return sql_source(folder, mariadb_url(), table="forms")


def from_duckdb(folder):
    """Read DuckDB."""
    with closing(duckdb.connect(folder / "forms.duckdb")) as connection:
        for statement in statements("duckdb"):
            connection.execute(statement)
    return sql_source(folder, "duckdb:///forms.duckdb", table="forms")


def from_parquet(folder):
    """Read what PostgreSQL gave, from Parquet."""
    reading = from_postgres(folder).read()
    pq.write_table(
        pa.Table.from_batches([batch.data for batch in reading.batches], reading.schema), folder / "f.parquet"
    )
    return parquet_source(folder, "f.parquet")


def from_staged(folder):
    """Read what PostgreSQL gave, from what several streams share."""
    return stage(from_postgres(folder).read(), folder / "staged.parquet", fingerprint="x")


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(from_postgres, marks=pytest.mark.postgres),
        pytest.param(from_mariadb, marks=pytest.mark.mariadb),
        from_duckdb,
        pytest.param(from_parquet, marks=pytest.mark.postgres),
        pytest.param(from_staged, marks=pytest.mark.postgres),
    ],
)
def test_the_same_values_make_the_same_record(tmp_path, made):
    """Numbers beyond a double, floats, times with and without zone, UUIDs: one record, byte for byte."""
    (record,) = records(made(tmp_path))

    assert record == (
        '{"type":"company","companyId":"00123","attributes":'
        + json.dumps(dict(sorted(RECORD.items())), ensure_ascii=False, separators=(",", ":"))
        + ',"timestamp":"2026-01-02T00:00:00.000Z","context":{"active":false}}'
    )


@pytest.mark.postgres
def test_numerics_without_precision(tmp_path):
    """Sums and quotients of PostgreSQL, whose digits no type says, are numbers as any other; so are those beyond 38."""
    (record,) = records(sql_source(tmp_path, postgres_url(), query="""
        select 1 as id, sum(x) as total, avg(x)::numeric as mean, 1e40::numeric + 0.25 as huge,
               2.50::numeric(45,2) as wide, 'NaN'::numeric as nothing, array[1.10, 2] as list,
               '{"deep": {"n": 1.10, "t": [true, null]}}'::jsonb as j
        from (values (1.5), (2.25)) v(x)"""))  # fmt: skip

    assert json.loads(record)["attributes"] == {
        "total": 3.75, "mean": 1.875, "huge": "1" + "0" * 40 + ".25", "wide": 2.5,
        "list.0": 1.1, "list.1": 2, "j.deep.n": 1.1, "j.deep.t.0": True,
    }  # fmt: skip


@pytest.mark.postgres
def test_expressions_over_numerics(tmp_path):
    """A numeric without precision can be computed with, as what it is."""
    query = "select 1 as id, sum(x) as total from (values (7.4), (0)) v(x)"

    (record,) = records(sql_source(tmp_path, postgres_url(), query=query), {"more": {"sql": "total > 7"}})

    assert json.loads(record)["attributes"] == {"more": True}


@pytest.mark.postgres
def test_infinite_times_reject_their_row(tmp_path):
    """The infinite dates and times of PostgreSQL have no form; the row is rejected, the others go on."""
    stream = Stream.model_validate(
        {"name": "s", "record": "company", "source": "x", "fields": {"companyId": "id", "attributes": "*"}}
    )
    query = """select * from (values (1, 'infinity'::timestamptz, null::date), (2, '-infinity', null),
                                     (3, null, 'infinity'), (4, null, null)) v(id, at, day)"""
    reading = sql_source(tmp_path, postgres_url(), query=query).read()
    mapping = compile_mapping(stream, reading.schema, as_of=AT, record_bytes_max=100_000)

    mapped = [mapping.apply(batch) for batch in reading.batches]

    refused: list[Rejection] = [rejection for one in mapped for rejection in one.rejections]
    assert [(one.origin.row, one.reasons[0].code) for one in refused] == [(1, "year"), (2, "year"), (3, "year")]


@pytest.mark.postgres
def test_a_sqlite_number_is_the_same_number(tmp_path):
    """SQLite has fewer types; what it has makes the same record."""
    with closing(sqlite3.connect(tmp_path / "f.db")) as connection:
        connection.execute("CREATE TABLE forms (id text, whole integer, ratio real)")
        connection.execute("INSERT INTO forms VALUES ('00123', 9007199254740993, 0.1)")
        connection.commit()
    query = "select '00123' as id, 9007199254740993 as whole, 0.1::float8 as ratio"

    one = records(sql_source(tmp_path, "sqlite:///f.db", table="forms"))

    assert one == records(sql_source(tmp_path, postgres_url(), query=query))
