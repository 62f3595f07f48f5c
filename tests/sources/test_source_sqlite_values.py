"""SQLite's values in bulk: the quick way makes what the slow way makes, or leaves the column to it."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from source_helpers import Read, sql_source

from bucket_loader.model import ROWS_MAX, SourceError
from bucket_loader.sources.databases.sqlite_values import TEXT, converted, decoded, plain
from bucket_loader.sources.values.texts import all_sound

INTEGERS = st.integers(-(2**63), 2**63 - 1)
REALS = st.floats(allow_nan=False)
TEXTS = st.one_of(st.text().map(str.encode), st.binary(), st.sampled_from([b"\0", b"\xed\xa0\x80", "é".encode()])).map(
    TEXT
)
KINDS = {pa.string(): TEXTS, pa.int64(): INTEGERS, pa.float64(): REALS, pa.binary(): st.binary()}
ANY = st.one_of(*KINDS.values())


def columns(kind):
    """Columns of one type, and such in which values of other types stand."""
    own = st.lists(st.one_of(st.none(), KINDS[kind]), max_size=20)
    return st.one_of(own, st.lists(KINDS[kind], max_size=20), st.lists(st.one_of(st.none(), ANY), max_size=8))


def slow(values, kind):
    """Return a column value by value, or what is wrong with it."""
    values = decoded(values)
    if not all_sound(values):
        return "unsound"
    try:
        return converted(values, kind)
    except (pa.ArrowException, TypeError):
        return "of another type"


@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_the_quick_way_makes_what_the_slow_way_makes(kind, data):
    """A column that is made at once has the same values, and none that would cost a row; only the others are slow."""
    values = data.draw(columns(kind))

    quick, expected = plain(values, kind), slow(values, kind)

    own = {pa.string(): {TEXT, int, float}, pa.int64(): {int}, pa.float64(): {float}, pa.binary(): {bytes}}[kind]
    if all(value is None or type(value) in own for value in values) and expected != "unsound":
        assert quick is not None
    if quick is not None:
        quick.validate(full=True)
        assert quick.equals(expected)
        assert str(quick) == str(expected)  # -0.0 is not 0.0


@given(
    st.lists(st.one_of(st.none(), REALS, st.sampled_from([0, 2**53, -(2**53), 2**53 + 1, -(2**53) - 1])), max_size=8)
)
@settings(max_examples=50, deadline=None)
def test_integers_among_reals_are_made_at_once_where_a_float_holds_them(values):
    """The slow way refuses what it would round, and so does the quick one, by leaving it to the slow one."""
    quick = plain(values, pa.float64())

    assert (quick is None) == any(isinstance(value, int) and abs(value) > 2**53 for value in values)
    if quick is not None:
        assert str(quick) == str(converted(values, pa.float64()))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([TEXT(b"x"), b"x"], pa.string()),
        ([1, b"x"], pa.string()),
        ([1, 1.5], pa.int64()),
        ([1, TEXT(b"1")], pa.int64()),
    ],
)
def test_a_value_that_its_column_did_not_have_is_left_to_the_slow_way(values, kind):
    """It tells the user that the query gave something else when it was run again."""
    assert plain(values, kind) is None


VALUES = st.one_of(INTEGERS, REALS, st.sampled_from([0, 1, 2**53, -(2**53) - 1, 1.0, -0.0]), st.text("aé0", max_size=3))


def type_of(values):
    """Say by all values what a column's type is."""
    found = {type(value) for value in values if value is not None}
    if found in ({int}, {float}, {bytes}):
        return {int: pa.int64(), float: pa.float64(), bytes: pa.binary()}[found.pop()]
    exact = found == {int, float} and all(abs(value) <= 2**53 for value in values if isinstance(value, int))
    return pa.float64() if exact else pa.string()


