"""DataFrames and Arrow tables."""

import datetime as dt
import decimal
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from source_helpers import Read, jsonl_source

from bucket_loader.config.sources import FrameSource
from bucket_loader.config.stream import Stream
from bucket_loader.model.errors import SourceError
from bucket_loader.model.forms import form_of
from bucket_loader.model.rows import ROWS_MAX
from bucket_loader.planning.mapping import compile_mapping
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.registry import open_source


@pytest.fixture
def source(tmp_path):
    """Return the source of a frame."""
    return lambda frame: open_source(FrameSource(frame=frame), SourceContext(tmp_path))


def test_nulls_are_null(source):
    """NaN, NaT, NA and None are null, and nullable integers stay exact."""
    frame = pd.DataFrame(
        {
            "f": [1.5, np.nan],
            "t": [pd.Timestamp("2026-01-01", tz="Europe/Paris"), pd.NaT],
            "i": pd.array([9007199254740993, pd.NA], dtype="Int64"),
            "o": pd.Series(["a", float("nan")], dtype=object),
            "s": pd.Series(["NA", None], dtype="str"),
            "b": pd.array([True, pd.NA], dtype="boolean"),
        }
    )

    read = Read(source(frame))

    assert read.rows[0]["i"] == 9007199254740993
    assert list(read.rows[1].values()) == [None] * 6
    assert read.schema.field("t").type.tz == "Europe/Paris"
    assert read.rows[0]["s"] == "NA"


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, "00123", True, decimal.Decimal("1.10")], pa.string(), ["1", "00123", "true", "1.10"]),
        ([1, 2.5, None], pa.float64(), [1.0, 2.5, None]),
        ([np.int64(1), 2], pa.int64(), [1, 2]),
        ([2**70, 1], pa.decimal128(22, 0), [decimal.Decimal(2**70), decimal.Decimal(1)]),
        ([1, float("nan")], pa.int64(), [1, None]),
        ([{"a": 1}, None], pa.struct([("a", pa.int64())]), None),
        ([dt.date(2026, 1, 1)], pa.date32(), None),
    ],
)
def test_objects(source, values, kind, expected):
    """Objects of one type have that type; of several, each its exact text."""
    read = Read(source(pd.DataFrame({"x": pd.Series(values, dtype=object)})))

    assert kind == read.schema.field("x").type
    assert (values if expected is None else expected) == read.column("x")


@pytest.mark.parametrize(
    ("values", "rows"),
    [
        (["a", b"b", [1]], [2, 3]),
        ([dt.date(2026, 1, 1), dt.datetime(2026, 1, 1, 5, tzinfo=dt.UTC)], [1, 2]),
        ([dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)], [1, 2]),  # noqa: DTZ001
    ],
)
def test_values_without_a_certain_text(source, values, rows):
    """Among values of several types, one whose text is not certain rejects its row."""
    read = Read(source(pd.DataFrame({"x": pd.Series(values, dtype=object), "y": range(len(values))})))

    assert [(row, "type", "x") for row in rows] == read.codes
    assert [number for number in range(1, len(values) + 1) if number not in rows] == read.ordinals
    assert str(rows[0] - 1) == read.unread[0].row["y"]


def test_texts_that_cannot_be_sent(source):
    """A lone surrogate and a NUL reject their rows."""
    read = Read(source(pd.DataFrame({"x": pd.Series(["ok", "\ud800", "a\0"], dtype=object)})))

    assert (read.codes, read.column("x")) == ([(2, "encoding", "x"), (3, "nul", "x")], ["ok"])


def test_categories(source):
    """Categories are only a way to store the values."""
    frame = pd.DataFrame({"a": pd.Categorical([1, None, 3]), "b": pd.Categorical(["x", "y", None])})

    assert Read(source(frame)).rows == [{"a": 1, "b": "x"}, {"a": None, "b": "y"}, {"a": 3, "b": None}]


def test_index(source):
    """An index counts as columns where it has a name, and only there."""
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "b"], name="id"))

    assert Read(source(frame)).rows == [{"id": "a", "x": 1}, {"id": "b", "x": 2}]
    assert Read(source(frame.rename_axis(None))).rows == [{"x": 1}, {"x": 2}]
    with pytest.raises(SourceError, match="'x' is both a column and the index"):
        source(frame.rename_axis("x")).read()


def test_names(source):
    """Names that are not text become text; repeated ones are refused."""
    assert Read(source(pd.DataFrame([[1, 2]]))).rows == [{"0": 1, "1": 2}]
    with pytest.raises(SourceError, match="'1' more than once, as columns 1 and 2"):
        source(pd.DataFrame([[1, 2]], columns=[1, "1"])).read()


