"""Lists as values: how they are spelt whole, which Bucket would not store, and which names it drops."""

import json

import pyarrow as pa
import pytest
from mapping_helpers import batch_of, codes, compiled, flat, mapped, records

from bucket_loader.model.errors import UsageError
from bucket_loader.model.rows import InputBatch
from bucket_loader.planning.mapping.nested.lists import Arrays

KEEP, SENDS = Arrays(keep=True, rejects=True), Arrays(keep=True)
JSON = {"type": "json"}


def kept(text, **words):
    """Map JSON text with lists kept; give the attributes, or the codes."""
    return flat(text, JSON, arrays=KEEP, **words)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[]", {"a": []}),
        ('["x",1,true,null,0.50]', {"a": ["x", 1, True, None, 0.5]}),
        ('[{"b":[1,{}],"a":{"c":null}}]', {"a": [{"a": {}, "b": [1, {}]}]}),
        ('{"b":{"c":[1]},"d":{},"e":[]}', {"a.b.c": [1], "a.e": []}),
        ("null", {}),
        ('"[1]"', {"a": "[1]"}),
        ("[9007199254740993]", {"a": ["9007199254740993"]}),
    ],
)
def test_a_list_is_one_value(text, found):
    """A list stays in its place, with all that is in it; objects outside of lists have dotted names."""
    assert kept(text) == found


def test_text_that_looks_like_a_list_stays_text():
    """Only a list, or JSON that is asked for, is a list."""
    assert flat("[1]", arrays=KEEP) == {"a": "[1]"}


def test_null_members_follow_nulls_and_null_items_stay():
    """`nulls: send` spells null members of objects in lists, and a list that is null."""
    assert kept('[{"a":null},null]', nulls="send") == {"a": [{"a": None}, None]}
    assert kept("null", nulls="send") == {"a": None}


@pytest.mark.parametrize("value", [[], [("k", [])]], ids=["no entries", "a list in it"])
def test_a_map_is_no_list(value):
    """An empty map has no leaves, as an empty object; a list in a map is one."""
    column = pa.array([value], pa.map_(pa.string(), pa.list_(pa.string())))

    assert flat(column, arrays=KEEP) == ({"a.k": []} if value else {})


def long(characters):
    """Return a list whose JSON has so many characters: one text, two quotes, two brackets."""
    return json.dumps(["x" * (characters - 4)])


@pytest.mark.parametrize(
    ("text", "is_stored"),
    [
        (json.dumps([1] * 400), True),  # "1", is four characters
        (json.dumps([1] * 500), False),
        (json.dumps([None] * 600), True),  # "",
        (json.dumps([None] * 1_000), False),
        (json.dumps([""] * 1_001), False),
        (long(2_000), True),
        (long(2_001), False),
        (json.dumps(["\U0001f600" * 998]), True),  # JavaScript counts two characters
        (json.dumps(["\U0001f600" * 998 + "x"]), False),
        (json.dumps([{"a": "x" * 1_984}]), True),  # "{\\"a\\":\\"...\\"}"
        (json.dumps([{"a": "x" * 1_985}]), False),
    ],
    ids=range(11),
)
def test_a_list_beyond_the_limits_rejects_its_row(text, is_stored):
    """1,000 items, and 2,000 characters as JSON of the items as texts, are stored; one more is not."""
    assert (kept(text) != ["truncated"]) is is_stored
    assert json.loads(json.dumps(flat(text, JSON, arrays=SENDS)["a"])) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"__proto__":1}',
        '{"b":{"constructor":1}}',
        '[{"prototype":1}]',
        '{"x.constructor.y":1}',
        '{"pro\\u0000totype":1}',
    ],
)
def test_a_name_that_bucket_drops_rejects_its_row(text):
    """At any depth, in lists, as a part of a dotted name, and after NULs are taken out."""
    assert kept(text) == ["dropped"]


def test_a_name_that_only_looks_so_is_sent():
    """Whole parts count, in their own case."""
    assert kept('{"constructors":1,"Prototype":2}') == {"a.constructors": 1, "a.Prototype": 2}


