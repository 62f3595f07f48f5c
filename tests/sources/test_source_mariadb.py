"""MySQL's protocol, for real: a MariaDB server of the tests' own."""

import datetime as dt
import traceback
from decimal import Decimal
from urllib.parse import quote

import pyarrow as pa
import pytest
from servers import PASSWORD, free_port, in_mariadb, mariadb, mariadb_url
from source_helpers import Read, sql_source

from bucket_loader.model.errors import SourceError, SourceUnavailableError
from bucket_loader.model.rows import ROWS_MAX

pytestmark = pytest.mark.mariadb
AT = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
SECRETS = {PASSWORD, quote(PASSWORD), quote(PASSWORD, safe=""), "wrong"}


def source(tmp_path, query=None, url=None, **words):
    """Return the source of a query."""
    given = {"query": query} if query else {}
    return sql_source(tmp_path, url or mariadb_url(), **given, **words)


def refused(made, kind=SourceError):
    """Return the error that making or reading a source ends with; no password is in it, however it is looked at."""
    with pytest.raises(kind) as caught:
        Read(made())
    shown = [
        str(caught.value),
        repr(caught.value),
        "".join(traceback.format_exception(caught.value.with_traceback(None))),
    ]
    assert [secret for secret in SECRETS for text in shown if secret in text] == []
    assert type(caught.value) is kind
    return caught.value


@pytest.mark.parametrize(
    ("declared", "value", "kind", "expected"),
    [
        ("bigint unsigned", "18446744073709551615", pa.uint64(), 2**64 - 1),
        ("bigint", "-9223372036854775808", pa.int64(), -(2**63)),
        ("int(10) zerofill", "5", pa.uint64(), 5),
        ("boolean", "true", pa.bool_(), True),
        ("boolean", "2", pa.bool_(), [(1, "boolean", "x")]),
        ("tinyint", "2", pa.int64(), 2),
        ("decimal(38,10)", "1234567890123456789.125", pa.decimal128(38, 10), Decimal("1234567890123456789.125")),
        ("decimal(10,2) unsigned", "1.10", pa.decimal128(10, 2), Decimal("1.10")),
        ("decimal(65,30)", "1.5", pa.json_(), "1.5" + "0" * 29),
        ("float", "0.1", pa.float32(), pytest.approx(0.1)),
        ("float", "16777215", pa.float32(), 16777215.0),
        ("double", "0.1", pa.float64(), 0.1),
        ("date", "'2026-01-31'", pa.date32(), dt.date(2026, 1, 31)),
        ("date", "'0000-00-00'", pa.date32(), [(1, "timestamp", "x")]),
        ("datetime(6)", "'2026-01-31 10:00:00.123456'", pa.timestamp("us"), dt.datetime(2026, 1, 31, 10, 0, 0, 123456)),  # noqa: DTZ001  # has none
        ("datetime", "'2026-00-31 10:00:00'", pa.timestamp("us"), [(1, "timestamp", "x")]),
        ("timestamp(3) null", "'2026-01-02 00:00:00.5'", pa.timestamp("us", "UTC"), AT.replace(microsecond=500_000)),
        ("time(6)", "'10:00:00.5'", pa.time64("us"), dt.time(10, 0, 0, 500000)),
        ("time", "'-30:00:00'", pa.time64("us"), [(1, "timestamp", "x")]),
        ("year", "2026", pa.uint64(), 2026),
        ("bit(1)", "b'1'", pa.bool_(), True),
        ("bit(12)", "b'100000000001'", pa.uint64(), 2049),
        ("varchar(10)", "'é 🪣'", pa.string(), "é 🪣"),
        ("varchar(10) character set latin1", "'é'", pa.string(), "é"),
        ("blob", "x'00ff'", pa.binary(), b"\0\xff"),
        ("json", "'{\"a\": 1}'", pa.string(), '{"a": 1}'),
        ("enum('a','b')", "'b'", pa.string(), "b"),
        ("uuid", "'6f0a4f2e-0000-4000-8000-000000000001'", pa.string(), "6f0a4f2e-0000-4000-8000-000000000001"),
        ("inet6", "'::1'", pa.string(), "::1"),
    ],
)  # fmt: skip
def test_mariadb_types(tmp_path, declared, value, kind, expected):
    """Each type comes as one Arrow type, exactly, and null as null; what has no form rejects its row."""
    in_mariadb(
        f"CREATE OR REPLACE TABLE t (x {declared}) CHARACTER SET utf8mb4",
        "SET sql_mode = ''",
        f"INSERT INTO t VALUES ({value}), (NULL)",
    )

    result = Read(source(tmp_path, table="t"))

    assert kind == result.schema.field("x").type
    assert expected == (result.codes or result.rows[0]["x"])
    assert result.rows[-1]["x"] is None


