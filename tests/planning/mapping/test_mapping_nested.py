"""Nested values: flat, dotted, sorted, each leaf in the form it would have on its own."""

import datetime as dt
import json
import math
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import assume, given, settings, strategies as st
from mapping_helpers import attribute, codes, flat, mapped, records

from bucket_loader.model.errors import UsageError
from bucket_loader.planning.mapping.nested import spelling
from bucket_loader.planning.mapping.nested.fragments import LEAVES_MAX, Fragment
from bucket_loader.planning.mapping.nested.spelling import DEPTH_MAX, NoFormError

JSON = {"type": "json"}


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ('{"b":1,"a":"x"}', {"a.a": "x", "a.b": 1}),
        ("[1,[2,{}]]", {"a.0": 1, "a.1.0": 2}),
        ("{}", {}),
        ("[]", {}),
        ("5", {"a": 5}),
        ('"x"', {"a": "x"}),
        ("true", {"a": True}),
        ("null", {}),
        ('{"a":null}', {}),
        ('{"a":[],"b":{}}', {}),
        ('{"a":1,"a":2}', {"a.a": 2}),
        ('{"a":{"b":{"c":1}}}', {"a.a.b.c": 1}),
        ('{"a.b":1}', {"a.a.b": 1}),
        ('{"":1}', {"a.": 1}),
        ('{"é😀":1}', {"a.é😀": 1}),
        ('{"\\"":1}', {'a."': 1}),
        ("123456789012345678901234567890", {"a": "123456789012345678901234567890"}),
        ("1.0", {"a": 1}),
        ("-0.0", {"a": 0}),
        ("1.10", {"a": 1.1}),
        ("0.1234567890123456789", {"a": "0.1234567890123456789"}),
        ("9007199254740993", {"a": "9007199254740993"}),
        ("1e-7", {"a": 1e-7}),
        ('"\\u2028\\ud83d\\ude00"', {"a": "\u2028😀"}),
        (' {"a" : 1} ', {"a.a": 1}),
    ],
)
def test_json_text_is_flattened(text, members):
    """JSON text becomes dotted names with the values' own forms."""
    assert flat(text, JSON) == members


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{",
        "{'a':1}",
        "NaN",
        "[Infinity]",
        "-Infinity",
        '{"a":NaN}',
        "[1,]",
        "01",
        "1 2",
        "nul",
        '"\\ud800"',
        '"\\udc00x"',
        '{"\\ud800":1}',
        '"\\u0000"',
        '{"a\\u0000":1}',
        "[" * 5000,
        "[" * 40 + "]" * 40,
        "1" * 5000,
        '{"a":' * 40 + "1" + "}" * 40,
        "1e99999",
        "1e999999999",
        "1e-999999999",
        '"a\nb"',
        "\ufeff{}",
        "[" + ",".join(["1"] * (LEAVES_MAX + 1)) + "]",
    ],
)
def test_what_is_no_json_rejects_its_row_alone(text):
    """No JSON text, however hostile, stops the batch, fills the memory, or sends half of itself."""
    assert attribute([text, "5"], JSON) == ["!nested", "5"]


def test_the_limits_of_nesting_are_exact():
    """The deepest and the widest value that fit are sent."""
    assert flat("[" * DEPTH_MAX + "7" + "]" * DEPTH_MAX, JSON) == {"a" + ".0" * DEPTH_MAX: 7}
    assert flat("[" * (DEPTH_MAX + 1) + "7" + "]" * (DEPTH_MAX + 1), JSON) == ["nested"]
    assert len(flat("[" + ",".join(["1"] * LEAVES_MAX) + "]", JSON)) == LEAVES_MAX


