"""Any other database, through SQLAlchemy; SQLite stands for them here, with a driver that can be made to fail."""

import datetime as dt
import sqlite3
import uuid
from contextlib import closing
from decimal import Decimal
from types import SimpleNamespace

import pyarrow as pa
import pytest
from source_helpers import Read, sql_source
from sqlalchemy.exc import OperationalError

from bucket_loader.model.errors import SourceError, SourceUnavailableError
from bucket_loader.model.rows import ROWS_MAX
from bucket_loader.sources.databases.address import Address
from bucket_loader.sources.databases.alchemy import Alchemy, _Column, _escaped, _plain, padded_places, unpadded
from bucket_loader.sources.databases.server import SourceQuery

AT = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


def alchemy(path, url=None, password=None):
    """Return the engine of a file."""
    return Alchemy(Address("sqlite", "", "", {}, None, password, url or f"sqlite+pysqlite:///{path}"))


class Answer:
    """A source that runs one query."""

    def __init__(self, engine, sql, parameters=None):
        self._given = engine, SourceQuery(sql, "query", parameters or {})

    def read(self):
        """Read it."""
        engine, query = self._given
        return engine.read(query)


@pytest.fixture
def file(tmp_path):
    """An SQLite file with a table t of one row."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.commit()
    return tmp_path / "a.db"


def arrow(values):
    """Bring one column's values to Arrow, as a result of them would be."""
    column, refused = _Column("x"), {}
    plain = list(map(_plain, values))
    column.see(plain)
    kind = column.kind(alchemy("x.db"))
    array = column.array(plain, kind, refused)
    return kind, array.to_pylist(), [(place, reasons[0].code) for place, reasons in refused.items()]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, None, -(2**63) + 1], pa.int64(), None),
        ([2**64, 1], pa.decimal128(38, 0), [Decimal(2**64), Decimal(1)]),
        ([1, 0.5], pa.float64(), [1.0, 0.5]),
        ([2**53 + 1, Decimal("0.25")], pa.decimal128(38, 2), [Decimal("9007199254740993.00"), Decimal("0.25")]),
        ([Decimal("1E+2"), Decimal("NaN")], pa.decimal128(38, 0), [Decimal(100), None]),
        ([Decimal("1E+40"), 1], pa.json_(), ["1" + "0" * 40, "1"]),
        ([True, None], pa.bool_(), None),
        (["00123", None, ""], pa.string(), None),
        ([b"\0", bytearray(b"x")], pa.binary(), [b"\0", b"x"]),
        ([dt.date(2026, 1, 31)], pa.date32(), None),
        ([dt.datetime(2026, 1, 31, 8)], pa.timestamp("us"), None),  # noqa: DTZ001  # has none
        ([AT], pa.timestamp("us", "UTC"), None),
        ([dt.time(8, 15)], pa.time64("us"), None),
        ([dt.timedelta(days=1, seconds=3, microseconds=500_000), dt.timedelta()], pa.string(), ["P1DT3.5S", "PT0S"]),
        ([uuid.UUID(int=1)], pa.string(), [str(uuid.UUID(int=1))]),
        ([{"a": [1, None]}, None], pa.json_(), ['{"a": [1, null]}', None]),
        ([None], pa.string(), None),
        ([], pa.string(), None),
    ],
)
def test_alchemy_types_are_those_of_all_values(values, kind, expected):
    """A column's type is decided by all its values; each is kept exactly."""
    assert arrow(values) == (kind, values if expected is None else expected, [])


def test_alchemy_values_without_a_form():
    """Infinity and texts that no JSON can carry reject their rows; types that do not mix are refused by name."""
    assert arrow([Decimal("Infinity"), Decimal(1)])[1:] == ([None, Decimal(1)], [(0, "infinity")])
    assert arrow(["a\0", "\udcff", "b"])[1:] == ([None, None, "b"], [(0, "nul"), (1, "encoding")])
    for mixed in ([1, "a"], [2**53 + 1, 0.5], [AT, AT.replace(tzinfo=None)]):
        with pytest.raises(SourceError, match="'x' has values of several types"):
            arrow(mixed)


