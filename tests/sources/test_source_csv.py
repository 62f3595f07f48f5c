"""CSV files as they really come."""

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from source_helpers import Read, csv_source, read_csv

from bucket_loader.config.sources import CsvSource
from bucket_loader.model.errors import SourceError
from bucket_loader.model.rows import ROWS_MAX
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.files.csv import delimiter_hint
from bucket_loader.sources.registry import open_source


@pytest.mark.parametrize(
    "value",
    ["00123", "9007199254740993", "1e5", "NA", "null", "None", "nan", "N/A", "t", "1.10", "12:30", " x "],
)
def test_text_stays_text(tmp_path, value):
    """No value is inferred to be a number, a boolean, a time or a null."""
    read = read_csv(tmp_path, f"id,n\n{value},1\n")

    assert [{"id": value, "n": "1"}] == read.rows


def test_types_do_not_depend_on_the_block(tmp_path):
    """A column that begins as numbers and goes on as words is spelt the same all the way."""
    lines = [f"{number:03}" for number in range(500)] + ["x03", "004"]

    read = read_csv(tmp_path, "id\n" + "\n".join(lines), block_bytes=64)

    assert lines == read.column("id")


def test_empty_is_null_and_quoted_empty_is_text(tmp_path):
    """An unquoted empty field is null, `""` is an empty text."""
    read = read_csv(tmp_path, 'a,b\n,""\n')

    assert read.rows == [{"a": None, "b": ""}]


def test_declared_null_values_hold_unquoted_only(tmp_path):
    """What the source calls null is null unless it is quoted, and an empty field still is."""
    read = read_csv(tmp_path, 'a,b,c\nNULL,"NULL",\n', null_values=["NULL"])

    assert read.rows == [{"a": None, "b": "NULL", "c": None}]


def test_quotes_inside_an_unquoted_field_are_literal(tmp_path):
    """An inch sign is no quoting."""
    read = read_csv(tmp_path, 'a,b\n5" pipe,6""\nx,"5"" pipe"\n')

    assert read.rows == [{"a": '5" pipe', "b": '6""'}, {"a": "x", "b": '5" pipe'}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(tmp_path, end):
    """Every line end is understood, the last one may be missing, and blank lines are no rows."""
    read = read_csv(tmp_path, end.join(["a,b", "1,2", "", '3,"x']) + "\ny" + '"')

    assert read.rows == [{"a": "1", "b": "2"}, {"a": "3", "b": "x\ny"}]
    assert read.ordinals == [1, 2]


@pytest.mark.parametrize("data", ["a,b\n", "a,b"])
def test_header_only(tmp_path, data):
    """A header without rows is no rows, with or without its line end."""
    read = read_csv(tmp_path, data)

    assert read.schema.names == ["a", "b"]
    assert read.rows == []


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b"\xff\xfe"])
@pytest.mark.parametrize("words", [{}, {"header": False, "names": ["a"]}])
def test_nothing_is_refused(tmp_path, data, words):
    """A file of 0 bytes is a failed export, not an export of nothing."""
    if words and data == b"\n\n":
        assert read_csv(tmp_path, data, **words).rows == []
        return

    with pytest.raises(SourceError, match=r"is empty|UTF-16"):
        read_csv(tmp_path, data, **words)


@pytest.mark.parametrize("block_bytes", [24, 100, None])
def test_rows_of_the_wrong_width_are_rejected_with_their_place(tmp_path, block_bytes):
    """A short or long row is rejected alone; the others keep their own numbers, at any block size."""
    lines = ["1,2", "3", "4,5", "6,7,8", "9", "", "10,11", "12,13,14"]

    read = read_csv(tmp_path, "a,b\n" + "\n".join(lines) + "\n", block_bytes=block_bytes)

    assert [tuple(row.values()) for row in read.rows] == [("1", "2"), ("4", "5"), ("10", "11")]
    assert read.ordinals == [1, 3, 6]
    assert read.codes == [(2, "width", None), (4, "width", None), (5, "width", None), (7, "width", None)]
    assert read.unread[0].reasons[0].message == "the row has 1 field, the header has 2"
    assert read.unread[1].row == {"line": "6,7,8"}
    assert read.unread[0].origin.source == "data.csv"


