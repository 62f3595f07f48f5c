"""Queries over staged sources: what they can do, and what they cannot reach."""

import datetime as dt

import pyarrow as pa
import pytest
from source_helpers import Read, csv_source, query_source

from bucket_loader.model.errors import SourceError, UsageError
from bucket_loader.model.forms import form_of, in_form
from bucket_loader.model.rows import InputBatch, Reading
from bucket_loader.sources.query import table_names
from bucket_loader.sources.staged import stage

START = dt.datetime(2026, 1, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))


@pytest.fixture
def tables(tmp_path):
    """Two small staged tables, below a folder that looks like a partition and a pattern."""
    folder = tmp_path / "run=[1]"
    folder.mkdir()
    texts = {"usage": "id,n,time\na,1,2026-01-01\nb,2,2026-01-02\na,x,2026-01-03\n", "acc ounts": "id,name\na,A\nb,B\n"}
    for name, text in texts.items():
        source = csv_source(tmp_path, text, name=f"{name}.csv")
        stage(source.read(), folder / f"{name}.parquet", fingerprint=source.fingerprint())
    return {name: folder / f"{name}.parquet" for name in texts}


def test_a_join(tmp_path, tables):
    """A join gives the rows in order, numbered, without the loader's own columns."""
    source = query_source(tmp_path, 'select u.*, a.name from usage u join "acc ounts" a using (id) order by n', tables)

    read = Read(source)

    assert read.schema.names == ["id", "n", "time", "name"]
    assert [(row["n"], row["name"]) for row in read.rows] == [("1", "A"), ("2", "B"), ("x", "A")]
    assert (read.ordinals, read.batches[0].source) == ([1, 2, 3], "query")
    assert Read(source).rows == read.rows


def test_parameters_are_bound(tmp_path, tables):
    """Parameters are bound as times in UTC; one that is missing is a mistake of the command line."""
    sql = "select id, :interval_start::varchar as at, '::x' as q from usage where time::timestamptz < :interval_start"

    read = Read(query_source(tmp_path, sql, tables, {"interval_start": START}))

    assert read.rows == [{"id": "a", "at": "2026-01-01 10:00:00+00", "q": "::x"}]
    with pytest.raises(UsageError, match="uses interval_start") as refused:
        query_source(tmp_path, sql, tables).read()
    assert "--interval-start" in refused.value.hint


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_csv('{here}/usage.csv')",
        "select * from '{here}/usage.csv'",
        "select * from read_text('/etc/hostname')",
        "select * from glob('{here}/*')",
        "select * from read_parquet('https://127.0.0.1:9/x.parquet')",
        "select * from tables",
        "select * from sqlite_scan('{here}/x.db', 't')",
    ],
)
def test_it_reaches_nothing_else(tmp_path, tables, sql):
    """Files, the network, extensions and our own variables are out of reach."""
    with pytest.raises(SourceError, match="cannot be run"):
        query_source(tmp_path, sql.replace("{here}", str(tmp_path)), tables).read()


@pytest.mark.parametrize(
    "sql",
    [
        "select 1; select 2",
        "set threads = 4",
        "attach '/x.db'",
        "copy usage to '/x.csv'",
        "install httpfs",
        "delete from usage",
        "-- nothing",
        "selec 1",
    ],
)
def test_one_select_only(tmp_path, tables, sql):
    """Everything but one SELECT is refused."""
    with pytest.raises(SourceError, match=r"must be one SELECT|cannot be read"):
        query_source(tmp_path, sql, tables).read()


def test_mistakes_list_the_sources(tmp_path, tables):
    """An unknown table or column is refused in DuckDB's words, with the sources there are."""
    for sql, word in (("select * from usge", "usge"), ("select nme from usage", "nme")):
        with pytest.raises(SourceError, match=word) as refused:
            query_source(tmp_path, sql, tables).read()
        assert "acc ounts, usage" in refused.value.hint


def test_repeated_columns(tmp_path, tables):
    """Two columns of one name are refused with their places."""
    with pytest.raises(SourceError, match="'id' more than once, as columns 1 and 4"):
        query_source(tmp_path, 'select * from usage u join "acc ounts" a on u.id = a.id', tables).read()