def test_what_arrow_has_no_type_for(source):
    """A column of complex numbers is refused with its name."""
    with pytest.raises(SourceError, match="the column 'z'"):
        source(pd.DataFrame({"z": [1j]})).read()


def test_the_frame_is_not_changed(source):
    """Reading changes nothing in the frame, and a change in the frame changes the fingerprint."""
    frame = pd.DataFrame({"x": pd.Series([1, "a", None], dtype=object)}, index=pd.Index([1, 2, 3], name="i"))
    copy = frame.copy(deep=True)
    one = source(frame)
    before = one.fingerprint()

    Read(one)

    pd.testing.assert_frame_equal(copy, frame)
    assert before == one.fingerprint() == source(copy).fingerprint()
    frame.iloc[0, 0] = 2
    assert before != one.fingerprint()


def test_arrow_tables(source):
    """A pyarrow Table is read as it is, cut into batches."""
    count = ROWS_MAX + 3
    table = pa.table({"x": pa.array(["a"] * count).dictionary_encode(), "y": range(count)})

    read = Read(source(table))

    assert (count, pa.string(), list(range(1, count + 1))) == (
        len(read.rows),
        read.schema.field("x").type,
        read.ordinals,
    )
    assert source(table).fingerprint() != source(table.slice(1)).fingerprint()


TRUE, NAN, EMPTY = np.array([True])[0], decimal.Decimal("NaN"), dict.fromkeys("abc")
DAYS = [dt.datetime(2024, 1, day) for day in (1, 2)]  # noqa: DTZ001  # local times are the subject


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([TRUE, False], [True, False]),
        ([np.float64(1.5), 2.5], [1.5, 2.5]),
        ([np.float32(0.1), 0.2], [0.1, 0.2]),
        ([np.int8(1), 2], [1, 2]),
        ([np.str_("a"), "b"], ["a", "b"]),
        ([pd.Timestamp("2024-01-01"), DAYS[1]], DAYS),
        ([np.datetime64("2024-01-01"), pd.Timestamp("2024-01-02")], DAYS),
        ([np.datetime64("NaT"), np.float64("nan"), 1], [None, None, 1]),
        ([pd.Timedelta(1, "s"), dt.timedelta(seconds=2)], ["PT1S", "PT2S"]),
        ([decimal.Decimal("NaN"), decimal.Decimal("1.5")], [None, decimal.Decimal("1.5")]),
        ([TRUE, "x", np.float64(1.5), np.int64(7)], ["true", "x", "1.5", "7"]),
        ([np.array(1.5), 2.5], [1.5, 2.5]),
        ([{"a": np.float32(0.1), "b": TRUE, "c": NAN}, {"a": pd.NA}], [{"a": 0.1, "b": True, "c": None}, EMPTY]),
        ([np.array([1, None, NAN], dtype=object), np.array([[np.int64(2)]])], ["[1, null, null]", "[[2]]"]),
    ],
    ids=str,
)
def test_scalars_of_numpy_and_pandas_are_the_python_ones(source, values, expected):
    """They may stand beside Python's own, and a column of both has one type."""
    (batch,) = source(pd.DataFrame({"a": pd.Series(values, dtype=object)})).read().batches

    assert batch.data["a"].to_pylist() == expected
    assert not batch.unread


def test_a_column_of_several_kinds_with_truth_among_them_is_marked_as_of_another_form(source):
    """What was sent of it was `True`, and no history goes out again unseen."""
    frame = pd.DataFrame({"a": pd.Series([True, "x"]), "b": pd.Series(["y", "x"], dtype=object), "c": [True, False]})

    assert [form_of(field) for field in source(frame).read().schema] == [2, 1, 1]


JSON_LINES = [
    [1, decimal.Decimal("1.50")],
    [2**53 + 1, 0.5],
    [2**63, 3],
    [2**200, 3, decimal.Decimal(100)],
    [decimal.Decimal("0.1"), 0.1, -(2**64)],
    [True, 1.5, "x", 7],
    [[1, True], ["x", {"a": 1.5}], []],
    [{"a": 2**70}, {"a": 1}],
    [{"a": 1}, {"a": "x", "b": None}, {"a": [decimal.Decimal("1.10"), 2**60]}],
    [None, 1.5, 1],
]


@pytest.mark.parametrize("values", JSON_LINES, ids=str)
def test_a_column_has_the_forms_of_json_lines(source, tmp_path, values):
    """What is a number there is one here, and what is text is text: the records are the same."""
    frame = pd.DataFrame({"id": [str(place) for place in range(len(values))], "a": pd.Series(values, dtype=object)})
    lines = [f'{{"id": "{place}", "a": {as_json(value)}}}\n' for place, value in enumerate(values)]
    ours, theirs = (records_of(one.read()) for one in (source(frame), jsonl_source(tmp_path, "".join(lines))))

    assert ours == theirs
    assert len(ours) == len(values)


