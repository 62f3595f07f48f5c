"""JSON Lines: no value changes, every bad line is refused alone, and no column is missed."""

import gzip
import json
import os
import time
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from source_helpers import Read, jsonl_source

from bucket_loader.config.sources import JsonLinesSource
from bucket_loader.config.stream import Stream
from bucket_loader.model.errors import SourceError
from bucket_loader.planning.mapping import compile_mapping
from bucket_loader.sources.base import UNREAD_MAX, SourceContext
from bucket_loader.sources.files.bytestream import CHUNK_BYTES
from bucket_loader.sources.files.jsonl_line import LINE_BYTES_MAX
from bucket_loader.sources.registry import open_source


def read_jsonl(base, data, **words):
    """Write lines and read them through the source."""
    return Read(jsonl_source(base, data, **words))


def sent(base, data, fields, **words):
    """Return the records that users would be sent as, as their text."""
    reading = jsonl_source(base, data, **words).read()
    stream = Stream.model_validate({"name": "s", "record": "user", "source": "x", "fields": fields})
    mapping = compile_mapping(stream, reading.schema, as_of=datetime(2026, 1, 1, tzinfo=UTC), record_bytes_max=500_000)
    return [text for batch in reading.batches for text in mapping.apply(batch).records["record"].to_pylist()]


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        (['"00123"', '"7"'], pa.string(), ["00123", "7"]),
        (["true", "null", "false"], pa.bool_(), [True, None, False]),
        (["9007199254740993", "-1"], pa.int64(), [9007199254740993, -1]),
        (["9223372036854775808", "5"], pa.decimal128(19, 0), [Decimal(9223372036854775808), Decimal(5)]),
        (["1.10", "5", "1e3"], pa.decimal128(6, 2), [Decimal("1.10"), Decimal(5), Decimal(1000)]),
        (["0.1234567890123456789", "2"], pa.decimal128(20, 19), [Decimal("0.1234567890123456789"), Decimal(2)]),
        (["1e300", "1.5"], pa.string(), ["1e300", "1.5"]),
        (["1e99999999999999999999"], pa.string(), ["1e99999999999999999999"]),
        (["1" * 40], pa.string(), ["1" * 40]),
        (["7", '"007"', "true", "1.50", "null"], pa.string(), ["7", "007", "true", "1.50", None]),
        (
            ['{"a": 1.50}', "null", "[1, 2]", '"x"', "5"],
            pa.json_(pa.string()),
            ['{"a": 1.50}', None, "[1, 2]", '"x"', "5"],
        ),
        (["null"], pa.string(), [None]),
    ],
)
def test_a_type_that_changes_nothing(tmp_path, values, kind, read):
    """The kinds of value in a column decide its type, and each value is the same in it."""
    found = read_jsonl(tmp_path, "".join(f'{{"x": {value}}}\n' for value in values))

    assert (kind, read) == (found.schema.field("x").type, found.column("x"))