def test_many_rows_of_the_wrong_width(tmp_path):
    """A file of nothing but bad rows comes in batches, each row once."""
    count = 20_000

    read = read_csv(tmp_path, "a,b\n" + "1\n" * count + "2,3\n")

    assert list(range(1, count + 1)) == [one.origin.row for one in read.unread]
    assert [count + 1] == read.ordinals
    assert max(len(batch.unread) for batch in read.batches) <= 8192


def test_first_row_without_header_does_not_set_the_width(tmp_path):
    """Where the names are given, a first row of another width is rejected, not the rest."""
    read = read_csv(tmp_path, "1,2,3\n4,5\n", header=False, names=["x", "y"])

    assert read.rows == [{"x": "4", "y": "5"}]
    assert (read.ordinals, read.codes) == ([2], [(1, "width", None)])


def test_names_instead_of_the_header(tmp_path):
    """`names:` beside a header renames the columns; the header is no row."""
    read = read_csv(tmp_path, "a,a\n1,2\n", names=["x", "y"])

    assert (read.rows, read.ordinals) == ([{"x": "1", "y": "2"}], [1])
    with pytest.raises(SourceError, match="gives 1 columns, the file has 2"):
        read_csv(tmp_path, "a,a\n1,2\n", names=["x"])


def test_bytes_that_are_not_utf8_reject_their_row(tmp_path):
    """One bad byte costs one row, even one of the wrong width; its neighbours are untouched."""
    data = "a,b\né,1\n".encode() + b"x,\xff\xe9\n" + b"\xff\n" + b"ok,\xf0\x9f\x98\x80\n" + b"z,\xed\xa0\x80\n"

    read = read_csv(tmp_path, data)

    assert read.rows == [{"a": "é", "b": "1"}, {"a": "ok", "b": "😀"}]
    assert read.ordinals == [1, 4]
    assert read.codes == [(2, "encoding", "b"), (3, "width", None), (5, "encoding", "b")]
    assert read.unread[0].row == {"a": "x", "b": "\\xff\\xe9"}
    assert read.unread[1].row == {"line": "\\xff"}


def test_a_character_cut_by_a_block(tmp_path):
    """A character is not broken by the end of a chunk of bytes."""
    text = "é" * (1024 * 1024) + "😀"

    read = read_csv(tmp_path, f"a,b\nx,{text}\n")

    assert text == read.rows[0]["b"]


def test_a_whole_file_in_another_encoding(tmp_path):
    """Every row of an undeclared cp1252 file is rejected, in bounded batches."""
    count = 20_000

    read = read_csv(tmp_path, b"a\n" + "é\n".encode("cp1252") * count)

    assert count == len(read.unread)
    assert list(range(1, count + 1)) == [one.origin.row for one in read.unread]
    assert max(len(batch.unread) for batch in read.batches) <= 8192


def test_nul_rejects_its_row(tmp_path):
    """A NUL inside a value rejects that row."""
    read = read_csv(tmp_path, "a,b\n1,x\0y\n2,z\n")

    assert (read.codes, read.ordinals) == ([(1, "nul", "b")], [2])


