"""What a workbook says of itself: its sheets, and in which row of each the names of the columns stand. For `init`."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from bucket_loader.config import ExcelSource
from bucket_loader.sources.base import SourceContext, extra
from bucket_loader.sources.files.excel_workbook import opened, sheet_names
from bucket_loader.sources.files.listing import found

_ROWS: Final = 20  # in which a header is looked for
_FILLED: Final = 0.6  # of the columns have a name, or the row is a title


@dataclass(frozen=True)
class SheetLook:
    """A sheet that is shown and has rows.

    Attributes:
        name: of the sheet.
        header_row: the row that seems to name its columns.
        is_only: whether no other sheet is shown, so that nobody has to name it.
    """

    name: str
    header_row: int
    is_only: bool


def sheets_in(spec: ExcelSource, context: SourceContext) -> Sequence[SheetLook]:
    """Look at the sheets of a source's first workbook.

    Raises:
        SourceError: there is no such file, or it cannot be read.
    """
    extra(ExcelSource)
    (file, *_) = found(spec, context)
    looks, names = [], sheet_names(file)
    for name in names:
        with opened(file, spec.model_copy(update={"sheet": name})) as sheet:
            rows = [(row.number, row.values) for row in islice(sheet.rows, _ROWS)]
        if any(value is not None for _, values in rows for value in values):
            looks.append(SheetLook(name, _header_row(rows), len(names) == 1))
    return looks


def _header_row(rows: Sequence[tuple[int, Sequence[Any]]]) -> int:
    """Return the first row that names most of the columns: texts, no two of them the same."""
    filled = {number: [value for value in values if value is not None] for number, values in rows}
    width = max(map(len, filled.values()))
    for number, values in filled.items():
        texts = {value for value in values if isinstance(value, str)}
        if len(texts) == len(values) and len(values) >= max(1, _FILLED * width):
            return number
    return next(number for number, values in filled.items() if values)
