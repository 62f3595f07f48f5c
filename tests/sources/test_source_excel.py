"""Excel workbooks: texts stay texts, whole numbers whole, and what a cell only seems to hold is refused."""

import datetime as dt
import zipfile

import openpyxl
import pyarrow as pa
import pytest
from openpyxl.worksheet.table import Table
from source_helpers import Read, excel_source

from bucket_loader.model.errors import SourceError


def book(base, *rows, name="a.xlsx", change=None, header=("id", "x")):
    """Write a workbook of one sheet, after `change` had it."""
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    for row in (header, *rows):
        sheet.append(row)
    if change is not None:
        change(sheet)
    workbook.save(base / name)
    return base


def read_excel(base, *rows, change=None, header=("id", "x"), **words):
    """Write a workbook and read it through the source."""
    return Read(excel_source(book(base, *rows, change=change, header=header), "a.xlsx", **words))


DAY, MOMENT = dt.datetime(2026, 1, 31), dt.datetime(2026, 1, 31, 8, 30)  # noqa: DTZ001  # Excel knows no zones


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        (["00123", "7"], pa.string(), ["00123", "7"]),
        ([123, 7], pa.int64(), [123, 7]),
        ([123, None, 1.5], pa.float64(), [123.0, None, 1.5]),
        (["00123", 123, 4.0, 1.25, True], pa.string(), ["00123", "123", "4", "1.25", "true"]),
        ([True, False], pa.bool_(), [True, False]),
        ([DAY.date()], pa.date32(), [DAY.date()]),
        ([MOMENT], pa.timestamp("us"), [MOMENT]),
        ([DAY.date(), MOMENT], pa.timestamp("us"), [DAY, MOMENT]),
        ([MOMENT, "n/a"], pa.string(), ["2026-01-31 08:30:00", "n/a"]),
        ([dt.time(8, 30)], pa.time64("us"), [dt.time(8, 30)]),
        ([10**16], pa.float64(), [1e16]),
    ],
)
def test_types(tmp_path, values, kind, read):
    """The cells of a column decide its type; none changes in it."""
    found = read_excel(tmp_path, *(("u", value) for value in values))

    assert (kind, read) == (found.schema.field("x").type, found.column("x"))


def test_rows_are_numbered_as_in_the_sheet(tmp_path):
    """Empty rows are none, hidden ones are rows; a title above the names is passed over."""

    def change(sheet):
        sheet.row_dimensions[4].hidden = True

    read = read_excel(
        tmp_path, ("id", "x"), ("1", None), ("2", "h"), (None, None), ("3", None), header=("A title",), change=change,
        header_row=2,
    )  # fmt: skip

    assert read.rows == [{"id": "1", "x": None}, {"id": "2", "x": "h"}, {"id": "3", "x": None}]
    assert read.ordinals == [1, 2, 4]


def test_errors_formulas_and_merged_cells(tmp_path):
    """An error, a formula that was never computed, a swallowed cell and a cell beyond the names refuse their rows."""

    def change(sheet):
        sheet["B3"] = "#DIV/0!"
        sheet["B4"] = "=1+1"
        sheet.merge_cells("A5:A7")
        sheet.merge_cells("A8:B8")
        sheet["D9"] = "far"

    read = read_excel(tmp_path, *((str(number), "x") for number in range(1, 10)), change=change)

    assert read.codes == [
        (2, "excel_error", "x"), (3, "formula", "x"), (5, "merged", "id"), (6, "merged", "id"), (7, "merged", "x"),
        (8, "width", None),
    ]  # fmt: skip
    assert read.column("id") == ["1", "4", "9"]


def test_a_formula_that_was_computed(tmp_path):
    """A formula gives the value that Excel last saw in it."""
    book(tmp_path, ("1", "=1+1"))
    with zipfile.ZipFile(tmp_path / "a.xlsx") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = (
        parts[sheet].replace(b"<v></v>", b"<v>2</v>").replace(b"<v />", b"<v>2</v>").replace(b"<v/>", b"<v>2</v>")
    )
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)

    assert Read(excel_source(tmp_path, "a.xlsx")).rows == [{"id": "1", "x": 2}]


def test_sheets(tmp_path):
    """One sheet that is shown needs no name; of several one has to be named; one that is hidden can be."""
    workbook = openpyxl.Workbook()
    for title, state in (("One", "visible"), ("Two", "hidden")):
        sheet = workbook.create_sheet(title)
        sheet.sheet_state = state
        for row in (["id"], [title]):
            sheet.append(row)
    del workbook["Sheet"]
    workbook["One"].add_table(Table(displayName="T", ref="A1:A2"))
    workbook.save(tmp_path / "a.xlsx")

    assert Read(excel_source(tmp_path, "a.xlsx")).rows == [{"id": "One"}]
    assert Read(excel_source(tmp_path, "a.xlsx", sheet="Two")).rows == [{"id": "Two"}]
    with pytest.raises(SourceError) as refused:
        excel_source(tmp_path, "a.xlsx", sheet="Three").read()
    assert "One, Two" in refused.value.hint
    workbook["Two"].sheet_state = "visible"
    workbook.save(tmp_path / "a.xlsx")
    with pytest.raises(SourceError, match="2 sheets that are shown"):
        excel_source(tmp_path, "a.xlsx").read()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (("id", None, "x"), "column 2 has no name"),
        (("id", "id"), "more than once"),
        ((None,), "no column names in row 1"),
    ],
)
def test_headers_that_mislead(tmp_path, header, message):
    """Names that are missing or repeat are refused as in CSV; blank ones at the end are no columns."""
    with pytest.raises(SourceError, match=message):
        read_excel(tmp_path, header=header)

    assert read_excel(tmp_path, ("1", "y", None), header=("id", " x ", None)).schema.names == ["id", "x"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"id,x\n1,2\n", "no Excel workbook"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 50, r"\.xls"),
        (b"PK\3\4" + b"x" * 50, "not a sound"),
    ],
)
def test_other_files(tmp_path, data, message):
    """What is no workbook, an old one or a damaged one is told apart."""
    (tmp_path / "a.xlsx").write_bytes(data)

    with pytest.raises(SourceError, match=message):
        excel_source(tmp_path, "a.xlsx").read()


def test_text_that_cannot_be_sent(tmp_path):
    """Columns of durations have their type; one beside texts has no certain spelling, and refuses its row."""
    read = read_excel(tmp_path, ("1", dt.timedelta(hours=30)), ("2", "n/a"))

    assert (read.codes, read.column("id")) == ([(1, "type", "x")], ["2"])
