"""PostgreSQL, for real: a server of the tests' own."""

import datetime as dt
import json
import socket
import threading
import traceback
from contextlib import closing, suppress
from decimal import Decimal
from urllib.parse import quote, unquote

import pyarrow as pa
import pytest
from servers import PASSWORD, free_port, in_postgres, postgres, postgres_url
from source_helpers import Read, sql_source

from bucket_loader.model.errors import SourceError, SourceUnavailableError, UsageError
from bucket_loader.model.forms import form_of
from bucket_loader.model.rows import ROWS_MAX

pytestmark = pytest.mark.postgres
AT = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
SECRETS = {PASSWORD, quote(PASSWORD), quote(PASSWORD, safe=""), unquote(PASSWORD), "wrong"}


def source(tmp_path, query=None, url=None, **words):
    """Return the source of a query."""
    given = {"query": query} if query else {}
    return sql_source(tmp_path, url or postgres_url(), **given, **words)


def read(tmp_path, query, **words):
    """Read a query."""
    return Read(source(tmp_path, query, **words))


def one(tmp_path, expression, **words):
    """Read one value, with its type."""
    result = read(tmp_path, f"select {expression} as x", **words)
    return result.schema.field("x").type, result.rows[0]["x"] if result.rows else result.codes


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
    assert isinstance(caught.value, kind)
    return caught.value


def sessions():
    """Count the sessions of loaders on the server."""
    from adbc_driver_postgresql import dbapi

    asked = "select count(*) from pg_stat_activity where application_name = 'bucket_loader'"
    with closing(dbapi.connect(postgres_url())) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(asked)
        return cursor.fetchall()[0][0]


@pytest.mark.parametrize(
    ("expression", "kind", "expected"),
    [
        ("1.50::numeric(10,2)", pa.decimal128(10, 2), Decimal("1.50")),
        ("12345::numeric(3,-2)", pa.decimal128(5, 0), Decimal(12300)),
        ("0.00012::numeric(2,5)", pa.decimal128(5, 5), Decimal("0.00012")),
        ("12345678901234567890.123456789", pa.decimal128(38, 9), Decimal("12345678901234567890.123456789")),
        ("1.2300::numeric", pa.decimal128(38, 2), Decimal("1.23")),
        ("1e39::numeric + 0.5", pa.json_(), "1" + "0" * 39 + ".5"),
        ("1.5::numeric(50,10)", pa.json_(), "1.5000000000"),
        ("null::numeric", pa.decimal128(38, 0), None),
        ("'NaN'::numeric", pa.decimal128(38, 0), None),
        ("'NaN'::numeric(5,2)", pa.decimal128(5, 2), None),
        ("9223372036854775807::bigint", pa.int64(), 2**63 - 1),
        ("0.1::real", pa.float32(), pytest.approx(0.1)),
        ("true", pa.bool_(), True),
        ("'a'::char(3)", pa.string(), "a"),
        ("'2026-01-31'::date", pa.date32(), dt.date(2026, 1, 31)),
        ("'10:00:00.5'::time", pa.time64("us"), dt.time(10, 0, 0, 500000)),
        ("'10:00+02'::timetz", pa.string(), "10:00:00+02"),
        ("'2026-01-31 10:00'::timestamp", pa.timestamp("us"), dt.datetime(2026, 1, 31, 10)),  # noqa: DTZ001  # has none
        ("'2026-01-31 10:00+02'::timestamptz", pa.timestamp("us", "UTC"), dt.datetime(2026, 1, 31, 8, tzinfo=dt.UTC)),
        ("'1 year 2 days 3.5 s'::interval", pa.string(), "P1Y2DT3.5S"),
        (r"'\x00ff'::bytea", pa.binary(), b"\0\xff"),
        ("'{\"b\": 1.10}'::json", pa.json_(), '{"b": 1.10}'),
        ("array[1, null]", pa.list_(pa.int32()), [1, None]),
        ("array[1.10, 'NaN']::numeric[]", pa.json_(), "[1.10, null]"),
        ("array['1.2.3.4'::inet]", pa.json_(), '["1.2.3.4"]'),
        ("row(1, 'a', 2.50)", pa.json_(), '{"f1": 1, "f2": "a", "f3": 2.50}'),
        ("'1.2.3.4'::inet", pa.string(), "1.2.3.4"),
        ("'10.0.0.0/8'::cidr", pa.string(), "10.0.0.0/8"),
        ("int4range(1, 3)", pa.string(), "[1,3)"),
        ("tsrange('2026-01-01', null)", pa.string(), '["2026-01-01 00:00:00",)'),
        ("b'101'", pa.string(), "101"),
        ("'<a/>'::xml", pa.string(), "<a/>"),
        ("point(1, 2)", pa.string(), "(1,2)"),
        ("4000000000::oid", pa.int64(), 4_000_000_000),
        ("'$1,234.56'::money", pa.decimal128(24, 4), Decimal("1234.5600")),
        ("null", pa.string(), None),
        ("'infinity'::numeric", pa.decimal128(38, 0), [(1, "infinity", "x")]),
        ("array['infinity']::numeric[]", pa.json_(), [(1, "nested", "x")]),
        ("'{{1,2},{3,4}}'::int[]", pa.list_(pa.int32()), [(1, "nested", "x")]),
        ("'[2:3]={7,8}'::int[]", pa.list_(pa.int32()), [(1, "nested", "x")]),
    ],
)
def test_postgres_types(tmp_path, expression, kind, expected):
    """Each type comes as one Arrow type, exactly; NaN is null, and what has no form rejects its row."""
    assert one(tmp_path, expression) == (kind, expected)


