"""Numbers: one form on the wire for one value, whatever type the source gave it."""

import json
import math
import struct
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import assume, given, settings, strategies as st
from mapping_helpers import attribute

from bucket_loader.model.errors import UsageError
from bucket_loader.planning.mapping.nested import spelling
from bucket_loader.planning.mapping.nested.spelling import NoFormError

NUMBER = {"type": "number"}
INTEGER = {"type": "integer"}
SAFE = 2**53 - 1


def wire(value):
    """The oracle: how an exact number is spelt on the wire."""
    value = Decimal(value)
    if value == value.to_integral_value():
        return str(int(value)) if abs(value) <= SAFE else f'"{int(value)}"'
    text = f"{value:f}".rstrip("0")
    digits = len(text.replace(".", "").lstrip("-0"))
    return repr(float(value)) if digits <= 15 else f'"{text}"'


def wire_float(value):
    """The oracle for doubles, which are exact numbers of their own."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "!infinity"
    return wire(Decimal(value)) if value.is_integer() and abs(value) < 1e37 else repr(value)


# --- from text -----------------------------------------------------------------------------------------------------


EXACT = [
    ("1", "1"),
    ("00012", "12"),
    ("+7", "7"),
    ("-7", "-7"),
    ("-0", "0"),
    ("-0.0", "0"),
    ("0.00", "0"),
    ("1.0", "1"),
    ("1.10", "1.1"),
    (".5", "0.5"),
    ("-.5", "-0.5"),
    ("5.", "5"),
    (" 5 ", "5"),
    ("1e3", "1000"),
    ("1E+3", "1000"),
    ("-1.5e3", "-1500"),
    ("25e-3", "0.025"),
    ("0e5", "0"),
    (".5e1", "5"),
    ("5.e0", "5"),
    ("1e-7", "1e-07"),
    ("0.0000001", "1e-07"),
    ("0.0001", "0.0001"),
    ("9007199254740991", "9007199254740991"),
    ("9007199254740992", '"9007199254740992"'),
    ("-9007199254740992", '"-9007199254740992"'),
    ("9007199254740993.0", '"9007199254740993"'),
    ("123456789012345.6", '"123456789012345.6"'),
    ("12345678901234.5", "12345678901234.5"),
    ("0.123456789012345", "0.123456789012345"),
    ("0.1234567890123456", '"0.1234567890123456"'),
    ("1.2345678901234567e5", '"123456.78901234567"'),
    ("1e20", '"100000000000000000000"'),
    ("1e23", '"100000000000000000000000"'),
    ("1e37", "1e+37"),
    ("1.5e300", "1.5e+300"),
    ("1" + "0" * 39, '"1' + "0" * 39 + '"'),
    ("1e-400", '"0.' + "0" * 399 + '1"'),
    (None, None),
]


def test_a_number_is_read_exactly_from_text():
    """Text becomes the shortest number that is certain, or its exact text."""
    found = attribute(pa.array([text for text, _ in EXACT], pa.string()), NUMBER)

    assert dict(zip([text for text, _ in EXACT], found, strict=True)) == dict(EXACT)


NO_NUMBERS = [
    "",
    " ",
    "x",
    "1,234",
    "$5",
    "10%",
    "1_000",
    "\uff11\uff12\uff13",
    "0x1F",
    "1e",
    "e5",
    ".",
    "-",
    "+-5",
    "1.2.3",
    "1 2",
    "nan",
    "NaN",
    "inf",
    "Infinity",
    "-inf",
    "1e400",
    "1e9999",
    "1\n2",
    "1\0",
    "--5",
    "٣",
    "1e5.5",
    "½",
    "²",
]


def test_what_is_no_number_rejects_the_row():
    """Only a plain ASCII number is one; the row beside it is sent."""
    assert attribute([*NO_NUMBERS, "5"], NUMBER) == ["!number"] * len(NO_NUMBERS) + ["5"]


WHOLE = [
    ("12", "12"),
    ("0012", "12"),
    ("-5", "-5"),
    ("+5", "5"),
    ("5.0", "5"),
    ("5.", "5"),
    ("-0", "0"),
    ("9007199254740993", '"9007199254740993"'),
    (str(2**64), f'"{2**64}"'),
    ("5.5", "!integer"),
    ("1e3", "!integer"),
    ("1_000", "!integer"),
    ("\uff11\uff12", "!integer"),
    ("", "!integer"),
    ("x", "!integer"),
    ("0x5", "!integer"),
    ("1" * 60, "!integer"),
]


def test_a_whole_number_from_text():
    """What has a fraction is refused, never cut."""
    found = attribute([text for text, _ in WHOLE], INTEGER)

    assert dict(zip([text for text, _ in WHOLE], found, strict=True)) == dict(WHOLE)


@pytest.mark.parametrize(
    ("values", "spelt"),
    [
        (pa.array([1.0, 1.5, float("nan"), float("inf"), 1e300]), ["1", "!integer", None, "!integer", "!integer"]),
        (pa.array([Decimal("1.00"), Decimal("1.50")]), ["1", "!integer"]),
        (pa.array([True, False]), ["1", "0"]),
        (pa.array([2**63 - 1]), [f'"{2**63 - 1}"']),
        (pa.array([None], pa.null()), [None]),
    ],
    ids=str,
)
def test_a_whole_number_from_other_types(values, spelt):
    """`type: integer` takes what is whole and rejects what is not."""
    assert spelt == attribute(values, INTEGER)


@pytest.mark.parametrize("values", [pa.array([1], pa.date32()), pa.array([1], pa.timestamp("s", "UTC"))], ids=str)
@pytest.mark.parametrize("kind", ["integer", "number", "boolean"])
def test_a_type_that_does_not_fit_is_refused_before_any_row(values, kind):
    """A date is no number."""
    with pytest.raises(UsageError, match="cannot be read as"):
        attribute(values, {"type": kind})


def test_booleans_are_no_numbers():
    """`type: number` does not make 1 of true."""
    with pytest.raises(UsageError, match="a boolean cannot be read as a number"):
        attribute([True], NUMBER)


# --- from typed columns --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [{}, NUMBER])
@pytest.mark.parametrize(
    ("values", "spelt"),
    [
        (pa.array([SAFE, SAFE + 1, -SAFE, -SAFE - 1]), [str(SAFE), f'"{SAFE + 1}"', str(-SAFE), f'"{-SAFE - 1}"']),
        (pa.array([2**64 - 1, 1], pa.uint64()), [f'"{2**64 - 1}"', "1"]),
        (pa.array([-128], pa.int8()), ["-128"]),
        (pa.array([2**32 - 1], pa.uint32()), [str(2**32 - 1)]),
        (pa.array([1.0, 0.1, -0.0, 1e-7, 0.1 + 0.2]), ["1", "0.1", "0", "1e-07", "0.30000000000000004"]),
        (
            pa.array([2.0**53, 1e20, 1e23, 1e37, 1.7e308]),
            [f'"{2**53}"', '"100000000000000000000"', '"99999999999999991611392"', "1e+37", "1.7e+308"],
        ),
        (pa.array([float("nan"), float("inf"), float("-inf"), None]), [None, "!infinity", "!infinity", None]),
        (
            pa.array([0.1, 16777217.0, 3e9, 1e20, 3.4e38], pa.float32()),
            ["0.1", "16777216", "3000000000", '"100000002004087734272"', "3.4e+38"],
        ),
        (pa.array([Decimal("1.10"), Decimal("2.00"), Decimal("-0.00"), Decimal("0.01")]), ["1.1", "2", "0", "0.01"]),
        (pa.array([Decimal("0.0000001")], pa.decimal128(20, 7)), ["1e-07"]),
        (pa.array([Decimal("123456789012345.67")]), ['"123456789012345.67"']),
        (pa.array([Decimal(10**37)], pa.decimal128(38, 0)), [f'"{10**37}"']),
        (pa.array([Decimal("1.5")], pa.decimal32(5, 1)), ["1.5"]),
        (pa.array([1, 1, None]).dictionary_encode(), ["1", "1", None]),
    ],
    ids=str,
)
def test_a_typed_number_has_its_canonical_form(values, spelt, spec):
    """Whole numbers without a point, no float tails, no negative zero, exact text where a double is not enough."""
    assert spelt == attribute(values, spec)


@pytest.mark.parametrize("kind", [pa.float16(), pa.decimal256(50, 2)], ids=str)
def test_a_type_that_duckdb_lacks_is_named_before_any_row(kind):
    """A column that cannot be read is a mistake in the pipeline file, and only when it is used."""
    column = pa.array([Decimal("1.5")], kind) if pa.types.is_decimal(kind) else pa.array([1.5], kind)

    with pytest.raises(UsageError, match="column 'a' has the type"):
        attribute(column)


@given(st.lists(st.floats(), min_size=1, max_size=40))
@settings(max_examples=12, deadline=None)
def test_every_double_has_the_oracle_s_form(values):
    """A double is sent in its shortest form, whole ones without a point, and comes back the same."""
    for value, spelt in zip(values, attribute(pa.array(values, pa.float64())), strict=True):
        assert spelt == wire_float(value)
        if spelt is not None and not spelt.startswith("!"):
            assert float(json.loads(spelt)) == value


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=40))
@settings(max_examples=12, deadline=None)
def test_every_float32_comes_back_and_is_no_longer_than_needed(values):
    """A float32 has at most nine digits, not the tail that it has as a double."""
    for value, spelt in zip(values, attribute(pa.array(values, pa.float32())), strict=True):
        parsed = float(json.loads(spelt))
        assert struct.pack("f", parsed) == struct.pack("f", value + 0.0)
        if not parsed.is_integer():
            assert len(Decimal(spelt).normalize().as_tuple().digits) <= 9


DECIMALS = st.builds(
    lambda sign, digits, exponent: Decimal((sign, tuple(map(int, str(digits))), exponent)),
    st.integers(0, 1),
    st.integers(0, 10**15 - 1),
    st.integers(-22, 22),
)


@pytest.mark.long
@given(st.lists(DECIMALS, min_size=1, max_size=25))
@settings(max_examples=12, deadline=None)
def test_one_value_has_one_form_from_every_source(values):
    """Text, scientific text, JSON, float, decimal and integer columns give the same bytes for the same value."""
    expected = [wire(value) for value in values]

    assert expected == attribute([f"{value:f}" for value in values], NUMBER)
    assert expected == attribute([f"{value:e}" for value in values], NUMBER)
    assert expected == attribute([f"+{value:E}".replace("+-", "-") for value in values], NUMBER)
    assert expected == attribute([f"{value:e}" for value in values], {"type": "json"})
    assert expected == [spelling.spell(value) for value in values]
    for value, spelt in zip(values, expected, strict=True):
        as_float = float(value)
        if Decimal(repr(as_float)) == value and (value.as_tuple().exponent < 0 or Decimal(as_float) == value):
            assert spelling.spell(as_float) == spelt
            assert [spelt] == attribute(pa.array([as_float], pa.float64()))
            break


@pytest.mark.long
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30))
@settings(max_examples=10, deadline=None)
def test_one_integer_has_one_form_from_every_source(values):
    """An integer is a number below 2^53 and its exact text beyond, from each type that holds it."""
    expected = [wire(value) for value in values]
    decimals = pa.array([Decimal(value) for value in values], pa.decimal128(38, 0))

    assert expected == attribute(pa.array(values, pa.int64()))
    assert expected == attribute(pa.array(values, pa.int64()), NUMBER)
    assert expected == attribute(decimals)
    assert expected == attribute(decimals, INTEGER)
    assert expected == attribute([str(value) for value in values], INTEGER)
    assert expected == attribute([f"{value}.000" for value in values], NUMBER)
    assert expected == [spelling.spell(value) for value in values]


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=9), min_size=1, max_size=25))
@settings(max_examples=10, deadline=None)
def test_a_decimal_of_any_length_is_exact(values):
    """Beyond fifteen digits a decimal is its own text."""
    assume(all(abs(value) < Decimal(10) ** 28 for value in values))
    expected = [wire(value) for value in values]

    assert expected == attribute(pa.array(values, pa.decimal128(38, 9)))
    assert expected == [spelling.spell(value) for value in values]


@given(st.lists(st.text("0123456789.eE+-_ ,١٢", max_size=12), min_size=1, max_size=40))
@settings(max_examples=12, deadline=None)
def test_text_is_a_number_exactly_when_python_s_strictest_reading_agrees(texts):
    """No number is made up of text, and none that JSON could say is refused."""
    for text, spelt in zip(texts, attribute(texts, NUMBER), strict=True):
        stripped = text.strip(" ")
        plain = stripped.isascii() and "_" not in stripped and "," not in stripped
        try:
            value = Decimal(stripped) if plain else None
        except ArithmeticError:
            value = None
        if value is None:
            assert spelt == "!number"
        elif not spelt.startswith("!"):
            assert Decimal(spelt.strip('"')) == value or abs(value) >= Decimal("1e37")
        else:
            assert "e" in stripped.lower()  # an exponent of four digits, or beyond what a double holds


# --- text of numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "spelt"),
    [
        (pa.array([1, 2**60]), ['"1"', f'"{2**60}"']),
        (pa.array([1.0, 0.5, 1e20]), ['"1"', '"0.5"', '"100000000000000000000"']),
        (pa.array([Decimal("1.10")]), ['"1.1"']),
        (pa.array([True]), ['"true"']),
        (pa.array([0.1], pa.float32()), ['"0.1"']),
    ],
    ids=str,
)
def test_type_string_is_the_text_of_the_canonical_form(values, spelt):
    """`type: string` quotes what would be sent, and changes nothing else."""
    assert spelt == attribute(values, {"type": "string"})


# --- defaults and nulls --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "spec", "spelt"),
    [
        (pa.array([1.0, float("nan"), None]), {"default": 7}, ["1", "7", "7"]),
        (pa.array([None, 2]), {"default": 0}, ["0", "2"]),
        (pa.array([None], pa.int64()), {"default": "5"}, ["5"]),
        (pa.array([None], pa.string()), {"default": 0, "type": "integer"}, ["0"]),
        (pa.array([None], pa.string()), {"default": 0}, ['"0"']),
        (pa.array([None], pa.string()), {"default": True, "type": "boolean"}, ["true"]),
        (pa.array([None], pa.bool_()), {"default": False}, ["false"]),
        (pa.array([None], pa.date32()), {"default": "2024-01-02"}, ['"2024-01-02"']),
        (pa.array([None], pa.timestamp("us", "UTC")), {"default": "2024-01-02"}, ['"2024-01-02T00:00:00.000Z"']),
        (pa.array([None], pa.decimal128(5, 2)), {"default": 1.5}, ["1.5"]),
        (pa.array([None], pa.null()), {"default": "x"}, ['"x"']),
        (pa.array(["", "-", "x"]), {"null_values": ["-", ""], "default": "y"}, ['"y"', '"y"', '"x"']),
        (pa.array([-1.0, 1.0]), {"null_values": ["-1"]}, [None, "1"]),
        (pa.array([-1.5, 1e20]), {"null_values": ["-1.5", "1e+20"]}, [None, None]),
        (pa.array([-1, 1]), {"null_values": ["-1"]}, [None, "1"]),
        (pa.array([Decimal("1.50"), Decimal("10.00")]), {"null_values": ["1.5", "1"]}, [None, "10"]),
        (pa.array([True, False]), {"null_values": ["false"]}, ["true", None]),
        (pa.array([0, 1], pa.date32()), {"null_values": ["1970-01-01"]}, [None, '"1970-01-02"']),
        (pa.array(["null", "NULL"]), {"null_values": ["NULL"]}, ['"null"', None]),
        (pa.array(["0", "x"]), {"null_values": ["0"], "type": "integer"}, [None, "!integer"]),
    ],
    ids=str,
)
def test_null_values_and_defaults(values, spec, spelt):
    """Null values are compared as the value is spelt, and a default stands for every null."""
    assert spelt == attribute(values, spec)


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        (pa.int64(), "abc"),
        (pa.int64(), 1.5),
        (pa.int8(), 300),
        (pa.bool_(), "maybe"),
        (pa.date32(), "soon"),
        (pa.decimal128(4, 1), 1.25),
        (pa.float64(), "x"),
    ],
)
def test_a_default_that_the_type_cannot_hold_is_refused(kind, default):
    """A default is held against the column's type before any row, and never rounded."""
    with pytest.raises(UsageError, match="`default:` does not fit"):
        attribute(pa.array([None], kind), {"default": default})


@pytest.mark.parametrize("value", [Decimal("1E+99999"), Decimal("1E-99999"), Decimal("NaN"), Decimal("Infinity")])
def test_a_nested_number_beyond_reason_has_no_form(value):
    """A few characters of JSON must not become a gigabyte of zeros."""
    with pytest.raises(NoFormError):
        spelling.spell(value)


@pytest.mark.parametrize("type_", ["number", "integer", "boolean", "string", "date", "timestamp"])
def test_a_column_of_nothing_but_nulls_has_every_type(type_):
    """A DataFrame or a Parquet file says nothing of what such a column would hold."""
    assert attribute(pa.nulls(2), {"type": type_}) == [None, None]
