"""What a diff looks like: values that are meant to harm do nothing, and a comment is never too long."""

import html.parser
import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from bucket_loader.reporting import Diff, RecordDiff, StreamDiff, diff_page, markdown, print_diff

HARM = (
    "\x1b[2J\x1b]0;mine\x07", "a\nb\r\tc", "\x9b31m", "\u202eabc\u2066", "zero\u200bwidth\ufeff",
    "| a | b |", "\\| \\", "`x` ``y`` `", "@octocat #1", "<img src=x onerror=alert(1)>", "<!-- ",
    "[l](http://evil.example) ![i](http://evil.example/i.png) https://evil.example", "*b* _i_ ~~s~~", "---", "$(x)",
    "</code><script>alert(1)</script>", "", " ", "&lt;&amp;", "\u00a0", "e\u0301", "\U0001f600", "\U000e0041",
)  # fmt: skip
NOBODY_SEES = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff]"
)
STREAM = StreamDiff(
    name="companies", kind="company", created=1, changed=2, removed=1, unchanged=5, rejected=0, unknown=0,
    fields={"seats": 2}, records=[], shown=0, remembers_values=True,
)  # fmt: skip


def filled(text):
    """Return a text as it is: no command is named."""
    return text


def of(*streams):
    """Return a diff of streams."""
    return Diff("nightly", "20260101T000000000Z", streams)


def harmful():
    """Return a diff in which everything that a row may say is meant to harm."""
    records = [
        RecordDiff({"companyId": harm}, change, {f"attributes.{harm}": {"old": other, "new": [harm, {harm: 1}]}})
        for harm, other in zip(HARM, reversed(HARM), strict=True)
        for change in ("changed", "removed", "created")
    ]
    return of(replace(STREAM, fields=dict.fromkeys(HARM, 2), records=records, shown=len(records), created=500))


def test_a_terminal_obeys_nothing_of_a_row(capsys):
    """Each line is ours, and every sign in it is seen."""
    print_diff(harmful(), filled)
    text = capsys.readouterr().out
    assert not NOBODY_SEES.search(text)
    assert text.count("\n") == 1 + len(HARM) + 3 * len(HARM) + 1
    assert r'"\u001b[2J\u001b]0;mine\u0007"' in text


def test_a_comment_makes_nothing_of_a_row_but_text():
    """Every table keeps its columns; what a row says stands in code, whole."""
    text = markdown(harmful(), filled)
    assert not NOBODY_SEES.search(text)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    inside = [one for token in tokens for one in token.children or ()]
    assert {one.type for one in inside} <= {"text", "code_inline"}
    assert {token.type for token in tokens} & {
        "html_block",
        "code_block",
        "blockquote_open",
        "bullet_list_open",
    } == set()
    outside = "".join(one.content for one in inside if one.type == "text")
    assert not set("@<>[]*_~#`") & set(outside)
    rows = [token for token in tokens if token.type == "tr_open"]
    assert len(rows) == 2 + 1 + len(HARM) + 1 + 3 * len(HARM)
    codes = {one.content for one in inside if one.type == "code_inline"}
    assert {"| a | b |", "`x` ``y`` `", "<!-- "} <= codes


def test_a_page_makes_nothing_of_a_row_but_text():
    """There is no element that is not ours, and nothing may be loaded or run."""
    page = diff_page(harmful(), filled)
    seen = set()
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, _: seen.add(tag)
    parser.feed(page)
    assert seen.isdisjoint({"script", "img", "a", "iframe", "object"})
    assert "default-src 'none'" in page
    assert "&lt;img src=x" in page


def record(*names, old="old", new="new"):
    """Return a record that changes in some attributes."""
    return RecordDiff({"companyId": "c1"}, "changed", {f"attributes.{one}": {"old": old, "new": new} for one in names})


MANY = {"created": 0, "removed": 0, "changed": 9_000, "shown": 9_000}
WIDE = {"created": 0, "removed": 0, "changed": 1, "shown": 1}


@pytest.mark.parametrize(
    ("streams", "left_out"),
    [
        ([replace(STREAM, **MANY, records=[record("note", old="x" * 500)] * 9_000)], r"8,\d{3} of 9,000 records"),
        ([replace(STREAM, **WIDE, records=[record(*range(9_000))])], "1 of 1 records"),
        ([replace(STREAM, name=f"stream {number}") for number in range(3_000)], "12,000 of 12,000 records"),
        ([replace(STREAM, fields={f"{number} {'n' * 90}": 2 for number in range(5_000)})], "4 more records: `--rows"),
    ],
)
def test_a_comment_is_never_too_long(streams, left_out):
    """What does not fit is left out whole, and the end says how much that is."""
    text = markdown(of(*streams), filled)
    assert len(text) <= 60_000
    assert text.endswith("\n")
    assert re.search(left_out, text.splitlines()[-1])


def test_long_values_are_cut_where_they_are_alike(capsys):
    """Both ends are shown; where these are the same, what differs."""
    old, new = f"{'a' * 60}-one-{'b' * 60}", f"{'a' * 60}-two-{'b' * 60}"
    records = [record("x", old=old, new=new), record("y", old=old)]
    print_diff(of(replace(STREAM, records=records, shown=2)), filled)
    alike, others = capsys.readouterr().out.splitlines()[2:4]
    assert re.search("x: [^→]*-one-[^→]*→[^→]*-two-", alike)
    assert others == f'  ~ c1  y: "{"a" * 14}…{"b" * 13}" → "new"'


def test_what_stands_for_one_sign_is_not_cut(capsys):
    """However long what stands before it is: half an escape would say something else."""
    records = [record("x", old="y" * count + "\x1b\n\U000e0041" * 40 + "z" * count, new="") for count in range(12)]
    print_diff(of(replace(STREAM, records=records, shown=12)), filled)
    shown = re.findall('x: "(.*)…(.*)" →', capsys.readouterr().out)
    assert len(shown) == 12
    for part in (part for both in shown for part in both):
        assert re.fullmatch(r"(?:[yz]|\\n|\\u001b|\\U000e0041)*", part)
