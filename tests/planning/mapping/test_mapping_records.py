"""Whole records: nulls, context, keys and content, and every row accounted for."""

import hashlib
import json

import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from mapping_helpers import AS_OF_TEXT, check_conservation, compiled, mapped, records

from bucket_loader.model.rows import InputBatch


def test_the_bytes_of_a_record():
    """A record's bytes are these, for ever: a change sends everything again."""
    columns = {"id": ["u"], "n": [1], "t": ["x"]}
    table = mapped(columns, {"userId": "id", "attributes": "*"}).records

    expected = '{"type":"user","userId":"u","attributes":{"n":1,"t":"x"},%s"context":{"active":false}}'

    assert table["record"].to_pylist() == [expected % f'"timestamp":"{AS_OF_TEXT}",']
    assert table["content"].to_pylist() == [hashlib.md5((expected % "").encode(), usedforsecurity=False).digest()]
    assert table["key"].to_pylist() == [hashlib.md5(b'1:user:"u"', usedforsecurity=False).digest()]


@pytest.mark.parametrize(
    ("nulls", "attributes"), [("omit", {"b": 1}), ("send", {"a": None, "b": 1, "c": None, "d": None, "e": None})]
)
def test_nulls_are_omitted_or_sent(nulls, attributes):
    """A null attribute is left out, or sent as null where the stream says so; from every way to be null."""
    columns = {"id": ["u"], "a": pa.array([None], pa.string()), "b": [1], "c": [float("nan")], "d": ["-"]}
    spec = {"*": {}, "d": {"column": "d", "null_values": ["-"]}, "e": {"sql": "NULL"}}

    assert records(columns, {"userId": "id", "attributes": spec}, nulls=nulls)[0]["attributes"] == attributes


def test_nulls_of_other_fields_are_never_sent():
    """`nulls: send` is about attributes; an absent company is absent."""
    columns = {"u": ["a"], "c": pa.array([None], pa.string())}
    fields = {"userId": "u", "companyId": "c", "event": {"value": "e"}}

    assert "companyId" not in records(columns, fields, record="event", sync="full", nulls="send")[0]


def test_no_attributes_is_no_object():
    """A record whose attributes are all null has none."""
    columns = {"id": ["u", "v"], "a": [None, 1]}

    assert [record.get("attributes") for record in records(columns, {"userId": "id", "attributes": "*"})] == [
        None,
        {"a": 1},
    ]
    assert "attributes" not in records({"id": ["u"]}, {"userId": "id", "attributes": "*"})[0]


@pytest.mark.parametrize(
    ("kind", "active", "context"),
    [("user", None, {"active": False}), ("user", True, {"active": True}), ("user", False, {"active": False}),
     ("company", None, {"active": False}), ("event", None, None), ("event", True, {"active": True}),
     ("event", False, {"active": False})],
)  # fmt: skip
def test_activity(kind, active, context):
    """A background sync is no activity of a user or company; events say nothing unless asked."""
    fields = {"user": {"userId": "x"}, "company": {"companyId": "x"}, "event": {"userId": "x", "event": "x"}}[kind]
    words = {} if active is None else {"active": active}

    assert (
        records({"x": ["a"]}, fields, record=kind, **({"sync": "full"} if kind == "event" else {}), **words)[0].get(
            "context"
        )
        == context
    )


@pytest.mark.parametrize(
    "changed", [{"active": True}, {"fields": {"userId": "id", "attributes": {"n": {"column": "n", "type": "string"}}}}]
)
def test_content_changes_with_what_is_sent(changed):
    """Whatever changes the record's bytes changes its content."""
    columns, fields = {"id": ["u"], "n": [1]}, {"userId": "id", "attributes": "*"}
    words = {key: value for key, value in changed.items() if key != "fields"}
    one, other = mapped(columns, fields).records, mapped(columns, changed.get("fields", fields), **words).records

    assert one["key"] == other["key"]
    assert one["content"] != other["content"]


def test_a_mapped_time_is_content():
    """A mapped timestamp takes part in comparing; an as-of time does not."""
    fields = {"userId": "id", "timestamp": "at"}
    rows = {"id": ["u", "u", "u"], "at": ["2024-01-01T00:00Z", "2024-01-02T00:00Z", None]}
    contents = mapped(rows, fields).records["content"].to_pylist()

    assert len(set(contents)) == 3
    assert contents[2] == mapped({"id": ["u"]}, {"userId": "id"}).records["content"][0].as_py()


