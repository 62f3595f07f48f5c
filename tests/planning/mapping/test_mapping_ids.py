"""Ids are text, exactly as the source spells them, or the row is rejected."""

import uuid
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from mapping_helpers import AS_OF, codes, ids, mapped, records

from bucket_loader.model.errors import UsageError


@pytest.mark.parametrize(
    "text",
    [
        "00123", "123", "null", "NULL", "None", "NA", "N/A", "nan", "NaN", "1e5", "9007199254740993", "-0", "0", "true",
        "1.10", " padded ", "12:30", "\u00a0x", "İ", "ß", "e\u0301", "😀", "a\u2028b", "a\nb", "a\\b", 'a"b', "'; --",
        "{n}", "\uff11\uff12\uff13", "x" * 10_000, "\ufeffid", "a\u200bb", "\x7f", "\x1f",
    ],
)  # fmt: skip
def test_a_text_id_is_sent_as_it_is_spelt(text):
    """No id is a number, a null or a boolean because it looks like one."""
    assert [text] == ids([text])


@pytest.mark.parametrize("blank", ["", " ", "   ", "\t", "\n", "\r\n"])
def test_a_blank_id_is_rejected(blank):
    """What identifies nothing identifies nobody."""
    assert ids([blank]) == ["!blank"]


def test_a_null_id_is_rejected():
    """A row without an id is refused, its neighbours are not."""
    assert ids([None, "a"]) == ["!missing", "a"]


def test_a_nul_in_an_id_is_rejected():
    """A NUL character ends strings elsewhere."""
    assert ids(["a\0b"]) == ["!nul"]


@pytest.mark.parametrize(
    ("values", "spelt"),
    [
        (pa.array([9007199254740993, None], pa.int64()), ["9007199254740993", "!missing"]),
        (pa.array([2**63 - 1, -(2**63)], pa.int64()), ["9223372036854775807", "-9223372036854775808"]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([7], pa.int8()), ["7"]),
        (pa.array([7], pa.uint16()), ["7"]),
        (pa.array([123.0, 123.5, float("nan"), -0.0], pa.float64()), ["123", "!inexact_id", "!missing", "0"]),
        (pa.array([1e16, 2.0**53, 2.0**53 - 1], pa.float64()), ["!inexact_id", "!inexact_id", "9007199254740991"]),
        (pa.array([float("inf"), 1e300], pa.float64()), ["!infinity,missing", "!inexact_id"]),
        (pa.array([123.0, 0.5], pa.float32()), ["123", "!inexact_id"]),
        (pa.array([Decimal("123.00"), Decimal("123.50")], pa.decimal128(10, 2)), ["123", "123.5"]),
        (pa.array([Decimal(10**37 + 1)], pa.decimal128(38, 0)), [str(10**37 + 1)]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([uuid.UUID(int=255).bytes], pa.uuid()), ["00000000-0000-0000-0000-0000000000ff"]),
        (pa.array([19000], pa.date32()), ["2022-01-08"]),
        (pa.array([1_700_000_000_123], pa.timestamp("ms", "UTC")), ["2023-11-14T22:13:20.123Z"]),
        (pa.array(["x", None, "x"]).dictionary_encode(), ["x", "!missing", "x"]),
        (pa.array(["x"], pa.large_string()), ["x"]),
        (pa.array(["x"], pa.string_view()), ["x"]),
        (pa.array([None], pa.null()), ["!missing"]),
    ],
    ids=str,
)
def test_a_typed_id_is_text(values, spelt):
    """An id of any type is text on the wire, exact or rejected."""
    assert spelt == ids(values)


@pytest.mark.parametrize(("encoding", "spelt"), [("hex", "0aff"), ("base64", "Cv8=")])
def test_a_binary_id_is_spelt_by_its_encoding(encoding, spelt):
    """Bytes have a spelling only where the pipeline file says which."""
    assert [spelt] == ids(pa.array([b"\x0a\xff"]), {"encoding": encoding})


def test_a_binary_id_as_utf8():
    """Bytes that are UTF-8 can be said to be, and the others are rejected one by one."""
    assert ids(pa.array(["a😀".encode(), b"\xff"]), {"encoding": "utf8"}) == ["a😀", "!encoding,missing"]


def test_a_binary_id_needs_an_encoding():
    """Without `encoding:` bytes are refused before any row."""
    with pytest.raises(UsageError, match="userId: binary has no form"):
        ids(pa.array([b"\x0a"]))


