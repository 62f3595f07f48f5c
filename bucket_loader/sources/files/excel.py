"""Excel workbooks (.xlsx): one sheet, its values as they were last computed. Needs the extra `excel`.

A first pass over the sheet finds the kinds of value in each column, which decide its type; the second gives the rows.
Rows and sheets that are hidden, or filtered away, are rows and sheets all the same; empty rows are none.
"""

import io
import shutil
import tempfile
import warnings
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Final

from bucket_loader.config import ExcelSource
from bucket_loader.model import InputBatch, Origin, Reading, Reason, Rejection, SourceError, repeated_text
from bucket_loader.sources.base import SourceContext, extra, numbered
from bucket_loader.sources.files.csv import checked_names
from bucket_loader.sources.files.input_file import InputFile, added_columns
from bucket_loader.sources.files.listing import Files
from bucket_loader.sources.values.texts import problem, shown
from bucket_loader.sources.values.types import check_same_names

if TYPE_CHECKING:
    import openpyxl
    import pyarrow as pa

_OLD: Final = b"\xd0\xcf\x11\xe0"  # .xls, and workbooks with a password
_ZIP: Final = b"PK"
_ROWS_AT_ONCE: Final = 1024
# Texts that repeat are stored once, and held in memory; a workbook that Excel wrote has far less.
_TEXTS_BYTES_MAX: Final = 512 * 1024 * 1024
_EXACT: Final = 2**53
_CellRange = tuple[int, int, int, int]  # first column, first row, last column, last row
_Beside = tuple[list[_CellRange], bool]  # the merged cells, and whether there are formulas
# A row's number in the sheet, its cells with their values, and with their formulas where the sheet has any.
_Cells = tuple[int, Sequence[Any], Sequence[Any] | None]


class Workbooks(Files):
    """The same sheet of one or several workbooks; `key=value` folders become columns of text."""

    def __init__(self, spec: ExcelSource, context: SourceContext) -> None:
        super().__init__(spec, context)
        self._spec: ExcelSource = spec
        self._beside: dict[InputFile, _Beside] = {}

    def read(self) -> Reading:
        """Look at every row, then give the rows of one workbook after the other."""
        import pyarrow as pa

        extra(ExcelSource)
        found = self.found()
        kinds: dict[str, set[str]] = {}
        columns: dict[InputFile, list[str]] = {}
        for file in found:
            names = self._look(file, kinds)
            columns[file] = [*names, *added_columns(file, names)]
            check_same_names(found[0], columns[found[0]], file, columns[file])
        schema = pa.schema([(name, _type(kinds.get(name, set()))) for name in (columns[found[0]] if found else [])])
        return Reading(schema, (batch for file in found for batch in self._rows(file, schema)))

    def _look(self, file: InputFile, kinds: dict[str, set[str]]) -> list[str]:
        with _opened(file, self._spec, self._beside) as sheet:
            for row in sheet.rows():
                for name, value in zip(sheet.names, row.values, strict=True):
                    if value is not None and not row.reasons:
                        kinds.setdefault(name, set()).add(_kind(value))
            return sheet.names

    def _rows(self, file: InputFile, schema: "pa.Schema") -> Iterator[InputBatch]:
        import pyarrow as pa

        folders = dict(file.partitions)
        with _opened(file, self._spec, self._beside) as sheet:
            rows = sheet.rows()
            while some := list(islice(rows, 8 * _ROWS_AT_ONCE)):
                for row in some:
                    row.check_types(sheet.names, schema)
                good = [row for row in some if not row.reasons]
                arrays = [
                    pa.array([_as(row.values[sheet.places[field.name]], field.type) for row in good], field.type)
                    if field.name in sheet.places
                    else repeated_text(folders[field.name], len(good))
                    for field in schema
                ]
                batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
                unread = [row.rejection(file, sheet.names) for row in some if row.reasons]
                yield from numbered(batch, [row.number for row in good], file.name, unread)


@dataclass
class _Row:
    """A row of the sheet: its number below the header, its values, and what is wrong with it."""

    number: int
    values: list[Any]
    reasons: list[Reason]

    def check_types(self, names: Sequence[str], schema: "pa.Schema") -> None:
        for name, value in zip(names, self.values, strict=True):
            if isinstance(value, timedelta) and str(schema.field(name).type) == "string":
                message = "the column has values of several kinds, and a duration has no certain text"
                self.reasons.append(Reason("type", message, name))

    def rejection(self, file: InputFile, names: Sequence[str]) -> Rejection:
        values = shown(dict(zip(names, self.values, strict=True)))
        return Rejection("read", Origin(file.name, self.number), tuple(self.reasons), values)