def test_a_field_that_bucket_drops_is_a_mistake_or_is_told():
    """`fields:` cannot be right; with `send` it is told."""
    schema, fields = pa.schema([("id", pa.string()), ("constructor", pa.string())]), {"userId": "id", "attributes": "*"}

    with pytest.raises(UsageError, match="drops every attribute with the name 'constructor'"):
        compiled(schema, fields, arrays=KEEP)
    assert ["drops every attribute" in note for note in compiled(schema, fields, arrays=SENDS).notes] == [True]


def test_what_is_not_stored_is_told_by_column_and_row():
    """With `on_truncation: send` the rows go out, and are named; objects in lists are told, too."""
    texts = ["[1]", json.dumps([""] * 1_001), "[[1]]", '{"__proto__":[]}', json.dumps([1] * 500)]
    batch = batch_of({"id": list("abcde"), "a": texts})
    mapping = compiled(batch.schema, {"userId": "id", "attributes": {"a": {"column": "a", **JSON}}}, arrays=SENDS)

    found = mapping.apply(InputBatch(batch, pa.array([11, 12, 13, 14, 15], pa.int64()), "f"))

    assert not found.rejections
    assert sorted(mapping.noticed.told()) == [
        "column 'a': 1 rows hold a list of more than 1,000 items, which Bucket stores as `[TRUNCATED]` (row 12)",
        "column 'a': 1 rows hold a list of more than 2,000 characters, which Bucket stores as `[TRUNCATED]` (row 15)",
        "column 'a': 1 rows hold a value with the name '__proto__', which Bucket drops (row 14)",
        "column 'a': 1 rows hold objects or lists inside a list, which Bucket stores as JSON text (row 13)",
    ]
    assert mapping.noticed.lists() == {"a": 1_001, "a.__proto__": 0}


def evaluation(arrays, **context):
    """Map a check of a feature; give its context."""
    columns = {"id": ["u"], "co": ["c"], "plan": [None], "last": ['{"at":{"y":2026},"of":["x"],"none":{}}']}
    fields = {
        "action": {"value": "check"}, "key": {"value": "f"}, "evalResult": {"value": True}, "evalContext": context
    }  # fmt: skip
    (record,) = records(columns, fields, record="feature_event", arrays=arrays)
    return record.get("evalContext")


CONTEXT = {"user.id": "id", "company.id": "co", "company.plan": "plan", "other.last": {"column": "last", **JSON},
           "off.plan": "plan"}  # fmt: skip


def test_the_context_of_an_evaluation_has_its_objects():
    """Nested as every SDK sends it; objects without members are left out. With `flatten` names are dotted as before."""
    assert evaluation(KEEP, **CONTEXT) == {
        "company": {"id": "c"},
        "other": {"last": {"at": {"y": 2026}, "of": ["x"]}},
        "user": {"id": "u"},
    }
    assert evaluation(Arrays(), **CONTEXT) == {
        "company.id": "c", "other.last.at.y": 2026, "other.last.of.0": "x", "user.id": "u"
    }  # fmt: skip
    assert evaluation(KEEP, **{"off.plan": "plan"}) is None


def test_a_value_cannot_stand_where_an_object_is():
    """`user` beside `user.id` is a mistake, and both are named."""
    with pytest.raises(UsageError, match="'user' is a value"):
        evaluation(KEEP, **{"user": "id", "user.id": "id"})


def test_errors_of_an_evaluation_are_a_list_of_objects():
    """`evalErrors` is mapped, and nothing but a list of objects is one."""
    errors = [{"code": "MISSING_CONTEXT_FIELD", "field": "user.id", "message": "none"}]
    fields = {"action": {"value": "check"}, "key": {"value": "f"}, "evalResult": {"value": False}, "evalErrors": "e"}

    (record,) = records({"e": [json.dumps(errors)]}, fields, record="feature_event")
    assert record["evalErrors"] == errors
    assert codes(mapped({"e": ['["x"]']}, fields, record="feature_event")) == {1: ["nested"]}
