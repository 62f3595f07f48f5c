"""JSON Lines files, some hundred KiB of whole lines at a time: as values by column, or line by line where it must be.

Files are read twice, perhaps by two processes. What was found to be sound in the first pass is known in the second by
its place and its checksum, and only taken apart there.
"""

import codecs
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Final
from zlib import crc32

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
# Of a piece in which one line is new or wrong; so few are looked at one by one.
PART_BYTES: Final = 32 * 1024
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


# --- the first pass ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LookedAt:
    """A file that was looked at.

    Attributes:
        file: the file.
        sound: the marks of those of its pieces in which every line is a sound object.
    """

    file: InputFile
    sound: frozenset[int]


class Lines:
    """The lines of some files of a source, which are looked at one after the other.

    Args:
        compression: of the files.
        columns: those that are known; the others are added as they are found.
    """

    def __init__(self, compression: str, columns: dict[str, Column]) -> None:
        self._compression = compression
        self._columns = columns
        self._shape = Shape(columns)
        self._parts_help = True  # some part of the last piece that was cut could be checked at once

    def look(self, file: InputFile) -> LookedAt:
        """Take note of the columns of a file, and of the kinds of their values.

        Raises:
            SourceError: it cannot be read, is not JSON Lines at all, or has too many columns.
        """
        begun, sound = False, set[int]()
        for whole in _pieces(file, self._compression):
            for piece, values in self._tried(whole):
                if values is not None:
                    self._note(values)
                    sound.add(_mark(piece))
                    begun = True
                    continue
                lines = list(_lines(piece))
                begun = begun or _begins(file, lines)
                rows = [row for _, line in lines if not isinstance(row := members(line), Reason)]
                self._look_at(file, rows)
                if len(rows) == piece.lines:
                    sound.add(_mark(piece))
        return LookedAt(file, frozenset(sound))

    def _tried(self, piece: Piece) -> Iterator[tuple[Piece, dict[str, Spelt] | None]]:
        """Return a piece, or the parts of one that has something new or wrong in it, with what was found at once."""
        values = self._shape.values(piece)
        if values is not None or not (self._parts_help and self._shape.is_ready):
            self._parts_help = self._parts_help or values is not None
            yield piece, values
            return
        others: list[Piece] = []
        self._parts_help = False
        for part in _cut(piece.data, piece.first, PART_BYTES):
            values = self._shape.values(part)
            if values is None:
                others.append(part)
                continue
            self._parts_help = True
            yield from ((one, None) for one in _joined(others))
            others = []
            yield part, values
        yield from ((one, None) for one in _joined(others))

    def _look_at(self, file: InputFile, rows: Sequence[Row]) -> None:
        found: dict[str, list[msgspec.Raw]] = {}
        for name, raw in chain.from_iterable(row.items() for row in rows):
            found.setdefault(name, []).append(raw)
        for name in found:
            self._columns.setdefault(name, Column())
        require_few(file, self._columns)
        self._note({name: Spelt(raws) for name, raws in found.items()})
        self._shape.learn(rows)

    def _note(self, values: Mapping[str, Spelt]) -> None:
        for name, some in values.items():
            self._columns[name].look(some)


def require_few(file: InputFile, names: Collection[str]) -> None:
    """Refuse more names than a source may have columns."""
    if len(names) > COLUMNS_MAX:
        raise SourceError(
            f"{file.name} has more than {COLUMNS_MAX:,} names in its objects",
            hint="are names data, such as dates or ids? put such objects one level deeper",
        )


def _mark(piece: Piece) -> int:
    """Return what a piece is known again by, in whatever process."""
    return piece.first << 32 | crc32(piece.data)


# --- the second ----------------------------------------------------------------------------------------------------


def parsed(seen: LookedAt, compression: str, names: Sequence[str]) -> Iterator[Parsed]:
    """Return the rows of a file that was looked at; `names` are those of all columns."""
    decoder, begun = plain(names), False
    for piece, is_sound in _known(seen, compression):
        if not is_sound:
            lines = list(_lines(piece))
            begun = begun or _begins(seen.file, lines)
            yield from _closely(seen.file, lines)
            continue
        begun = True
        if decoder is None:
            values = _by_column(ROW.decode_lines(piece.data))
        else:
            columns = zip(*map(msgspec.structs.astuple, decoder.decode_lines(piece.data)), strict=True)
            values = dict(zip(names, columns, strict=True))
        yield Parsed(values, range(piece.first, piece.first + piece.lines))


def _known(seen: LookedAt, compression: str) -> Iterator[tuple[Piece, bool]]:
    """Return a file's pieces as they were looked at, and whether all lines of each are sound."""

    def is_sound(piece: Piece) -> bool:
        return _mark(piece) in seen.sound

    for piece in _pieces(seen.file, compression):
        if is_sound(piece):
            yield piece, True
            continue
        for sound, run in groupby(_cut(piece.data, piece.first, PART_BYTES), is_sound):
            yield from ((one, sound or is_sound(one)) for one in _joined(list(run)))


def _joined(parts: Sequence[Piece]) -> list[Piece]:
    """Join parts that follow one another."""
    if not parts:
        return []
    return [Piece(parts[0].first, sum(part.lines for part in parts), b"".join(part.data for part in parts))]


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
    rest, first, started = b"", 1, False
    for chunk in chunks_of(file, compression):
        data = rest + chunk
        if not started and len(data) >= len(codecs.BOM_UTF8):
            if data.startswith(_UTF16):
                raise SourceError(f"{file.name} begins with the mark of UTF-16", hint="JSON is UTF-8; convert it")
            data, started = data.removeprefix(codecs.BOM_UTF8), True
        end = data.rfind(b"\n") + 1
        for piece in _cut(data[:end], first, PIECE_BYTES):
            yield piece
            first += piece.lines
        # What is cut off here stays longer than a line may be.
        rest = data[end:][: LINE_BYTES_MAX + 1]
    if rest:
        yield Piece(first, 1, rest)


def _cut(data: bytes, first: int, size: int) -> Iterator[Piece]:
    """Cut whole lines into pieces of about a size."""
    import numpy as np

    begin = 0
    while begin < len(data):
        end = data.find(b"\n", begin + size) + 1 or len(data)
        part = data[begin:end]
        ends = int(np.count_nonzero(np.frombuffer(part, np.uint8) == _LINE_END))
        yield Piece(first, ends + (not part.endswith(b"\n")), part)
        first, begin = first + ends, end