def test_forms_on_the_wire(tmp_path):
    """Nested values are flattened with their exact numbers; values of several kinds are each what they are."""
    lines = (
        '{"id": 7, "o": {"n": 1.10, "big": 12345678901234567890, "t": ["a"]}, "mix": 5}\n'
        '{"id": "007", "o": "plain", "mix": "n/a"}\n'
    )

    records = sent(tmp_path, lines, {"userId": "id", "attributes": "*"})

    assert [json.loads(text, parse_float=str) for text in records] == [
        {
            "type": "user", "userId": "7", "timestamp": "2026-01-01T00:00:00.000Z", "context": {"active": False},
            "attributes": {"mix": "5", "o.n": "1.1", "o.big": "12345678901234567890", "o.t.0": "a"},
        },
        {
            "type": "user", "userId": "007", "timestamp": "2026-01-01T00:00:00.000Z", "context": {"active": False},
            "attributes": {"mix": "n/a", "o": "plain"},
        },
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"nope", "json"),
        (b'{"id": 1', "json"),
        (b'{"id": 01}', "json"),
        (b'{"id": NaN}', "json"),
        (b'{"id": -Infinity}', "json"),
        (b'{"id": 1} {"id": 2}', "json"),
        (b'{"id": "a\tb"}', "json"),
        (b"[1]", "json"),
        (b'"id"', "json"),
        (b'{"id": ' + b"[" * 200_000, "json"),
        (b'{"id": 1, "id": 1}', "duplicate"),
        (b'{"id" :1, "id":1}', "duplicate"),
        (b'{"i\\u0064": 1, "id": 1}', "duplicate"),
        (b'{"id": {"b": 1, "b": 2}}', "duplicate"),
        (b'{"id": [{"b:": 1, "b:": 2}]}', "duplicate"),
        (b'{"a:b": 1, "a:b": 2}', "duplicate"),
        (b'{"id": "\xff"}', "encoding"),
        (b'{"id": "\\ud800"}', "encoding"),
        (b'{"id": {"a": "\\udc00x"}}', "encoding"),
        (b'{"\\ud800": 1}', "encoding"),
        (b'{"id": "a\\u0000"}', "nul"),
        (b'{"id": ["\\u0000"]}', "nul"),
        (b'{"id": "' + b"x" * LINE_BYTES_MAX + b'"}', "too_long"),
    ],
)
def test_a_bad_line_is_refused_alone(tmp_path, line, code):
    """What is no sound object is refused with the number of its line; its neighbours are read."""
    read = read_jsonl(tmp_path, b'{"id": "1"}\n\n' + line + b'\r\n{"id": "4"}')

    assert [(3, code)] == [(number, found) for number, found, _ in read.codes]
    assert (read.ordinals, read.column("id")) == ([1, 4], ["1", "4"])
    assert read.schema.names == ["id"]
    assert len(read.unread[0].row["line"]) <= 2000


@pytest.mark.parametrize("value", ["\\\\u0000", "\\ud83d\\ude00", "a:b{c:d}", '\\"x\\":', "é: €"])
def test_texts_that_only_look_bad(tmp_path, value):
    """An escaped backslash before `u0000`, a pair of surrogates, colons and braces in a text are all fine."""
    read = read_jsonl(tmp_path, f'{{"id": "{value}", "a:b": 1}}\n')

    assert ([json.loads(f'"{value}"')], []) == (read.column("id"), read.unread)


def test_columns_of_all_lines(tmp_path):
    """A column that only the last line has is a column; `columns:` names those that no line has."""
    lines = '{"a": 1}\n' * 30_000 + '{"b": "x"}\n'

    read = read_jsonl(tmp_path, lines, columns=["c", "a"])

    assert read.schema.names == ["c", "a", "b"]
    assert read.rows[-1] == {"c": None, "a": None, "b": "x"}


def test_nothing_in_it(tmp_path):
    """A file without lines has no columns, and that is an error unless they are named."""
    with pytest.raises(SourceError, match="has no rows") as refused:
        read_jsonl(tmp_path, "\n\n")

    assert "columns:" in refused.value.hint
    assert (read_jsonl(tmp_path, "", columns=["a"]).schema.names, read_jsonl(tmp_path, "", columns=["a"]).rows) == (
        ["a"],
        [],
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'[\n{"a": 1}\n]', "a JSON array"),
        (b'{\n  "a": 1\n}', "over several lines"),
        ('{"a": 1}'.encode("utf-16"), "UTF-16"),
        (b"PAR1....", "is a Parquet file"),
        (b"".join(b'{"k%d": 1}\n' % number for number in range(5000)), "more than 4,096 names"),
    ],
)
def test_what_is_not_json_lines(tmp_path, data, message):
    """Other forms of JSON, other encodings and other formats are called by their names."""
    with pytest.raises(SourceError, match=message):
        read_jsonl(tmp_path, data)


