"""A workbook as an archive of parts: whether it is sound, its sheets, the texts and number formats that they share.

Parts are found by their relationships, as ECMA-376 says, so that they may have any names; and elements by their local
names, so that strict workbooks, whose namespaces are others, are read like all.
"""

import posixpath
import xml.etree.ElementTree as ET
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Final, NamedTuple

from bucket_loader.model import SourceError
from bucket_loader.sources.files.excel_values import Style, style_of, unescaped
from bucket_loader.sources.files.input_file import InputFile

_OLD: Final = b"\xd0\xcf\x11\xe0"  # .xls, and workbooks with a password
_ZIP: Final = b"PK"
# Texts that repeat are stored once, and held in memory; a workbook that Excel wrote has far less.
_TEXTS_BYTES_MAX: Final = 512 * 1024 * 1024
# Other kinds of workbooks, by a part that none of ours has.
_OTHERS: Final = {"xl/workbook.bin": "a binary workbook (.xlsb)", "mimetype": "an OpenDocument file (.ods)"}
_MAIN: Final = "officeDocument"
_FORMATS: Final = {"cellXfs", "numFmt"}


class SheetPart(NamedTuple):
    """A sheet of cells: the file in the archive that holds it, and whether Excel shows it."""

    part: str
    is_shown: bool


class Texts(NamedTuple):
    """The texts that cells share, and which of them were read in another way before."""

    texts: list[str]
    mended: set[int]


class _Relation(NamedTuple):
    kind: str
    part: str


@contextmanager
def sound(file: InputFile) -> Iterator[None]:
    """Say that a workbook is damaged, whatever its parts trip over."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, ET.ParseError, LookupError, ValueError, TypeError, EOFError, OSError,
            OverflowError, RuntimeError) as error:  # fmt: skip
        raise SourceError(
            f"{file.name} is not a sound Excel workbook ({type(error).__name__})",
            hint="it may be cut short or damaged; open it in Excel and save it again",
        ) from error


def local_name(element: ET.Element) -> str:
    """Return an element's name without its namespace."""
    return element.tag.rpartition("}")[2]


class Package:
    """An open workbook.

    Attributes:
        sheets: its sheets of cells, by their names, in its order.
        epoch_1904: whether its days are counted from 1904.
    """

    def __init__(self, file: InputFile, stream: IO[bytes]) -> None:
        _check_kind(file, stream)
        with sound(file):
            self._archive = zipfile.ZipFile(stream)
            self._names = {name.replace("\\", "/").lower(): name for name in self._archive.namelist()}
        self._check_other_kinds(file)
        with sound(file):
            self._book = {one.kind: one.part for one in self._relations("").values()}[_MAIN]
            self._related = self._relations(self._book)
            book = ET.fromstring(self._archive.read(self._name(self._book)))  # noqa: S314
            self.sheets = dict(self._sheets(book))
            self.epoch_1904 = any(
                local_name(one) == "workbookPr" and one.get("date1904") in {"1", "true"} for one in book
            )
            self._check_texts(file)

    def open(self, part: str) -> IO[bytes]:
        """Open one file of the archive."""
        return self._archive.open(self._name(part))

    def close(self) -> None:
        """Let go of the archive."""
        self._archive.close()

    def texts(self) -> Texts:
        """Return the texts that cells share."""
        found = Texts([], set())
        if (part := self._part("sharedStrings")) is None:
            return found
        with self.open(part) as stream:
            for _, element in ET.iterparse(stream):  # noqa: S314
                if local_name(element) == "si":
                    written = text_inside(element)
                    found.texts.append(unescaped(written))
                    if found.texts[-1] != written:
                        found.mended.add(len(found.texts) - 1)
                    element.clear()
        return found

    def styles(self) -> list[Style]:
        """Return what the formats of cells make of numbers, by the numbers that cells name them by."""
        if (part := self._part("styles")) is None:
            return []
        with self.open(part) as stream:
            elements = [one for _, one in ET.iterparse(stream) if local_name(one) in _FORMATS]  # noqa: S314
        codes = {int(one.get("numFmtId", 0)): one.get("formatCode") for one in elements if local_name(one) == "numFmt"}
        formats = next((list(one) for one in elements if local_name(one) == "cellXfs"), [])
        return [style_of(int(one.get("numFmtId", 0)), codes) for one in formats]

    def _sheets(self, book: ET.Element) -> Iterator[tuple[str, SheetPart]]:
        for sheet in book.iter():
            if local_name(sheet) == "sheet":
                keys = [value for attribute, value in sheet.attrib.items() if attribute.endswith("}id")]
                related = self._related.get(keys[0])
                if related is not None and related.kind == "worksheet":
                    yield sheet.attrib["name"], SheetPart(related.part, sheet.get("state", "visible") == "visible")

    def _relations(self, part: str) -> dict[str, _Relation]:
        """Return what a part is related to, by the keys that it uses; the package itself is the part without a name."""
        folder, name = posixpath.split(part)
        found = ET.fromstring(self._archive.read(self._name(f"{folder}/_rels/{name}.rels")))  # noqa: S314
        return {
            one.attrib["Id"]: _Relation(
                one.attrib["Type"].rpartition("/")[2], posixpath.normpath(posixpath.join(folder, one.attrib["Target"]))
            )
            for one in found
            if one.get("TargetMode") != "External"
        }

    def _part(self, kind: str) -> str | None:
        return next((one.part for one in self._related.values() if one.kind == kind), None)

    def _name(self, part: str) -> str:
        """Return a part's name as the archive spells it: a part's name is the same in upper and lower case."""
        return self._names[part.lstrip("/").lower()]

    def _check_other_kinds(self, file: InputFile) -> None:
        if kind := next((kind for part, kind in _OTHERS.items() if part in self._names), None):
            raise SourceError(
                f"{file.name} is {kind}, which is not read", hint="save it as an Excel workbook (.xlsx), or as CSV"
            )

    def _check_texts(self, file: InputFile) -> None:
        part = self._part("sharedStrings")
        if part is not None and self._archive.getinfo(self._name(part)).file_size > _TEXTS_BYTES_MAX:
            raise SourceError(
                f"{file.name} has more than {_TEXTS_BYTES_MAX // 1024**2} MiB of texts",
                hint="export it as CSV or Parquet",
            )


def text_inside(element: ET.Element) -> str:
    """Return the text of a shared or inline string: of all its runs, without what says how to pronounce it."""
    parts = []
    for child in element:
        name = local_name(child)
        if name == "t":
            parts.append(child.text or "")
        elif name == "r":
            parts += [one.text or "" for one in child if local_name(one) == "t"]
    return "".join(parts)


def _check_kind(file: InputFile, stream: IO[bytes]) -> None:
    head = stream.read(4)
    stream.seek(0)
    if head == _OLD:
        raise SourceError(
            f"{file.name} is a workbook of the old kind (.xls), or has a password",
            hint="open it in Excel and save it as .xlsx, without a password",
        )
    if not head.startswith(_ZIP):
        raise SourceError(f"{file.name} is no Excel workbook", hint="write the `type:` that it has, for example csv")


def epoch(*, is_1904: bool) -> datetime:
    """Return the day from which a workbook counts its days."""
    from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH

    found: datetime = MAC_EPOCH if is_1904 else WINDOWS_EPOCH
    return found