def test_postgres_types_of_a_users_own(tmp_path):
    """Enums and domains are what they stand on, a composite is a struct; one that mixes forms is refused by name."""
    in_postgres(
        "drop type if exists mood cascade",
        "drop type if exists place cascade",
        "drop domain if exists small cascade",
        "create type mood as enum ('glad')",
        "create domain small as int check (value > 0)",
        "create type place as (city text, since timestamptz)",
        "create or replace view own as select 'glad'::mood m, 3::small s, row('Aarhus', '2026-01-01Z')::place p",
    )

    result = read(tmp_path, "select * from own")

    assert [str(field.type) for field in result.schema] == [
        "string", "int32", "struct<city: string, since: timestamp[us, tz=UTC]>",
    ]  # fmt: skip
    assert result.rows[0]["p"]["since"] == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    in_postgres("drop type if exists mixed", "create type mixed as (amount numeric, at timestamptz)")
    error = refused(lambda: source(tmp_path, "select row(1.5, now())::mixed as what"))
    assert ("'what'" in error.message, "to_jsonb" in error.hint) == (True, True)


def test_postgres_rejects_a_row_and_keeps_the_others(tmp_path):
    """Rows that cannot be given come as rejections with their numbers; the others keep theirs, in the query's order."""
    query = (
        "select i as id, case when i % 3 = 0 then 'Infinity'::numeric else i / 4.0 end as n, array[i] as a "
        f"from generate_series(1, {ROWS_MAX + 10}) i order by i desc"
    )

    result = read(tmp_path, query)

    last = ROWS_MAX + 10
    assert result.column("id") == [number for number in range(last, 0, -1) if number % 3]
    assert [number for number, *_ in result.codes] == [last + 1 - i for i in range(last, 0, -1) if i % 3 == 0]
    assert result.unread[0].row == {"id": str(last - last % 3), "n": "inf", "a": f"[{last - last % 3}]"}


def test_postgres_parameters(tmp_path):
    """Parameters are bound as moments; what only looks like one, in texts, comments, casts and slices, stays."""
    query = """select :interval_start as a, ':as_of' as b, '1'::int as c, (array[7, 8])[1:2] as d -- :nope
        /* :cursor */ from generate_series(1, 2) where :interval_start < now();  -- the end"""

    result = read(tmp_path, query, parameters={"interval_start": AT})

    assert result.rows == [{"a": AT, "b": ":as_of", "c": 1, "d": [7, 8]}] * 2
    with pytest.raises(UsageError, match="interval_start"):
        source(tmp_path, query).fingerprint()


