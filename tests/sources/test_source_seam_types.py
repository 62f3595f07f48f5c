"""Types that Arrow, Parquet or DuckDB have and others do not: what they are once they have been read."""

import datetime as dt
from contextlib import closing
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from servers import in_postgres, postgres_url
from source_helpers import Read, arrow_source, parquet_source, sql_source

from bucket_loader.config.sources import FrameSource
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.registry import open_source
from bucket_loader.sources.values.durations import iso

JSON = pa.json_()


@pytest.mark.parametrize(
    ("months", "days", "nanoseconds", "text"),
    [
        (0, 0, 0, "PT0S"),
        (14, 2, 3_500_000_000, "P1Y2M2DT3.5S"),
        (-14, 0, -500_000_000, "P-1Y-2MT-0.5S"),
        (0, 0, 129_600_000_000_000, "PT36H"),
        (0, -1, 60_000_000_000, "P-1DT1M"),
        (0, 0, 1, "PT0.000000001S"),
    ],
)
def test_a_span_keeps_its_parts(months, days, nanoseconds, text):
    """Months, days and time stay apart, each with its own sign."""
    assert iso(months, days, nanoseconds) == text


@pytest.mark.parametrize("span", ["14 months 3 days", "-1 year -2 months", "36 hours -0.5 seconds", "0 days",
                                  "-1 day 00:00:00.000001"])  # fmt: skip
@pytest.mark.postgres
def test_duckdb_and_postgresql_spell_a_span_alike(tmp_path, span):
    """What DuckDB's interval becomes is what PostgreSQL itself writes of the same one."""
    duckdb.connect(tmp_path / "s.duckdb").close()
    query = f"select interval '{span}' as x"

    ours = Read(sql_source(tmp_path, "duckdb:///s.duckdb", query=query)).rows

    assert ours == Read(sql_source(tmp_path, postgres_url(), query=query)).rows


@pytest.mark.parametrize(
    ("expression", "kind", "value"),
    [
        ("interval 1 day", pa.string(), "P1D"),
        ("[interval 1 day, null]", pa.list_(pa.string()), ["P1D", None]),
        ("{'a': interval '1 month'}", pa.struct([("a", pa.string())]), {"a": "P1M"}),
        ("map {'a': interval '1 hour'}", pa.map_(pa.string(), pa.string()), [("a", "PT1H")]),
        ("""'{"n": 1.10}'::json""", JSON, '{"n": 1.10}'),
        ("340282366920938463463374607431768211455::uhugeint", JSON, "340282366920938463463374607431768211455"),
        (
            "123456789012345678901234567890123456789012345::bignum",
            JSON,
            "123456789012345678901234567890123456789012345",
        ),
        ("'10:00:00+02'::timetz", pa.string(), "10:00:00+02"),
        ("'10101'::bit", pa.string(), "10101"),
        ("'x'::enum('x', 'y')", pa.string(), "x"),
    ],
)
def test_what_arrow_would_not_carry_from_duckdb(tmp_path, expression, kind, value):
    """JSON stays JSON, a zone is not lost, a number beyond 38 digits is not cut: each beside a column that is plain."""
    duckdb.connect(tmp_path / "t.duckdb").close()

    read = Read(sql_source(tmp_path, "duckdb:///t.duckdb", query=f'select 1 as "i d", {expression} as x'))

    assert (read.schema.field("x").type, read.rows) == (kind, [{"i d": 1, "x": value}])


def test_parquets_own_intervals(tmp_path):
    """Twelve bytes of months, days and milliseconds, with nulls between them."""
    with closing(duckdb.connect()) as connection:
        rows = "SELECT unnest([interval '14 months 2 days 3.5 seconds', null, interval 0 day]) AS x"
        connection.execute(f"COPY ({rows}) TO '{tmp_path}/i.parquet'")

    assert Read(parquet_source(tmp_path, "i.parquet")).column("x") == ["P1Y2M2DT3.5S", None, "PT0S"]


SPANS = pa.table(
    {
        "d": pa.array([1, None, -90], pa.duration("s")),
        "n": pa.array([[dt.timedelta(hours=36)], [], None], pa.list_(pa.duration("ms"))),
        "w": pa.array([Decimal("1.10"), None, Decimal(7)], pa.decimal256(50, 10)),
        "s": pa.array([Decimal("1.10"), None, Decimal(7)], pa.decimal256(20, 2)),
    }
)
EXPECTED = [
    {"d": "PT1S", "n": ["PT36H"], "w": "1.1000000000", "s": Decimal("1.10")},
    {"d": None, "n": [], "w": None, "s": None},
    {"d": "PT-1M-30S", "n": None, "w": "7.0000000000", "s": Decimal("7.00")},
]


def from_parquet(folder):
    """Read Parquet."""
    pq.write_table(SPANS, folder / "s.parquet")
    return parquet_source(folder, "s.parquet")


def from_arrow(folder):
    """Read an Arrow file."""
    with pa.OSFile(str(folder / "s.arrow"), "wb") as sink, pa.ipc.new_file(sink, SPANS.schema) as writer:
        writer.write_table(SPANS)
    return arrow_source(folder, "s.arrow")


def from_memory(folder):
    """Read a table in memory, in two chunks."""
    chunks = pa.concat_tables([SPANS.slice(0, 1), SPANS.slice(1)])
    return open_source(FrameSource(frame=chunks), SourceContext(folder))


@pytest.mark.parametrize("made", [from_parquet, from_arrow, from_memory])
def test_durations_and_wide_decimals(tmp_path, made):
    """A duration is its text, also in a list; a decimal beyond 38 digits is a number of JSON, any other a decimal."""
    read = Read(made(tmp_path))

    assert read.rows == EXPECTED
    assert read.schema.field("w").type == JSON


@pytest.mark.postgres
def test_a_composite_that_is_null(tmp_path):
    """The driver stumbles over one; it is read as one without values, and its neighbours as they are."""
    in_postgres("DROP TYPE IF EXISTS spot", "CREATE TYPE spot AS (city text, at timestamptz, rooms bigint)")
    rows = "select n, case when n <> 2 then row('x', 'epoch', n)::spot end as spot from (values (1), (2), (3)) r(n)"

    read = Read(sql_source(tmp_path, postgres_url(), query=rows))

    assert [(row["spot"]["city"], row["spot"]["rooms"]) for row in read.rows] == [("x", 1), (None, None), ("x", 3)]
