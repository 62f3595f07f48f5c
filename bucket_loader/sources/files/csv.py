"""CSV and TSV files: every value is text, exactly as written, until a field says otherwise."""

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Final

from bucket_loader.config import CsvSource
from bucket_loader.model import Locate, Origin, Reading, SlicedRows, SourceError
from bucket_loader.sources.base import SourceContext, repeated
from bucket_loader.sources.files.columns import added_columns, check_same_names
from bucket_loader.sources.files.csv_parser import BLOCK_BYTES, COLUMNS_MAX, Parser, Parsing
from bucket_loader.sources.files.csv_rows import CsvFile, CsvRows
from bucket_loader.sources.files.input_file import InputFile
from bucket_loader.sources.files.items import FileRows, items_of, reading
from bucket_loader.sources.files.listing import Files
from bucket_loader.sources.files.separator import DELIMITERS, delimiter_words, note_on

# Bytes that are parsed to see a header, where that is enough.
_HEADER_BYTES: Final = 64 * 1024


def delimiter_hint(header: Sequence[str]) -> str | None:
    """Guess from a header of one column that the delimiter is another one; None when nothing speaks for it."""
    if len(header) != 1 or not any(sign in header[0] for sign in DELIMITERS):
        return None
    sign = max(DELIMITERS, key=header[0].count)
    return f"the header is one column and has {DELIMITERS[sign]} in it: write `{delimiter_words(sign)}`"


class CsvFiles(Files):
    """CSV files with the same columns in each, in any order; `key=value` folders become columns."""

    def __init__(self, spec: CsvSource, context: SourceContext, *, block_bytes: int = BLOCK_BYTES) -> None:
        super().__init__(spec, context)
        self._spec: CsvSource = spec
        self._parser = Parser(spec, block_bytes, spec.delimiter or ("\t" if spec.type == "tsv" else None))
        self._separators: dict[str, str] = {}  # what the `sep=` lines of files say

    def read(self) -> Reading:
        """Check every file's header, then return the rows of one file after the other."""
        import pyarrow as pa

        found = self.found()
        seen = {file: self._seen(file) for file in found}
        columns = {file: [*seen[file].names, *added_columns(file, seen[file].names)] for file in found}
        first = columns[found[0]] if found else []
        for file in found:
            check_same_names(found[0], first, file, columns[file])
        schema = pa.schema([(name, pa.string()) for name in first])
        items = [item.of(seen.__getitem__) for item in items_of(found)]
        rows = SlicedRows(items, FileRows(CsvRows(self._parser, schema)).read)
        return reading(schema, found, rows, [*note_on(self._separators)])

    def locator(self, name: str) -> Locate | None:
        """Return what locates the rows of a file, which is then read a second time, as far as it is asked for."""
        file = self.local_file(name)
        if file is None or self._spec.escape:  # with escapes, only the parser knows where a row ends
            return None
        lines, taken = self._parser.lines(file), 0

        def located(origin: Origin) -> Origin:
            nonlocal taken
            ahead = origin.row + (1 if self._spec.header else 0) - taken
            line = next(islice(lines, ahead - 1, None), None) if ahead > 0 else None
            taken += max(ahead, 0)
            return replace(origin, line=line)

        return located

    def _seen(self, file: InputFile) -> CsvFile:
        """Look at the beginning of a file."""
        small = replace(self._parser, block_bytes=min(_HEADER_BYTES, self._parser.block_bytes))
        if not self._spec.header:
            names = checked_names(file, self._spec.names or [], "names:")
            with self._opened(file, small, len(names)):  # what is unreadable or empty is refused, as with a header
                return CsvFile(file, names)
        try:
            row = self._first_row(file, small)
        except SourceError:  # perhaps only because a header, or a row beside it, is longer than that
            row = self._first_row(file, self._parser)
        return CsvFile(file, self._names(file, row), row)

    def _first_row(self, file: InputFile, parser: Parser) -> list[str | None]:
        with self._opened(file, parser) as parsing:
            return [column[0].as_py() for column in next(parsing.batches).columns]

    @contextmanager
    def _opened(self, file: InputFile, parser: Parser, width: int = 0) -> Iterator[Parsing]:
        with parser.opened(file, width) as parsing:
            if parsing.separator is not None:
                self._separators[file.name] = parsing.separator
            yield parsing

    def _names(self, file: InputFile, row: list[str | None]) -> list[str]:
        names = self._spec.names
        if names is None:
            return checked_names(file, [name or "" for name in row], "the header")
        if len(names) != len(row):
            raise SourceError(
                f"{file.name}: `names:` gives {len(names)} columns, the file has {len(row)}",
                hint="name every column, in order",
            )
        return checked_names(file, names, "names:")


def checked_names(file: InputFile, names: Sequence[str], where: str) -> list[str]:
    """Clean column names, and refuse those that could be mistaken for each other."""
    cleaned = [unicodedata.normalize("NFC", name).strip() for name in names]
    if len(cleaned) > COLUMNS_MAX:
        raise SourceError(f"{file.name} has more than {COLUMNS_MAX:,} columns", hint="export the columns you need")
    if any("\0" in name for name in cleaned):
        raise SourceError(
            f"{file.name}: {where} has bytes that are not text in the declared encoding",
            hint="declare the encoding it was written in, for example `encoding: cp1252` or `encoding: utf-16-le`",
        )
    if "" in cleaned:
        raise SourceError(
            f"{file.name}: column {cleaned.index('') + 1} has no name in {where}",
            hint="name it in the file, or name all columns with `names:`",
        )
    for name, places in repeated(cleaned).items():
        raise SourceError(
            f"{file.name}: {where} has {name!r} more than once, as columns {' and '.join(map(str, places))}",
            hint="one would hide the other; rename one in the file, or name all columns with `names:`",
        )
    return cleaned