@pytest.mark.parametrize(
    ("column", "members"),
    [
        (pa.array([{"x": 1, "b": "t"}]), {"a.b": "t", "a.x": 1}),
        (pa.array([[1, None, 3]]), {"a.0": 1, "a.2": 3}),
        (pa.array([[("k", 1), ("j", 2)]], pa.map_(pa.string(), pa.int64())), {"a.j": 2, "a.k": 1}),
        (pa.array([[("k", 1), ("k", 3)]], pa.map_(pa.string(), pa.int64())), ["nested"]),
        (pa.array([[(1, "x")]], pa.map_(pa.int64(), pa.string())), {"a.1": "x"}),
        (pa.array([[[1], [2]]]), {"a.0.0": 1, "a.1.0": 2}),
        (pa.array([[1, 2]], pa.list_(pa.int64(), 2)), {"a.0": 1, "a.1": 2}),
        (pa.array([[1]], pa.large_list(pa.int64())), {"a.0": 1}),
        (pa.array([[1]], pa.list_view(pa.int64())), {"a.0": 1}),
        (pa.array([[0.1, 16777216.0]], pa.list_(pa.float32())), {"a.0": 0.1, "a.1": 16777216}),
        (pa.array([{"x": [{"y": 0.3}]}], pa.struct({"x": pa.list_(pa.struct({"y": pa.float32()}))})), {"a.x.0.y": 0.3}),
        (pa.array([[("k", 0.7)]], pa.map_(pa.string(), pa.float32())), {"a.k": 0.7}),
        (pa.array([[(0.1, "x")]], pa.map_(pa.float32(), pa.string())), {"a.0.1": "x"}),
        (pa.array([{"x": float("nan"), "y": None}]), {}),
        (pa.array([{"x": float("inf")}]), ["nested"]),
        (pa.array([[b"x"]]), ["nested"]),
        (pa.array([[dt.timedelta(1)]]), ["nested"]),
        (pa.array([["a\0b"]]), ["nested"]),
        (pa.array([[dt.date(2024, 1, 2), dt.date(999, 1, 1)]]), ["nested"]),
        (pa.array([[dt.date(2024, 1, 2)]]), {"a.0": "2024-01-02"}),
        (pa.array([[dt.time(1, 2, 3, 500_000), dt.time(1, 2)]]), {"a.0": "01:02:03.5", "a.1": "01:02:00"}),
        (pa.array([[Decimal("1.10"), Decimal("2.00")]]), {"a.0": 1.1, "a.1": 2}),
        (pa.array([None], pa.list_(pa.int64())), {}),
        (pa.array(['{"b":1}'], pa.json_()), {"a.b": 1}),
    ],
    ids=str,
)
def test_nested_columns_are_flattened(column, members):
    """Structs, lists and maps become dotted names; a leaf without a form rejects its row."""
    assert flat(column) == members


def test_times_that_are_keys_of_a_map_are_read_in_the_zone_of_the_stream():
    """A key has the form that the same value has anywhere else."""
    noon = [[(dt.datetime(2024, 7, 1, 12), 1)]]  # noqa: DTZ001
    columns = {"id": ["u"], "a": pa.array(noon, pa.map_(pa.timestamp("us"), pa.int64()))}
    (text,) = mapped(columns, {"userId": "id", "attributes": "*"}, timezone="Europe/Oslo").records["record"].to_pylist()

    assert json.loads(text)["attributes"] == {"a.2024-07-01T10:00:00.000Z": 1}


def test_nanoseconds_inside_are_cut_downwards():
    """A nested nanosecond before 1970 is still 1969."""
    column = pa.array([[-1, 1_700_000_000_123_999_999]], pa.list_(pa.timestamp("ns", "UTC")))

    assert flat(column) == {"a.0": "1969-12-31T23:59:59.999Z", "a.1": "2023-11-14T22:13:20.123Z"}


def test_a_name_written_beside_wins():
    """What `fields:` names wins over what is inside a column of `*`; no name is sent twice."""
    columns = {"id": ["u"], "a": [{"b": 1, "c": 2, "d": {"e": 3}}], "t": ["flat"], "s": [{"e": 4, "f": 5}]}
    by_hand = {"a.b": "t", "a.c": {"value": "named"}, "a.d": "s"}
    (text,) = mapped(columns, {"userId": "id", "attributes": {"*": {}, **by_hand}}).records["record"].to_pylist()
    pairs = []
    json.loads(text, object_pairs_hook=lambda found: pairs.extend(name for name, _ in found) or dict(found))

    assert json.loads(text)["attributes"] == {"a.b": "flat", "a.c": "named", "a.d.e": 4, "a.d.f": 5}
    assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize(
    ("inside", "beside"),
    [
        ({"b": 1}, {"a.b": ["flat"]}),
        ({"b": {"c": 1}}, {"a.b": [{"c": 2}]}),
        ({"b": {"c": 1}}, {"a.b": [{"d": 2}]}),
        ([1], {"a.0": [2]}),
    ],
    ids=str,
)
@pytest.mark.parametrize("names", [{"*": {}}, {"a": "a", "beside": "beside"}])
def test_a_column_that_meets_what_is_inside_another_rejects_its_row(inside, beside, names):
    """Neither hides the other, whether `*` brings both or both are written; a null inside meets nothing."""
    ((name, values),) = beside.items()
    attributes = names if "*" in names else {"a": "a", name: name}
    nothing = [None] if isinstance(inside, list) else dict.fromkeys(inside)
    columns = {"id": ["u", "v"], "a": pa.array([inside, nothing]), name: values * 2}
    result = mapped(columns, {"userId": "id", "attributes": attributes})

    assert codes(result) == {1: ["nested"]}
    assert "dotted name" in result.rejections[0].reasons[0].message