@pytest.mark.parametrize("constant", ["acme", 5, True, "00123", 9007199254740993])
def test_a_constant_id_is_text(constant):
    """A constant of any type makes a text id."""
    assert str(constant).lower() == records({"x": ["1"]}, {"userId": {"value": constant}})[0]["userId"]


def test_an_expression_that_makes_numbers_makes_text_ids():
    """An expression's integers are ids like any other."""
    found = mapped({"n": [1, 2, None]}, {"userId": {"sql": "n * 1000"}})

    assert codes(found) == {3: ["missing"]}
    assert '"userId":"1000"' in found.records["record"][0].as_py()


@pytest.mark.parametrize("values", [["x", " "], [5, None], pa.array([1.0, 1.5]), [Decimal("1.10"), None]], ids=str)
def test_hash_sends_the_hash_and_never_the_id(values):
    """A hashed id is 64 hex digits, and what identifies nothing is not hidden by its hash."""
    first, second = ids(values, {"hash": "sha256"})

    assert len(first) == 64
    assert second in {"!blank", "!missing", "!inexact_id"}


def test_declared_null_values_hold_for_ids_too():
    """A null value that is declared on an id rejects the row; one that is not is an id."""
    assert ids(["", "NA", "-"], {"null_values": ["-", ""]}) == ["!missing", "NA", "!missing"]


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=30), min_size=1, max_size=30))
@settings(max_examples=20, deadline=None)
def test_every_text_comes_through_or_is_rejected(texts):
    """An id is sent exactly, or its row is rejected; nothing is trimmed, folded or escaped away."""
    for text, spelt in zip(texts, ids(pa.array(texts, pa.string())), strict=True):
        if "\0" in text:
            assert spelt.startswith("!")
        elif not text.strip(" \t\r\n"):
            assert spelt == "!blank"
        else:
            assert spelt == text


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1), max_size=20))
@settings(max_examples=15, deadline=None)
def test_keys_are_equal_exactly_when_the_ids_are(texts):
    """Two rows of one user have one key, and two users never share one."""
    table = mapped({"id": pa.array(texts, pa.string())}, {"userId": "id"}).records
    sent = [text for text in texts if text.strip(" \t\r\n")]
    keys = dict(zip(table["key"].to_pylist(), sent, strict=True))

    assert len(keys) == len(set(sent))


def test_a_company_s_key_is_both_ids():
    """A company with a user is another key than without, and `null` the text is not null."""
    columns = {"c": ["a", "a", "a", "a,b", "a"], "u": [None, "b", "null", None, "b"]}
    keys = mapped(columns, {"companyId": "c", "userId": "u"}, record="company").records["key"].to_pylist()

    assert keys[1] == keys[4]
    assert len(set(keys)) == 4


def test_an_integer_and_its_text_are_one_key():
    """A column that changes its type does not make new users."""
    keys = {mapped({"id": values}, {"userId": "id"}).records["key"][0].as_py() for values in ([123], ["123"], [123.0])}

    assert len(keys) == 1


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("ns")], ids=str)
def test_two_events_of_one_millisecond_are_two(kind):
    """`key:` compares the whole moment, not what is sent of it."""
    table = mapped(
        {"u": ["a", "a"], "at": pa.array([1, 2], kind)},
        {"userId": "u", "event": {"value": "e"}},
        record="event",
        key=["at"],
    ).records

    assert len(set(table["key"].to_pylist())) == 2


def test_a_null_in_key_rejects_the_row():
    """A row without its identity would be sent for ever, or never."""
    result = mapped({"u": ["a"], "k": pa.array([None], pa.string())}, {"userId": "u", "event": {"value": "e"}},
                    record="event", key=["k"])  # fmt: skip

    assert codes(result) == {1: ["missing"]}


def test_the_as_of_time_is_in_no_key_and_no_content():
    """A run at another time finds the same record unchanged."""
    columns, fields = {"id": ["a"], "n": [1]}, {"userId": "id", "attributes": "*"}
    one = mapped(columns, fields).records
    other = mapped(columns, fields, as_of=AS_OF.replace(year=2025)).records

    assert one["record"] != other["record"]
    assert one.select(["key", "content"]) == other.select(["key", "content"])


def test_the_order_of_columns_changes_nothing():
    """The same row has the same bytes from every order of columns."""
    one = mapped({"id": ["a"], "b": [1], "a": [2]}, {"userId": "id", "attributes": "*"}).records
    other = mapped({"a": [2], "b": [1], "id": ["a"]}, {"attributes": "*", "userId": "id"}).records

    assert one == other
