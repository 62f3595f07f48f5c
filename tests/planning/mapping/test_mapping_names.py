"""Names and constants of every spelling: none reaches SQL as anything but a name or a value."""

import json

import pyarrow as pa
import pytest
from mapping_helpers import codes, mapped, records

from bucket_loader.model.errors import UsageError

# What the levels of the SELECT call their own columns, and what they would be called to hide.
LEVEL_NAMES = [
    "i",
    "c0",
    "c1",
    "c2",
    "j0",
    "x0",
    "s0",
    "s1",
    "n0",
    "n1",
    "p0",
    "p1",
    "v0",
    "v1",
    "w",
    "m0",
    "head",
    "stamp",
    "record",
    "content",
    "key",
    "filtered",
    "attributes",
    "evalContext",
    "input",
    "_i",
    "_c0",
    "__c0",
    "V0",
    "W",
    "I",
]
HOSTILE = [
    'a"b',
    "a'b",
    "a.b",
    "a{b}",
    "{v}",
    "{n}",
    "{p}",
    "{}",
    "a;b",
    "a b",
    "😀",
    "é",
    "a\\b",
    "a\nb",
    "a\tb",
    "%",
    "%s",
    "$1",
    "?",
    "$as_of",
    ":as_of",
    "--",
    "/*",
    "*/",
    '"',
    "'",
    '""',
    "''",
    '"; DROP TABLE input; --',
    "'); DROP TABLE input; --",
    "x' OR '1'='1",
    "select",
    "NULL",
    "a\0b",
    "\u2028",
    "\x1f",
    "a" * 300,
    "${KEY}",
    "TRY",
    "1",
    " ",
    "e\u0301",
    "'||current_date||'",
    '"||i||"',
]


@pytest.mark.parametrize("name", LEVEL_NAMES)
def test_a_column_named_like_a_level_is_itself(name):
    """A column may have any name of ours: in a mapping, in an expression, in `where:`, beside a nested column."""
    columns = {"id": ["u1", "u2"], "zz": ["wrong", "wrong"], name: ["A", "B"], "nest": [[1], [2]]}
    attributes = {"r": {"sql": f"\"{name}\" || '!'"}, "q": name, "z": "zz", "nest": "nest"}
    result = mapped(columns, {"userId": "id", "attributes": attributes}, where=f"\"{name}\" <> 'B'")

    assert [json.loads(text)["attributes"] for text in result.records["record"].to_pylist()] == [
        {"nest.0": 1, "q": "A", "r": "A!", "z": "wrong"}
    ]
    assert result.filtered == 1


@pytest.mark.parametrize("name", LEVEL_NAMES)
def test_an_expression_sees_columns_and_nothing_of_ours(name):
    """A name of ours that is no column is an unknown name."""
    for place in (
        {"fields": {"userId": "id", "attributes": {"a": {"sql": name}}}},
        {"fields": {"userId": "id"}, "where": f"{name} = 'x'"},
    ):
        with pytest.raises(UsageError):
            mapped({"id": ["u"], "n": [1], "nest": [[1]]}, place["fields"], where=place.get("where"))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_column_name_is_a_name_for_an_id(name):
    """A column's name is quoted, whatever it holds."""
    assert records({"id": ["u"], name: ["A"]}, {"userId": name})[0]["userId"] == "A"


def test_hostile_column_names_are_names():
    """They are quoted wherever they go, beside each other, and come out as the attributes' names."""
    columns = {"id": ["u"]} | {name: [f"A{number}"] for number, name in enumerate(HOSTILE)}
    named = {f"x{number}": name for number, name in enumerate(HOSTILE)}

    assert records(columns, {"userId": "id", "attributes": "*"})[0]["attributes"] == {
        name: f"A{number}" for number, name in enumerate(HOSTILE)
    }
    assert records(columns, {"userId": "id", "attributes": named})[0]["attributes"] == {
        f"x{number}": f"A{number}" for number in range(len(HOSTILE))
    }


def test_hostile_column_names_in_expressions():
    """A quoted name is a name in an expression, whatever it holds."""
    names = [name for name in HOSTILE if "\0" not in name]
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    found = records(
        {"id": ["u"]} | {name: [f"A{number}"] for number, name in enumerate(names)},
        {"userId": "id", "attributes": {f"x{n}": {"sql": f"lower({name})"} for n, name in enumerate(quoted)}},
        where=" AND ".join(f"{name} = 'A{number}'" for number, name in enumerate(quoted)),
    )

    assert found[0]["attributes"] == {f"x{number}": f"a{number}" for number in range(len(names))}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_constants_are_values(text):
    """Constants, defaults, null values and attribute names are values, whatever they hold."""
    columns = {"id": ["u"], "n": pa.array([None], pa.string()), "m": [text]}
    attributes = {
        text: {"value": text},
        "default": {"column": "n", "default": text},
        "null": {"column": "m", "null_values": [text], "default": "was null"},
    }
    result = mapped(columns, {"userId": "id", "attributes": attributes})
    if "\0" in text:
        assert "nul" in codes(result)[1]
        return
    found = json.loads(result.records["record"][0].as_py())["attributes"]

    assert found == {text: text, "default": text, "null": "was null"}


@pytest.mark.parametrize("text", [form for form in HOSTILE if "\0" not in form and "%" not in form])
def test_a_hostile_format_is_a_format(text):
    """A time format is a value: it parses nothing, and breaks nothing."""
    spec = {"column": "t", "type": "timestamp", "format": [text, "%Y-%m-%d"], "timezone": "UTC"}
    found = records({"id": ["u"], "t": ["2024-01-02"]}, {"userId": "id", "attributes": {"t": spec}})

    assert found[0]["attributes"] == {"t": "2024-01-02T00:00:00.000Z"}