def test_alchemy_decides_late(tmp_path, file):
    """A value that comes late decides as much as one that comes early."""
    query = f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {ROWS_MAX}) select i, "
    query += f"case when i = {ROWS_MAX} then 'late' end as x from n order by i"

    read = Read(Answer(alchemy(file), query))

    assert (read.schema.field("x").type, read.column("x")[-1]) == (pa.string(), "late")
    assert list(range(1, ROWS_MAX + 1)) == read.column("i")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("INSERT INTO t VALUES ('text')")
        connection.commit()
    with pytest.raises(SourceError, match="'x' has values of several types: integer, text"):
        alchemy(file).read(SourceQuery("select x from t", "query", {}))


def test_alchemy_parameters(file):
    """Parameters are bound; SQLAlchemy's own search for them sees nothing else."""
    sql = "select :as_of as a, ':b' as b, 'c::d' as c -- :e\n /* :f */;"

    read = Read(Answer(alchemy(file), sql, {"as_of": AT}))

    assert read.rows == [{"a": "2026-01-02 00:00:00.000000", "b": ":b", "c": "c::d"}]
    assert _escaped("a::b ':c' :as_of") == r"a\:\:b '\:c' :as_of"


@pytest.mark.parametrize(
    "query", ["delete from t", "select 1; drop table t", "create table u (x)", "", "select gone from t"]
)
def test_alchemy_only_reading(file, query):
    """A query that is not one SELECT, or names what is not there, is refused, and nothing changes."""
    with pytest.raises(SourceError):
        Read(Answer(alchemy(file), query))

    assert Read(Answer(alchemy(file), "select * from t")).rows == [{"x": 1}]


def test_alchemy_without_timeouts(file):
    """A timeout that cannot be set is refused, rather than passed over."""
    with pytest.raises(SourceError, match="statement_timeout"):
        alchemy(file).read(SourceQuery("select 1 as x", "query", {}, timeout_s=1))


def test_alchemy_repeated_columns(file):
    """Two columns of one name are refused."""
    with pytest.raises(SourceError, match="'x' more than once, as columns 1 and 2"):
        Read(Answer(alchemy(file), "select x, x from t"))


@pytest.mark.parametrize(
    ("url", "said", "hint"),
    [
        ("nosuchdb://me:hunter2@h/x", "knows no database called", "dialect"),
        ("oracle+cx_oracle://me:hunter2@h/x", "needs the module cx_Oracle", "pip install cx_Oracle"),
        ("mssql+pyodbc://me:hunter2@h:port/x", "no URL", "percent-encode"),
    ],
)
def test_alchemy_without_a_dialect_or_a_driver(tmp_path, url, said, hint):
    """What SQLAlchemy lacks is named with where to get it, and no password."""
    with pytest.raises(SourceError) as refused:
        Read(sql_source(tmp_path, url, query="select 1 as x"))

    assert said in refused.value.message
    assert hint in refused.value.hint
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("could not connect to h as me with hunter2", SourceUnavailableError),
        ("connection refused: mssql://me:hunter2@h", SourceUnavailableError),
        ("login failed for me, password hunter2", SourceError),
    ],
)
def test_alchemy_errors_of_a_driver(tmp_path, file, monkeypatch, said, kind):
    """What a driver says is shown without the password; one that is away is unavailable, one that refuses is not."""
    engine = alchemy(file, password="hunter2")

    def fails(*_):
        raise OperationalError("select", {}, RuntimeError(said))

    monkeypatch.setattr(engine, "_connected", fails)

    with pytest.raises(SourceError) as refused:
        engine.read(SourceQuery("select 1 as x", "query", {}))

    assert type(refused.value) is kind
    assert "hunter2" not in str(refused.value)


def test_the_blanks_that_fill_a_char_up():
    """Where a driver's description says CHAR, as Oracle's does, its blanks at the end are no part of a value."""
    kinds = [SimpleNamespace(name="DB_TYPE_CHAR"), SimpleNamespace(name="DB_TYPE_VARCHAR"), str, None]
    places = padded_places(kinds)

    assert list(unpadded(("a  ", "b  ", "c  ", None), places)) == ["a", "b  ", "c  ", None]
    assert unpadded(("a  ",), padded_places([str])) == ("a  ",)
