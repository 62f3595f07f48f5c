"""A dotted name is a column inside of another one, wherever a column may stand."""

import hashlib
import json

import pyarrow as pa
import pytest
from mapping_helpers import batch_of, codes, compiled, mapped, records, stream_of

from bucket_loader.model.errors import UsageError
from bucket_loader.model.rows import InputBatch
from bucket_loader.planning.cursor import HighWater
from bucket_loader.planning.mapping import asked_columns
from bucket_loader.planning.mapping.nested.lists import Arrays

P = {"user": {"id": "u1", "mail": "ann@x.org"}, "rows": 3, "at": "2024-05-01T10:00:00Z", "ok": True}
INNER = pa.struct({"id": pa.string(), "mail": pa.string()})
STRUCT = pa.struct({"user": INNER, "rows": pa.int64(), "at": pa.string(), "ok": pa.bool_()})


def json_array(*values):
    """Return JSON values, as a source gives them."""
    texts = [None if value is None else value if isinstance(value, str) else json.dumps(value) for value in values]
    return pa.ExtensionArray.from_storage(pa.json_(), pa.array(texts, pa.string()))


FORMS = {
    "struct": pa.array([P], STRUCT),
    "json": json_array(P),
    "text": pa.array([json.dumps(P)]),
    "dictionary": pa.array([json.dumps(P)]).dictionary_encode(),
    "struct of json": pa.StructArray.from_arrays(
        [json_array(P["user"]), pa.array([3]), pa.array([P["at"]]), pa.array([True])], ["user", "rows", "at", "ok"]
    ),
    "map of json": pa.MapArray.from_arrays([0, 4], pa.array(list(P)), json_array(*map(json.dumps, P.values()))),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_path_is_a_column_in_every_word_that_takes_one(form):
    """Ids, attributes with a type and without, a time, `key:`: from structs, maps and JSON alike."""
    fields = {
        "userId": "p.user.id",
        "event": {"value": "e"},
        "timestamp": "p.at",
        "attributes": {"rows": "p.rows", "text": {"column": "p.rows", "type": "string"}, "ok": {"column": "p.ok"},
                       "absent": {"column": "p.user.id", "null_values": ["u1"], "default": "nobody"}},
    }  # fmt: skip
    (found,) = records({"p": FORMS[form]}, fields, record="event", key=["p.rows", "p.user.mail"])

    assert (found["userId"], found["timestamp"]) == ("u1", "2024-05-01T10:00:00.000Z")
    assert found["attributes"] == {"rows": 3, "text": "3", "ok": True, "absent": "nobody"}


@pytest.mark.parametrize("form", [form for form in FORMS if form not in {"text", "dictionary"}])
def test_star_sends_what_no_field_uses_and_nobody_excludes(form):
    """What a field uses inside of a column is not sent twice, and what is excluded not at all; a text is sent whole."""
    attributes = {"*": {"exclude": ["p.user.mail", "p.at"]}}
    (found,) = records({"p": FORMS[form]}, {"userId": "p.user.id", "attributes": attributes})

    assert found["attributes"] == {"p.rows": 3, "p.ok": True}


def test_excluding_an_object_leaves_out_all_that_is_in_it():
    """Also of a column that is written by hand, by whatever name it goes."""
    attributes = {"*": {"exclude": ["p.user"]}, "props": {"column": "t", "type": "json"}}
    columns = {"id": ["u"], "p": FORMS["json"], "t": FORMS["text"]}
    (by_star,) = records({"id": ["u"], "p": FORMS["json"]}, {"userId": "id", "attributes": {"*": attributes["*"]}})
    attributes["*"] = {"exclude": ["p", "t.user", "t.at"]}
    (by_hand,) = records(columns, {"userId": "id", "attributes": attributes})

    assert sorted(by_star["attributes"]) == ["p.at", "p.ok", "p.rows"]
    assert by_hand["attributes"] == {"props.ok": True, "props.rows": 3}


@pytest.mark.parametrize("form", ["struct", "json", "map"])
def test_an_excluded_name_leaves_out_the_column_and_what_is_inside_of_another(form):
    """Neither of two values of one dotted name goes under the name that was excluded."""
    column = {
        "struct": pa.array([{"b": "inside", "c": "x"}]),
        "json": json_array({"b": "inside", "c": "x"}),
        "map": pa.array([[("b", "inside"), ("c", "x")]], pa.map_(pa.string(), pa.string())),
    }[form]
    columns = {"id": ["u"], "a": column, "a.b": ["column"]}
    (found,) = records(columns, {"userId": "id", "attributes": {"*": {"exclude": ["a.b"]}}})

    assert found["attributes"] == {"a.c": "x"}


def test_what_is_excluded_is_no_part_of_a_context_either():
    """The objects of an evaluation's context stay objects, without it."""
    context = {"*": {"exclude": ["user.mail"]}}
    fields = {
        "action": {"value": "check"},
        "key": {"value": "k"},
        "evalResult": {"value": True},
        "evalContext": context,
    }
    (found,) = records({"user": json_array(P["user"])}, fields, record="feature_event", sync="full",
                       arrays=Arrays(keep=True))  # fmt: skip

    assert found["evalContext"] == {"user": {"id": "u1"}}


@pytest.mark.parametrize("kind", ["json", "struct"])
def test_a_whole_batch_is_spelt_at_once_without_what_is_left_out(kind):
    """DuckDB is sure of the rows all the same: leaving personal data out costs no speed."""
    values = [{"a": row, "user": {"mail": f"u{row}@x.org", "n": [row, "n"]}, "plan": "pro"} for row in range(600)]
    if kind == "struct":
        values = [{**value, "user": {"mail": value["user"]["mail"]}} for value in values]
    column = json_array(*values) if kind == "json" else pa.array(values)
    batch = batch_of({"id": [f"u{row}" for row in range(600)], "p": column})
    mapping = compiled(batch.schema, {"userId": "id", "attributes": {"*": {"exclude": ["p.user"]}}})
    result = mapping.apply(InputBatch(batch, pa.array(range(1, 601), pa.int64()), "f"))

    assert "x.org" not in "".join(result.records["record"].to_pylist())
    assert json.loads(result.records["record"][7].as_py())["attributes"] == {"p.a": 7, "p.plan": "pro"}
    assert [bulk.left for bulk in mapping.bulk] == [0]


def test_each_row_of_a_map_has_its_own_entry():
    """Also in a part of a longer array, with rows that lack the key, that are null, and that have it twice."""
    rows = [[("a", "cut"), ("b", "x")], [("b", "1"), ("a", "2")], [], None, [("a", "3"), ("a", "4")], [("b", "5")]]
    column = pa.array([*rows, [("a", "cut")]], pa.map_(pa.string(), pa.string())).slice(1, 5)
    found = records({"p": column}, {"userId": {"value": "u"}, "attributes": {"a": {"column": "p.a", "default": "-"}}})

    assert [record["attributes"]["a"] for record in found] == ["2", "-", "-", "4", "-"]


def test_a_column_of_the_whole_name_comes_first():
    """And then the longest beginning that is a column; inside of JSON a name with dots comes first as well."""
    columns = {
        "p": json_array({"a": {"b": "inside"}, "a.b": "dotted"}),
        "p.c": ["column"],
        "p.d": json_array({"e": "x"}),
    }
    attributes = {"one": "p.a.b", "two": "p.c", "three": "p.d.e"}
    (found,) = records(columns, {"userId": {"value": "u"}, "attributes": attributes})

    assert found["attributes"] == {"one": "dotted", "two": "column", "three": "x"}


def test_an_id_inside_of_json_is_spelt_as_it_is_there():
    """No digit is lost or added, whatever number it is; null and what is not there is no id."""
    spelt = ["12345678901234567890123", "1.10", "007", "1.0"]
    texts = [f'{{"id": {text if text != "007" else json.dumps(text)}}}' for text in spelt]
    texts += ['{"id": null}', "{}", "[]", "3", None, ""]
    result = mapped({"p": pa.array(texts)}, {"userId": "p.id"})

    assert [json.loads(text)["userId"] for text in result.records["record"].to_pylist()] == spelt
    assert codes(result) == {row: ["missing"] for row in range(5, 11)}


def test_an_object_is_no_id():
    """One level too high is told, and no id is made of it."""
    result = mapped({"p": json_array({"user": {"id": "u"}}, {"user": ["u"]})}, {"userId": "p.user"})

    assert codes(result) == {1: ["nested"], 2: ["nested"]}


def test_text_that_is_no_json_rejects_its_row():
    """But not a row that is filtered out."""
    texts = pa.array(["{'a': 1}", "plain", '{"a": "x"}', '{"a": "\\ud83d"}', "skipped"])
    result = mapped({"p": texts}, {"userId": {"value": "u"}, "attributes": {"a": "p.a"}}, where="p <> 'skipped'")

    assert codes(result) == {1: ["nested"], 2: ["nested"], 4: ["nested"]}
    assert result.filtered == 1
    assert "column 'p' is not JSON" in result.rejections[0].reasons[0].message
    assert result.rejections[0].row == {"p": "{'a': 1}"}


def test_what_hides_a_value_takes_it_from_inside():
    """An address inside of JSON is hashed like one of a column of its own."""
    (found,) = records({"p": FORMS["json"]}, {"userId": {"column": "p.user.mail", "hash": "sha256"},
                       "attributes": {"m": {"column": "p.user.mail", "hash": "sha256"}}})  # fmt: skip
    digest = hashlib.sha256(P["user"]["mail"].encode()).hexdigest()

    assert (found["userId"], found["attributes"]) == (digest, {"m": digest})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"userId": "p.usr.id"}, "did you mean 'p.user.id'"),
        ({"userId": "q.id"}, "no column 'q.id'"),
        ({"userId": "n.id"}, "no column 'n.id'"),
        ({"userId": "t.id", "attributes": {"*": {"exclude": ["p.nothing"]}}}, "no column 'p.nothing'"),
        ({"userId": "t.id", "attributes": {"*": {"exclude": ["t.mail"]}}}, "cannot leave 't.mail' out of 't'"),
    ],
)
def test_a_path_to_nowhere_is_told(fields, said):
    """What a struct lacks, what is no column, what is inside of a number, and what a text cannot be sent without."""
    batch = batch_of({"p": FORMS["struct"], "t": ["{}"], "n": [1]})

    with pytest.raises(UsageError) as caught:
        compiled(batch.schema, fields)
    assert said in f"{caught.value} {caught.value.hint}"


def test_whoever_asks_for_a_path_asks_for_its_column():
    """A bad value in that column is then told by the source."""
    is_asked = asked_columns(stream_of({"userId": "p.user.id", "event": {"value": "e"}}, record="event", key=["q.r"]))

    assert [name for name in ("p", "q", "p.user", "user", "id", "r") if is_asked(name)] == ["p", "q", "p.user"]


@pytest.mark.parametrize(
    ("column", "mark"),
    [(json_array({"n": "b"}, {"n": "a"}, {}), "b"), (json_array({"n": 1}, {"n": 20}), 20), (pa.array([{"n": 5}]), 5)],
)
def test_a_cursor_reads_on_inside_of_a_column(column, mark):
    """Texts and whole numbers of JSON, and the members of structs."""
    water = HighWater("p.n", None)
    water.see(pa.record_batch([column], ["p"]))

    assert water.mark == mark
    with pytest.raises(UsageError):
        water.see(pa.record_batch([json_array({"n": 1}, {"n": "x"})], ["p"]))
