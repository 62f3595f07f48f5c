"""Many lines of JSON Lines at once: what is taken for sound there is sound line by line, and has the same types."""

import json
from copy import deepcopy

import pytest
from hypothesis import given, settings, strategies as st
from msgspec import Raw
from source_helpers import Read, jsonl_source

from bucket_loader.model import Reason
from bucket_loader.sources.files.jsonl_column import NULL, Column, Spelt
from bucket_loader.sources.files.jsonl_line import members
from bucket_loader.sources.files.jsonl_pieces import PIECE_BYTES
from bucket_loader.sources.files.jsonl_shape import NAMES_MAX, Piece, Shape


def looked_at(columns, rows):
    """Note the kinds of values, as the source does line by line."""
    for row in rows:
        for name, raw in row.items():
            columns.setdefault(name, Column()).look(Spelt([raw]))


def shape_of(lines):
    """Return what was learned of sound lines, and their columns."""
    columns = {}
    rows = [row for line in lines if not isinstance(row := members(line), Reason)]
    looked_at(columns, rows)
    shape = Shape(columns)
    shape.learn(rows)
    return shape, columns


def piece_of(data):
    """Return a piece of a file."""
    return Piece(1, data.count(b"\n") + (not data.endswith(b"\n")), data)


names = st.sampled_from(["a", "b", "c", "a:b", ":", "é", "\\u0061", "\\u0062"])
letters = st.sampled_from(
    ["x", ":", "é", " ", "{", "}", ",", '\\"', '\\":', "\\\\", "\\n", "\\u0022", "\\u003a", "\\u003A", "\\u0000",
     "\\ud83d\\ude00", "\\ud800", "\\u00e9"]
)  # fmt: skip
texts = st.lists(letters, max_size=3).map(lambda found: f'"{"".join(found)}"')
scalars = texts | st.sampled_from(["null", "true", "false", "0", "-0", "-0.0", "1.50", "-12", "1e3", "1e400", "9" * 30])


def objects(inner):
    """Return spelt objects, whose names may stand there more than once, and any blanks around colons."""
    colons = st.sampled_from([":", ":", ":", ": ", " :", "\t:"])
    member = st.tuples(names, colons, inner).map(lambda part: f'"{part[0]}"{part[1]}{part[2]}')
    return st.lists(member, max_size=4).map(lambda found: "{" + ",".join(found) + "}")


nested = st.recursive(
    scalars,
    lambda inner: objects(inner) | st.lists(inner, max_size=3).map(lambda found: "[" + ",".join(found) + "]"),
    max_leaves=6,
)
lines = objects(nested)
ends = st.sampled_from(["\n", "\n", "\n", "\n", "\r\n", " \n", "\n\n", "", " ", "\n "])


@settings(max_examples=150, deadline=None)
@given(known=st.lists(lines, max_size=8), others=st.lists(lines, max_size=1), data=st.data())
def test_what_is_sound_at_once_is_sound_line_by_line(known, others, data):
    """Over names that come twice, escapes that hide them, blanks, and lines that hold two objects or a part of one."""
    shape, columns = shape_of([line.encode() for line in known])
    chosen = data.draw(st.lists(st.sampled_from(known + others), min_size=1, max_size=5)) if known + others else ["{}"]
    text = "".join(line + data.draw(ends) for line in chosen).encode()

    found = shape.values(piece_of(text))

    if found is not None:
        rows = [members(line) for line in text.removesuffix(b"\n").split(b"\n")]
        assert not any(isinstance(row, Reason) for row in rows)
        slowly, at_once = deepcopy(columns), deepcopy(columns)
        looked_at(slowly, rows)
        for name, spelt in found.items():
            at_once[name].look(spelt)
        assert {name: column.type for name, column in slowly.items()} == {
            name: column.type for name, column in at_once.items()
        }


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters='\0":'), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.dictionaries(st.sampled_from("abcd"), plain, max_size=4), min_size=1, max_size=6), data=st.data()
)
def test_lines_like_those_before_are_checked_at_once(rows, data):
    """Whatever their values: else the quick way would be a slow one that nobody notices."""
    spelt = [json.dumps(row, ensure_ascii=data.draw(st.booleans())).encode() + b"\n" for row in rows]
    shape, _ = shape_of(spelt)

    assert shape.values(piece_of(b"".join(spelt[::-1]))) is not None


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":1,"o":{"n":2},"new":1}',
        b'{"a":1,"o":{"n":2,"new":1}}',
        b'{"a":1,"o":[{"n":2}]}',
        b'{"a":{},"o":{"n":2}}',
        b'{"a":1,"o":{"n":{}}}',
        b'{"a":1,"a":1,"o":{"n":2}}',
        b'{"a":1,"o":{"n":2,"n":2}}',
        b'{"a":1,"a" :1,"o":{"n":2}}',
        b'{"a":1,"a":1,"o":{"n":"\\u003A"}}',
        b'{"a":1,"a":1,"o":{"n":"\\u0022:"}}',
        b'{"a":1,"o":{"n":2}} {}',
        b'{"a":1,"o":\n{"n":2}} {"a":1}',
        b'{"o":{"n":2}\n,"a":1} {"a":1}',
        b'{"a":1,"o":{"n":"\\u0000"}}',
        b'{"a":1,"o":{"n":"\xff"}}',
        b'{"a":1,"o":{"n":1e400}}',
        b"",
        b"[]",
    ],
)
def test_a_line_that_is_new_or_wrong_is_looked_at_alone(line):
    """A single one is enough, among any number of others."""
    usual = b'{"a":1,"o":{"n":2}}\n'
    shape, _ = shape_of([usual])

    assert shape.values(piece_of(usual * 3)) is not None
    assert shape.values(piece_of(usual * 3 + line + b"\n" + usual)) is None
    assert shape.values(piece_of(line + b"\n" + usual)) is None


