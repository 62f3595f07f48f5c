"""Nested columns in bulk: DuckDB spells what it is sure of, byte for byte as Python spells it row by row."""

import dataclasses
import json
import os
import random
import subprocess
import sys
from datetime import UTC, date, datetime

import duckdb
import pyarrow as pa
import pytest

from bucket_loader.config import Stream
from bucket_loader.model import InputBatch
from bucket_loader.planning.mapping import compile_mapping
from bucket_loader.planning.mapping.database import SideDatabase
from bucket_loader.planning.mapping.members import Beside, NestedColumn
from bucket_loader.planning.mapping.nested import spelling
from bucket_loader.planning.mapping.nested.bulk import Bulk
from bucket_loader.planning.mapping.nested.lists import Arrays, Seen
from bucket_loader.planning.mapping.nested.local_times import LocalTimes

ROWS = 600
NAMES = ["a", "b", "plan", "o", "x y", "_u", "a.b", "constructor", "é", 'q"t', "", "t-1"]
PLAIN = ["1", "0", '"x"', '"y z"', "true", "false", "null", "1.5", "2.25", '["a"]', "[1,2]", "[]", "{}"]
WILD = [
    "-0", "-0.0", "1.0", "1.10", "100.0", "0.00001", "1e5", "1E-7", "1e400", "123456789012345", "1234567890123456",
    "9007199254740991", "9007199254740992", "-9007199254740993", "12345678901234567890123", "1" * 45,
    "0.1000000000000000055", "123456.789012345678", "100000000000000.5", "99999999999999.9", "2.3e-308", "5e-324",
    '"a\\u0000b"', '"\\ud83d"', '"\\ud83d\\ude00"', '"é\u2028/\\/\\u001f\\n"', '": 1e5"', '",1.1234567890123456789"',
    '["a","b, c]"]', "[1.5]", "[null]", "[true,false]", '[{"a":1}]', "[[1]]", f'["{"x" * 3000}"]', '["\\"]"]', "[ ]",
    "NaN", "Infinity", "[1,]", '{"a":1,}', "01", "+1", ".5", "1.", '"cut', '{"a":1}x', "[NaN]", '"\x7f"', "-", "tru",
    '{"a":1,"a":2}', '{"o":{"a":1},"o":{"b":1}}', ' {"a" : 1 , "b":[ 1 , 2 ] } ', "/*c*/1", "[" * 40 + "]" * 40,
    '"x, "', '", "', '": 1.10000000000000000001, "',
]  # fmt: skip
BESIDES = [
    Beside(),
    Beside(names=frozenset({"p.a", "z"})),
    Beside(names=frozenset({"p.a", "p.l"}), winning=frozenset({"p.a", "p.l"})),
    Beside(hidden=frozenset({"p.a"})),
    Beside(names=frozenset({"p.b"}), winning=frozenset({"p.b"}), hidden=frozenset({"p.o", "p.plan", "p.a.b"})),
    Beside(names=frozenset({"p.o"}), nested=frozenset({"p.o"}), winning=frozenset({"p.o"})),
]


def a_value(draw, wild, depth=0):
    """Draw the JSON text of a value; a share of them is strange, or not JSON at all."""
    if depth < 3 and draw.random() < 0.3:
        return an_object(draw, wild, depth + 1)
    return draw.choice(WILD if draw.random() < wild else PLAIN)


def an_object(draw, wild, depth=0):
    """Draw the JSON text of an object."""
    names = draw.sample(NAMES if draw.random() < wild else NAMES[:4], draw.randint(0, 4))
    comma, colon = draw.choice([(",", ":"), (", ", ": "), (" , ", ":")])
    members = [f"{json.dumps(name)}{colon}{a_value(draw, wild, depth)}" for name in names]
    return "{" + comma.join(members) + "}"