class _Sheet:
    """One open sheet."""

    def __init__(self, file: InputFile, header_row: int, rows: Iterator[_Cells], merged: list[_CellRange]) -> None:
        self._header_row = header_row
        self._rows = rows
        self._merged = sorted(merged, key=lambda cells: cells[1])
        self.names = self._header(file)
        self.places = {name: place for place, name in enumerate(self.names)}

    def _header(self, file: InputFile) -> list[str]:
        for number, cells, _ in self._rows:
            if number == self._header_row:
                texts = ["" if cell.value is None else _text(cell.value) for cell in cells]
                while texts and not texts[-1].strip():
                    texts.pop()
                if texts:
                    return checked_names(file, texts, f"row {number}")
                break
        raise SourceError(
            f"{file.name} has no column names in row {self._header_row}",
            hint="write `header_row:`, the row of the sheet that names the columns",
        )

    def rows(self) -> Iterator[_Row]:
        """Give the rows below the header that are not empty."""
        for number, cells, written in self._rows:
            row = self._row(number, cells, written)
            if row.reasons or any(value is not None for value in row.values):
                yield row

    def _row(self, number: int, cells: Sequence[Any], written: Sequence[Any] | None) -> _Row:
        width = len(self.names)
        values = [_value(cell) for cell in cells[:width]] + [None] * (width - len(cells))
        reasons = [self._wrong(name, cell) for name, cell in zip(self.names, cells, strict=False)]
        if any(cell.value is not None for cell in cells[width:]):
            reasons.append(Reason("width", "the row has a value to the right of the last column that has a name"))
        if written is not None:
            reasons += [
                Reason("formula", "the cell has a formula that was never computed; save the file in Excel", name)
                for name, cell, formula in zip(self.names, cells, written, strict=False)
                if formula.data_type == "f" and cell.value is None
            ]  # fmt: skip
        reasons += [
            Reason(
                "merged", "the cell is merged with others, and only the first of them has a value", self.names[place]
            )
            for place in self._covered(number, width)
        ]
        return _Row(number - self._header_row, values, [reason for reason in reasons if reason is not None])

    def _wrong(self, name: str, cell: Any) -> Reason | None:  # noqa: ANN401  # openpyxl's cells are of many classes
        if cell.data_type == "e":
            return Reason("excel_error", "the cell holds an error of Excel's, such as #N/A", name)
        return problem(cell.value, name)

    def _covered(self, number: int, width: int) -> list[int]:
        """Find the columns of a row whose cells a merged one has swallowed."""
        if not self._merged or self._merged[0][1] > number:
            return []
        self._merged = [cells for cells in self._merged if cells[3] >= number]
        return [
            column - 1
            for left, top, right, _ in self._merged
            if top <= number
            for column in range(left if number > top else left + 1, min(right, width) + 1)
        ]


def _numbered(file: InputFile, computed: Any, written: Any | None) -> Iterator[_Cells]:  # noqa: ANN401
    """Give the rows of a sheet."""
    rows, formulas = computed.iter_rows(), written.iter_rows() if written is not None else None
    number = 1
    while True:
        with _sound(file):
            some = list(islice(rows, _ROWS_AT_ONCE))
            beside = list(islice(formulas, _ROWS_AT_ONCE)) if formulas is not None else [None] * len(some)
        if not some:
            return
        for cells, formula in zip(some, beside, strict=True):
            yield number, cells, formula
            number += 1


# --- values --------------------------------------------------------------------------------------------------------


def _value(cell: Any) -> Any:  # noqa: ANN401
    """Give a cell's value; a date without a time of day where its format shows none."""
    from openpyxl.styles.numbers import is_datetime

    value = cell.value
    if isinstance(value, datetime) and is_datetime(cell.number_format) == "date" and value.time() == time():
        return value.date()
    return value


def _kind(value: object) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer" if abs(value) <= _EXACT else "big integer"
        case float():
            return "float"
        case datetime():
            return "datetime"
        case date():
            return "date"
        case time():
            return "time"
        case timedelta():
            return "duration"
        case _:
            return "text"


def _type(kinds: set[str]) -> "pa.DataType":
    import pyarrow as pa

    types = {
        frozenset({"boolean"}): pa.bool_(),
        frozenset({"integer"}): pa.int64(),
        frozenset({"float"}): pa.float64(),
        frozenset({"integer", "float"}): pa.float64(),
        frozenset({"date"}): pa.date32(),
        frozenset({"datetime"}): pa.timestamp("us"),
        frozenset({"date", "datetime"}): pa.timestamp("us"),
        frozenset({"time"}): pa.time64("us"),
        frozenset({"duration"}): pa.duration("us"),
    }
    return types.get(frozenset(kinds), pa.string())


def _as(value: Any, kind: "pa.DataType") -> Any:  # noqa: ANN401
    import pyarrow as pa

    if value is None:
        return None
    if pa.types.is_string(kind):
        return _text(value)
    if pa.types.is_timestamp(kind) and not isinstance(value, datetime):
        return datetime.combine(value, time())
    return float(value) if pa.types.is_floating(kind) else value


