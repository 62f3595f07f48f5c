"""Texts, truth values, bytes: as they are, or rejected."""

import hashlib
import json
import struct
import uuid

import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from mapping_helpers import attribute, codes, mapped
from pydantic import ValidationError

from bucket_loader.model.errors import UsageError
from bucket_loader.planning.mapping.nested import spelling

BOOLEAN = {"type": "boolean"}


@pytest.mark.parametrize("word", ["true", "TRUE", "True", "t", "T", "yes", "Yes", "y", "1", " true "])
def test_words_that_are_true(word):
    """The usual words for true, in any case."""
    assert attribute([word], BOOLEAN) == ["true"]


@pytest.mark.parametrize("word", ["false", "FALSE", "f", "no", "NO", "n", "0", " False "])
def test_words_that_are_false(word):
    """The usual words for false, in any case."""
    assert attribute([word], BOOLEAN) == ["false"]


@pytest.mark.parametrize(
    "word", ["", " ", "2", "on", "off", "ja", "null", "none", "tru", "1.0", "-1", "\uff54\uff52\uff55\uff45", "İ"]
)
def test_any_other_word_is_neither(word):
    """No word is guessed to be true."""
    assert attribute([word, "t"], BOOLEAN) == ["!boolean", "true"]


@pytest.mark.parametrize(
    ("values", "spelt"),
    [
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array([1, 0, 2, -1]), ["true", "false", "!boolean", "!boolean"]),
        (pa.array([1.0, 0.0, -0.0, 0.5, float("nan")]), ["true", "false", "false", "!boolean", None]),
        (pa.array([None], pa.null()), [None]),
    ],
    ids=str,
)
def test_truth_from_other_types(values, spelt):
    """One is true, nought is false, nothing else is either."""
    assert attribute(values, BOOLEAN) == spelt


@pytest.mark.parametrize("word", ["t", "yes", "true", "0"])
def test_text_is_no_truth_unless_asked(word):
    """Without a type a text stays a text."""
    assert attribute([word]) == [f'"{word}"']


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "00123",
        "1.10",
        "NA",
        "a\tb",
        "line\r\nbreak",
        'q"q',
        "b\\s",
        "/",
        "\x01\x1f\x7f\x80",
        "\u2028\u2029",
        "😀👨‍👩‍👧",
        "e\u0301",
        "\ufeff",
        "\u200b",
        "\ufffd",
        "\U0010ffff",
        "${VAR}",
        "{v}",
        "{{",
        "'",
        "''",
        "'; DROP TABLE x; --",
        "\\u0000",
        "null",
        "x" * 100_000,
    ],
)
def test_a_text_comes_back_as_it_was(text):
    """Every character survives the way through SQL and JSON."""
    (spelt,) = attribute([text])

    assert json.loads(spelt) == text
    assert spelt == spelling.spell(text)


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=40), min_size=1))
@settings(max_examples=15, deadline=None)
def test_every_text_comes_back_and_nested_spells_it_alike(texts):
    """One text has one form, at the top and inside a struct, from a column, a constant and JSON."""
    spelt = attribute(pa.array(texts, pa.string()))

    assert texts == [json.loads(text) for text in spelt]
    assert spelt == [spelling.spell(text) for text in texts]
    assert spelt == attribute([json.dumps(text) for text in texts], {"type": "json"})


def test_a_nul_rejects_its_row_alone():
    """A NUL is sent nowhere."""
    assert attribute(["a\0b", "ab"]) == ["!nul", '"ab"']


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary(3), pa.binary_view()], ids=str)
def test_bytes_are_spelt_as_declared(kind):
    """Hex is lower case, base64 is padded, utf8 is checked row by row."""
    column = pa.array([b"\x00a\xff", None, b"abc"], kind)
    words = {"type": "string"}

    assert attribute(column, {**words, "encoding": "hex"}) == ['"0061ff"', None, '"616263"']
    assert attribute(column, {**words, "encoding": "base64"}) == ['"AGH/"', None, '"YWJj"']
    assert attribute(column, {**words, "encoding": "utf8"}) == ["!encoding", None, '"abc"']


@pytest.mark.parametrize("spec", [{}, {"type": "string"}, {"encoding": "hex"}])
def test_bytes_need_a_declared_spelling(spec):
    """Bytes without both words are refused, with a hint that names them."""
    with pytest.raises(UsageError, match="binary has no form") as caught:
        attribute(pa.array([b"a"]), spec)
    assert "encoding" in caught.value.hint


