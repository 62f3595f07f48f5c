"""The sheet of a workbook that is wanted, row by row: the values of its cells, and what is wrong with them."""

import io
import shutil
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import IO, Any, Final

from bucket_loader.config import ExcelSource
from bucket_loader.model import Code, SourceError
from bucket_loader.sources.files.excel_package import Package, SheetPart, Texts, epoch, sound, text_inside
from bucket_loader.sources.files.excel_values import PLAIN, Style, from_iso, from_number, unescaped
from bucket_loader.sources.files.input_file import InputFile

ROWS_AT_ONCE: Final = 1024
CellRange = tuple[int, int, int, int]  # first column, first row, last column, last row
# What can be wrong with a cell: the code of the reason, and its message.
FORMULA: Final[tuple[Code, str]] = ("formula", "the cell has a formula that was never computed; save the file in Excel")
ERROR: Final[tuple[Code, str]] = ("excel_error", "the cell holds an error of Excel's, such as #N/A")
UNREAD: Final[tuple[Code, str]] = (
    "cell",
    "the cell holds what is no value of its kind; open the file in Excel and save it again",
)
_DIGITS: Final = "0123456789"


@dataclass
class SheetRow:
    """A row of a sheet, from its first column to the last one with a cell.

    Attributes:
        number: its number in the sheet, from 1.
        values: the values of its cells; None where there is none.
        wrong: what is wrong with cells, by their places.
        mended: the places of texts that were read in another way before.
    """

    number: int
    values: list[Any] = field(default_factory=list)
    wrong: dict[int, tuple[Code, str]] = field(default_factory=dict)
    mended: set[int] = field(default_factory=set)


@dataclass
class OpenSheet:
    """A sheet that is open.

    Attributes:
        rows: its rows; asked for once.
        merged: its merged cells; they stand behind the rows, and so are whole when those are at their end.
    """

    rows: Iterator[SheetRow]
    merged: list[CellRange]


@contextmanager
def opened(file: InputFile, spec: ExcelSource) -> Iterator[OpenSheet]:
    """Open the sheet that is wanted."""
    with _local(file) as stream:
        package = Package(file, stream)
        try:
            with sound(file):
                sheet = _wanted(file, spec, package)
                cells = _Cells(package.texts(), package.styles(), epoch(is_1904=package.epoch_1904))
                part = package.open(sheet.part)
            merged: list[CellRange] = []
            with part:
                yield OpenSheet(_soundly(file, _rows(part, cells, merged)), merged)
        finally:
            package.close()


def sheet_names(file: InputFile) -> list[str]:
    """Return the names of the sheets that are shown."""
    with _local(file) as stream:
        package = Package(file, stream)
        try:
            return [name for name, sheet in package.sheets.items() if sheet.is_shown]
        finally:
            package.close()


@contextmanager
def _local(file: InputFile) -> Iterator[IO[bytes]]:
    """Return a workbook that can be sought in at no cost; a big one in a store is copied first."""
    with file.open(at_once=True) as stream:
        if isinstance(stream, io.IOBase):
            yield stream
            return
        with tempfile.TemporaryFile() as copy:
            try:
                shutil.copyfileobj(stream, copy, 1024 * 1024)
            except OSError as error:
                raise file.trouble(error) or SourceError(f"{file.name} cannot be read", hint="try again") from error
            copy.seek(0)
            yield copy


def _wanted(file: InputFile, spec: ExcelSource, package: Package) -> SheetPart:
    names = ", ".join(package.sheets)
    if spec.sheet is not None:
        if spec.sheet not in package.sheets:
            raise SourceError(f"{file.name} has no sheet {spec.sheet!r}", hint=f"it has: {names}")
        return package.sheets[spec.sheet]
    shown = [sheet for sheet in package.sheets.values() if sheet.is_shown]
    if len(shown) != 1:
        raise SourceError(f"{file.name} has {len(shown)} sheets that are shown", hint=f"write `sheet:`, one of {names}")
    return shown[0]


def _soundly(file: InputFile, rows: Iterator[SheetRow]) -> Iterator[SheetRow]:
    while True:
        with sound(file):
            some = list(islice(rows, ROWS_AT_ONCE))
        if not some:
            return
        yield from some