def _text(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float():
            return str(int(value)) if value.is_integer() and abs(value) <= _EXACT else repr(value)
        case datetime():
            return value.isoformat(" ")
        case date() | time():
            return value.isoformat()
        case _:
            return str(value)


# --- files ---------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(file: InputFile, spec: ExcelSource, known: dict[InputFile, _Beside]) -> Iterator[_Sheet]:
    with ExitStack() as stack:
        stream = stack.enter_context(_local(file))
        with _sound(file):
            book = stack.enter_context(_workbook(stream, computed=True))
            name = _sheet_name(file, spec, book)
            if file not in known:
                known[file] = _beside_the_values(stream, name)
            merged, has_formulas = known[file]
            computed, written = _unbounded(book, name), None
            if has_formulas:
                written = _unbounded(stack.enter_context(_workbook(stream, computed=False)), name)
        yield _Sheet(file, spec.header_row, _numbered(file, computed, written), merged)


@contextmanager
def _sound(file: InputFile) -> Iterator[None]:
    """Say that a workbook is damaged; openpyxl raises whatever its parts trip over."""
    try:
        # It warns of styles, and of dates that Excel cannot show; those come as errors of their cells.
        with warnings.catch_warnings(action="ignore"):
            yield
    except (zipfile.BadZipFile, ET.ParseError, KeyError, ValueError, TypeError, EOFError, OSError) as error:
        raise SourceError(
            f"{file.name} is not a sound Excel workbook ({type(error).__name__})",
            hint="it may be cut short or damaged; open it in Excel and save it again",
        ) from error


@contextmanager
def _local(file: InputFile) -> Iterator[IO[bytes]]:
    """Give a workbook that can be sought in at no cost; a big one in a store is copied first."""
    with file.open(at_once=True) as stream:
        if isinstance(stream, io.IOBase):
            yield _checked(file, stream)
            return
        with tempfile.TemporaryFile() as copy:
            try:
                shutil.copyfileobj(stream, copy, 1024 * 1024)
            except OSError as error:
                raise file.trouble(error) or SourceError(f"{file.name} cannot be read", hint="try again") from error
            copy.seek(0)
            yield _checked(file, copy)


def _checked(file: InputFile, stream: Any) -> IO[bytes]:  # noqa: ANN401
    head = stream.read(4)
    stream.seek(0)
    if head == _OLD:
        raise SourceError(
            f"{file.name} is a workbook of the old kind (.xls), or has a password",
            hint="open it in Excel and save it as .xlsx, without a password",
        )
    if not head.startswith(_ZIP):
        raise SourceError(f"{file.name} is no Excel workbook", hint="write the `type:` that it has, for example csv")
    with _sound(file), zipfile.ZipFile(stream) as archive:
        texts = sum(
            part.file_size for part in archive.infolist() if part.filename.lower().endswith("sharedstrings.xml")
        )
    if texts > _TEXTS_BYTES_MAX:
        raise SourceError(
            f"{file.name} has more than {_TEXTS_BYTES_MAX // 1024**2} MiB of texts", hint="export it as CSV or Parquet"
        )
    found: IO[bytes] = stream
    return found


@contextmanager
def _workbook(stream: IO[bytes], *, computed: bool) -> "Iterator[openpyxl.Workbook]":
    import openpyxl

    book = openpyxl.load_workbook(stream, read_only=True, data_only=computed, keep_links=False)
    try:
        yield book
    finally:
        book.close()


def _sheet_name(file: InputFile, spec: ExcelSource, book: Any) -> str:  # noqa: ANN401
    names = [sheet.title for sheet in book.worksheets]
    shown_names = [sheet.title for sheet in book.worksheets if sheet.sheet_state == "visible"]
    if spec.sheet is not None and spec.sheet not in names:
        raise SourceError(f"{file.name} has no sheet {spec.sheet!r}", hint=f"it has: {', '.join(names)}")
    if spec.sheet is None and len(shown_names) != 1:
        raise SourceError(
            f"{file.name} has {len(shown_names)} sheets that are shown",
            hint=f"write `sheet:`, one of {', '.join(names)}",
        )
    return spec.sheet or shown_names[0]


def _unbounded(book: Any, name: str) -> Any:  # noqa: ANN401
    """Give a sheet to be read to its end, whatever size it says that it has."""
    sheet = book[name]
    sheet.reset_dimensions()
    return sheet


def _beside_the_values(stream: IO[bytes], name: str) -> _Beside:
    """Look for what openpyxl does not tell while it streams: which cells are merged, and whether there are formulas."""
    from openpyxl.utils import range_boundaries

    merged: list[_CellRange] = []
    has_formulas = False
    with zipfile.ZipFile(stream) as archive, archive.open(_part_of(archive, name)) as part:
        for _, element in ET.iterparse(part):  # noqa: S314
            tag = element.tag.rpartition("}")[2]
            has_formulas = has_formulas or tag == "f"
            if tag == "mergeCell":
                merged.append(range_boundaries(element.get("ref", "")))
            if tag == "row":
                element.clear()
    return merged, has_formulas


def _part_of(archive: zipfile.ZipFile, name: str) -> str:
    """Find the file in the archive that holds a sheet."""
    book = ET.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314
    relations = ET.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
    targets = {relation.get("Id"): relation.get("Target", "") for relation in relations}
    for sheet in book.iter():
        if sheet.tag.endswith("}sheet") and sheet.get("name") == name:
            (key,) = (value for attribute, value in sheet.attrib.items() if attribute.endswith("}id"))
            target = targets[key]
            return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    raise KeyError(name)