def a_column(draw, *, is_text):
    """Draw how a column is spelt."""
    return NestedColumn(
        0,
        "attributes.p",
        "c",
        is_text,
        send_nulls=draw.random() < 0.4,
        arrays=Arrays(draw.random() < 0.8, draw.random() < 0.5),
        beside=draw.choice(BESIDES),
        null_values=frozenset(draw.choice([(), ('"x"', "{}")])),
    )


def require_alike(column, values, batches=3):
    """Spell batches in bulk, and row by row; return of how many rows DuckDB was sure."""
    slow, sure = dataclasses.replace(column, seen=Seen()), 0
    bulk = Bulk(column, values.type, SideDatabase())
    ordinals = pa.array(range(len(values)), pa.int64())
    for _ in range(batches):
        texts, failures = bulk.spelt(values)
        expected, expected_failures = slow.spelt(spelling.python_values(values), range(len(values)))

        assert texts.to_pylist() == expected
        assert {row: str(error) for row, error in failures.items()} == {
            row: str(error) for row, error in expected_failures.items()
        }
        column.seen.end_batch(ordinals)
        slow.seen.end_batch(ordinals)
        assert (column.seen.lists, column.seen.rows) == (slow.seen.lists, slow.seen.rows)
        sure += len(values) - bulk.left
    return sure


@pytest.mark.long
@pytest.mark.parametrize("wild", [0.0, 0.02, 0.3])
def test_json_text_is_spelt_as_python_spells_it(wild):
    """Whatever the text: strange numbers, escapes, names twice, half characters, depth, what is no JSON."""
    draw, sure = random.Random(wild), 0  # noqa: S311  # repeatable, not secret
    for _ in range(3):
        texts = [None if draw.random() < 0.05 else an_object(draw, wild) for _ in range(ROWS)]
        texts[::40] = draw.choices(WILD + PLAIN, k=len(texts[::40]))
        sure += require_alike(a_column(draw, is_text=True), pa.array(texts, pa.string()))

    assert sure > 0


KINDS = [
    pa.struct({"a": pa.int64(), "b": pa.string(), "o": pa.struct({"d": pa.float64(), "t": pa.bool_()})}),
    pa.list_(pa.string()),
    pa.list_(pa.uint64()),
    pa.map_(pa.string(), pa.float64()),
    pa.struct({"tags": pa.list_(pa.string()), "n": pa.uint64(), "m": pa.map_(pa.string(), pa.int32())}),
    pa.struct({"at": pa.timestamp("us", "Europe/Copenhagen"), "day": pa.date32(), "f": pa.float32()}),
    pa.struct({"o": pa.struct({"at": pa.timestamp("us", "UTC")}), "b": pa.string()}),
    pa.struct({"at": pa.timestamp("ms", "UTC"), "l": pa.list_(pa.timestamp("us", "UTC"))}),
    pa.struct({"m": pa.map_(pa.string(), pa.date32()), "n": pa.timestamp("us"), "s": pa.timestamp("s")}),
    pa.list_(pa.struct({"a": pa.int64()})),
    pa.struct({"m": pa.map_(pa.string(), pa.string()), "m-": pa.bool_(), "o": pa.list_(pa.float64())}),
    pa.struct({"a": pa.map_(pa.string(), pa.float32()), "l": pa.list_(pa.bool_()), "s": pa.large_string()}),
]
DOUBLES = [
    0.1 + 0.2,
    1.0,
    -0.0,
    1e22,
    1e300,
    5e-324,
    float("nan"),
    float("inf"),
    123456789012345680.0,
    2.5,
    1e-5,
    1.2345678901234567e20,
]
FLOATS = [
    0.1,
    1.0,
    -0.0,
    1e30,
    16777217.0,
    3.5e37,
    1e-40,
    float("nan"),
    float("inf"),
    123456.79,
    1 / 3,
    946107328.0,
    131799.125,
]
DAYS = [date(2026, 1, 2), date(1970, 1, 1), date(1000, 1, 1), date(999, 12, 31), date(9999, 12, 31)]
MOMENTS = [
    datetime(*parts, tzinfo=UTC)
    for parts in [
        (2026, 1, 2, 3, 4, 5, 678999), (1969, 12, 31, 23, 59, 59, 999999), (9999, 12, 31), (9998, 12, 30, 23),
        (1000, 1, 1), (999, 12, 31, 23), (2026, 3, 29, 2, 30), (2026, 10, 25, 2, 30),
    ]
]  # fmt: skip
TEXTS = ["x", "", 'q"\\/\n', "é", "a\0b", "\U0001f600", "null", "[1]", "1e5"]


