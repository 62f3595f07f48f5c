"""The contract's limits, each exactly where contract.py draws it; and what is sent decodes strictly."""

import json
from decimal import Decimal

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from mapping_helpers import AS_OF, check_conservation, codes, compiled, mapped, stream_of

from bucket_loader.model import contract
from bucket_loader.model.contract import ONE_OF, STRICT
from bucket_loader.model.kinds import KINDS
from bucket_loader.model.rows import InputBatch
from bucket_loader.planning.mapping import compile_mapping

MINIMAL = {
    "user": {"userId": {"value": "u"}},
    "company": {"companyId": {"value": "c"}},
    "event": {"userId": {"value": "u"}, "event": {"value": "e"}},
    "feedback": {"userId": {"value": "u"}, "featureId": {"value": "f"}, "score": {"value": 3}},
    "feature_event": {"action": {"value": "check"}, "key": {"value": "k"}, "evalResult": {"value": True}},
}
IDS = {"userId", "companyId"}
RULES = [(kind, rule) for kind in KINDS for rule in contract.rules(kind).values()]
TEXTS = [(kind, rule) for kind, rule in RULES if rule.form == "text"]
NUMBERS = [(kind, rule) for kind, rule in RULES if rule.form == "integer"]
CHOICES = [(kind, rule) for kind, rule in RULES if rule.form == "choice"]
ABSENT = [(kind, rule) for kind, rule in [*TEXTS, *CHOICES] if not rule.required and rule.name not in IDS]
BOOLEANS = [(kind, rule) for kind, rule in RULES if rule.form == "boolean"]


def named(pairs):
    """Name the cases of kinds and fields."""
    return pytest.mark.parametrize(("kind", "rule"), pairs, ids=[f"{kind}.{rule.name}" for kind, rule in pairs])


def judged(kind, name, values):
    """Map one field of a kind; give for each row whether it made a record, which must decode strictly."""
    columns = {"x": values if isinstance(values, pa.Array) else pa.array(values)}
    result = mapped(columns, {**MINIMAL[kind], name: "x"}, record=kind, sync="full")
    for text in result.records["record"].to_pylist():
        msgspec.json.decode(text, type=STRICT[kind], strict=True)
    kept = result.records["ordinal"].to_pylist()
    return [row + 1 in kept for row in range(len(columns["x"]))]


@pytest.mark.parametrize("kind", KINDS)
def test_the_least_record_decodes_strictly(kind):
    """Every kind's least record is one, with what every record of the kind has."""
    fields = {**MINIMAL[kind]}
    result = mapped({"x": [1]}, fields, record=kind, sync="full")
    (text,) = result.records["record"].to_pylist()

    msgspec.json.decode(text, type=STRICT[kind], strict=True)
    assert ("context" in json.loads(text)) == (kind in {"user", "company"})
    assert ("timestamp" in json.loads(text)) == (kind != "feature_event")


@named(TEXTS)
def test_a_text_s_limits_are_exact(kind, rule):
    """The shortest and the longest text pass, one character less or more does not; characters, not bytes."""
    least, is_absent = rule.length_min, rule.length_min == 1 and (kind, rule) in ABSENT and rule.name != "featureId"
    assert judged(kind, rule.name, ["x" * least, "x" * (least - 1)]) == [True, is_absent]
    if rule.length_max is not None:
        lengths = [rule.length_max, rule.length_max + 1]
        assert judged(kind, rule.name, ["x" * length for length in lengths]) == [True, False]
        assert judged(kind, rule.name, ["😀" * length for length in lengths]) == [True, False]