@pytest.mark.parametrize(
    "column",
    [
        pa.array(['{"b.c":1,"b":{"c":2}}'], pa.json_()),
        pa.array([{"b.c": 1, "b": {"c": 2}}]),
        pa.array([[("b.c", 1), ("b.c", 2)]], pa.map_(pa.string(), pa.int64())),
        pa.array(['{"0":[1],"0.0":1}'], pa.json_()),
    ],
    ids=str,
)
def test_two_values_with_one_dotted_name_reject_their_row(column):
    """None of them is hidden, from JSON, structs and maps."""
    assert flat(column) == ["nested"]


def test_null_values_and_defaults_of_json():
    """The words of a field hold for JSON text too."""
    spec = {**JSON, "null_values": ["NULL"], "default": 7}

    assert attribute(pa.array(["NULL", None, "5"]), spec) == ["7", "7", "5"]


def test_nulls_are_sent_alike_from_every_nesting():
    """`nulls: send` spells a null column, a null member and JSON's null."""
    columns = {"id": ["u", "v", "w"], "a": ['{"b":null}', None, "null"]}
    found = records(columns, {"userId": "id", "attributes": {"a": {"column": "a", **JSON}}}, nulls="send")

    assert [record["attributes"] for record in found] == [{"a.b": None}, {"a": None}, {"a": None}]


def test_a_list_for_one_value_is_refused():
    """A nested column is no id."""
    with pytest.raises(UsageError, match=r"userId: the type BIGINT\[\] has no form"):
        mapped({"id": pa.array([[1]])}, {"userId": "id"})


def test_json_from_an_expression_is_refused_with_a_hint():
    """An expression's JSON would be sent nested; the hint says how to take text out of it."""
    with pytest.raises(UsageError, match="JSON has no form") as caught:
        records({"id": ["u"], "p": ['{"a":1}']}, {"userId": "id", "attributes": {"a": {"sql": "p->'a'"}}})
    assert "->>" in caught.value.hint


def test_the_lists_of_a_feature_event():
    """The list fields take lists of their type, from lists and from JSON text, and nothing else."""
    fields = {"action": {"value": "check"}, "key": {"value": "k"}, "evalResult": {"value": True}}
    columns = {"r": pa.array([[True, False], [], None, [True, None]]), "m": ['["a"]', "[]", None, '["a",1]']}
    fields |= {"evalRuleResults": "r", "evalMissingFields": "m"}
    result = mapped(columns, fields, record="feature_event", sync="full")
    found = [json.loads(text) for text in result.records["record"].to_pylist()]

    assert [record.get("evalRuleResults") for record in found] == [[True, False], [], None]
    assert [record.get("evalMissingFields") for record in found] == [["a"], [], None]
    assert codes(result) == {4: ["nested", "nested"]}


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=10)
)
NAMES = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=5)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)


def leaves(name, value):
    """The oracle: the leaves by dotted name, as often as they come."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return [leaf for key, child in pairs for leaf in leaves(f"{name}.{key}", child)]
    return [(name, value)]


@given(TREES)
@settings(max_examples=60, deadline=None)
def test_every_json_value_is_flattened_like_the_oracle(tree):
    """Any JSON value has the oracle's names and values, sorted by name."""
    listed = [(name, leaf) for name, leaf in leaves("a", tree) if leaf is not None]
    expected = dict(listed)
    if len(expected) < len(listed):
        with pytest.raises(NoFormError, match="one dotted name"):
            Fragment("a", lambda _: False, send_nulls=False).members(spelling.parse(json.dumps(tree)))
        return
    text = Fragment("a", lambda _: False, send_nulls=False).members(spelling.parse(json.dumps(tree)))
    found = json.loads("{" + text + "}")

    assert list(found) == sorted(expected)
    for name, leaf in expected.items():
        if isinstance(leaf, bool | str):
            assert found[name] == leaf
        else:
            assert math.isclose(float(found[name]), leaf)