def of_kind(draw, kind):
    """Draw a value of a type."""
    if draw.random() < 0.1:
        return None
    if pa.types.is_struct(kind):
        return {field.name: of_kind(draw, field.type) for field in kind}
    if pa.types.is_map(kind):
        return [(name, of_kind(draw, kind.item_type)) for name in draw.choices(NAMES, k=draw.choice([0, 1, 1, 2, 3]))]
    if pa.types.is_list(kind):
        return [of_kind(draw, kind.value_type) for _ in range(draw.choice([0, 1, 2, 5]))]
    if pa.types.is_integer(kind):
        most = 2 ** (kind.bit_width - 1) - 1
        return draw.choice([0, 1, 7, most, min(most, 2**53), min(most, 2**53 - 1)])
    if pa.types.is_timestamp(kind):
        return draw.choice(MOMENTS).replace(
            tzinfo=UTC if kind.tz else None, microsecond=0 if kind.unit == "s" else 5000
        )
    if pa.types.is_date(kind):
        return draw.choice(DAYS)
    if pa.types.is_floating(kind):
        return draw.choice(DOUBLES if pa.types.is_float64(kind) else FLOATS)
    return draw.choice(TEXTS) if pa.types.is_string(kind) or pa.types.is_large_string(kind) else draw.random() < 0.5


@pytest.mark.parametrize("send_nulls", [False, True])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_typed_values_are_spelt_as_python_spells_them(kind, send_nulls):
    """Structs, lists and maps, with every number and text that has a form of its own, or none."""
    draw = random.Random(str(kind))  # noqa: S311  # repeatable, not secret
    values = pa.array([of_kind(draw, kind) for _ in range(ROWS)], kind)
    dst = draw.choice([None, "earliest", "latest"])
    zone = {"timezone": "Europe/Copenhagen", "dst": dst, "local": LocalTimes("Europe/Copenhagen", dst)}
    column = dataclasses.replace(a_column(draw, is_text=False), arrays=Arrays(keep=True), send_nulls=send_nulls, **zone)

    assert require_alike(column, values) > ROWS / 4


def test_an_export_of_one_shape_is_spelt_by_duckdb():
    """Python spells the rows that are looked at first, and those with what is new."""
    texts = [json.dumps({"plan": "pro", "seats": n, "price": n / 4, "geo": {"city": "Aarhus"}}) for n in range(2_000)]
    texts[1_500] = json.dumps({"plan": "pro", "new": [1]})
    column = NestedColumn(0, "attributes.p", "c", is_text=True, send_nulls=False, arrays=Arrays(keep=True))

    assert require_alike(column, pa.array(texts), batches=1) == 1_999
    assert require_alike(dataclasses.replace(column, seen=Seen()), pa.array(texts), batches=3) == 3 * 2_000 - 1


def test_a_member_with_the_name_of_a_maps_entry_is_left_to_python():
    """Both are sorted among each other then, and may hide one another."""
    kind = pa.struct({"m": pa.map_(pa.string(), pa.string()), "m.b": pa.int8()})
    values = pa.array([{"m": [("a", "x"), ("c", "y")], "m.b": 1}, {"m": [("b", "x")], "m.b": 2}] * 200, kind)
    column = NestedColumn(0, "attributes.p", "c", is_text=False, send_nulls=False)

    assert require_alike(column, values, batches=1) == 0


