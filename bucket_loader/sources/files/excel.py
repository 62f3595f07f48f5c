"""Excel workbooks (.xlsx): one sheet, its values as they were last computed. Needs the extra `excel`.

A first pass over the sheet finds the kinds of value in each column, which decide its type; the second gives the rows.
Rows and sheets that are hidden, or filtered away, are rows and sheets all the same; empty rows are none.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from bucket_loader.config import ExcelSource
from bucket_loader.model import InputBatch, Origin, Reading, Reason, Rejection, SourceError, repeated_text
from bucket_loader.sources.base import SourceContext, extra, numbered
from bucket_loader.sources.files.columns import added_columns, check_same_names
from bucket_loader.sources.files.csv import checked_names
from bucket_loader.sources.files.excel_values import in_type, kind_of, text_of, type_of, value_of
from bucket_loader.sources.files.excel_workbook import ROWS_AT_ONCE, Beside, CellRange, Cells, opened
from bucket_loader.sources.files.input_file import InputFile
from bucket_loader.sources.files.listing import Files
from bucket_loader.sources.values.texts import problem, shown

if TYPE_CHECKING:
    import pyarrow as pa


class Workbooks(Files):
    """The same sheet of one or several workbooks; `key=value` folders become columns of text."""

    def __init__(self, spec: ExcelSource, context: SourceContext) -> None:
        super().__init__(spec, context)
        self._spec: ExcelSource = spec
        self._beside: dict[InputFile, Beside] = {}

    def read(self) -> Reading:
        """Look at every row, then return the rows of one workbook after the other."""
        import pyarrow as pa

        extra(ExcelSource)
        found = self.found()
        kinds: dict[str, set[str]] = {}
        columns: dict[InputFile, list[str]] = {}
        for file in found:
            names = self._look(file, kinds)
            columns[file] = [*names, *added_columns(file, names)]
            check_same_names(found[0], columns[found[0]], file, columns[file])
        schema = pa.schema([(name, type_of(kinds.get(name, set()))) for name in (columns[found[0]] if found else [])])
        return Reading(schema, (batch for file in found for batch in self._rows(file, schema)))

    @contextmanager
    def _sheet(self, file: InputFile) -> "Iterator[_Sheet]":
        with opened(file, self._spec, self._beside) as (rows, merged):
            yield _Sheet(file, self._spec.header_row, rows, merged)

    def _look(self, file: InputFile, kinds: dict[str, set[str]]) -> list[str]:
        with self._sheet(file) as sheet:
            for row in sheet.rows():
                for name, value in zip(sheet.names, row.values, strict=True):
                    if value is not None and not row.reasons:
                        kinds.setdefault(name, set()).add(kind_of(value))
            return sheet.names

    def _rows(self, file: InputFile, schema: "pa.Schema") -> Iterator[InputBatch]:
        import pyarrow as pa

        folders = dict(file.partitions)
        with self._sheet(file) as sheet:
            rows = sheet.rows()
            while some := list(islice(rows, 8 * ROWS_AT_ONCE)):
                for row in some:
                    row.check_types(sheet.names, schema)
                good = [row for row in some if not row.reasons]
                arrays = [
                    pa.array([in_type(row.values[sheet.places[field.name]], field.type) for row in good], field.type)
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

    def __init__(self, file: InputFile, header_row: int, rows: Iterator[Cells], merged: list[CellRange]) -> None:
        self._header_row = header_row
        self._rows = rows
        self._merged = sorted(merged, key=lambda cells: cells[1])
        self.names = self._header(file)
        self.places = {name: place for place, name in enumerate(self.names)}

    def _header(self, file: InputFile) -> list[str]:
        for number, cells, _ in self._rows:
            if number == self._header_row:
                texts = ["" if cell.value is None else text_of(cell.value) for cell in cells]
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
        """Return the rows below the header that are not empty."""
        for number, cells, written in self._rows:
            row = self._row(number, cells, written)
            if row.reasons or any(value is not None for value in row.values):
                yield row

    def _row(self, number: int, cells: Sequence[Any], written: Sequence[Any] | None) -> _Row:
        width = len(self.names)
        values = [value_of(cell) for cell in cells[:width]] + [None] * (width - len(cells))
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