@named(TEXTS)
@pytest.mark.parametrize(
    "values",
    [
        pa.array([1234567890]),
        pa.array([Decimal("12.5")]),
        pa.array([0], pa.timestamp("us", "UTC")),
    ],
    ids=str,
)
def test_a_text_field_takes_every_type(kind, rule, values):
    """A text field of any column type is text on the wire, and is held against the same limits."""
    result = mapped({"x": values}, {**MINIMAL[kind], rule.name: "x"}, record=kind, sync="full")
    spelt = mapped({"x": values}, {"userId": "x"}).records["record"][0].as_py()
    expected = json.loads(spelt)["userId"]
    fits = rule.length_min <= len(expected) <= (rule.length_max or 10**6)

    assert (result.records.num_rows == 1) == fits
    if fits:
        assert json.loads(result.records["record"][0].as_py())[rule.name] == expected
    else:
        assert codes(result)[1][0] in {"too_short", "too_long"}


@named(ABSENT)
def test_an_empty_text_that_nobody_requires_is_absent(kind, rule):
    """A comment of "" is no comment, also as binary and out of JSON; a feature's id of "" is none."""
    other = {"featureId": {"key": {"value": "k"}}}.get(rule.name, {})
    as_json = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['""']))
    columns = [(pa.array([""]), {}), (pa.array([b""]), {"encoding": "utf8"}), (as_json, {})]
    for column, spec in columns:
        fields = {**MINIMAL[kind], **other, rule.name: {"column": "x", **spec}}
        (text,) = mapped({"x": column}, fields, record=kind, sync="full").records["record"].to_pylist()

        assert rule.name not in json.loads(text)


@named(NUMBERS)
def test_a_number_s_limits_are_exact(kind, rule):
    """The least and the greatest number pass, one less or more does not, from every type."""
    values = [(rule.minimum, True), (rule.minimum - 1, False)]
    if rule.maximum is not None:
        values += [(rule.maximum, True), (rule.maximum + 1, False)]
    numbers, expected = [number for number, _ in values], [passes for _, passes in values]

    assert judged(kind, rule.name, pa.array(numbers)) == expected
    assert judged(kind, rule.name, pa.array(numbers, pa.float64())) == expected
    assert judged(kind, rule.name, pa.array([Decimal(number) for number in numbers])) == expected
    assert judged(kind, rule.name, [str(number) for number in numbers]) == expected
    assert judged(kind, rule.name, ["x", "1.5", "", "\u0661"]) == [False] * 4


@named(NUMBERS)
def test_a_number_beyond_what_is_certain_is_no_number(kind, rule):
    """Beyond 2^53 a number would be text on the wire, which this field is not: the row is rejected."""
    assert judged(kind, rule.name, [str(2**53), str(2**64), str(2**53 - 1)]) == [False, False, rule.maximum is None]


@named(CHOICES)
def test_a_choice_is_one_of_its_words(kind, rule):
    """Each documented word passes, in its own spelling only."""
    assert judged(kind, rule.name, list(rule.choices)) == [True] * len(rule.choices)
    wrong = [rule.choices[0].upper(), f" {rule.choices[0]}", "x"]
    assert judged(kind, rule.name, wrong) == [False] * 3
    assert judged(kind, rule.name, [""]) == [not rule.required]
    assert judged(kind, rule.name, pa.array([1])) == [False]


@named(BOOLEANS)
def test_a_truth_value_is_one(kind, rule):
    """A boolean field takes truth values and nothing else."""
    assert judged(kind, rule.name, ["true", "f", "x", ""]) == [True, True, False, False]
    assert judged(kind, rule.name, pa.array([True, None])) == [True, not rule.required]


@pytest.mark.parametrize(
    ("kind", "rule"),
    [(kind, rule) for kind, rule in RULES if rule.required],
    ids=lambda case: getattr(case, "name", case),
)
def test_a_required_field_may_not_be_null(kind, rule):
    """A row without what its kind requires is rejected, and the reason names the field."""
    column = pa.array([None], pa.string())
    result = mapped({"x": column}, {**MINIMAL[kind], rule.name: "x"}, record=kind, sync="full")

    assert [(reason.code, reason.field) for reason in result.rejections[0].reasons] == [("missing", rule.name)]
    assert result.rejections[0].stage == "validate"