def test_an_event_without_key_is_known_by_its_content():
    """Equal events have equal keys, different ones do not."""
    columns = {"u": ["a", "a", "b"], "at": ["2024-01-01T00:00Z"] * 3}
    fields = {"userId": "u", "event": {"value": "e"}, "timestamp": "at"}
    table = mapped(columns, fields, record="event").records

    assert table["key"].to_pylist() == table["content"].to_pylist()
    assert len(set(table["key"].to_pylist())) == 2


def test_key_columns_alone_identify():
    """With `key:` the rest of an event may change; the parts of a key are kept apart."""
    columns = {"u": ["a"] * 4, "x": ["1", "1", "1,2", "1"], "y": ["2", "2", "", "2"], "n": [1, 2, 3, 4]}
    fields = {"userId": "u", "event": {"value": "e"}, "attributes": "*"}
    keys = mapped(columns, fields, record="event", key=["x", "y"]).records["key"].to_pylist()

    assert keys[0] == keys[1] == keys[3]
    assert keys[2] != keys[0]


@pytest.mark.parametrize("kinds", [("user", "company")])
def test_kinds_never_share_a_key(kinds):
    """A user and a company of one id are two."""
    keys = [mapped({"x": ["a"]}, {f"{kind}Id": "x"}, record=kind).records["key"][0].as_py() for kind in kinds]

    assert len(set(keys)) == 2


def test_no_rows_are_no_records():
    """An empty batch is mapped like any other."""
    result = mapped(
        {"id": pa.array([], pa.string()), "n": pa.array([], pa.list_(pa.int64()))}, {"userId": "id", "attributes": "*"}
    )

    assert (result.records.num_rows, result.filtered, result.rejections) == (0, 0, [])
    assert len(result.kept) == 0


def test_a_mapping_serves_many_batches():
    """One compiled mapping maps batch after batch, and a batch with rejections leaves nothing behind."""
    schema = pa.schema([("id", pa.string()), ("n", pa.string())])
    mapping = compiled(schema, {"userId": "id", "attributes": {"n": {"column": "n", "type": "json"}}})
    for start in (0, 1000, 2000):
        batch = pa.RecordBatch.from_pydict({"id": ["a", "", "c"], "n": ["1", "2", "{"]}, schema)
        result = mapping.apply(InputBatch(batch, pa.array(range(start, start + 3), pa.int64()), "f"))

        assert result.records["ordinal"].to_pylist() == [start]
        assert [rejection.origin.row for rejection in result.rejections] == [start + 1, start + 2]


def test_a_slice_of_a_batch_is_mapped_as_itself():
    """Arrow's offsets do not shift rows."""
    whole = pa.RecordBatch.from_pydict(
        {"id": ["x", "a", "b", "y"], "n": [[0], [1], [2], [3]], "b": [True, None, False, True]}
    )
    result = compiled(whole.schema, {"userId": "id", "attributes": "*"}).apply(
        InputBatch(whole.slice(1, 2), pa.array([7, 8], pa.int64()), "f")
    )

    assert [json.loads(text)["attributes"] for text in result.records["record"].to_pylist()] == [
        {"n.0": 1},
        {"b": False, "n.0": 2},
    ]


def test_many_rows_keep_their_order():
    """Rows come out in the order they went in, whatever becomes of each."""
    rows = 20_000
    columns = {"id": [None if row % 7 == 0 else str(row) for row in range(rows)], "n": list(range(rows))}
    result = mapped(columns, {"userId": "id"}, where="n % 5 <> 0")

    assert result.filtered == rows // 5
    assert [json.loads(text)["userId"] for text in result.records["record"].to_pylist()] == [
        str(row) for row in range(rows) if row % 7 and row % 5
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, "", "a", "b", "\0"]),
            st.sampled_from([None, "1", "x", "nan"]),
            st.sampled_from([None, True, False]),
        ),
        max_size=60,
    )
)
@settings(max_examples=15, deadline=None)
def test_every_row_is_accounted_for(rows):
    """Records, rejections and filtered rows are all the rows, each once, in order."""
    schema = pa.schema([("id", pa.string()), ("n", pa.string()), ("keep", pa.bool_())])
    batch = pa.RecordBatch.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)
    fields = {
        "userId": "id",
        "attributes": {"n": {"column": "n", "type": "number"}, "e": {"sql": "CAST(n AS INTEGER)"}},
    }
    result = compiled(schema, fields, where="keep").apply(
        InputBatch(batch, pa.array(range(1, len(rows) + 1), pa.int64()), "f")
    )

    check_conservation(result, len(rows))
    assert result.filtered == sum(not keep for _, _, keep in rows)
    assert result.records["ordinal"].to_pylist() == [
        number + 1 for number, (name, n, keep) in enumerate(rows) if keep and name in {"a", "b"} and n in {None, "1"}
    ]
