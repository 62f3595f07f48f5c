"""Workbooks as other programs write them: escapes, parts of any name, strict namespaces, cells that are no values."""

import datetime as dt
import zipfile

import openpyxl
import pytest
from source_helpers import Read, excel_source

from bucket_loader.model.errors import SourceError
from bucket_loader.model.forms import form_of

TRANSITIONAL, STRICT = "http://schemas.openxmlformats.org/", "http://purl.oclc.org/ooxml/"
DAY, MOMENT = dt.date(2026, 1, 31), dt.datetime(2026, 1, 31, 8, 30)  # noqa: DTZ001  # Excel knows no zones


def rewritten(path, change):
    """Let `change` have the name and the text of every part of a workbook, and write what it returns."""
    with zipfile.ZipFile(path) as archive:
        parts = [change(name, archive.read(name).decode()) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts:
            archive.writestr(name, text)


def of_cells(base, *rows):
    """Write a workbook whose rows below `id`, `x` are these cells, as XML; the source of it."""
    workbook = openpyxl.Workbook()
    workbook.active.append(("id", "x"))
    workbook.active.append((0.5, MOMENT))  # which gives the style 1 to a moment
    workbook.save(base / "a.xlsx")
    written = "".join(f'<row r="{number}">{cells}</row>' for number, cells in enumerate(rows, start=2))

    def change(name, text):
        start, end = text.find('<row r="2"'), text.find("</sheetData>")
        return name, text[:start] + written + text[end:] if name.endswith("sheet1.xml") else text

    rewritten(base / "a.xlsx", change)
    return excel_source(base, "a.xlsx")


def text_cell(place, text):
    """Return a cell with a text of its own."""
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def test_escapes_of_characters(tmp_path):
    """`_x000D_` is a carriage return in cells, ids, shared texts and headers; `_x005F_` keeps what only looks so."""
    workbook = openpyxl.Workbook()
    for row in (("i_x0064_", "plain", "x"), ("u_x0031_", "a_b", "_x005F_x0031_"), ("u2", "_x12_", "_xD83D__xDE00_")):
        workbook.active.append(row)
    workbook.active.append(("u3", "c", "_x0000_"))
    workbook.active.append(("u4", "d", "_xD83D_"))
    workbook.save(tmp_path / "a.xlsx")
    shared = Read(excel_source(tmp_path, "a.xlsx"))
    inline = Read(of_cells(tmp_path, text_cell("A2", "u_x0031_") + '<c r="B2" t="str"><v>a_x000d_</v></c>'))

    assert shared.rows == [
        {"id": "u1", "plain": "a_b", "x": "_x0031_"}, {"id": "u2", "plain": "_x12_", "x": "\N{GRINNING FACE}"},
    ]  # fmt: skip
    assert shared.codes == [(3, "nul", "x"), (4, "encoding", "x")]
    assert [form_of(field) for field in shared.schema] == [2, 1, 2]
    assert inline.rows == [{"id": "u1", "x": "a\r"}]


def test_a_formula_that_was_computed_to_an_empty_text(tmp_path):
    """It is an empty text; a formula without a value, and one of a number that is empty, were never computed."""
    formulas = ('t="str"><f>""</f><v></v>', 't="str"><f>""</f><v/>', 't="str"><f>A1</f>', "><f>1+1</f><v></v>")
    read = Read(of_cells(tmp_path, *(f'<c r="A{row}" {cell}</c>' for row, cell in enumerate(formulas, start=2))))

    assert read.rows == [{"id": "", "x": None}] * 2
    assert read.codes == [(3, "formula", "id"), (4, "formula", "id")]


def test_a_workbook_part_of_any_name(tmp_path):
    """Parts are found by what relates to them, with names from the root or from beside, in either case."""
    workbook = openpyxl.Workbook()
    for row in (("id",), ("u1",)):
        workbook.active.append(row)
    workbook.save(tmp_path / "a.xlsx")

    def change(name, text):
        text = text.replace("xl/workbook.xml", "Data/Book9.XML").replace('"/xl/worksheets/', '"../xl/worksheets/')
        for beside in ("styles.xml", "sharedStrings.xml"):
            text = text.replace(f'Target="{beside}"', f'Target="/XL/{beside}"')
        return name.replace("xl/workbook.xml", "data/book9.xml").replace(
            "xl/_rels/workbook.xml.rels", "data/_rels/Book9.xml.rels"
        ), text

    rewritten(tmp_path / "a.xlsx", change)

    assert Read(excel_source(tmp_path, "a.xlsx")).rows == [{"id": "u1"}]


def test_strict_workbooks(tmp_path):
    """Strict OOXML has other namespaces, and may write times as text; it is read as any other."""
    workbook = openpyxl.Workbook()
    rows = [("id", "day", "at", "time"), ("u1", DAY, MOMENT, dt.time(8, 30)), ("u2", None, None, None)]
    for row in rows:
        workbook.active.append(row)
    workbook.active.merge_cells("A3:B3")
    workbook.save(tmp_path / "plain.xlsx")
    workbook.iso_dates = True
    workbook.save(tmp_path / "strict.xlsx")

    def change(name, text):
        names = ("spreadsheetml", "officeDocument")
        for one in names:
            text = text.replace(f"{TRANSITIONAL}{one}/2006/", f"{STRICT}{one}/")
        return name, text

    rewritten(tmp_path / "strict.xlsx", change)
    plain, strict = (Read(excel_source(tmp_path, name)) for name in ("plain.xlsx", "strict.xlsx"))

    assert strict.rows == plain.rows == [dict(zip(rows[0], rows[1], strict=True))]
    assert (strict.schema, strict.codes) == (plain.schema, plain.codes)
    assert strict.codes == [(2, "merged", "day")]


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ('t="s"><v>99</v>', "cell"),
        ("><v>twelve</v>", "cell"),
        ('t="b"><v>yes</v>', "cell"),
        ('t="d"><v>2026-13-01</v>', "cell"),
        ('t="d"><v>2026-01-01T08:00:00+02:00</v>', "cell"),
        ('t="zz"><v>1</v>', "cell"),
        ('s="1"><v>1e9</v>', "excel_error"),
    ],
)
def test_cells_that_are_no_values(tmp_path, cell, code):
    """Such a cell refuses its row, and is shown as it was written; the other rows are read."""
    read = Read(of_cells(tmp_path, text_cell("A2", "u1") + f'<c r="B2" {cell}</c>', text_cell("A3", "u2")))

    assert (read.codes, read.column("id")) == ([(1, code, "x")], ["u2"])
    assert read.unread[0].row["x"] in cell