def test_mariadb_types_without_a_form(tmp_path):
    """A GEOMETRY, and a FLOAT in a query, are refused with what to write instead."""
    in_mariadb("CREATE OR REPLACE TABLE f (amount float)")

    assert "ST_AsText(p)" in refused(lambda: source(tmp_path, "select point(1, 2) as p")).hint
    assert "CAST(amount AS DOUBLE)" in refused(lambda: source(tmp_path, "select amount from f")).hint


def test_mariadb_many_rows(tmp_path):
    """Rows that cannot be given come as rejections with their numbers; the others keep theirs, and their order."""
    query = (
        "with recursive n as (select 1 as i union all select i + 1 from n where i < 40000) "
        "select i as id, repeat('x', i % 50) as name, if(i % 9999 = 0, cast('30:00:00' as time), null) as at "
        "from n order by i desc"
    )
    in_mariadb("SET GLOBAL max_recursive_iterations = 100000")

    result = Read(source(tmp_path, query))

    assert result.column("id") == [i for i in range(40_000, 0, -1) if i % 9999]
    assert [row for row, *_ in result.codes] == [40_001 - i for i in range(40_000, 0, -1) if i % 9999 == 0]
    assert result.unread[0].row["at"] == "30:00:00"


def test_mariadb_parameters(tmp_path):
    """Parameters are bound; what only looks like one, in texts with backslashes, names and comments, stays."""
    query = r"""select :interval_start as a, 'it\'s :x %s' as b, 5 % 3 as `c:d`, ":e" as e # :nope
        /* :cursor */ where timestamp'2026-01-02 00:00:00' <= :interval_start; -- the end"""

    result = Read(source(tmp_path, query, parameters={"interval_start": AT}))

    assert result.rows == [{"a": "2026-01-02 00:00:00", "b": "it's :x %s", "c:d": 2, "e": ":e"}]


@pytest.fixture(scope="module")
def one_row():
    """A table `one` with one row."""
    in_mariadb("CREATE OR REPLACE TABLE one (x int)", "INSERT INTO one VALUES (1)")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("insert into one values (9)", "begins with INSERT"),
        ("create table two (x int)", "begins with CREATE"),
        ("/*! drop table one */", "no statement"),
        ("/*!create table two as*/ select 1 as x", "executable comment"),
        ("select * from one for update", "the query writes"),
        ("select * from one into outfile '/tmp/never.txt'", "the query writes"),
        ("select x into@y from one", "the query writes"),
        ("select 1; drop table one", "several statements"),
        ("select * from gone", "'shop.gone' doesn't exist"),
        ("select gone from one", "Unknown column 'gone'"),
        ("select 1 as x, 2 as x", "'x' more than once, as columns 1 and 2"),
        ("select from one", "error 1064"),
        ("select sum(seq % 7) as x from seq_1_to_1000000000", "statement timeout of 0.2 s"),
    ],
)
def test_mariadb_only_reading(tmp_path, one_row, query, said):
    """What writes, does not parse, names what is not there, or takes too long is refused; nothing changes."""
    error = refused(lambda: source(tmp_path, query, statement_timeout="200ms"))

    assert said in error.message
    assert Read(source(tmp_path, table="shop.one")).rows == [{"x": 1}]