@pytest.mark.parametrize(
    ("data", "line", "what"),
    [
        ('a,b\n1,2\n3,"4\n5,6\n', 3, "never closed"),
        ('a,b\n1,"2"x\n', 2, "goes on"),
        ('a,b\n1,"2\n\n3"x,4\n', 4, "goes on"),
        ('a,b\n"1,2\n"3",4\n', 3, "goes on"),
        ('a,b\n1,"""\n', 2, "never closed"),
        ('a,"b\n', 1, "never closed"),
    ],
)
@pytest.mark.parametrize("filler", [0, 1, 3, 100_000])
def test_broken_quotes_name_their_line(tmp_path, data, line, what, filler):
    """A quote that is never closed, or closed in the middle, is refused with its line, wherever the blocks end."""
    header, _, rest = data.partition("\n")
    padded = f"{header}\n" + 'x,"y ""z"""\n' * filler + rest if line > 1 else data

    with pytest.raises(SourceError, match=what) as refused:
        read_csv(tmp_path, padded)

    assert f"line {line + (filler if line > 1 else 0)} " in refused.value.message


def test_the_field_that_began_it_is_named(tmp_path):
    """Where a field is closed on another line than it began, both are named."""
    with pytest.raises(SourceError, match=r"on line 4 .* begins on line 2"):
        read_csv(tmp_path, 'a,b\n1,"2\n\n3"x,4\n')


def test_no_quoting(tmp_path):
    """`quote: ""` makes quotes plain characters."""
    read = read_csv(tmp_path, 'a,b\n"1,2"\nx"y,"\n', quote="")

    assert read.rows == [{"a": '"1', "b": '2"'}, {"a": 'x"y', "b": '"'}]


def test_a_row_longer_than_a_block(tmp_path):
    """A row beyond the block is refused, and a quote that is still open is named."""
    with pytest.raises(SourceError, match="a row is longer than 64 bytes; a quoted field that begins on line 2"):
        read_csv(tmp_path, 'a,b\n1,"' + "x\n" * 1_000_000, block_bytes=64)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("a,b,a", "'a' more than once, as columns 1 and 3"),
        ("a, a ,b", "'a' more than once, as columns 1 and 2"),
        ("a,,b", "column 2 has no name"),
        ("a,b,", "column 3 has no name"),
        ("é,e\u0301", "more than once"),
    ],
)
def test_headers_that_mislead(tmp_path, header, message):
    """Names that repeat, after blanks and Unicode forms are evened out, and missing ones are refused."""
    with pytest.raises(SourceError, match=message):
        read_csv(tmp_path, f"{header}\n1,2,3\n")


def test_header_is_cleaned(tmp_path):
    """A byte order mark, blanks and decomposed letters do not get into names, quoted or not."""
    read = read_csv(tmp_path, '\ufeff" id ",cafe\u0301\n1,2\n')

    assert read.schema.names == ["id", "café"]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"])
def test_declared_encodings(tmp_path, encoding):
    """A file in a declared encoding reads as what was meant."""
    read = read_csv(tmp_path, "å,b\né,ü\n".encode(encoding), encoding=encoding)

    assert read.rows == [{"å": "é", "b": "ü"}]


def test_wrong_declarations_are_refused(tmp_path):
    """A byte that does not fit the declared encoding refuses the file, and says where it is."""
    with pytest.raises(SourceError, match="byte 6 "):
        read_csv(tmp_path, b"a,b\n1,\xe9\n", encoding="ascii")
    with pytest.raises(SourceError, match="is not utf-16"):
        read_csv(tmp_path, "a,b\n1,2\n".encode("utf-16")[:-1], encoding="utf-16")
    for encoding in ("utf-16", "utf-16-be"):
        with pytest.raises(SourceError) as refused:
            read_csv(tmp_path, "a,b\n1,2\n".encode(encoding))
        assert "utf-16" in refused.value.hint


def test_delimiters(tmp_path):
    """A TSV is split at tabs, a declared delimiter at itself, and a wrong one is recognised for a hint."""
    assert read_csv(tmp_path, "a\tb\n1,5\t2\n", type="tsv").rows == [{"a": "1,5", "b": "2"}]
    assert read_csv(tmp_path, "a;b\n1;2\n", delimiter=";").rows == [{"a": "1", "b": "2"}]
    assert "semicolon" in delimiter_hint(read_csv(tmp_path, "a;b\n1;2\n").schema.names)
    assert delimiter_hint(["a", "b;c"]) is None
    assert delimiter_hint(["a"]) is None
    for delimiter in ("é", '"', "\n"):
        with pytest.raises(SourceError, match="cannot be the delimiter"):
            read_csv(tmp_path, "a\n", delimiter=delimiter)