@given(st.lists(st.tuples(*[st.one_of(st.none(), VALUES)] * 2, st.one_of(st.none(), st.binary())), max_size=6))
@settings(max_examples=30, deadline=None)
def test_the_types_are_those_that_all_values_have(tmp_path_factory, rows):
    """The two looks at a file find for each column what a look at each value finds."""
    folder = tmp_path_factory.mktemp("types")
    with closing(sqlite3.connect(folder / "a.db")) as connection:
        connection.execute("CREATE TABLE t (a, b, c)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        connection.commit()

    read = Read(sql_source(folder, "sqlite:///a.db", table="t"))

    listed = [[row[place] for row in rows] for place in range(3)]
    assert [type_of(values) for values in listed] == read.schema.types
    for name, values in zip("abc", listed, strict=True):
        expected = converted(values, read.schema.field(name).type).to_pylist()
        assert list(map(repr, expected)) == list(map(repr, read.column(name)))


SOME = {"empty": None, "small": 1, "large": 2**60, "half": 1.5, "letter": "x", "bytes": b"x"}


@pytest.mark.parametrize("first", SOME)
def test_a_type_that_the_first_rows_do_not_have_is_found(tmp_path, first):
    """The first rows are a guess, and one value far behind them decides as it would among them."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute(f"CREATE TABLE t ({', '.join(SOME)})")
        connection.executemany(
            f"INSERT INTO t VALUES ({', '.join('?' * len(SOME))})", [[SOME[first]] * len(SOME)] * 1500
        )
        connection.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(SOME))})", list(SOME.values()))
        connection.commit()

    for name, value in SOME.items():
        values = {SOME[first], value} - {None}
        source = sql_source(tmp_path, "sqlite:///a.db", query=f"SELECT {name} AS x FROM t")
        if b"x" in values and len(values) > 1:
            with pytest.raises(SourceError, match="blobs among other values"):
                source.read()
            continue
        read = Read(source)
        kind = type_of(values)
        assert (read.schema.field("x").type, len(read.rows)) == (kind, 1501)
        assert [read.column("x")[0], read.column("x")[-1]] == converted([SOME[first], value], kind).to_pylist()


def test_as_many_columns_as_sqlite_has(tmp_path):
    """The conditions on all of them are more than SQLite takes at once."""
    names = [f"c{number}" for number in range(1990)]
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute(f"CREATE TABLE t ({', '.join(names)})")
        connection.executemany("INSERT INTO t (c0, c1989) VALUES (?, ?)", [(1, 1.5)] * 1100)
        connection.commit()

    assert sql_source(tmp_path, "sqlite:///a.db", table="t").read().schema.types[::1989] == [pa.int64(), pa.float64()]


def test_rows_keep_their_numbers_over_all_batches(tmp_path):
    """Rows come in batches of full size, and a row that is refused takes no other's number, wherever it stands."""
    last = 2 * ROWS_MAX + 5
    bad = [1, 1024, 1025, 3072, ROWS_MAX, ROWS_MAX + 1, last]
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE t (id INTEGER, x TEXT)")
        texts = (f"x{number}" + "\0" * (number in bad) for number in range(1, last + 1))
        connection.executemany("INSERT INTO t VALUES (?, ?)", enumerate(texts, start=1))
        connection.commit()

    source = sql_source(tmp_path, "sqlite:///a.db", table="t")
    batches = list(source.read().batches)
    read = Read(source)

    assert read.codes == [(number, "nul", "x") for number in bad]
    assert read.ordinals == read.column("id") == [number for number in range(1, last + 1) if number not in bad]
    assert read.column("x") == [f"x{number}" for number in read.ordinals]
    assert max(batch.data.num_rows for batch in batches) > ROWS_MAX * 3 // 4
    assert max(batch.data.num_rows for batch in batches) <= ROWS_MAX


def calls_of_reading(source):
    """Count the calls of Python functions, C's too, that one pass over a source takes."""
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        rows = sum(batch.data.num_rows for batch in source.read().batches)
    finally:
        sys.setprofile(None)
    return calls, rows


def test_no_function_is_called_for_a_row(tmp_path):
    """Columns of one type, with nulls in them, become Arrow a piece at a time."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE t (id INTEGER, x TEXT, y REAL, z BLOB)")
        rows = ((number, f"é{number}", number / 7, None if number % 3 else b"\0") for number in range(40_000))
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
        connection.commit()
    few = sql_source(tmp_path, "sqlite:///a.db", query="select * from t limit 10000")
    all_of_them = sql_source(tmp_path, "sqlite:///a.db", table="t")

    _first, little, much = (calls_of_reading(source) for source in (few, few, all_of_them))

    assert (little[1], much[1]) == (10_000, 40_000)
    assert 0 < (much[0] - little[0]) / 30_000 <= 0.1  # measured 0.03


def test_pandas_is_not_loaded(tmp_path):
    """Columns of one type are read without pandas, which takes a third of a second and 50 MB."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS id, 'a' AS x, 0.5 AS y, NULL AS z")
    words = (
        "import sys; from pathlib import Path; from bucket_loader.config.sources import SqlSource;"
        "from bucket_loader.sources.base import SourceContext; from bucket_loader.sources.registry import open_source;"
        "spec = SqlSource(type='sql', url='sqlite:///a.db', table='t');"
        "print(len(list(open_source(spec, SourceContext(Path()))"
        ".read().batches)), 'pandas' in sys.modules)"
    )

    said = subprocess.run([sys.executable, "-c", words], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert said.stdout.split()[1] == "False"