def test_mariadb_wrong_passwords(tmp_path):
    """A wrong password or database is refused, wherever the password stands."""
    wrong = mariadb_url(password="wrong")

    for url, words in [
        (wrong, {}),
        (mariadb_url(), {"user": "nobody", "password": "wrong"}),
        (mariadb_url("nowhere"), {}),
        (f"mysql://loader:{PASSWORD}@127.0.0.1:{mariadb()}/shop", {}),
        (mariadb_url(options="?nope=1"), {}),
        (mariadb_url(options="?ssl_mode=required"), {}),
        (mariadb_url(options="?ssl_ca=/nowhere.pem"), {}),
    ]:
        assert refused(lambda url=url, words=words: source(tmp_path, "select 1 as x", url, **words)).exit_code == 2
    apart = {"user": "loader", "password": PASSWORD}
    assert Read(source(tmp_path, "select 1 as x", wrong.replace("mysql:", "mariadb:"), **apart)).rows == [{"x": 1}]


def test_mariadb_out_of_reach(tmp_path):
    """A server that is not there, or cannot be named, is unavailable: try later."""
    for place in (f"127.0.0.1:{free_port()}", "no.such.host.invalid"):
        url = f"mysql://me:wrong@{place}/x"
        assert refused(lambda url=url: source(tmp_path, "select 1 as x", url), SourceUnavailableError).exit_code == 75


def test_mariadb_goes_away_in_mid_stream(tmp_path):
    """A connection that is killed while rows are read is no end of the rows."""
    in_mariadb("CREATE OR REPLACE TABLE big AS SELECT seq, repeat('x', 500) AS x FROM seq_1_to_100000")
    batches = source(tmp_path, table="big").read().batches
    next(batches)

    in_mariadb("KILL USER loader")

    with pytest.raises(SourceUnavailableError):
        list(batches)


def test_mariadb_stops_early(tmp_path):
    """Whoever wants no more of many rows does not wait for them, and the server is rid of the query."""
    batches = source(tmp_path, "select seq, repeat('x', 500) as x from seq_1_to_1000000000").read().batches
    assert 0 < next(batches).data.num_rows <= ROWS_MAX

    batches.close()
    never_begun = source(tmp_path, "select seq from seq_1_to_1000000000").read()
    del never_begun

    running = (
        "select count(*) as n from information_schema.processlist "
        "where info like '%seq_1_to_1000000000%' and info not like '%count%'"
    )
    for _ in range(50):
        if Read(source(tmp_path, running)).rows == [{"n": 0}]:
            return
    pytest.fail("the server still works on a query that nobody reads")


def test_mariadb_sees_one_snapshot(tmp_path):
    """Rows written while the table is read are not in the reading."""
    in_mariadb("CREATE OR REPLACE TABLE live AS SELECT seq AS x FROM seq_1_to_50000")
    batches = source(tmp_path, table="live").read().batches
    first = next(batches).data.num_rows

    in_mariadb("DELETE FROM live WHERE x > 40000")

    assert first + sum(batch.data.num_rows for batch in batches) == 50_000


def test_mariadb_does_not_fill_a_char_up(tmp_path):
    """CHAR(n) has no blanks at its end, also on a server whose sql_mode would show them."""
    in_mariadb(
        "CREATE OR REPLACE TABLE c (x char(5), y varchar(5))",
        "INSERT INTO c VALUES ('a', 'b ')",
        "SET GLOBAL sql_mode = CONCAT(@@sql_mode, ',PAD_CHAR_TO_FULL_LENGTH')",
    )
    try:
        assert Read(source(tmp_path, table="c")).rows == [{"x": "a", "y": "b "}]
    finally:
        in_mariadb("SET GLOBAL sql_mode = REPLACE(@@sql_mode, 'PAD_CHAR_TO_FULL_LENGTH', '')")