def _rows(part: IO[bytes], cells: "_Cells", merged: list[CellRange]) -> Iterator[SheetRow]:
    """Read a sheet from its beginning to its end; what was read is let go of."""
    from openpyxl.utils import range_boundaries

    number, data, row, names = 0, None, None, _Names()
    row_tag = ""  # in the sheet's own namespace: the anchor of a picture has a `row`, too
    # Where an element starts, the one before it is whole; the events of its end are as many again.
    for _, element in ET.iterparse(part, ("start",)):  # noqa: S314
        if element.tag == row_tag:
            if row is not None and data is not None:
                yield cells.row(number, row)
                data.remove(row)
            number, row = _next_number(number, element), element
            continue
        name = names[element.tag]
        if name == "sheetData":
            data, row_tag = element, f"{element.tag.removesuffix(name)}row"
        elif name == "mergeCell":
            merged.append(range_boundaries(element.get("ref", "")))
    if row is not None:
        yield cells.row(number, row)


def _next_number(before: int, row: ET.Element) -> int:
    written = row.get("r")
    number = before + 1 if written is None else int(float(written))
    if number <= before:
        raise ValueError("rows are not in their order")
    return number


class _Names(dict[str, str]):
    """The names of elements without their namespaces."""

    def __missing__(self, tag: str) -> str:
        self[tag] = tag.rpartition("}")[2]
        return self[tag]


class _Cells:
    """Reads the cells of a sheet, with what the workbook has beside it."""

    def __init__(self, texts: Texts, styles: list[Style], start: datetime) -> None:
        self._texts = texts
        self._styles = styles
        self._start = start
        self._columns: dict[str, int] = {}
        self._names = _Names()

    def row(self, number: int, element: ET.Element) -> SheetRow:
        """Read the cells of one row."""
        row = SheetRow(number)
        values = row.values
        for cell in element:
            attributes = cell.attrib
            reference = attributes.get("r")
            place = len(values) if reference is None else self._place(reference.rstrip(_DIGITS))
            if place < len(values):
                raise ValueError("cells are not in their order")
            values.extend([None] * (place - len(values)))
            try:
                values.append(self._value(row, place, cell, attributes.get("t", "n")))
            except (ValueError, OverflowError, IndexError, KeyError):
                values.append("".join(cell.itertext()))
                row.wrong[place] = UNREAD
        return row

    def _place(self, letters: str) -> int:
        if letters not in self._columns:
            from openpyxl.utils import column_index_from_string

            self._columns[letters] = column_index_from_string(letters) - 1
        return self._columns[letters]

    def _value(self, row: SheetRow, place: int, cell: ET.Element, kind: str) -> Any:  # noqa: ANN401
        text, has_formula = None, False
        for child in cell:
            name = self._names[child.tag]
            if name == "v":
                text = child.text or ""
            elif name == "f":
                has_formula = True
            elif name == "is" and kind == "inlineStr":
                return self._text(row, place, text_inside(child))
        if not text:
            if has_formula and (kind != "str" or text is None):
                row.wrong[place] = FORMULA
            # Excel computes to an empty text; what no formula has computed is an empty cell.
            return "" if has_formula and kind == "str" and text is not None else None
        return self._written(row, place, kind, text, cell)

    def _written(self, row: SheetRow, place: int, kind: str, text: str, cell: ET.Element) -> Any:  # noqa: ANN401
        match kind:
            case "n":
                return self._number(row, place, text, self._style(cell))
            case "s":
                index = int(text)
                if index in self._texts.mended:
                    row.mended.add(place)
                return self._texts.texts[index]
            case "str":
                return self._text(row, place, text)
            case "b":
                return bool(int(text))
            case "d":
                return from_iso(text, self._style(cell))
            case "e":
                row.wrong[place] = ERROR
                return text
            case _:
                raise ValueError(kind)

    def _number(self, row: SheetRow, place: int, text: str, style: Style) -> Any:  # noqa: ANN401
        value = float(text) if "." in text or "e" in text or "E" in text else int(text)
        if style is PLAIN:
            return value
        try:
            return from_number(value, style, self._start)
        except (OverflowError, ValueError):  # Excel shows ##### for a day that it cannot count to
            row.wrong[place] = ERROR
            return text

    def _style(self, cell: ET.Element) -> Style:
        index = cell.get("s")
        return self._styles[int(index)] if index is not None and self._styles else PLAIN

    def _text(self, row: SheetRow, place: int, written: str) -> str:
        text = unescaped(written)
        if text != written:
            row.mended.add(place)
        return text
