"""Excel workbooks (.xlsx): one sheet, its values as they were last computed. Needs the extra `excel`.

A first pass over the sheet finds the kinds of value in each column, which decide its type; the second gives the rows.
Rows and sheets that are hidden, or filtered away, are rows and sheets all the same; empty rows are none.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from bucket_loader.config import ExcelSource
from bucket_loader.model import (
    InputBatch,
    Locate,
    Origin,
    Reading,
    Reason,
    Rejection,
    SourceError,
    in_form,
    repeated_text,
)
from bucket_loader.sources.base import SourceContext, extra, numbered
from bucket_loader.sources.files.columns import added_columns, check_same_names
from bucket_loader.sources.files.csv import checked_names
from bucket_loader.sources.files.excel_values import in_type, kind_of, text_of, type_of
from bucket_loader.sources.files.excel_workbook import ROWS_AT_ONCE, CellRange, OpenSheet, SheetRow, opened
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
        self._merged: dict[InputFile, list[CellRange]] = {}

    def locator(self, name: str) -> Locate | None:
        """Return what locates the rows of a workbook: their numbers count from below the header."""
        above = self._spec.header_row
        return (lambda origin: replace(origin, sheet_row=origin.row + above)) if self.local_file(name) else None

    def read(self) -> Reading:
        """Look at every row, then return the rows of one workbook after the other."""
        import pyarrow as pa

        extra(ExcelSource)
        found = self.found()
        kinds: dict[str, set[str]] = {}
        mended: set[str] = set()
        columns: dict[InputFile, list[str]] = {}
        for file in found:
            names = self._look(file, kinds, mended)
            columns[file] = [*names, *added_columns(file, names)]
            check_same_names(found[0], columns[found[0]], file, columns[file])
        fields = [pa.field(name, type_of(kinds.get(name, set()))) for name in (columns[found[0]] if found else [])]
        schema = pa.schema([in_form(one, 2) if one.name in mended else one for one in fields])
        return Reading(schema, (batch for file in found for batch in self._rows(file, schema)))

    @contextmanager
    def _sheet(self, file: InputFile) -> "Iterator[_Sheet]":
        with opened(file, self._spec) as sheet:
            yield _Sheet(file, self._spec.header_row, sheet, self._merged.get(file, []), self._context.is_used)

    def _look(self, file: InputFile, kinds: dict[str, set[str]], mended: set[str]) -> list[str]:
        """Find the kinds of value in each column, twice where the merged cells that stand behind the rows matter."""
        with self._sheet(file) as sheet:
            seen: dict[str, set[str]] = {}
            for row in sheet.rows():
                mended.update(sheet.names[place] for place in row.mended)
                for name, value in zip(sheet.names, row.values, strict=True):
                    if value is not None and not row.reasons:
                        seen.setdefault(name, set()).add(kind_of(value))
            names, merged = sheet.names, sheet.merged
        if merged and file not in self._merged:
            self._merged[file] = merged
            return self._look(file, kinds, mended)
        for name, some in seen.items():
            kinds.setdefault(name, set()).update(some)
        return names

    def _rows(self, file: InputFile, schema: "pa.Schema") -> Iterator[InputBatch]:
        import pyarrow as pa

        folders = dict(file.partitions)
        with self._sheet(file) as sheet:
            rows = sheet.rows()
            while some := list(islice(rows, 8 * ROWS_AT_ONCE)):
                for row in some:
                    sheet.check_types(row, schema)
                good = [row for row in some if not row.reasons]
                arrays = [
                    pa.array([in_type(row.values[sheet.places[one.name]], one.type) for row in good], one.type)
                    if one.name in sheet.places
                    else repeated_text(folders[one.name], len(good))
                    for one in schema
                ]
                batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
                unread = [row.rejection(file, sheet.names) for row in some if row.reasons]
                yield from numbered(batch, [row.number for row in good], file.name, unread)


@dataclass
class _Row:
    """A row of the sheet.

    Attributes:
        number: its number below the header.
        values: its values.
        mended: the places of texts that were read in another way before.
        reasons: what is wrong with it.
        is_spoilt: whether a bad value was taken out of it, from a column that nobody asks for.
    """

    number: int
    values: list[Any]
    mended: set[int]
    reasons: list[Reason] = field(default_factory=list)
    is_spoilt: bool = False

    def rejection(self, file: InputFile, names: Sequence[str]) -> Rejection:
        values = shown(dict(zip(names, self.values, strict=True)))
        return Rejection("read", Origin(file.name, self.number), tuple(self.reasons), values)


class _Sheet:
    """One open sheet."""

    def __init__(
        self,
        file: InputFile,
        header_row: int,
        sheet: OpenSheet,
        merged: list[CellRange],
        is_used: Callable[[str], bool],
    ) -> None:
        self._header_row = header_row
        self._rows = sheet.rows
        self.merged = sheet.merged
        self._covering = sorted(merged, key=lambda cells: cells[1])
        self.names = self._header(file)
        self.places = {name: place for place, name in enumerate(self.names)}
        self._used = [is_used(name) for name in self.names]

    def _header(self, file: InputFile) -> list[str]:
        for row in self._rows:
            if row.number >= self._header_row:
                texts = ["" if value is None else text_of(value) for value in row.values]
                while texts and not texts[-1].strip():
                    texts.pop()
                if texts and row.number == self._header_row:
                    return checked_names(file, texts, f"row {row.number}")
                break
        raise SourceError(
            f"{file.name} has no column names in row {self._header_row}",
            hint="write `header_row:`, the row of the sheet that names the columns",
        )

    def rows(self) -> Iterator[_Row]:
        """Return the rows below the header that are not empty."""
        for sheet_row in self._rows:
            row = self._row(sheet_row)
            if row.reasons or row.is_spoilt or any(value is not None for value in row.values):
                yield row

    def check_types(self, row: _Row, schema: "pa.Schema") -> None:
        """Refuse a span among values of other kinds."""
        for place, value in enumerate(row.values):
            if isinstance(value, timedelta) and str(schema.field(self.names[place]).type) == "string":
                message = "the column has values of several kinds, and a duration has no certain text"
                self._refuse(row, place, Reason("type", message, self.names[place]))

    def _row(self, found: SheetRow) -> _Row:
        width = len(self.names)
        values = found.values[:width] + [None] * (width - len(found.values))
        row = _Row(found.number - self._header_row, values, {place for place in found.mended if place < width})
        for place, value in enumerate(values):
            if isinstance(value, str) and (reason := problem(value, self.names[place])) is not None:
                self._refuse(row, place, reason)
        beyond = found.values[width:]
        if any(value is not None for value in beyond) or any(place >= width for place in found.wrong):
            row.reasons.append(Reason("width", "the row has a value to the right of the last column that has a name"))
        for place, (code, message) in found.wrong.items():
            if place < width:
                self._refuse(row, place, Reason(code, message, self.names[place]))
        for place in self._covered(found.number, width):
            message = "the cell is merged with others, and only the first of them has a value"
            self._refuse(row, place, Reason("merged", message, self.names[place]))
        return row

    def _refuse(self, row: _Row, place: int, reason: Reason) -> None:
        """Refuse a row for a cell; where nobody asks for its column, the cell has no value instead."""
        if self._used[place]:
            row.reasons.append(reason)
        else:
            row.values[place], row.is_spoilt = None, True

    def _covered(self, number: int, width: int) -> list[int]:
        """Find the columns of a row whose cells a merged one has swallowed."""
        if not self._covering or self._covering[0][1] > number:
            return []
        self._covering = [cells for cells in self._covering if cells[3] >= number]
        return [
            column - 1
            for left, top, right, _ in self._covering
            if top <= number
            for column in range(left if number > top else left + 1, min(right, width) + 1)
        ]
