"""Databases by URL."""

import datetime as dt
import sqlite3
from contextlib import closing

import duckdb
import pyarrow as pa
import pytest
from pydantic import ValidationError
from source_helpers import Read, sql_source

from bucket_loader.config.sources import SqlSource
from bucket_loader.config.sql_text import sql_parameters
from bucket_loader.config.yaml_file import load_pipeline
from bucket_loader.model.errors import ConfigError, SourceError, SourceUnavailableError, UsageError
from bucket_loader.sources.databases.sql import table_parts

AT = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


def sqlite_file(path, *statements, rows=()):
    """Make an SQLite database; `rows` go into the table t."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        for row in rows:
            connection.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(row))})", row)
        connection.commit()
    return path


def column(tmp_path, values, declared=""):
    """Read one column of values back."""
    path = sqlite_file(tmp_path / "one.db", f"CREATE TABLE t (x {declared})", rows=[(value,) for value in values])
    read = Read(sql_source(tmp_path, f"sqlite:///{path.name}", table="t"))
    path.unlink()
    return read


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, None, 9223372036854775807], pa.int64(), None),
        ([1.5, None, 0.1], pa.float64(), None),
        ([1, 2.5, 9007199254740992], pa.float64(), [1.0, 2.5, 9007199254740992.0]),
        ([9007199254740993, 0.5], pa.string(), ["9007199254740993", "0.5"]),
        (["a", None, ""], pa.string(), None),
        ([b"\0\xff", None], pa.binary(), None),
        ([1, "00123", 2.5, 1e16, 0.1 + 0.2], pa.string(), ["1", "00123", "2.5", "1.0e+16", "0.30000000000000004"]),
        ([None], pa.string(), None),
        ([], pa.string(), None),
        ([*range(3000), "x3000"], pa.string(), [*map(str, range(3000)), "x3000"]),
    ],
)
def test_sqlite_types_are_those_of_all_values(tmp_path, values, kind, expected):
    """A column's type is decided by all its values, however late one of another type comes; none is changed."""
    read = column(tmp_path, values)

    assert kind == read.schema.field("x").type
    assert (values if expected is None else expected) == read.column("x")
    assert list(range(1, len(values) + 1)) == read.ordinals


def test_sqlite_spells_numbers_among_texts_as_sqlite_does(tmp_path):
    """The texts of reals are SQLite's own, where they say all of the number."""
    reals = [1.0, -0.5, 1e15, 1e16, 1.5e-7, 123456789.125, 1e300, 100000.0]
    with closing(sqlite3.connect(":memory:")) as connection:
        expected = [connection.execute("SELECT CAST(? AS TEXT)", (real,)).fetchone()[0] for real in reals]

    assert ["x", *expected] == column(tmp_path, ["x", *reals]).column("x")


def test_sqlite_blobs_among_texts(tmp_path):
    """Blobs among other values are refused with the column's name."""
    with pytest.raises(SourceError, match="'x' has blobs among other values"):
        column(tmp_path, ["a", b"b"])


def test_sqlite_texts_that_are_not_texts(tmp_path):
    """A text of bytes that are not UTF-8, or with a NUL, rejects its row."""
    sqlite_file(
        tmp_path / "a.db",
        "CREATE TABLE t (id, x)",
        "INSERT INTO t VALUES (1, 'ok'), (2, CAST(x'ff41' AS TEXT)), (3, 'a' || char(0)), (4, 'é')",
    )

    read = Read(sql_source(tmp_path, "sqlite:///a.db", table="t"))

    assert (read.ordinals, read.column("x")) == ([1, 4], ["ok", "é"])
    assert read.codes == [(2, "encoding", "x"), (3, "nul", "x")]
    assert read.unread[0].row == {"id": "2", "x": "\\udcffA"}


def test_sqlite_parameters(tmp_path):
    """Parameters are texts that compare with SQLite's own times."""
    sqlite_file(
        tmp_path / "a.db",
        "CREATE TABLE t (id, at)",
        "INSERT INTO t VALUES ('old', '2026-01-01 23:59:59'), ('new', datetime('2026-01-02'))",
    )
    query = "select id, :interval_start as s from t where at >= :interval_start -- comment"

    read = Read(sql_source(tmp_path, "sqlite:///a.db", query=query, parameters={"interval_start": AT}))

    assert read.rows == [{"id": "new", "s": "2026-01-02 00:00:00"}]
    with pytest.raises(UsageError):
        sql_source(tmp_path, "sqlite:///a.db", query=query).read()


