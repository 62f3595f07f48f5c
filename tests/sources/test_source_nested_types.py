"""Values inside lists, structs and maps have the forms that they have alone, whatever Arrow and Python can carry."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from source_helpers import query_source

from bucket_loader.config.sources import FrameSource
from bucket_loader.model.forms import form_of
from bucket_loader.planning.mapping.nested import spelling
from bucket_loader.planning.mapping.nested.fragments import Fragment
from bucket_loader.sources import duck
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.registry import open_source
from bucket_loader.sources.staged import stage
from bucket_loader.sources.values.types import plain_table

BIG = 2**128 - 1


def leaves(column):
    """Give the members that a column's first value makes of a record."""
    (value, *_) = spelling.python_values(column)
    value = spelling.parse(value) if isinstance(value, str) else value
    return json.loads("{" + Fragment("a", lambda _: False, send_nulls=False).members(value) + "}")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("340282366920938463463374607431768211455::uhugeint", str(BIG)),
        ("5::uhugeint", 5),
        ("1234567890123456789012345678901234567890123::bignum", "1234567890123456789012345678901234567890123"),
        ("7::bignum", 7),
        ("'12:00:00+02'::timetz", "12:00:00+02"),
        ("'101'::bit", "101"),
        ("'12:34:56.123456789'::time_ns", "12:34:56.123456789"),
        ("'24:00:00'::time", "24:00:00"),
        ("'01:02:03.5'::time", "01:02:03.5"),
        ("'1.10'::json", 1.1),
        ("""'"00123"'::json""", "00123"),
    ],
)
@pytest.mark.parametrize(
    ("around", "name"),
    [
        ("[{}]", "a.0"),
        ("array_value({})", "a.0"),
        ("{{'x y': {}}}", "a.x y"),
        ("map {{'k': {}}}", "a.k"),
        ("[{{'b': map {{1: [{}]}}}}]", "a.0.b.1.0"),
    ],
)
def test_duckdb_carries_into_lists_structs_and_maps_what_it_carries_alone(expression, expected, around, name):
    """No value becomes another one inside: no -1, no bytes, no cut nanosecond, no midnight."""
    with duck.connected() as connection:
        relation = connection.sql(f"SELECT {around.format(expression)} AS a, 1 AS b, [1] AS c")
        (batch,) = duck.batches(relation, "q")

    assert leaves(batch.data.column("a")) == {name: expected}
    assert [form_of(field) for field in batch.data.schema] == [1 if expression.endswith("::time") else 2, 1, 1]
    assert batch.data.schema.types[1:] == [pa.int32(), pa.list_(pa.field("l", pa.int32()))]


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("to_microseconds(9223372036854775807)", "PT2562047788H54.775807S"),
        ("to_microseconds(-9223372036854775808)", "PT-2562047788H-54.775808S"),
        ("interval '-290000 years 13 months -2 days -1 seconds'", "P-289998Y-11M-2DT-1S"),
        ("interval '2000000000 days 25:00:00.5'", "P2000000000DT25H0.5S"),
        ("interval '0 days'", "PT0S"),
    ],
)
@pytest.mark.parametrize(
    ("around", "name"),
    [
        ("[{}]", "a.0"),
        ("array_value({})", "a.0"),
        ("{{'x': {}}}", "a.x"),
        ("map {{'k': {}}}", "a.k"),
        ("[{{'b': [{}]}}]", "a.0.b.0"),
    ],
)
def test_an_interval_of_duckdb_of_any_length(interval, expected, around, name):
    """Alone and inside, where Arrow would count its nanoseconds, and end at 292 years."""
    with duck.connected() as connection:
        relation = connection.sql(f"FROM (VALUES ({around.format(interval)}, {interval}), (NULL, NULL)) AS t(a, b)")
        (batch,) = duck.batches(relation, "q")

    assert leaves(batch.data.column("a")) == {name: expected}
    assert batch.data.column("b").to_pylist() == [expected, None]
    assert batch.data.column("a").null_count == 1
    assert [form_of(field) for field in batch.data.schema] == [1, 1]


def test_json_inside_of_a_value_is_flattened_as_it_is_alone():
    """Whatever the depth, and as a key of a map it is the text that it spells."""
    with duck.connected() as connection:
        documents = """[json('{"n": [1.10, null], "t": {"b": true}}')]"""
        keys = """map {json('"k"'): json('[]'), json('7'): json('8')}"""
        made = f"{{'x': {documents}, 'm': {keys}}}"
        (batch,) = duck.batches(connection.sql(f"SELECT {made} AS a"), "q")

    assert leaves(batch.data.column("a")) == {"a.x.0.n.0": 1.1, "a.x.0.t.b": True, "a.m.7": 8}
    assert form_of(batch.data.schema.field("a")) == 2


def test_decimals_of_more_than_38_digits_inside_of_a_value_keep_their_digits_through_a_query(tmp_path):
    """DuckDB would read them from the kept file as doubles."""
    digits = "12345678901234567890123456789012345678901.5"
    table = pa.table(
        {"id": ["a"], "a": pa.array([[{"d": Decimal(digits)}]], pa.list_(pa.struct({"d": pa.decimal256(50, 2)})))}
    )
    source = open_source(FrameSource(frame=table), SourceContext(tmp_path))
    kept = stage(source.read(), tmp_path / "kept.parquet", fingerprint="")

    for reading in (source.read(), query_source(tmp_path, "select * from kept", {"kept": kept.path}).read()):
        (batch,) = reading.batches
        assert leaves(batch.data.column("a")) == {"a.0.d": digits}


@pytest.mark.parametrize("zone", ["+0530", "utc", "Z", "+05:30", "Europe/Oslo", "Made/Up"])
def test_an_instant_inside_a_list_needs_no_zone_that_python_knows(zone):
    """The zone is only how an instant is shown."""
    table = pa.table({"a": pa.array([[0]], pa.list_(pa.timestamp("us", zone)))})

    assert plain_table(table)["a"].to_pylist() == [[datetime(1970, 1, 1, tzinfo=UTC)]]


def test_a_time_of_day_inside_is_its_text_in_every_unit():
    """Each unit has as many digits as say something."""
    counts = {"s": 5, "ms": 5_010, "us": 5_010_000, "ns": 5_010_000_001}
    kinds = {unit: pa.time32(unit) if unit in {"s", "ms"} else pa.time64(unit) for unit in counts}
    table = pa.table({unit: pa.array([[counts[unit], None]], pa.list_(kind)) for unit, kind in kinds.items()})

    assert plain_table(table).to_pylist() == [
        {
            "s": ["00:00:05", None],
            "ms": ["00:00:05.01", None],
            "us": ["00:00:05.01", None],
            "ns": ["00:00:05.010000001", None],
        }
    ]
