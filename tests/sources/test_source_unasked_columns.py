"""A bad value in a column that nobody asks for costs no row; in one that somebody does, it does."""

import sqlite3
from contextlib import closing
from decimal import Decimal

import openpyxl
import pandas as pd
import pytest
from source_helpers import Read

from bucket_loader.config.sources import ExcelSource, FrameSource, SqlSource
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.registry import open_source


def excel(base):
    """Write a workbook with an error, a merged cell and a formula that was never computed."""
    workbook = openpyxl.Workbook()
    for row in (("id", "bad"), ("1", "#N/A"), ("2", "=1+1"), ("3", "x"), ("4", None)):
        workbook.active.append(row)
    workbook.active.merge_cells("B4:B5")
    workbook.save(base / "a.xlsx")
    return ExcelSource(type="excel", path="a.xlsx")


def frame(_base):
    """Make a frame with a lone surrogate and an infinite decimal."""
    values = pd.Series(["\ud800", Decimal("Infinity"), "x", None], dtype=object)
    return FrameSource(frame=pd.DataFrame({"id": ["1", "2", "3", "4"], "bad": values}))


def sqlite(base):
    """Write a database with texts that are none."""
    with closing(sqlite3.connect(base / "a.db")) as database, database:
        database.execute("CREATE TABLE t (id TEXT, bad TEXT)")
        database.execute("INSERT INTO t VALUES ('1', char(0)), ('2', CAST(x'ff' AS TEXT)), ('3', 'x'), ('4', NULL)")
    return SqlSource(type="sql", url="sqlite:///a.db", table="t")


@pytest.mark.parametrize("write", [excel, frame, sqlite])
def test_a_bad_value_that_nobody_asks_for(tmp_path, write):
    """It is null in a row like any other."""
    spec = write(tmp_path)
    asked, unasked = (
        Read(open_source(spec, SourceContext(tmp_path, is_used=is_used)))
        for is_used in (lambda _: True, lambda name: name != "bad")
    )

    assert asked.unread
    assert (unasked.unread, unasked.column("id")) == ([], ["1", "2", "3", "4"])
    assert unasked.column("bad") == [None, None, "x", None]


STREAM = """
- name: {name}
  record: user
  source: {source}
  fields: {{userId: id, attributes: {attributes}}}
"""


@pytest.mark.parametrize(
    ("source", "attributes", "rejected", "others"),
    [
        ("book", "{}", 0, 1),
        ("book", '"*"', 3, 1),
        ("book", '{"*": {exclude: [bad]}}', 0, 0),
        ("book", "{x: bad}", 3, 0),
        ("book", "{x: {sql: 'coalesce(BAD, id)'}}", 3, 0),
        ("{type: query, sql: select id from book}", "{}", 0, 1),
        ("{type: query, sql: select * from book}", "{}", 3, 0),
    ],
)
def test_what_a_stream_asks_for(workplace, source, attributes, rejected, others):
    """Fields, `*`, expressions and queries ask for columns; of a source that several streams read, each does."""
    spec = excel(workplace.folder)
    head = f"sources: {{book: {{type: excel, path: {spec.path}}}}}\n"
    streams = [STREAM.format(name="s", source=source, attributes=attributes)]
    streams += [STREAM.format(name="other", source="book", attributes="{}")] * others
    workplace.pipeline("".join(streams), head=head)
    summary = workplace.command("plan", "--json").summary

    assert summary["streams"]["s"]["rejected"] == rejected
    assert summary["streams"]["s"]["read"] == 4