def test_two_objects_on_a_line_behind_a_blank_one():
    """As many objects as lines are not one on each."""
    shape, _ = shape_of([b'{"a":1}'])

    assert shape.values(piece_of(b'\n{"a":1}{"a":1}')) is None


def test_more_names_than_a_type_should_have():
    """Then lines are looked at one by one, as before."""
    shape, _ = shape_of([json.dumps({f"n{number}": 1}).encode() for number in range(NAMES_MAX + 1)])

    assert shape.values(piece_of(b'{"n1":1}\n')) is None


def test_pieces_of_a_file(tmp_path):
    """Rows, their numbers, types and refusals are those of single lines, in whatever piece of a file they stand."""
    usual = [f'{{"id":"é","n":{number},"o":{{"a":[1.50,"x"],"b":null}},"t":true}}' for number in range(9000)]
    usual[7000] = '{"id":"7","n":1.25,"o":{"a":[],"c":{"d":1}},"t":null,"late":1}'
    usual[7001] = '{"id":null,"o":5}'
    bad = {3000: '{"id":"3","o":{"a":1,"a":2}}', 8000: "nope", 8001: '{"id":"4","id":"5"}'}
    text = "\n".join(bad.get(number, line) for number, line in enumerate(usual))
    assert len(text) > 2 * PIECE_BYTES

    read = Read(jsonl_source(tmp_path, text))

    rows = [json.loads(line) for number, line in enumerate(usual) if number not in bad]
    assert [(row, code) for row, code, _ in read.codes] == [(3001, "duplicate"), (8001, "json"), (8002, "duplicate")]
    assert read.ordinals == [number + 1 for number in range(9000) if number not in bad]
    assert read.column("id") == [row["id"] for row in rows]
    assert [number and float(number) for number in read.column("n")] == [row.get("n") for row in rows]
    assert [json.loads(value) for value in read.column("o")] == [row["o"] for row in rows]
    assert (read.column("t"), read.column("late")) == (
        [row.get("t") for row in rows],
        [row.get("late") for row in rows],
    )


@pytest.mark.parametrize(
    ("spelt", "digits"),
    [
        (["1.50", "-100"], (3, 2)),
        (["0.05", "null"], (1, 2)),
        (["1e3", "null", "2.5"], (4, 1)),
        (["-0.0"], (1, 1)),
        (["null"], (0, 0)),
        (["12345678901234567890"], (20, 0)),
    ],
)
def test_digits_of_numbers(spelt, digits):
    """Before the point and after it; a sign is none."""
    assert Spelt([Raw(one.encode()) for one in spelt]).digits() == digits


def test_a_null_is_no_text():
    """Whether it is missing or written."""
    column = Column()
    column.look(some := Spelt([NULL, Raw(b"null"), Raw(b'"null"'), Raw(b'""')]))

    assert column.array(some).to_pylist() == [None, None, "null", ""]
