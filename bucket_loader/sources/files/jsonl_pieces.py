"""JSON Lines files, some hundred KiB of whole lines at a time: as values by column, or line by line where it must be.

Files are read twice. What was found to be sound in the first pass is known by its hash in the second, and only taken
apart there.
"""

import codecs
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import msgspec

from bucket_loader.model import Reason, Rejection, SourceError
from bucket_loader.sources.base import UNREAD_MAX
from bucket_loader.sources.files.bytestream import chunks_of
from bucket_loader.sources.files.input_file import InputFile
from bucket_loader.sources.files.jsonl_column import NULL, Column, Spelt
from bucket_loader.sources.files.jsonl_line import LINE_BYTES_MAX, ROW, Row, members, rejection, require_lines
from bucket_loader.sources.files.jsonl_shape import Piece, Shape, plain

COLUMNS_MAX: Final = 4096
PIECE_BYTES: Final = 256 * 1024
_LINE_END: Final = ord(b"\n")
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass
class Parsed:
    """Some lines of a file.

    Attributes:
        values: N values of each column that one of them has.
        numbers: the N lines that they stand on, from 1.
        unread: the lines that could not be read.
    """

    values: Mapping[str, Sequence[msgspec.Raw]]
    numbers: Sequence[int]
    unread: list[Rejection] = field(default_factory=list)


class Lines:
    """The lines of all files of a source.

    Args:
        compression: of the files.
        columns: those that are known; the others are added as they are found.
    """

    def __init__(self, compression: str, columns: dict[str, Column]) -> None:
        self._compression = compression
        self._columns = columns
        self._shape = Shape(columns)
        self._sound: set[int] = set()

    # --- the first pass ----------------------------------------------------------------------------------------

    def look(self, file: InputFile) -> None:
        """Take note of the columns of a file, and of the kinds of their values.

        Raises:
            SourceError: it cannot be read, is not JSON Lines at all, or has too many columns.
        """
        begun = False
        for piece in _pieces(file, self._compression):
            values = self._shape.values(piece)
            if values is not None:
                self._note(values)
                self._sound.add(hash(piece.data))
                begun = True
                continue
            lines = list(_lines(piece))
            begun = begun or _begins(file, lines)
            rows = [row for _, line in lines if not isinstance(row := members(line), Reason)]
            self._look_at(file, rows)
            if len(rows) == piece.lines:
                self._sound.add(hash(piece.data))

    def _look_at(self, file: InputFile, rows: Sequence[Row]) -> None:
        for name in dict.fromkeys(chain.from_iterable(rows)):
            self._columns.setdefault(name, Column())
        if len(self._columns) > COLUMNS_MAX:
            raise SourceError(
                f"{file.name} has more than {COLUMNS_MAX:,} names in its objects",
                hint="are names data, such as dates or ids? put such objects one level deeper",
            )
        self._note({name: Spelt(raws) for name, raws in _by_column(rows).items()})
        self._shape.learn(rows)

    def _note(self, values: Mapping[str, Spelt]) -> None:
        for name, some in values.items():
            self._columns[name].look(some)

    # --- the second --------------------------------------------------------------------------------------------

    def parsed(self, file: InputFile) -> Iterator[Parsed]:
        """Return the rows of a file that was looked at."""
        names = list(self._columns)
        decoder, begun = plain(names), False
        for piece in _pieces(file, self._compression):
            if hash(piece.data) not in self._sound:
                lines = list(_lines(piece))
                begun = begun or _begins(file, lines)
                yield from _closely(file, lines)
                continue
            begun = True
            if decoder is None:
                values = _by_column(ROW.decode_lines(piece.data))
            else:
                columns = zip(*map(msgspec.structs.astuple, decoder.decode_lines(piece.data)), strict=True)
                values = dict(zip(names, columns, strict=True))
            yield Parsed(values, range(piece.first, piece.first + piece.lines))


def _closely(file: InputFile, lines: Sequence[tuple[int, bytes]]) -> Iterator[Parsed]:
    """Look at lines one by one."""
    rows: list[Row] = []
    numbers: list[int] = []
    unread: list[Rejection] = []
    for number, line in lines:
        found = members(line)
        if isinstance(found, Reason):
            unread.append(rejection(file, number, line, found))
        else:
            rows.append(found)
            numbers.append(number)
        if len(unread) == UNREAD_MAX:
            yield Parsed(_by_column(rows), numbers, unread)
            rows, numbers, unread = [], [], []
    yield Parsed(_by_column(rows), numbers, unread)


def _by_column(rows: Sequence[Row]) -> dict[str, Sequence[msgspec.Raw]]:
    return {name: [row.get(name, NULL) for row in rows] for name in dict.fromkeys(chain.from_iterable(rows))}


def _begins(file: InputFile, lines: Sequence[tuple[int, bytes]]) -> bool:
    """Whether a file begins with these lines; the first of them is one that JSON Lines may have."""
    if lines:
        require_lines(file, lines[0][1])
    return bool(lines)


def _lines(piece: Piece) -> Iterator[tuple[int, bytes]]:
    """Return lines that are not blank, each with its number."""
    for number, line in enumerate(piece.data.removesuffix(b"\n").split(b"\n"), start=piece.first):
        if line and not line.isspace():
            yield number, line


def _pieces(file: InputFile, compression: str) -> Iterator[Piece]:
    """Return a file's lines; of one that is too long only a little more than is allowed."""
    import numpy as np

    rest, first, started = b"", 1, False
    for chunk in chunks_of(file, compression):
        data = rest + chunk
        if not started and len(data) >= len(codecs.BOM_UTF8):
            if data.startswith(_UTF16):
                raise SourceError(f"{file.name} begins with the mark of UTF-16", hint="JSON is UTF-8; convert it")
            data, started = data.removeprefix(codecs.BOM_UTF8), True
        begin, end = 0, data.rfind(b"\n") + 1
        while begin < end:
            cut = data.find(b"\n", min(begin + PIECE_BYTES, end) - 1) + 1
            part = data[begin:cut]
            lines = int(np.count_nonzero(np.frombuffer(part, np.uint8) == _LINE_END))
            yield Piece(first, lines, part)
            first, begin = first + lines, cut
        # What is cut off here stays longer than a line may be.
        rest = data[end:][: LINE_BYTES_MAX + 1]
    if rest:
        yield Piece(first, 1, rest)