def test_rows_of_anchors_are_no_rows(tmp_path):
    """The anchor of a control stands behind the rows, and has a `row` of another namespace."""
    source = of_cells(tmp_path, text_cell("A2", "u1"))
    anchor = '<controls><anchor xmlns:d="urn:d"><d:from><d:row>7</d:row></d:from></anchor></controls></worksheet>'
    rewritten(
        tmp_path / "a.xlsx",
        lambda name, text: (name, text.replace("</worksheet>", anchor) if name.endswith("sheet1.xml") else text),
    )

    assert Read(source).rows == [{"id": "u1", "x": None}]


@pytest.mark.parametrize(
    "rows",
    [
        ('<c r="B2"><v>1</v></c><c r="A2"><v>1</v></c>',),
        ('<c r="A2"><v>1</v></c></row><row r="2"><c r="A2"><v>2</v></c>',),
    ],
)
def test_cells_out_of_order(tmp_path, rows):
    """A cell or a row that comes twice would hide another: the workbook is refused as unsound."""
    with pytest.raises(SourceError, match="not a sound"):
        Read(of_cells(tmp_path, *rows))


@pytest.mark.parametrize(("part", "kind"), [("xl/workbook.bin", r"\.xlsb"), ("mimetype", r"\.ods")])
def test_workbooks_of_other_kinds(tmp_path, part, kind):
    """A binary workbook and an OpenDocument file are refused by their names."""
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr(part, "")

    with pytest.raises(SourceError, match=kind):
        excel_source(tmp_path, "a.xlsx").read()
