r"""CSV as other programs write it: a `sep=` line, escapes, UTF-16."""

import csv
import gzip
import io

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from source_helpers import Read, csv_source, read_csv
from workplace import COMPANIES

from bucket_loader.config.sources import CsvSource
from bucket_loader.model.errors import SourceError
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.files.csv_look import csv_words
from bucket_loader.sources.registry import open_source

ROWS = [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]


@pytest.mark.parametrize("line", ["sep=;\n", "SEP=;\r\n", '"sep=;"\r', "sep=;;\n", "sep=; \n", "\ufeffsep=;\n"])
@pytest.mark.parametrize("words", [{}, {"delimiter": ";"}])
def test_a_separator_line_says_the_delimiter_and_is_no_row(tmp_path, line, words):
    """As Excel means it, however it is spelt; the rows are numbered as without it, and the user is told."""
    source = csv_source(tmp_path, f"{line}a;b\n1;x\nbad\n2;y\n", **words)
    read = Read(source)

    assert (read.rows, read.ordinals, read.codes) == (ROWS, [1, 3], [(2, "width", None)])
    assert source.read().notes == (
        "data.csv begins with the line `sep=;`: the delimiter is a semicolon, and the line is no row",
    )


@pytest.mark.parametrize("sign", [",", "\t", "|", "^", " "])
def test_any_sign_may_separate(tmp_path, sign):
    """Also without a header, in UTF-16 and compressed."""
    text = f"sep={sign}\r\n1{sign}x\r\n2{sign}y\r\n"

    for data, words in (
        (text.encode(), {}),
        (text.encode("utf-16"), {"encoding": "utf-16"}),
        (gzip.compress(text.encode()), {"name": "data.csv.gz"}),
    ):
        assert read_csv(tmp_path, data, header=False, names=["a", "b"], **words).rows == ROWS


def test_each_file_has_its_own_separator(tmp_path):
    """Files of one glob may differ; the note counts them."""
    for name, sign in (("a", ";"), ("b", ";"), ("c", "\t"), ("d", ",")):
        head = f"sep={sign}\n" if name != "d" else ""
        (tmp_path / f"{name}.csv").write_text(f"{head}a{sign}b\n1{sign}x\n")
    source = open_source(CsvSource(type="csv", path="*.csv"), SourceContext(tmp_path))

    assert Read(source).rows == [{"a": "1", "b": "x"}] * 4
    assert [note.partition(":")[0] for note in source.read().notes] == [
        "a.csv and 1 more begin with the line `sep=;`",
        "c.csv begins with the line `sep=\t`",
    ]


@pytest.mark.parametrize(
    ("line", "words", "message"),
    [
        ("sep=;", {"delimiter": ","}, "begins with `sep=;`, which says its delimiter, and the pipeline file"),
        ("sep=;", {"type": "tsv"}, "the pipeline file says another"),
        ("sep=;,,", {}, "goes on with other signs"),
    ],
)
def test_a_separator_line_that_does_not_agree_is_refused(tmp_path, line, words, message):
    """What the file and the pipeline file say must be one; nothing is guessed."""
    with pytest.raises(SourceError, match=message):
        read_csv(tmp_path, f"{line}\na,b\n1,2\n", **words)


@pytest.mark.parametrize("header", ["sep=x", "sep=", "separator", "sep=1", "sep=a,b"])
def test_what_only_looks_like_a_separator_line_is_a_header(tmp_path, header):
    """A name stays a name."""
    read = read_csv(tmp_path, f"{header}\n" + ",".join("1" * len(header.split(","))) + "\n")

    assert (read.schema.names, read.ordinals) == (header.split(","), [1])


def test_errors_count_the_separator_line(tmp_path):
    """The line in a message is that of the file, and a file of nothing else is empty."""
    with pytest.raises(SourceError, match="on line 3 a quoted field is closed"):
        read_csv(tmp_path, 'sep=;\na;b\n"1"x;2\n')
    with pytest.raises(SourceError, match="line 3 is never closed"):
        read_csv(tmp_path, 'sep=;\na;b\n1;"2\n')
    with pytest.raises(SourceError, match="is empty"):
        read_csv(tmp_path, "sep=;\n")


def test_a_run_says_that_it_took_the_separator_line(workplace):
    """On stderr, with the stream's name; and where several streams read one source, once."""
    workplace.write("accounts.csv", "sep=;\nid;name\n1;Acme\n")
    workplace.pipeline(COMPANIES)
    alone = workplace.run()
    two = COMPANIES.replace("{type: csv, path: accounts.csv}", "accounts")
    workplace.pipeline(
        two + two.replace("companies", "again"), head="sources:\n  accounts: {type: csv, path: accounts.csv}\n"
    )
    shared = workplace.run("--full")

    assert (alone.exit_code, alone.summary["streams"]["companies"]["delivered"]) == (0, 1)
    assert "companies: accounts.csv begins with the line `sep=;`" in " ".join(alone.stderr.split())
    assert shared.stderr.count("begins with the line") == 1