@given(TREES)
@settings(max_examples=30, deadline=None)
def test_a_python_value_and_its_json_text_are_spelt_alike(tree):
    """A struct column and JSON text of the same value make the same bytes, but for numbers beyond a double."""
    assume(len({name for name, _ in leaves("a", tree)}) == len(leaves("a", tree)))
    one = Fragment("a", lambda _: False, send_nulls=True).members(spelling.parse(json.dumps(tree)))
    other = Fragment("a", lambda _: False, send_nulls=True).members(tree)

    def loose(text):
        return {
            name: float(leaf) if isinstance(leaf, int | float) or _is_number(leaf) else leaf
            for name, leaf in json.loads("{" + text + "}").items()
        }

    assert loose(one) == loose(other)


def _is_number(leaf):
    return isinstance(leaf, str) and leaf.isascii() and leaf.lstrip("-").replace(".", "").isdigit()


LEAF_COLUMNS = {
    "integers": st.integers(-(2**63), 2**63 - 1).map(lambda value: (value, pa.int64())),
    "floats": st.floats().map(lambda value: (value, pa.float64())),
    "floats32": st.floats(width=32).map(lambda value: (value, pa.float32())),
    "booleans": st.booleans().map(lambda value: (value, pa.bool_())),
    "texts": st.text(st.characters(exclude_categories=("Cs",))).map(lambda value: (value, pa.string())),
    "decimals": st.decimals(-(10**20), 10**20, places=6).map(lambda value: (value, pa.decimal128(38, 6))),
    "dates": st.dates(dt.date(1, 1, 1)).map(lambda value: (value, pa.date32())),
    "times": st.times().map(lambda value: (value, pa.time64("us"))),
    "moments": st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=st.just(dt.UTC)).map(  # noqa: DTZ001
        lambda value: (value, pa.timestamp("us", "UTC"))
    ),
    "nanoseconds": st.integers(-(2**62), 2**62).map(lambda value: (value, pa.timestamp("ns", "UTC"))),
    "uuids": st.uuids().map(lambda value: (value.bytes, pa.uuid())),
}


@pytest.mark.parametrize("kind", LEAF_COLUMNS)
@given(data=st.data())
@settings(max_examples=6, deadline=None)
def test_a_leaf_has_the_form_that_it_has_on_its_own(kind, data):
    """For every type the Python forms inside nested values agree with the SQL forms, row by row."""
    drawn = data.draw(st.lists(LEAF_COLUMNS[kind], min_size=1, max_size=40))
    values, column_type = [value for value, _ in drawn], drawn[0][1]
    alone = attribute(pa.array(values, column_type))
    inside = [_inside(value, column_type) for value in values]

    assert [one if one is None or one[0] != "!" else "!" for one in alone] == inside


def _inside(value, column_type):
    column = pa.ListArray.from_arrays([0, 1], pa.array([value], column_type))
    try:
        text = Fragment("a", lambda _: False, send_nulls=False).members(spelling.python_values(column)[0])
    except spelling.NoFormError:
        return "!"
    return text.removeprefix('"a.0":') or None


BIG = "12345678901234567890123456789012345678901234567890.10"


@pytest.mark.parametrize(
    ("words", "text", "shown"),
    [
        ({"type": "number"}, "1.10", "1.1"),
        ({"type": "number"}, BIG, f'"{BIG[:-1]}"'),
        ({"type": "number"}, '"7"', "7"),
        ({"type": "number"}, "[1]", "!number"),
        ({"type": "integer"}, "9007199254740993", '"9007199254740993"'),
        ({"type": "integer"}, "1.5", "!integer"),
        ({"type": "boolean"}, '"yes"', "true"),
        ({"type": "timestamp", "timezone": "UTC"}, '"2026-01-31 08:00:00"', '"2026-01-31T08:00:00.000Z"'),
        ({"type": "date"}, '"2026-01-31"', '"2026-01-31"'),
        ({"type": "date"}, "7", "!date"),
        ({"type": "string"}, '"x\\n"', '"x\\n"'),
        ({"type": "number"}, "null", None),
    ],
)
def test_a_json_value_of_another_type_is_read_as_its_text(words, text, shown):
    """A column of JSON with a `type:` is a number, a truth, a moment or a day, or rejects its row; null is null."""
    column = pa.ExtensionArray.from_storage(pa.json_(), pa.array([text]))

    assert attribute(column, words) == [shown]