def test_too_many_columns(tmp_path):
    """More columns than are read as text are refused, not inferred."""
    assert len(read_csv(tmp_path, ",".join(f"c{i}" for i in range(4096)) + "\n").schema) == 4096
    with pytest.raises(SourceError, match="more than 4,096 columns"):
        read_csv(tmp_path, ",".join(f"c{i}" for i in range(4097)) + "\n" + "1," * 4096 + "1\n")


def test_batches_are_cut_by_rows_and_bytes(tmp_path):
    """No batch has more rows than allowed, and their numbers go on from one to the next."""
    count = ROWS_MAX + 5

    read = read_csv(tmp_path, "a\n" + "1\n" * count)

    assert list(range(1, count + 1)) == read.ordinals
    assert len(read.batches) > 1


def test_stopping_early_closes_the_file(tmp_path):
    """A reader that wants no more leaves nothing open."""
    source = csv_source(tmp_path, "a\n" + "1\n" * 100_000, block_bytes=1000)

    batches = source.read().batches
    first = next(batches)
    batches.close()

    assert first.data.num_rows > 0


def test_columns_in_another_order(tmp_path):
    """Files of one glob are read in the order of their names, each column where the first file has it."""
    (tmp_path / "b.csv").write_text("y,x\n2,1\n")
    (tmp_path / "a.csv").write_text("x,y\n3,4\n")

    source = open_source(CsvSource(type="csv", path="*.csv"), SourceContext(tmp_path))
    read = Read(source)

    assert read.rows == [{"x": "3", "y": "4"}, {"x": "1", "y": "2"}]
    assert (read.ordinals, [batch.source for batch in read.batches]) == ([1, 1], ["a.csv", "b.csv"])


@pytest.mark.parametrize(("header", "message"), [("x", "lacks the column 'y'"), ("x,y,z", "a column 'z' that")])
def test_other_columns_are_refused_before_any_row(tmp_path, header, message):
    """A file that lacks or adds a column is named before the first batch."""
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text(f"{header}\n")
    source = open_source(CsvSource(type="csv", path="*.csv"), SourceContext(tmp_path))

    with pytest.raises(SourceError, match=f"b.csv.*{message}"):
        source.read()


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
tricky = st.text(st.sampled_from('",;\n\r\t é€😀a1 \ufeff'), max_size=8)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(text | tricky, text | tricky, tricky), max_size=20),
    block_bytes=st.sampled_from([300, 500, 4096, 1 << 20]),
    delimiter=st.sampled_from(",;\t|"),
    # With "\n" alone and quoting where needed, Python leaves a lone "\r" unquoted, which no reader can tell.
    quoting=st.sampled_from([(csv.QUOTE_ALL, "\n"), (csv.QUOTE_ALL, "\r\n"), (csv.QUOTE_MINIMAL, "\r\n")]),
)
def test_what_python_writes_comes_back(tmp_path, rows, block_bytes, delimiter, quoting):
    """Whatever text Python's csv module writes is read back exactly, at any block size."""
    written = io.StringIO()
    writer = csv.writer(written, delimiter=delimiter, quoting=quoting[0], lineterminator=quoting[1])
    writer.writerows([["a", "b", "c"], *rows])

    read = read_csv(tmp_path, written.getvalue(), block_bytes=block_bytes, delimiter=delimiter)

    empty = "" if quoting[0] == csv.QUOTE_ALL else None
    assert [tuple(value or empty for value in row) for row in rows] == [tuple(row.values()) for row in read.rows]
    assert list(range(1, len(rows) + 1)) == read.ordinals
    assert read.unread == []