def test_sqlite_order_and_names(tmp_path):
    """The query's own order is kept, names of any spelling work, and repeated ones are refused."""
    sqlite_file(tmp_path / "a.db", 'CREATE TABLE "my ""t" ("a b", x)', 'INSERT INTO "my ""t" VALUES (2, 1), (1, 2)')

    assert Read(sql_source(tmp_path, "sqlite:///a.db", table='my "t')).column("a b") == [2, 1]
    ordered = 'with q as (select * from "my ""t") select "a b" from q order by x desc;'
    assert Read(sql_source(tmp_path, "sqlite:///a.db", query=ordered)).column("a b") == [1, 2]
    with pytest.raises(SourceError, match="'x' more than once, as columns 1 and 2"):
        sql_source(tmp_path, "sqlite:///a.db", query='select x, x from "my ""t"').read()


@pytest.mark.parametrize("scheme", ["sqlite", "duckdb"])
@pytest.mark.parametrize(
    "query",
    ["delete from t", "insert into t values (9)", "select * from t; drop table t", "create table u (x)", "selec", ""],
)
def test_only_reading(tmp_path, scheme, query):
    """A query that is not one SELECT is refused, and nothing changes."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path) if scheme == "sqlite" else duckdb.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x integer)")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.commit()

    with pytest.raises(SourceError):
        Read(sql_source(tmp_path, f"{scheme}:///a.db", query=query or "  "))

    assert Read(sql_source(tmp_path, f"{scheme}:///a.db", table="t")).rows == [{"x": 1}]


@pytest.mark.parametrize("scheme", ["sqlite", "duckdb"])
def test_missing_and_foreign_files(tmp_path, scheme):
    """A missing file is refused and not created; one of another kind is refused."""
    with pytest.raises(SourceError, match="there is no file no"):
        sql_source(tmp_path, f"{scheme}:///no.db", table="t").read()
    assert not (tmp_path / "no.db").exists()
    (tmp_path / "a.db").write_text("hello " * 1000)
    with pytest.raises(SourceError, match="cannot be queried"):
        sql_source(tmp_path, f"{scheme}:///a.db", table="t").read()


def test_a_missing_table(tmp_path):
    """A table that is not there is refused by name."""
    sqlite_file(tmp_path / "a.db", "CREATE TABLE t (x)")

    for words in ({"table": "u"}, {"query": "select * from u"}):
        with pytest.raises(SourceError, match="has no table 'u'"):
            sql_source(tmp_path, "sqlite:///a.db", **words).read()


def test_sqlite_locked(tmp_path, monkeypatch):
    """A database that another program holds is unavailable, not refused."""
    monkeypatch.setattr("bucket_loader.sources.databases.sqlite._BUSY_S", 0.05)
    sqlite_file(tmp_path / "a.db", "CREATE TABLE t (x)")
    with closing(sqlite3.connect(tmp_path / "a.db")) as other:
        other.execute("BEGIN EXCLUSIVE")

        with pytest.raises(SourceUnavailableError, match="locked"):
            sql_source(tmp_path, "sqlite:///a.db", table="t").read()


def test_sqlite_with_a_write_ahead_log(tmp_path):
    """Rows that are only in the log are read, change the fingerprint, and reading leaves it as it is."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (x)")
        writer.commit()
        source = sql_source(tmp_path, "sqlite:///a.db", table="t")
        before = source.fingerprint()
        writer.execute("INSERT INTO t VALUES (1)")
        writer.commit()
        after = source.fingerprint()

        assert Read(source).rows == [{"x": 1}]
        assert before != after == source.fingerprint()
    closed = source.fingerprint()
    assert Read(source).rows == [{"x": 1}]
    assert closed == source.fingerprint()