def test_several_files(tmp_path):
    """Files of a folder may have other columns and kinds; a partition's name gives way to the data's."""
    for name, line in (("day=1/a.jsonl", '{"x": 1}'), ("day=2/b.jsonl.gz", '{"x": "a", "y": 2}')):
        path = tmp_path / "d" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(line.encode()) if name.endswith(".gz") else line.encode())

    read = Read(open_source(JsonLinesSource(type="jsonl", path="d"), SourceContext(tmp_path)))

    assert read.rows == [{"x": "1", "y": None, "day": "1"}, {"x": "a", "y": 2, "day": "2"}]


def test_only_bad_lines(tmp_path):
    """A file of nothing but bad lines has each of them refused, in bounded batches."""
    read = read_jsonl(tmp_path, "x\n" * 20_000, columns=["id"])

    assert list(range(1, 20_001)) == [one.origin.row for one in read.unread]
    assert max(len(batch.unread) for batch in read.batches) < 2 * UNREAD_MAX


def test_rate(tmp_path):
    """So many rows (20,000; `BUCKET_LOADER_JSONL_ROWS`) are read in the time this prints with `-s`."""
    count = int(os.environ.get("BUCKET_LOADER_JSONL_ROWS", "20000"))
    row = {
        "account": "A-7",
        "name": "Some name",
        "seats": 7,
        "mrr": 12.5,
        "trial": True,
        "signup": "2026-01-01T00:00:00Z",
    }
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"id": f"{n:06}", **row}) + "\n" for n in range(count)))
    source = open_source(JsonLinesSource(type="jsonl", path="a.jsonl"), SourceContext(tmp_path))

    began = time.process_time()
    rows = sum(batch.data.num_rows for batch in source.read().batches)

    print(f"{rows / (time.process_time() - began):,.0f} rows a second of CPU")  # noqa: T201
    assert rows == count


scalars = (
    st.none() | st.booleans() | st.integers(-(10**45), 10**45)
    | st.decimals(allow_nan=False, allow_infinity=False, places=5)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
)  # fmt: skip
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc:{", max_size=2), inner)
)


def spelt(value):
    """Spell a value as JSON, decimals as they are."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {spelt(child)}" for key, child in value.items()) + "}"
    return "[" + ",".join(map(spelt, value)) + "]" if isinstance(value, list) else json.dumps(value, ensure_ascii=False)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.dictionaries(st.sampled_from("abc"), values, max_size=3), min_size=1, max_size=6))
def test_every_value_comes_back(tmp_path, rows):
    """Whatever kinds of value the lines mix, each can be told from what was read."""
    read = read_jsonl(tmp_path, "".join(spelt(row) + "\n" for row in rows), columns=["a", "b", "c"])

    assert read.unread == []
    for row, found in zip(rows, read.rows, strict=True):
        for name in "abc":
            value, kind = row.get(name), read.schema.field(name).type
            if value is None:
                assert found[name] is None
            elif isinstance(kind, pa.JsonType) or (pa.types.is_string(kind) and not isinstance(value, str)):
                assert json.loads(found[name], parse_float=Decimal) == value
            else:
                assert found[name] == value


def a_line_of(length):
    """Return a sound line with so many bytes, its end among them."""
    return b'{"id":"%s"}\n' % (b"x" * (length - 10))


@pytest.mark.parametrize("line", [b"[1]", b"{"])
def test_a_line_that_is_no_object_is_told_wherever_in_the_file_it_stands(tmp_path, line):
    """Also as the first of the bytes that the second pass looks at closely, after some that it need not look at."""
    read = read_jsonl(tmp_path, a_line_of(CHUNK_BYTES) + line + b'\n{"id":"2"}\n')

    assert (len(read.rows), read.codes) == (2, [(2, "json", None)])


def test_rows_keep_their_numbers_where_a_blank_line_follows_a_long_one(tmp_path):
    """Bytes in which no line ends are not taken for a blank line that was found to be sound."""
    read = read_jsonl(tmp_path, a_line_of(2 * CHUNK_BYTES) + b"\n" + a_line_of(2 * CHUNK_BYTES) + b'{"id":"4"}\n')

    assert read.ordinals == [1, 3, 4]