def as_json(value):
    """Spell a value as JSON, decimals with all digits."""
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}": {as_json(child)}' for key, child in value.items()) + "}"
    return f"[{', '.join(map(as_json, value))}]" if isinstance(value, list) else json.dumps(value)


def records_of(reading):
    """Map a reading to records."""
    fields = {"userId": "id", "attributes": "*"}
    stream = Stream.model_validate({"name": "s", "record": "user", "source": "x", "fields": fields})
    as_of = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    mapping = compile_mapping(stream, reading.schema, as_of=as_of, record_bytes_max=500_000)
    return [record for _, mapped in mapping.over(reading.batches) for record in mapped.records["record"].to_pylist()]


@pytest.mark.parametrize(
    ("values", "marked"),
    [
        ([1, decimal.Decimal("1.5")], True),
        ([2**63, 3], True),
        ([2**63, 2**64], False),
        ([1, 1.5], False),
        ([2**60, "x"], False),
        ([[1, True]], False),
    ],
    ids=str,
)
def test_numbers_that_were_texts_are_marked_as_of_another_form(source, values, marked):
    """A number of 64 bits among bigger ones, or beside a decimal, was sent as a text."""
    (field,) = source(pd.DataFrame({"a": pd.Series(values, dtype=object)})).read().schema

    assert (form_of(field) > 1) == marked


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (np.timedelta64(10**15, "s"), "range"),
        (np.datetime64("30000-01-01"), "range"),
        (np.timedelta64(1, "Y"), "range"),
        ([decimal.Decimal("1.5"), decimal.Decimal("-Infinity")], "infinity"),
        ({"a": {"b": decimal.Decimal("Infinity")}}, "infinity"),
    ],
    ids=str,
)
def test_one_value_that_cannot_be_sent_costs_one_row(source, value, code):
    """A time beyond what pandas holds, and an infinite decimal inside a list: the column is read."""
    values = pd.Series([None, value, None], dtype=object)
    (batch,) = source(pd.DataFrame({"a": values, "b": [1, 2, 3]})).read().batches

    assert batch.data["b"].to_pylist() == [1, 3]
    assert [one.reasons[0].code for one in batch.unread] == [code]


def test_an_infinite_float_in_a_column_of_texts_rejects_its_row(source):
    """It has no text in JSON Lines; NaN is null."""
    values = pd.Series(["x", float("inf"), True, float("nan"), np.float32("-inf")], dtype=object)
    read = Read(source(pd.DataFrame({"a": values})))

    assert (read.column("a"), read.codes) == (["x", "true", None], [(2, "infinity", "a"), (5, "infinity", "a")])


def test_an_infinite_decimal_rejects_its_row(source):
    """One infinity does not end the run."""
    values = [decimal.Decimal("Infinity"), decimal.Decimal(1)]
    (batch,) = source(pd.DataFrame({"a": pd.Series(values, dtype=object)})).read().batches

    assert batch.data["a"].to_pylist() == [decimal.Decimal(1)]
    assert [one.reasons[0].code for one in batch.unread] == ["infinity"]


def test_text_that_is_no_utf8_in_a_column_of_arrow_is_handed_on(source):
    """The mapping rejects its row; to look at the column is no traceback."""
    sick = pa.array([b"ok", b"\xed\xb2\x80"], pa.binary()).cast(pa.string(), safe=False)
    (batch,) = source(pd.DataFrame({"a": pd.Series(pd.arrays.ArrowExtensionArray(sick))})).read().batches

    assert batch.data.num_rows == 2


@pytest.mark.parametrize("view", [pa.string_view(), pa.binary_view()])
def test_views_inside_dictionaries_and_runs_are_read(source, view):
    """Arrow takes nothing from a view: they become texts and bytes first, at whatever depth."""
    values = (
        pa.array(["a", "b"], pa.string()).cast(pa.binary()).cast(view)
        if view != pa.string_view()
        else pa.array(["a", "b"], view)
    )
    words = pa.DictionaryArray.from_arrays(pa.array([1, 0, None], pa.int8()), values)
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([1, 3], pa.int32()), values)
    lists = pa.ListArray.from_arrays([0, 1, 2, 3], words)

    batches = list(source(pa.table({"words": words, "runs": runs, "lists": lists})).read().batches)

    read = batches[0].data.to_pydict()
    a, b = values.to_pylist()
    assert read == {"words": [b, a, None], "runs": [a, b, b], "lists": [[b], [a], [None]]}