def test_sqlite_sees_one_snapshot(tmp_path):
    """Rows written between the look at the types and the rows are not in the reading."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (x)")
        writer.execute("INSERT INTO t VALUES (1)")
        writer.commit()
        reading = sql_source(tmp_path, "sqlite:///a.db", table="t").read()
        writer.execute("INSERT INTO t VALUES ('text')")
        writer.commit()

        assert [row["x"] for batch in reading.batches for row in batch.data.to_pylist()] == [1]


def test_duckdb(tmp_path):
    """A DuckDB file keeps its types, takes parameters, and cannot be a way to other files."""
    with closing(duckdb.connect(tmp_path / "a.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1::hugeint h, 1.10 d, TIMESTAMPTZ '2026-01-02 00:00:00+00' moment")
    (tmp_path / "x.csv").write_text("a\n1\n")
    query = "select * from t where moment >= :interval_start"

    read = Read(sql_source(tmp_path, "duckdb:///a.duckdb", query=query, parameters={"interval_start": AT}))

    assert (len(read.rows), read.rows[0]["h"], read.rows[0]["moment"]) == (1, 1, AT)
    assert str(read.rows[0]["d"]) == "1.10"
    with pytest.raises(SourceError, match="Permission"):
        sql_source(tmp_path, "duckdb:///a.duckdb", query=f"select * from '{tmp_path}/x.csv'").read()


def test_absolute_urls(tmp_path):
    """Four slashes are an absolute path."""
    sqlite_file(tmp_path / "a b?#.db", "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)")

    read = Read(sql_source(tmp_path / "elsewhere", f"sqlite:///{tmp_path}/a b?#.db", table="t"))

    assert read.rows == [{"x": 1}]


@pytest.mark.parametrize("url", ["hunter2", "sqlite://", "sqlite:///", "://hunter2@x"])
def test_other_urls(tmp_path, url):
    """A URL that is none, or names no file, is refused with those that can be read; nothing of it is shown."""
    with pytest.raises(SourceError) as refused:
        sql_source(tmp_path, url, table="t")

    assert "sqlite:///relative.db" in refused.value.hint
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("scheme", "extra"),
    [
        ("postgresql", "postgres"),
        ("postgresql+psycopg", "postgres"),
        ("redshift", "postgres"),
        ("mysql", "mysql"),
        ("mariadb", "mysql"),
        ("snowflake", "snowflake"),
        ("bigquery", "bigquery"),
        ("mssql+pyodbc", "sqlalchemy"),
        ("oracle", "sqlalchemy"),
    ],
)
def test_a_missing_driver(tmp_path, monkeypatch, scheme, extra):
    """What a kind of database needs and is not installed is named by the command that installs it."""
    monkeypatch.setattr("bucket_loader.sources.databases.sql.find_spec", lambda _: None)

    with pytest.raises(SourceError) as refused:
        sql_source(tmp_path, f"{scheme}://me:hunter2@host/x", table="t")

    assert refused.value.hint == f"pip install 'bucket-loader[{extra}]'"
    assert "hunter2" not in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ("t", ["t"]),
        ("s.t", ["s", "t"]),
        ('"a.b".c', ["a.b", "c"]),
        ('"say ""hi"""', ['say "hi"']),
        ('my "t', ['my "t']),
        ("a b", ["a b"]),
    ],
)
def test_names_of_tables(table, parts):
    """`schema.name` is two names; a part in double quotes may hold dots, or quotes written twice."""
    assert parts == table_parts(table)


def test_a_file_takes_no_password(tmp_path):
    """What a file cannot use is refused, rather than passed over."""
    with pytest.raises(SourceError, match="takes no"):
        sql_source(tmp_path, "sqlite:///a.db", table="t", password="hunter2")


@pytest.mark.parametrize("words", [{}, {"table": "t", "query": "select 1"}, {"query": "select :nope"}])
def test_what_to_read_is_said_once(words):
    """One of query, query_file and table is given, and a query binds only what there is."""
    with pytest.raises(ValidationError):
        SqlSource(type="sql", url="sqlite:///a.db", **words)


@pytest.mark.parametrize(
    ("url", "query", "found"),
    [
        ("postgresql://h/d", "select ':a', x::date, a[1:n], \"b:c\", $$:d$$ -- :e\n, :as_of /* :f */", ["as_of"]),
        ("snowflake://h/d", "select raw:user.id::string, :cursor", ["cursor"]),
        ("duckdb:///x", "select {'a':b}, :cursor", ["cursor"]),
        ("mysql://h/d", r"select 'it\'s :a', `b:c`, \"\\\":d\" # :e", []),
        ("mysql+pymysql://h/d", "select ':a' # it's\n, :as_of", ["as_of"]),
        ("bigquery://p", "select '''a ':b' ''', :as_of", ["as_of"]),
    ],
)
def test_what_is_a_parameter(url, query, found):
    """Each database's texts, names and comments hide what looks like a parameter in them."""
    spec = SqlSource(type="sql", url=url, query=query)

    assert found == sql_parameters(query, spec.dialect)


def test_a_password_is_a_reference(tmp_path):
    """A password that is written in the pipeline file is refused with its place, and not shown; a reference is read."""
    file = tmp_path / "p.yaml"
    text = """
name: p
destination: {key: "${KEY}"}
sources:
  w: {type: sql, url: "postgresql://host/d", user: me, password: PASSWORD, table: t}
streams:
  - {name: s, record: company, source: w, fields: {companyId: id}}
"""
    file.write_text(text.replace("PASSWORD", "hunter2"))
    with pytest.raises(ConfigError) as refused:
        load_pipeline(file, variables={"KEY": "sec_0123456789abcdef"})
    assert [mistake.path for mistake in refused.value.mistakes] == ["sources.w.password"]
    assert "hunter2" not in str(refused.value)
    file.write_text(text.replace("PASSWORD", '"${DB_PASSWORD}"'))

    pipeline = load_pipeline(file, variables={"KEY": "sec_0123456789abcdef", "DB_PASSWORD": "hunter2"})

    assert pipeline.sources["w"].password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(pipeline)
