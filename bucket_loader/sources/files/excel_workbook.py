"""A workbook as a file: whether it is sound, which sheet is wanted, and its cells row by row."""

import io
import shutil
import tempfile
import warnings
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from bucket_loader.config import ExcelSource
from bucket_loader.model import SourceError
from bucket_loader.sources.files.input_file import InputFile

if TYPE_CHECKING:
    import openpyxl

ROWS_AT_ONCE: Final = 1024
_OLD: Final = b"\xd0\xcf\x11\xe0"  # .xls, and workbooks with a password
_ZIP: Final = b"PK"
# Texts that repeat are stored once, and held in memory; a workbook that Excel wrote has far less.
_TEXTS_BYTES_MAX: Final = 512 * 1024 * 1024
CellRange = tuple[int, int, int, int]  # first column, first row, last column, last row
Beside = tuple[list[CellRange], bool]  # the merged cells, and whether there are formulas
# A row's number in the sheet, its cells with their values, and with their formulas where the sheet has any.
Cells = tuple[int, Sequence[Any], Sequence[Any] | None]


class OpenSheet(NamedTuple):
    """A sheet that is open: its rows, and its merged cells."""

    rows: Iterator[Cells]
    merged: list[CellRange]


@contextmanager
def opened(file: InputFile, spec: ExcelSource, known: dict[InputFile, Beside]) -> Iterator[OpenSheet]:
    """Open the sheet that is wanted; what lies beside its values is looked for once, and kept in `known`."""
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
        yield OpenSheet(_numbered(file, computed, written), merged)


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
    """Return a workbook that can be sought in at no cost; a big one in a store is copied first."""
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
    """Return a sheet to be read to its end, whatever size it says that it has."""
    sheet = book[name]
    sheet.reset_dimensions()
    return sheet


def _beside_the_values(stream: IO[bytes], name: str) -> Beside:
    """Look for what openpyxl does not tell while it streams: which cells are merged, and whether there are formulas."""
    from openpyxl.utils import range_boundaries

    merged: list[CellRange] = []
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


def _numbered(file: InputFile, computed: Any, written: Any | None) -> Iterator[Cells]:  # noqa: ANN401
    """Return the rows of a sheet."""
    rows, formulas = computed.iter_rows(), written.iter_rows() if written is not None else None
    number = 1
    while True:
        with _sound(file):
            some = list(islice(rows, ROWS_AT_ONCE))
            beside = list(islice(formulas, ROWS_AT_ONCE)) if formulas is not None else [None] * len(some)
        if not some:
            return
        for cells, formula in zip(some, beside, strict=True):
            yield number, cells, formula
            number += 1