def test_postgres_tables(tmp_path):
    """A table is named with its schema, or by a name of any spelling."""
    in_postgres(
        'drop schema if exists "My.s" cascade',
        'create schema "My.s"',
        'create table "My.s"."a ""t" (x int)',
        'insert into "My.s"."a ""t" values (1)',
        'drop table if exists "Mixed"',
        'create table "Mixed" as select 2 as x',
    )

    assert Read(source(tmp_path, table='"My.s".a "t')).rows == [{"x": 1}]
    assert Read(source(tmp_path, table="public.Mixed")).rows == [{"x": 2}]


def test_postgres_query_file(tmp_path):
    """A query may lie in a file, relative to the pipeline file; what it binds is checked; a change is a new source."""
    file = tmp_path / "q.sql"
    file.write_text("\ufeff-- who\nselect 1 as x;\n", encoding="utf-8")
    first = source(tmp_path, query_file="q.sql")

    assert Read(first).rows == [{"x": 1}]
    file.write_text("select :nope as x")
    assert "q.sql: :nope is not bound" in refused(lambda: source(tmp_path, query_file="q.sql")).message
    assert "no.sql" in refused(lambda: source(tmp_path, query_file="no.sql")).message
    file.write_text("select 2 as x")
    assert first.fingerprint() != source(tmp_path, query_file="q.sql").fingerprint()


@pytest.fixture(scope="module")
def one_row():
    """A table t with one row, and a sequence s."""
    in_postgres("drop table if exists t", "create table t as select 1 as x", "create sequence if not exists s")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("insert into t values (9)", "begins with INSERT"),
        ("with new as (insert into t values (9) returning x) select * from new", "the query writes"),
        ("select nextval('s')", "the query writes"),
        ("select * into u from t", "no columns"),
        ("select * from t; drop table t", "several statements"),
        ("/* select */ drop table t", "begins with DROP"),
        ("-- nothing", "no statement"),
        ("select", "no columns"),
        ("select from t where", "syntax error"),
        ("select * from gone", 'relation "gone" does not exist'),
        ("select gone from t", 'column "gone" does not exist'),
        ("select 1 as x, 2 as x", "'x' more than once, as columns 1 and 2"),
        ("select 'hunter2'::text::int", "invalid input syntax for type integer ... (the value is not shown)"),
        ("select 1 / (i - 90000) as x from generate_series(1, 100000) i", "division by zero"),
    ],
)
def test_postgres_only_reading(tmp_path, one_row, query, said):
    """What writes, does not parse, names what is not there, or fails in mid-stream is refused; nothing changes."""
    error = refused(lambda: source(tmp_path, query))

    assert said in error.message
    assert "hunter2" not in str(error)
    assert Read(source(tmp_path, table="t")).rows == [{"x": 1}]


def test_postgres_wrong_passwords(tmp_path):
    """A wrong password, user or database is refused, wherever the password stands."""
    wrong = postgres_url(password="wrong")

    for url, words in [
        (wrong, {}),
        (wrong.replace("postgres:wrong@", ""), {"user": "postgres", "password": "wrong"}),
        (wrong.replace("postgres:wrong@", ""), {"user": "nobody", "password": PASSWORD}),
        (postgres_url("nowhere"), {}),
    ]:
        error = refused(lambda url=url, words=words: source(tmp_path, "select 1 as x", url, **words))
        assert "the connection was refused" in error.message
        assert error.exit_code == 2
    apart = {"user": "postgres", "password": PASSWORD}
    assert Read(source(tmp_path, "select 1 as x", wrong, **apart)).rows == [{"x": 1}]


def test_postgres_urls_that_say_something_else(tmp_path):
    """A password whose signs are not encoded would become a host or a port: refused, with none of it shown."""
    for url in (
        f"postgresql://postgres:{PASSWORD}@127.0.0.1:{postgres()}/postgres",
        "postgresql://postgres:12#p@ss@127.0.0.1/postgres",
        "postgresql://127.0.0.1:99999/postgres",
        "postgresql://127.0.0.1/postgres?password=p@ss/w:o#r%d?1",
    ):
        error = refused(lambda url=url: source(tmp_path, "select 1 as x", url))
        assert "%40" in error.hint