def test_an_error_in_mid_stream_shows_no_value(tmp_path, tables):
    """A value that cannot be cast stops the reading, and is not shown."""
    with pytest.raises(SourceError, match="Could not convert string") as refused:
        Read(query_source(tmp_path, "select cast(time || 'secret' as int) as i from usage", tables))

    assert "secret" not in str(refused.value)


def test_nothing_is_left_behind(tmp_path, tables):
    """The folder for spilling is gone afterwards, also when the reader stops early."""
    before = set((tmp_path / "run=[1]").iterdir())
    batches = query_source(tmp_path, "select * from usage, range(200000)", tables).read().batches

    next(batches)
    assert before < set((tmp_path / "run=[1]").iterdir())
    batches.close()

    assert before == set((tmp_path / "run=[1]").iterdir())


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        (
            'with c as (select * from a) select * from C join "B b" using (id) where x in (from d) and y > :as_of',
            "a,B b,d",
        ),
        ("with recursive c as (select 1 as i union all select i + 1 from c) select * from c", ""),
        ("with a as (select * from a) select * from a", "a"),
        ("with a as (select 1), b as (select * from a) select * from b, e where exists (from a)", "e"),
        ("select * from a where exists (with c as (select 1) from c) union all from c", "a,c"),
        ("from Usage", "Usage"),
        ("select 1", ""),
    ],
)
def test_table_names(sql, names):
    """Planning learns which sources a query needs: neither less nor the names it gives itself."""
    assert set(filter(None, names.split(","))) == table_names(sql)


@pytest.mark.parametrize("sql", ["delete from a", "select", "", "pivot a on b using sum(n)"])
def test_table_names_of_no_select(sql):
    """What is not one SELECT has no tables."""
    with pytest.raises(SourceError):
        table_names(sql)


def test_fingerprint(tmp_path, tables):
    """The fingerprint is of the query, its parameters and the sources as they were staged."""
    source = query_source(tmp_path, "select * from usage", tables)
    bound = [
        query_source(tmp_path, "select :as_of as t", tables, {"as_of": START + dt.timedelta(days=days)})
        for days in (0, 1)
    ]
    seen = {source.fingerprint(), *(one.fingerprint() for one in bound)}

    assert len(seen) == 3
    changed = csv_source(tmp_path, "id,n,time\nz,1,2\n", name="usage.csv")
    stage(changed.read(), tables["usage"], fingerprint=changed.fingerprint())
    assert source.fingerprint() not in seen


@pytest.mark.parametrize(
    ("sql", "marked"),
    [
        ("select a, b from t", {"a"}),
        ("select A as x, b from t", {"x"}),
        ("select * from t", {"a"}),
        ("select *, upper(a) as c, b as d from t", {"a", "c"}),
        ("select * exclude (a) from t", set()),
        ("select *, upper(a) from t", {"a", "b", "upper(a)"}),
        ("select * replace (b as a) from t", {"a", "b"}),
        ("select upper(a), b from t", {"upper(a)"}),
        ("select t.a, t.b from t join t as u using (b)", {"a"}),
        ("select max(b) as m from t group by a", {"m"}),
        ("select b from t", set()),
        ("select 1 as a from t", set()),
        ("with c as (select a as b from t) select b from c", {"b"}),
        ("select b from (select * from t)", {"b"}),
        ("select b from t union all select a from t", {"b"}),
    ],
)
def test_a_changed_form_goes_through_a_query(tmp_path, sql, marked):
    """The columns that come from one that is read in a new way are marked; all, where nobody could tell."""
    schema = pa.schema([in_form(pa.field("a", pa.string()), 2), pa.field("b", pa.string())])
    batch = pa.RecordBatch.from_arrays([pa.array(["x"]), pa.array(["y"])], schema=schema)
    numbered = InputBatch(batch, pa.array([1], pa.int64()), "t")
    stage(Reading(schema, iter([numbered])), tmp_path / "t.parquet", fingerprint="f")
    read = Read(query_source(tmp_path, sql, {"t": tmp_path / "t.parquet"}))

    assert {field.name for field in read.schema if form_of(field) > 1} == marked