@pytest.mark.parametrize(("kind", "group"), [(kind, group) for kind in KINDS for group in ONE_OF[kind]])
def test_one_of_a_group_must_be_there(kind, group):
    """A row with none of a group is rejected, with any of them it is not."""
    values = {"score": "3", "comment": "c", "featureId": "f", "key": "k"}
    fields = {name: spec for name, spec in MINIMAL[kind].items() if name not in group} | {name: name for name in group}
    columns = {name: pa.array([None, values[name], None], pa.string()) for name in group[:1]}
    columns |= {name: pa.array([None, None, values[name]], pa.string()) for name in group[1:]}
    result = mapped(columns, fields, record=kind, sync="full")

    assert codes(result) == {1: ["missing"]}
    assert result.records.num_rows == 2


@pytest.mark.parametrize("spare", [0, 1])
def test_a_record_s_size_limit_is_exact(spare):
    """A record may have just so many bytes of UTF-8, and not one more."""
    schema = pa.schema([("id", pa.string()), ("a", pa.string())])
    row = pa.RecordBatch.from_pydict({"id": ["u"], "a": ["é" * 1000]}, schema)
    fields = {"userId": "id", "attributes": "*"}
    batch = InputBatch(row, pa.array([1]), "f")
    record = compiled(schema, fields).apply(batch).records["record"][0].as_py()
    result = compiled(schema, fields, record_bytes_max=len(record.encode()) - 1 + spare).apply(batch)

    assert result.records.num_rows == spare
    assert spare or codes(result) == {1: ["too_large"]}


# --- any row at all ------------------------------------------------------------------------------------------------

ANY_TEXT = (
    st.none()
    | st.sampled_from(
        [
            "",
            " ",
            "1",
            "3",
            "5",
            "6",
            "-1",
            "0",
            "true",
            "f",
            "x",
            "check",
            "evaluate",
            "api",
            "sdk",
            "k" * 14,
            "k" * 15,
            "k" * 255,
            "k" * 256,
            "2024-01-01T00:00:00Z",
            "2024-01-01",
            "1700000000",
            "9007199254740993",
            "1e400",
            "nan",
            "a\0b",
            "[true]",
            '["x"]',
            "{}",
            '{"a":[1]}',
            "NaN",
            "\u2028",
            "q" * 4001,
        ]
    )
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
)
WAYS = {
    "values": lambda name: {
        "*": {},
        "n": {"column": name, "type": "number"},
        "b": {"column": name, "type": "boolean"},
        "j": {"column": name, "type": "json"},
        "h": {"column": name, "hash": "sha256"},
    },
    "timestamp": lambda name: {"column": name, "timezone": "Europe/Berlin"},
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_any_row_is_rejected_or_its_record_decodes_strictly(kind, data):
    """Whatever stands in the columns, a row makes a strict record or a rejection; never anything else."""
    rules = [rule for rule in contract.rules(kind).values() if rule.form != "context"]
    wanted = [rule for rule in rules if rule.required or data.draw(st.booleans())]
    for group in ONE_OF[kind]:
        wanted += [rule for rule in rules if rule.name in group and rule not in wanted]
    fields = {rule.name: WAYS.get(rule.form, lambda name: name)(rule.name) for rule in wanted}
    sensible = {rule.name: (rule.choices[0] if rule.choices else "3") for rule in rules}
    rows = data.draw(
        st.lists(
            st.fixed_dictionaries({rule.name: ANY_TEXT | st.just(sensible[rule.name]) for rule in wanted}),
            min_size=1,
            max_size=30,
        )
    )
    schema = pa.schema([(rule.name, pa.string()) for rule in wanted])
    batch = pa.RecordBatch.from_pylist(rows, schema)
    stream = stream_of(fields, record=kind, sync="full")
    result = compile_mapping(stream, schema, as_of=AS_OF, record_bytes_max=100_000).apply(
        InputBatch(batch, pa.array(range(1, len(rows) + 1), pa.int64()), "f")
    )

    check_conservation(result, len(rows))
    for text in result.records["record"].to_pylist():
        msgspec.json.decode(text, type=STRICT[kind], strict=True)
    for rejection in result.rejections:
        json.dumps(rejection.row)