# --- escapes -------------------------------------------------------------------------------------------------------

ESCAPED = [
    (r'"a \"b\" c"', 'a "b" c'),
    (r'"a ""b"" c"', 'a "b" c'),
    (r'"C:\\"', "C:\\"),
    (r'"C:\temp"', r"C:\temp"),
    (r"C:\temp", r"C:\temp"),
    (r"a\,b", "a,b"),
    ('"a\\\nb"', "a\nb"),
    (r"\"a", '"a'),
    (r"a\,\"b\"", 'a,"b"'),
    (r"\\,".removesuffix(","), "\\"),
    ('"é\\"😀"', 'é"😀'),
    (r'"\\\""', '\\"'),
    (r"\N", r"\N"),
]


@pytest.mark.parametrize("block_bytes", [None, 40])
def test_escapes(tmp_path, block_bytes):
    r"""`\"` is a quote, `\\` a backslash, `\,` a comma; before anything else a backslash is one."""
    for written, meant in ESCAPED:
        text = f"a,b\n{written},1\nx,2\n"
        assert read_csv(tmp_path, text, escape="\\", block_bytes=block_bytes).column("a") == [meant, "x"], written


def test_escapes_leave_rows_and_their_numbers_exact(tmp_path):
    """Rows of the wrong width, bytes that are no text and nulls are as they are without escapes."""
    data = b'a,b\n1\\\n\n2,"x\\"\\\ny"\nC:\\temp\n3,\\\xff\n\\N,4\n"\\N",5\n'

    read = read_csv(tmp_path, data, escape="\\", null_values=["\\N"])

    assert read.rows == [{"a": "2", "b": 'x"\ny'}, {"a": None, "b": "4"}, {"a": "\\N", "b": "5"}]
    assert read.ordinals == [2, 5, 6]
    assert read.codes == [(1, "width", None), (3, "width", None), (4, "encoding", "b")]
    assert [one.row for one in read.unread] == [{"line": "1\\\n"}, {"line": "C:\\temp"}, {"a": "3", "b": "\\\\xff"}]


def test_broken_quotes_among_escapes_name_their_line(tmp_path):
    """Escaped line breaks count; and who forgot `escape:` is told of it."""
    for escaped in ("\\\n", "\\\r"):
        end = escaped[-1]
        with pytest.raises(SourceError, match="on line 3 a quoted field is closed"):
            read_csv(tmp_path, f'a,b{end}1{escaped},"2"x{end}', escape="\\")
    with pytest.raises(SourceError, match="goes on") as refused:
        read_csv(tmp_path, 'a,b\n1,"say \\"no\\""\n')
    assert 'write `escape: "\\\\"`' in refused.value.hint


def test_mysql_s_own_form(tmp_path):
    r"""What `SELECT ... INTO OUTFILE` writes: tabs, no quotes, `\N` for null."""
    read = read_csv(tmp_path, 'a\tb\n"x\\\ty\\\nz\t\\N\n', type="tsv", quote="", escape="\\", null_values=["\\N"])

    assert read.rows == [{"a": '"x\ty\nz', "b": None}]


@pytest.mark.parametrize("escape", [",", "é", "\n"])
def test_what_cannot_escape(tmp_path, escape):
    """A sign has one meaning; a quote that escapes a quote is what `""` is anyway."""
    with pytest.raises(SourceError, match="cannot be the delimiter, the quote or the escape"):
        read_csv(tmp_path, "a\n", escape=escape)
    assert read_csv(tmp_path, 'a\n"x""y"\n', escape='"').rows == [{"a": 'x"y'}]


tricky = st.text(st.sampled_from('\\\\",;\n\r é€😀axn'), max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(tricky, tricky, tricky), max_size=12),
    block_bytes=st.sampled_from([300, 1 << 20]),
    # With "\n" alone Python leaves a lone "\r" as it is, which no reader can tell.
    quoting=st.sampled_from([(csv.QUOTE_ALL, "\n"), (csv.QUOTE_MINIMAL, "\r\n"), (csv.QUOTE_NONE, "\r\n")]),
)
def test_what_python_escapes_comes_back(tmp_path, rows, block_bytes, quoting):
    """Whatever Python's csv module writes with an escape is read back exactly."""
    written = io.StringIO()
    writer = csv.writer(written, quoting=quoting[0], lineterminator=quoting[1], escapechar="\\", doublequote=False)
    writer.writerows([["a", "b", "c"], *(row for row in rows)])

    read = read_csv(tmp_path, written.getvalue(), block_bytes=block_bytes, escape="\\")

    assert [tuple(value or "" for value in row.values()) for row in read.rows] == rows
    assert list(range(1, len(rows) + 1)) == read.ordinals