def test_a_nul_in_bytes_of_utf8_is_rejected():
    """UTF-8 may hold a NUL, a record may not."""
    assert attribute(pa.array([b"a\0"]), {"type": "string", "encoding": "utf8"}) == ["!nul"]


def test_a_uuid_is_hyphenated():
    """A UUID is spelt the usual way."""
    number = uuid.UUID("12345678-1234-5678-1234-567812345678")

    assert attribute(pa.array([number.bytes], pa.uuid())) == [f'"{number}"']


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (["a@b.c"], "a@b.c"),
        ([5], "5"),
        ([True], "true"),
        (pa.array([1.0]), "1"),
        (pa.array([0], pa.date32()), "1970-01-01"),
    ],
    ids=str,
)
@pytest.mark.parametrize("spec", [{}, {"type": "string"}])
def test_hash_never_sends_the_value(values, text, spec):
    """`hash:` sends the SHA-256 of the value's text, with and without `type: string`."""
    assert attribute(values, {"hash": "sha256", **spec}) == [f'"{hashlib.sha256(text.encode()).hexdigest()}"']


def test_hash_of_null_is_null():
    """Nothing is not hashed into something."""
    assert attribute(pa.array([None], pa.string()), {"hash": "sha256"}) == [None]


@pytest.mark.parametrize("kind", ["integer", "timestamp", "boolean", "json", "number", "date"])
def test_hash_fits_no_other_type(kind):
    """A hash is text."""
    with pytest.raises(ValidationError, match="`hash:` makes text"):
        attribute(["1"], {"hash": "sha256", "type": kind})


@pytest.mark.parametrize(
    "column", [pa.array([[1]]), pa.array([{"a": 1}]), pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))], ids=str
)
def test_hash_of_nested_values_is_refused(column):
    """A nested value would otherwise be sent in the clear."""
    with pytest.raises(UsageError, match="`hash:` reads one value"):
        attribute(column, {"hash": "sha256"})


def not_utf8(kind=None):
    """Make a text column whose second of three rows is not UTF-8, as a Parquet file may hold it."""
    offsets = pa.py_buffer(struct.pack("<4i", 0, 1, 3, 4))
    column = pa.Array.from_buffers(pa.string(), 3, [None, offsets, pa.py_buffer(b"a\xff\xfeb")])
    if kind == "list":
        return pa.ListArray.from_arrays([0, 1, 2, 3], column)
    return pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), column) if kind == "dictionary" else column


@pytest.mark.parametrize("spec", [{}, {"type": "json"}, {"type": "number"}, {"hash": "sha256"}, {"sql": "lower(a)"}])
def test_text_that_is_not_utf8_rejects_its_row_alone(spec):
    """DuckDB would write it into the record unread, or break on it."""
    origin = {} if "sql" in spec else {"column": "a"}
    fields = {"userId": "id", "attributes": {"x": {**origin, **spec}}}
    result = mapped({"id": ["u", "v", "w"], "a": not_utf8()}, fields, where="a <> 'zzz'")

    assert codes(result)[2] == ["encoding"]
    assert result.rejections[-1 if len(result.rejections) == 1 else 1].row["a"] == "fffe"
    assert result.filtered == 0


@pytest.mark.parametrize("kind", [None, "list", "dictionary"])
def test_an_id_or_a_nested_text_that_is_not_utf8(kind):
    """The same holds for ids, lists and dictionaries; a column that is not used does not matter."""
    columns = {"id": ["u", "v", "w"], "a": not_utf8(kind)}
    result = mapped(columns, {"userId": "id", "attributes": "*"})

    assert codes(result) == {2: ["encoding"]}
    assert result.records["ordinal"].to_pylist() == [1, 3]
    assert mapped(columns, {"userId": "id"}).records.num_rows == 3
    if kind is None:
        assert codes(mapped(columns, {"userId": "a"})) == {2: ["encoding"]}


def test_midnight_at_the_end_of_a_day_is_a_time():
    """24:00:00 is a time of DuckDB and PostgreSQL."""
    assert attribute(pa.array([86_400_000_000, 0], pa.time64("us"))) == ['"24:00:00"', '"00:00:00"']
