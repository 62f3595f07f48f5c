"""Changed forms: a stream with such values is known by another fingerprint than before, any other by its own."""

from decimal import Decimal

import pyarrow as pa
import pytest
from mapping_helpers import attribute, compiled, stream_of

from bucket_loader.config.fingerprints import mapping_fingerprint
from bucket_loader.model.forms import in_form

LOCAL = pa.timestamp("us")


@pytest.mark.parametrize(
    ("field", "spec", "words", "touched"),
    [
        (pa.field("a", pa.decimal128(2, 2)), {}, {}, True),
        (pa.field("a", pa.decimal128(3, 2)), {}, {}, False),
        (pa.field("a", pa.string()), {}, {}, False),
        (in_form(pa.field("a", pa.string()), 2), {}, {}, True),
        (pa.field("a", pa.string()), {"type": "timestamp", "format": "%Y %Z"}, {}, True),
        (pa.field("a", pa.string()), {"type": "timestamp", "format": "%Y %z"}, {}, False),
        (pa.field("a", pa.list_(LOCAL)), {}, {"timezone": "Europe/Oslo"}, True),
        (pa.field("a", pa.list_(LOCAL)), {}, {"timezone": "UTC"}, False),
        (pa.field("a", pa.list_(pa.timestamp("us", "UTC"))), {}, {"timezone": "Europe/Oslo"}, False),
        (pa.field("a", pa.list_(pa.map_(pa.float32(), pa.string()))), {}, {}, True),
        (pa.field("a", pa.map_(pa.float64(), pa.float32())), {}, {}, False),
    ],
    ids=str,
)
def test_a_stream_is_touched_by_the_types_that_it_maps(field, spec, words, touched):
    """Only a column whose values have another form now counts, and only where the stream maps it."""
    schema = pa.schema([pa.field("id", pa.string()), field])
    mapping = compiled(schema, {"userId": "id", "attributes": {"a": {"column": "a", **spec}}}, **words)
    without = compiled(schema, {"userId": "id"}, **words)

    assert [version for version, _ in mapping.changed_forms] == [2] * touched
    assert without.changed_forms == ()


def test_an_expression_is_touched_by_the_type_that_it_gives():
    """The type of an expression's value counts, not that of a column under it."""
    schema = pa.schema([("id", pa.string()), ("n", pa.decimal128(2, 2))])
    fractions, text = (
        compiled(schema, {"userId": "id", "attributes": {"a": {"sql": sql}}}).changed_forms
        for sql in ("n", "'x' || (n > 0)")
    )

    assert fractions
    assert not text


@pytest.mark.parametrize("name", ["n", "N"])
def test_an_expression_is_touched_by_a_column_that_is_read_in_a_new_way(name):
    """Whatever it makes of the column: its value was another one before."""
    schema = pa.schema([pa.field("id", pa.string()), in_form(pa.field("n", pa.string()), 2)])
    over, beside = (
        compiled(schema, {"userId": "id", "attributes": {"a": {"sql": sql}}}).changed_forms
        for sql in (f"length({name})", "length(id)")
    )

    assert over
    assert not beside


def test_a_key_of_a_changed_form_is_noted():
    """Only where the column of the form stands in `key:` itself."""
    schema = pa.schema([pa.field("id", pa.string()), in_form(pa.field("n", pa.string()), 2)])
    fields = {"userId": "id", "event": {"value": "e"}, "attributes": {"a": "n"}}
    by_n, by_id = (compiled(schema, fields, record="event", key=[column]) for column in ("n", "id"))

    assert (by_n.is_rekeyed, by_id.is_rekeyed) == (True, False)
    assert by_n.changed_forms
    assert by_id.changed_forms


@pytest.mark.parametrize(("listed", "touched"), [("2024-01-01 00:00:00", False), ("2024-01-01", True), ("-", False)])
def test_null_values_that_know_more_times_than_before(listed, touched):
    """A text that was no time of the column before is one now; one that was, or is none, changes nothing."""
    schema = pa.schema([("id", pa.string()), ("t", pa.timestamp("us"))])
    spec = {"column": "t", "null_values": [listed]}
    forms = compiled(schema, {"userId": "id", "attributes": {"a": spec}}, timezone="UTC").changed_forms

    assert bool(forms) == touched


def test_the_fingerprint_of_the_first_forms_is_what_it_was():
    """The version is in the fingerprint where it is another than the first."""
    stream = stream_of({"userId": "id"})

    assert mapping_fingerprint(stream, forms=1) == mapping_fingerprint(stream)
    assert len({mapping_fingerprint(stream, forms=version) for version in (1, 2, 3)}) == 3


def test_a_decimal_below_1_keeps_its_zero():
    """0.5 is 0.5 in whatever decimal it comes, as a number, as a text and as null."""
    column = pa.array([Decimal("0.50"), Decimal("-0.25"), Decimal("0.00"), None], pa.decimal128(2, 2))

    assert attribute(column, {"type": "string"}) == ['"0.5"', '"-0.25"', '"0"', None]
    assert attribute(column) == ["0.5", "-0.25", "0", None]
    assert attribute(column, {"null_values": ["0.5"]}) == [None, "-0.25", "0", None]
    assert attribute(pa.array([Decimal("0.12345678901234567891")], pa.decimal128(20, 20))) == [
        '"0.12345678901234567891"'
    ]