def test_a_part_of_a_longer_column_is_spelt_by_duckdb_too():
    """Sources cut what they read into batches, and each batch then is a part of the same values."""
    kind = pa.struct({"o": pa.struct({"a": pa.int64()})})
    column = NestedColumn(0, "attributes.p", "c", is_text=False, send_nulls=False)
    values = pa.array([{"o": {"a": number}} for number in range(2 * ROWS)], kind)

    assert require_alike(column, values.slice(ROWS), batches=1) == ROWS


def test_no_value_reaches_into_the_next():
    """Texts that are no JSON alone, and are some together, are as little JSON as any other."""
    texts = ["[1]"] * 300 + ['"', "[1,]", '",1,2'] + ["[1]"] * 300
    column = NestedColumn(0, "attributes.p", "c", is_text=True, send_nulls=False, arrays=Arrays(keep=True))

    assert require_alike(column, pa.array(texts), batches=1) == len(texts) - 3


@pytest.mark.long
def test_names_that_are_data_are_left_to_python():
    """A column in which each row has other names has no shape: after some batches DuckDB is not asked any more."""
    column = NestedColumn(0, "attributes.p", "c", is_text=True, send_nulls=False)
    bulk = Bulk(column, pa.string(), SideDatabase())
    for batch in range(6):
        texts = [json.dumps({f"key{batch * ROWS + row}": 1}) for row in range(ROWS)]
        spelt, failures = bulk.spelt(pa.array(texts))
        assert (spelt[5].as_py(), failures) == (f'"p.key{batch * ROWS + 5}":1', {})

    assert not bulk.is_tried


def test_a_mapping_that_ends_lets_go_of_what_spelt_its_nested_values():
    """The second database is closed with the first, and not opened for that."""
    stream = Stream.model_validate({"name": "s", "record": "user", "source": "x",
                                    "fields": {"userId": "id", "attributes": {"p": "p"}}})  # fmt: skip
    data = pa.record_batch({"id": ["u1"] * 300, "p": [{"a": 1}] * 300})
    for batches in (1, 0):
        mapping = compile_mapping(stream, data.schema, as_of=datetime(2026, 1, 1, tzinfo=UTC), record_bytes_max=500_000)
        for _ in range(batches):
            assert mapping.apply(InputBatch(data, pa.array(range(300), pa.int64()), "x")).records.num_rows == 300
        mapping.close()

        assert ("connection" in vars(mapping.side)) == bool(batches)
        if batches:
            with pytest.raises(duckdb.Error, match="closed"):
                mapping.side.connection.sql("SELECT 1")


HIGHEST = """
import json
import pyarrow as pa
from bucket_loader.planning.mapping.nested.bulk import Bulk
from bucket_loader.planning.mapping.database import SideDatabase
from bucket_loader.planning.mapping.nested.lists import Arrays
from bucket_loader.planning.mapping.members import NestedColumn

def highest():
    (peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(peak) // 1024

side, texts = SideDatabase(), [json.dumps({f"name{number}": ["abc", str(number)] for number in range(250)})] * 2_500
column = NestedColumn(0, "attributes.p", "c", is_text=True, send_nulls=False, arrays=Arrays(keep=True))
bulk = Bulk(column, pa.string(), side)
values, _ = pa.array(texts), side.connection
before = highest()
bulk.spelt(values), bulk.spelt(values)
print(bulk.left, highest() - before)
side.close()
"""


@pytest.mark.long
def test_as_many_lists_as_there_may_be_take_a_bounded_memory():
    """A batch of 16 MB, the most that a source hands on, with 250 lists a row: each has expressions of its own."""
    environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"}
    done = subprocess.run([sys.executable, "-c", HIGHEST], env=environment, capture_output=True, check=True, text=True)

    left, megabytes = map(int, done.stdout.split())
    assert left == 0
    assert megabytes < 520