def test_postgres_out_of_reach(tmp_path):
    """A server that is not there, does not answer, or cannot be named, is unavailable: try later."""
    silent = socket.create_server(("127.0.0.1", 0))
    with closing(silent):
        for url in (
            f"postgresql://me:wrong@127.0.0.1:{free_port()}/x",
            "postgresql://me:wrong@no.such.host.invalid/x",
            f"postgresql://me:wrong@127.0.0.1:{silent.getsockname()[1]}/x?connect_timeout=2",
        ):
            error = refused(lambda url=url: source(tmp_path, "select 1 as x", url), SourceUnavailableError)
            assert error.exit_code == 75


def test_postgres_without_tls(tmp_path):
    """TLS that the server does not offer is refused: trying later cannot help."""
    error = refused(lambda: source(tmp_path, "select 1 as x", postgres_url(options="?sslmode=require")))

    assert "TLS" in error.hint
    assert "sslmod" in refused(lambda: source(tmp_path, "select 1 as x", postgres_url(options="?sslmod=x"))).message


def test_postgres_statement_timeout(tmp_path):
    """A query that runs longer than it may is refused with the time that it had, also in mid-stream."""
    error = refused(lambda: source(tmp_path, "select pg_sleep(5) as x", statement_timeout="100ms"))
    late = "select i, case when i > 60000 then pg_sleep(5) end as x from generate_series(1, 100000) i"

    assert "statement timeout of 0.1 s" in error.message
    assert "statement timeout" in refused(lambda: source(tmp_path, late, statement_timeout="300ms")).message


def test_postgres_goes_away_in_mid_stream(tmp_path):
    """A connection that breaks while rows are read is no end of the rows."""
    query = "select i, repeat('x', 200) as x from generate_series(1, 400000) i"
    batches = source(tmp_path, query).read().batches
    next(batches)

    in_postgres("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bucket_loader'")

    with pytest.raises(SourceUnavailableError, match="cannot be reached"):
        list(batches)
    assert sessions() == 0


def test_postgres_cut_in_mid_stream(tmp_path):
    """A network that ends in mid-stream, without a word, is no end of the rows either."""
    proxy = socket.create_server(("127.0.0.1", 0))

    def relay():
        while client := accepted(proxy):
            server = socket.create_connection(("127.0.0.1", postgres()))
            for one, other, bytes_max in ((client, server, 10**9), (server, client, 12_000_000)):
                threading.Thread(target=pump, args=(one, other, bytes_max), daemon=True).start()

    def pump(one, other, bytes_max):
        passed = 0
        with suppress(OSError), one, other:
            while passed < bytes_max and (data := one.recv(65536)):
                other.sendall(data)
                passed += len(data)
            shut(one)
            shut(other)

    thread = threading.Thread(target=relay, daemon=True)
    thread.start()
    url = postgres_url().replace(f":{postgres()}/", f":{proxy.getsockname()[1]}/")
    query = "select i, repeat('x', 200) as x from generate_series(1, 100000) i"

    batches = source(tmp_path, query, url).read().batches
    assert next(batches).data.num_rows > 0
    with pytest.raises(SourceUnavailableError, match="while rows were read"):
        list(batches)
    shut(proxy)
    thread.join(10)
    proxy.close()


def accepted(proxy):
    """Accept a connection, or nothing when the proxy has ended."""
    try:
        return proxy.accept()[0]
    except OSError:
        return None


def shut(side):
    """Shut a socket down, if it still is one."""
    try:
        side.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def test_postgres_stops_early(tmp_path):
    """Whoever wants no more rows of an endless query is free at once, and so is the server."""
    batches = source(tmp_path, "select generate_series(1, 10000000000) as i").read().batches
    assert next(batches).data.num_rows == ROWS_MAX

    batches.close()
    never_begun = source(tmp_path, "select generate_series(1, 10000000000) as i").read()
    del never_begun

    assert sessions() == 0


def test_postgres_sees_one_snapshot(tmp_path):
    """Rows written between the look at the types and the rows are not in the reading."""
    in_postgres("drop table if exists live", "create table live as select 1.5::numeric as x")
    reading = source(tmp_path, table="live").read()

    in_postgres("insert into live values (1e39)")

    assert [row["x"] for batch in reading.batches for row in batch.data.to_pylist()] == [Decimal("1.5")]


def test_postgres_streams_with_parameters(tmp_path):
    """A query with parameters is streamed too: batches come before the query has ended."""
    query = "select generate_series(1, 10000000000) as i where now() > :interval_start"

    batches = source(tmp_path, query, parameters={"interval_start": AT}).read().batches

    assert [next(batches).data.num_rows for _ in range(3)] == [ROWS_MAX] * 3
    batches.close()