def test_columns_that_differ_in_case_need_the_exact_spelling():
    """`Id` is not `id`, in mappings and in expressions."""
    columns = {"id": ["a"], "ID": ["b"], "Plan": ["x"]}

    assert records(columns, {"userId": "ID"})[0]["userId"] == "b"
    assert records(columns, {"userId": {"sql": "ID"}})[0]["userId"] == "b"
    assert records(columns, {"userId": {"sql": "id || PLAN"}})[0]["userId"] == "ax"
    assert records(columns, {"userId": "id", "attributes": "*"})[0]["attributes"] == {"ID": "b", "Plan": "x"}
    for fields in ({"userId": {"sql": "Id"}}, {"userId": {"sql": "id || ID"}}):
        with pytest.raises(UsageError, match="expressions name both"):
            records(columns, fields)
    with pytest.raises(UsageError, match="no column 'plan'") as caught:
        records(columns, {"userId": "id", "attributes": {"p": "plan"}})
    assert "Plan" in caught.value.hint


def test_all_missing_columns_are_named_at_once():
    """Every missing column is told together, wherever it is used, with a guess."""
    fields = {"userId": "user_id", "event": {"value": "e"}, "attributes": {"*": {"exclude": ["x"]}, "p": "plan_tier"}}

    with pytest.raises(UsageError) as caught:
        mapped({"user_idd": ["u"], "plan_teir": ["p"]}, {**fields, "companyId": "c"}, record="event", key=["k"])
    assert "no column 'user_id', 'c', 'plan_tier', 'k', 'x'" in caught.value.message
    assert "'user_idd', 'plan_teir'" in caught.value.hint


def test_all_mistakes_of_the_fields_are_told_at_once():
    """Types that do not fit, expressions that do not, and unknown names are one message."""
    columns = {"id": ["u"], "b": pa.array([b"x"]), "t": pa.array([0], pa.timestamp("s"))}
    fields = {
        "userId": "id",
        "attributes": {"b": "b", "t": "t", "e": {"sql": "nope + 1"}, "f": {"sql": "lower(id) + 1"}},
    }

    with pytest.raises(UsageError) as caught:
        mapped(columns, fields, where="nothing = 1")
    for place in ("attributes.b", "attributes.t", "attributes.e", "where"):
        assert place in caught.value.message


@pytest.mark.parametrize("columns", [62, 63, 300, 1100])
def test_wide_tables(columns):
    """A table of any width has its checks in as many masks as it takes, each for its own column."""
    names = [f"k{number:04}" for number in range(columns)]
    rows = {"id": ["u", "v", None]} | {name: ["x", "x", "x"] for name in names}
    rows[names[-1]] = ["x", "a\0", "x"]
    rows[names[0]] = ["x", "a\0", "x"]
    result = mapped(rows, {"userId": "id", "attributes": "*"})

    assert json.loads(result.records["record"][0].as_py())["attributes"] == dict.fromkeys(names, "x")
    assert codes(result) == {2: ["nul", "nul"], 3: ["missing"]}
    fields = [reason.field for reason in result.rejections[0].reasons]
    assert fields == [f"attributes.{names[0]}", f"attributes.{names[-1]}"]


def test_the_star_leaves_out_what_is_used_elsewhere():
    """`*` is every column that no field uses; what is named beside it wins."""
    columns = {name: [name] for name in ("id", "a", "b", "c", "d", "e", "f")}
    fields = {"userId": {"sql": "id || e"}, "attributes": {"*": {"exclude": "d"}, "b": {"value": 1}, "x": "c"}}

    assert records(columns, fields, where="f = 'f'")[0]["attributes"] == {"a": "a", "b": 1, "f": "f", "x": "c"}


def test_attributes_are_sorted_by_name():
    """The same record from every order of columns."""
    columns = {"id": ["u"], "b": [1], "A": [2], "a": [3], "é": [4], "_": [5]}
    (text,) = mapped(columns, {"userId": "id", "attributes": "*"}).records["record"].to_pylist()

    assert list(json.loads(text)["attributes"]) == sorted(["b", "A", "a", "é", "_"])


def test_a_column_that_is_not_used_may_have_any_type():
    """A type that DuckDB lacks matters only where it is mapped."""
    columns = {"id": ["u"], "half": pa.array([1.5], pa.float16()), "big": pa.array([1], pa.decimal256(50, 0))}

    assert records(columns, {"userId": "id"})[0]["userId"] == "u"


def test_a_message_names_the_column_and_never_its_value():
    """What a row holds stays in the dead letter's row, out of its reasons."""
    columns = {"id": ["u"], "n": ["secret-value"], "j": ["{secret"], "t": ["secret"]}
    attributes = {
        "n": {"column": "n", "type": "number"},
        "j": {"column": "j", "type": "json"},
        "t": {"column": "t", "type": "timestamp"},
        "e": {"sql": "CAST(n AS INTEGER)"},
    }
    result = mapped(columns, {"userId": "id", "attributes": attributes})

    assert len(result.rejections[0].reasons) == 4
    assert "secret" not in str(result.rejections[0].reasons)
    assert result.rejections[0].row == {"id": "u", "n": "secret-value", "j": "{secret", "t": "secret"}
    assert (result.rejections[0].origin.source, result.rejections[0].origin.row) == ("f.csv", 1)