# --- UTF-16 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "UTF-16LE", "utf_16"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_utf16_with_and_without_its_mark(tmp_path, encoding, mark):
    """Rows, their numbers and the bad ones are as exact as in UTF-8; half a character costs its row alone."""
    text = f"{mark}å,b\né,😀\n1\nx,\ud83d\n\udc80\ny,z\0\nü," + "😀" * 800_000 + "\n"
    data = text.encode("utf-16" if encoding == "utf_16" else encoding, "surrogatepass")

    read = read_csv(tmp_path, data, encoding=encoding)

    assert read.rows == [{"å": "é", "b": "😀"}, {"å": "ü", "b": "😀" * 800_000}]
    assert read.ordinals == [1, 6]
    assert read.codes == [(2, "width", None), (3, "encoding", "b"), (4, "width", None), (5, "nul", "b")]
    assert read.unread[1].row == {"å": "x", "b": "\\xd8\\x3d"}


@pytest.mark.parametrize(
    ("written", "declared", "hint"),
    [
        ("utf-16-be", "utf-16-le", "`encoding: utf-16-be`"),
        ("utf-16-le", "utf-16-be", "`encoding: utf-16-le`"),
        ("utf-16-be", "utf-16", "`encoding: utf-16-be`"),
        ("utf-8", "utf-16", "utf-8"),
        ("utf-8", "utf-16-le", "utf-8"),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_utf16_in_another_order_than_declared_is_refused(tmp_path, written, declared, hint, mark):
    """Read in the wrong order every text is another one: without a header it would have been sent."""
    if mark and declared == "utf-16" and written != "utf-8":
        mark = ""  # there the mark decides
    with pytest.raises(SourceError) as refused:
        read_csv(tmp_path, f"{mark}a,b\n1,2\n".encode(written), encoding=declared, header=False, names=["a"])

    assert hint in refused.value.hint


# --- what a file's own text says -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("x.csv", bytes),
        ("x.csv.gz", gzip.compress),
        ("x.csv.zst", lambda data: pa.compress(data, codec="zstd", asbytes=True)),
    ],
)
@pytest.mark.parametrize("sign", [",", ";", "|", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_a_file_is_looked_into_as_it_is_read(tmp_path, name, pack, sign, encoding):
    """Its delimiter and encoding are those of its text, decompressed; commas in texts are none."""
    rows = [("user_id", "First, last"), ("1", "Ångström, Ü"), ("2", "b, c, d, e"), ("3", "x")]
    text = "\r\n".join(f'{one}{sign}"{two}"' for one, two in rows)
    (tmp_path / name).write_bytes(pack(text.encode(encoding)))

    words = csv_words(CsvSource(type="csv", path=name), SourceContext(tmp_path))

    assert words.get("delimiter", ",") == sign
    assert words.get("encoding", "utf-8") == encoding.removesuffix("-sig")
    spec = CsvSource(type="csv", path=name, **words)
    assert Read(open_source(spec, SourceContext(tmp_path))).rows == [
        {"user_id": one, "First, last": two} for one, two in rows[1:]
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("sep=;\nuser_id;name\n1;a,b\n", {"delimiter": ";"}),
        ('user_id,name\n1,"say \\"no\\", ok"\n2,x\n', {"escape": "\\"}),
        ('user_id,name\n1,"C:\\"\n2,"D:\\"\n', {}),
        ("user_id\n1\n2\n", {}),
        ("user_id;at\n1;1,5\n2;2,5\n", {"delimiter": ";"}),
        ("a,b;c\n1,2;3\n4,5;6\n", {}),
        ("", {}),
        ("a;b", {"delimiter": ";"}),
    ],
)
def test_separators_and_escapes_are_seen(tmp_path, data, words):
    """Each is only there where the text speaks for it."""
    (tmp_path / "x.csv").write_text(data)

    if not data:
        with pytest.raises(SourceError, match="is empty"):
            csv_words(CsvSource(type="csv", path="x.csv"), SourceContext(tmp_path))
        return
    assert csv_words(CsvSource(type="csv", path="x.csv"), SourceContext(tmp_path)) == words