def test_redshift_by_its_wire(tmp_path, one_row):
    """Redshift is asked without PostgreSQL's settings; parameters stand in the query, in our own spelling."""
    url = postgres_url().replace("postgresql:", "redshift:")
    query = "select :interval_start as a, 1.10::numeric(12,2) as n where now() > :interval_start"

    result = read(tmp_path, query, url=url, parameters={"interval_start": AT}, statement_timeout="5s")

    assert result.rows == [{"a": AT, "n": Decimal("1.10")}]
    writes = "with new as (insert into t values (9) returning x) select * from new"
    assert "the query writes" in refused(lambda: source(tmp_path, writes, url)).message


def test_postgres_under_a_query_of_the_loaders_own(workplace, emulator):
    """A named source from PostgreSQL can be joined with others, numbers, JSON and UUIDs as what they are."""
    in_postgres(
        "drop table if exists spent",
        "create table spent as select '007' as id, 1.10::numeric as price, '{\"a\": 2}'::jsonb as j, md5('')::uuid u",
    )
    workplace.write("names.csv", "id,name\n007,Bond\n")
    head = f"""
    sources:
      spent: {{type: sql, url: "{postgres_url()}", table: spent}}
      names: {{type: csv, path: names.csv}}
    """
    workplace.pipeline(
        """
        - name: companies
          record: company
          source:
            type: query
            sql: "select id, name, price * 2 as twice, j->>'a' as a, u from spent join names using (id)"
          fields: {companyId: id, attributes: {"*": {exclude: u}}}
        """,
        head=head,
    )

    assert workplace.run().exit_code == 0

    (item,) = emulator.journal()
    assert item["item"]["attributes"] == {"a": "2", "name": "Bond", "twice": 2.2}


def test_postgres_through_the_command_line(workplace, emulator):
    """A column that vanished, a wrong password and a server that is away end with their codes; nothing is sent."""
    in_postgres("drop table if exists accounts", "create table accounts as select '007' as id, 1.10::numeric as price")
    pipeline = """
    - name: companies
      record: company
      source: {{type: sql, url: "{url}", table: accounts}}
      fields: {{companyId: {column}, attributes: "*"}}
    """
    away = f"postgresql://me:wrong@127.0.0.1:{free_port()}/x"
    cases = [(postgres_url(), "vanished", 2), (postgres_url(password="wrong"), "id", 2), (away, "id", 75)]

    for url, column, code in cases:
        workplace.pipeline(pipeline.format(url=url, column=column))
        result = workplace.run()
        assert code == result.exit_code
        assert [secret for secret in SECRETS if secret in result.stdout + result.stderr] == []
    assert emulator.state()["requests"] == 0
    workplace.pipeline(pipeline.format(url=postgres_url(), column="id"))
    assert workplace.run().exit_code == 0

    (item,) = emulator.journal()
    assert (item["item"]["companyId"], json.dumps(item["item"]["attributes"])) == ("007", '{"price": 1.1}')


def test_the_blanks_that_fill_a_char_up(tmp_path):
    """CHAR(n) has no blanks at its end, alone, in a domain, an array and a composite; those of a text stay."""
    in_postgres(
        "create domain code as char(5)",
        "create type pair as (a char(4), b text)",
        'create table padded (id char(8), d code, many char(3)[], pair pair, pairs pair[], v varchar(5), o "char")',
        "insert into padded values ('u1', ' x', '{a,b}', row('z', 'y '), array[row('z', 'y ')::pair], 'w ', 'k'), "
        "('', null, null, null, '{}', ' ', null)",
    )
    found = read(tmp_path, "select * from padded")
    marked = [field.name for field in found.schema if form_of(field) > 1]
    y = {"a": "z", "b": "y "}

    assert found.rows[0] == {"id": "u1", "d": " x", "many": ["a", "b"], "pair": y, "pairs": [y], "v": "w ", "o": "k"}
    assert [found.rows[1][name] for name in ("id", "d", "many", "pairs", "v")] == ["", None, None, [], " "]
    assert marked == ["id", "d", "many", "pair", "pairs"]
