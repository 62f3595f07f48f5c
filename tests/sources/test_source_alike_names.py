"""Names that differ only in case, or are there twice: the one that was asked for, or a refusal."""

import sqlite3
from contextlib import closing

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_helpers import Read, parquet_source, query_source, sql_source
from workplace import Workplace

from bucket_loader.model.errors import SourceError
from bucket_loader.sources.staged import stage

ROWS = pa.table({"user_id": ["1"], "Email": ["A@x"], "email": ["b@x"], "n": [7], "Ä": ["upper"], "ä": ["lower"]})


def kept(folder, table, name="s"):
    """Keep a table as a named source."""
    pq.write_table(table, folder / f"{name}.in.parquet")
    stage(parquet_source(folder, f"{name}.in.parquet").read(), folder / f"{name}.parquet", fingerprint="f")
    return {name: folder / f"{name}.parquet"}


@pytest.mark.parametrize(
    ("sql", "row"),
    [
        ("select user_id, email from s", {"user_id": "1", "email": "b@x"}),
        ("select Email, n from s", {"Email": "A@x", "n": 7}),
        ('select x."email" as e from s as x', {"e": "b@x"}),
        ("select user_id, count(*) as c from s group by all", {"user_id": "1", "c": 1}),
        ("select n, Ä, ä from s", {"n": 7, "Ä": "upper", "ä": "lower"}),
        ("select a.n from s a join s b using (email)", {"n": 7}),
    ],
)
def test_a_query_gets_the_column_that_it_names(tmp_path, sql, row):
    """By its exact name; columns that it does not name do no harm, and other letters than ASCII differ in case."""
    assert Read(query_source(tmp_path, sql, kept(tmp_path, ROWS))).rows == [row]


@pytest.mark.parametrize(
    "sql",
    [
        "select * from s",
        "from s",
        "select EMAIL from s",
        "select Email, email from s",
        "select s from s",
        "select x from s as x",
        "select columns('e.*') from s",
        "select #2 from s",
        "select a from s as t(a, b, c)",
        "select a.n from s a natural join s b",
        "select n from (select * from s)",
        "unpivot s on n",
    ],
)
def test_a_query_that_could_mean_either_is_refused(tmp_path, sql):
    """Nothing is called `email_1` in silence."""
    with pytest.raises(SourceError, match="'Email' and 'email', which SQL does not tell apart"):
        query_source(tmp_path, sql, kept(tmp_path, ROWS)).read()


def test_a_struct_with_such_names_is_hidden_from_queries_that_do_not_name_it(tmp_path):
    """And refused in those that do, at whatever depth they are."""
    for value in ({"a": 1, "A": 2}, [{"x": {"a": 1, "A": 2}}]):
        tables = kept(tmp_path, pa.table({"n": [1], "p": pa.array([value])}))
        assert Read(query_source(tmp_path, "select n from s", tables)).rows == [{"n": 1}]
        for sql in ("select p from s", "select * from s", "select n from s where p is not null"):
            with pytest.raises(SourceError, match="'a' and 'A' inside of 'p'"):
                query_source(tmp_path, sql, tables).read()


def test_columns_of_a_result_that_differ_only_in_case(tmp_path):
    """DuckDB would rename the second; SQLite has both, each with the type of its own values."""
    query = "select 'x' as a, 2 as \"A\""
    duckdb.connect(tmp_path / "t.duckdb").close()
    with pytest.raises(SourceError, match="gives 'a' and 'A'"):
        sql_source(tmp_path, "duckdb:///t.duckdb", query=query).read()
    with pytest.raises(SourceError, match="gives 'a' and 'A'"):
        query_source(tmp_path, query).read()
    with closing(sqlite3.connect(tmp_path / "t.sqlite")) as connection:
        connection.execute("create table t (x)")

    read = Read(sql_source(tmp_path, "sqlite:///t.sqlite", query=query))

    assert (read.rows, read.schema.types) == ([{"a": "x", "A": 2}], [pa.string(), pa.int64()])


def test_a_struct_that_has_a_name_twice_is_refused(tmp_path):
    """One of its values would hide the other."""
    twice = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    for column in (twice, pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), twice)):
        pq.write_table(pa.table({"p": column}), tmp_path / "t.parquet")
        with pytest.raises(SourceError, match="'p' has the name 'a' more than once"):
            parquet_source(tmp_path, "t.parquet").read()


def test_an_expression_over_such_a_struct_is_refused(tmp_path):
    """`p.A` would be `p.a`; flattened, both are sent."""
    pq.write_table(pa.table({"user_id": ["1"], "p": pa.array([{"a": 1, "A": 2}])}), tmp_path / "t.parquet")
    for field, code in (("{column: p}", 0), ('{sql: "p.A"}', 2)):
        place = Workplace(tmp_path, "http://127.0.0.1:9")  # planning sends nothing
        place.pipeline(
            "- name: users\n  record: user\n  source: {type: parquet, path: t.parquet}\n"
            f"  fields: {{userId: user_id, attributes: {{p: {field}}}}}"
        )
        assert place.command("plan").exit_code == code
