"""The lines of a JSON Lines file: each as its members, every value still as it is spelt, or the reason why not.

msgspec parses five times as fast as the standard library, and says nothing of a name that comes twice. So a line that
could have one is looked at again, slowly; one look at its colons tells which lines cannot.
"""

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

import msgspec

from bucket_loader.model import Origin, Reason, Rejection, SourceError
from bucket_loader.sources.files.bytestream import chunks_of
from bucket_loader.sources.files.input_file import InputFile
from bucket_loader.sources.values.texts import SHOWN_MAX, problem

LINE_BYTES_MAX: Final = 4 * 1024 * 1024
# Rejections in one batch, so that a file of nothing but bad lines takes little more memory than another.
UNREAD_MAX: Final = 8192

Row = dict[str, msgspec.Raw]

_ROW: Final = msgspec.json.Decoder(Row)
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Half a character, or a NUL, spelt with an escape.
_DOUBTFUL: Final = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


@dataclass
class Parsed:
    """Some lines of a file.

    Attributes:
        rows: those that could be read.
        numbers: the lines that they stand on, from 1.
        unread: the others.
    """

    rows: list[Row] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    unread: list[Rejection] = field(default_factory=list)


def parsed(file: InputFile, compression: str, sound: set[int]) -> Iterator[Parsed]:
    """Read a file, about a MiB at a time; blank lines are passed over.

    Args:
        file: which.
        compression: of it.
        sound: the hashes of the bytes in which every line was found to be sound; such bytes are not looked at closely
            again, and those that are found are added.

    Raises:
        SourceError: it cannot be read, or is not JSON Lines at all.
    """
    seen = False
    for first, lines in _lines(file, compression):
        together = b"\n".join(lines)
        looked_at = hash(together)
        if looked_at in sound:
            yield Parsed(_ROW.decode_lines(together), list(range(first, first + len(lines))))
            seen = True
            continue
        some = Parsed()
        for number, line in enumerate(lines, start=first):
            if not line or line.isspace():
                continue
            if not seen:
                _require_lines(file, line)
                seen = True
            found = _members(line)
            if isinstance(found, Reason):
                some.unread.append(_rejection(file, number, line, found))
                if len(some.unread) == UNREAD_MAX:
                    yield some
                    some = Parsed()
            else:
                some.rows.append(found)
                some.numbers.append(number)
        if some.rows and len(some.rows) == len(lines):
            sound.add(looked_at)
        yield some


def _lines(file: InputFile, compression: str) -> Iterator[tuple[int, list[bytes]]]:
    """Return lines with the number of the first; of one that is too long only a little more than the most allowed."""
    rest, first, started = b"", 1, False
    for chunk in chunks_of(file, compression):
        data = rest + chunk
        if not started and len(data) >= len(codecs.BOM_UTF8):
            if data.startswith(_UTF16):
                raise SourceError(f"{file.name} begins with the mark of UTF-16", hint="JSON is UTF-8; convert it")
            data, started = data.removeprefix(codecs.BOM_UTF8), True
        *lines, rest = data.split(b"\n")
        # What is cut off here stays longer than a line may be.
        rest = rest[: LINE_BYTES_MAX + 1]
        yield first, lines
        first += len(lines)
    yield first, [rest]


def _require_lines(file: InputFile, line: bytes) -> None:
    if line.lstrip().startswith(b"["):
        raise SourceError(
            f"{file.name} is a JSON array, not JSON Lines",
            hint="write one object a line, for example with `jq -c '.[]'`",
        )
    if line.strip() == b"{":
        raise SourceError(
            f"{file.name} has an object over several lines, not JSON Lines",
            hint="write one object a line, for example with `jq -c .`",
        )


def _members(line: bytes) -> Row | Reason:
    if len(line) > LINE_BYTES_MAX:
        return Reason("too_long", f"the line is longer than {LINE_BYTES_MAX:,} bytes")
    try:
        if not line.isascii():
            line.decode()
        row = _ROW.decode(line)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        return _reason(line, error)
    colons = line.count(b":")
    plain = colons == len(row) or colons == len(row) + b"".join(row.values()).count(b":")
    if plain and line.count(b"{") == 1 and b"\\u" not in line:
        return row
    return _doubt(line) or row


def _reason(line: bytes, error: Exception) -> Reason:
    if isinstance(error, UnicodeDecodeError):
        return Reason("encoding", "the line is not valid UTF-8")
    if isinstance(error, RecursionError):
        return Reason("json", "the line is nested too deeply")
    if isinstance(error, msgspec.ValidationError):
        return Reason("json", "the line is not a JSON object")
    # msgspec refuses half a character as it refuses a line that is cut short.
    doubt = _doubt(line) if _DOUBTFUL.search(line) else None
    return doubt or Reason("json", f"the line is not JSON: {str(error).removeprefix('JSON is malformed: ')}")


class _RepeatedError(ValueError):
    """An object has a name more than once."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _RepeatedError
    return members


# Numbers stay text here: only names and texts are looked at.
_SLOW: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_float=lambda _: 0, parse_int=lambda _: 0)


def _doubt(line: bytes) -> Reason | None:
    """Look at a line closely: repeated names at any depth, and texts that cannot be sent."""
    try:
        value = _SLOW.decode(line.decode())
    except _RepeatedError:
        return Reason("duplicate", "an object has a name more than once, and one value would hide the other")
    except (ValueError, RecursionError):
        return Reason("json", "the line is not JSON, or is nested too deeply")
    return _unsound(value, None) if _DOUBTFUL.search(line) else None


def _unsound(value: object, column: str | None) -> Reason | None:
    if isinstance(value, str):
        return problem(value, column or "")
    children: Iterable[tuple[object, str | None]] = ()
    if isinstance(value, dict):
        children = chain(((key, column) for key in value), ((child, column or key) for key, child in value.items()))
    elif isinstance(value, list):
        children = ((child, column) for child in value)
    return next((found for child, name in children if (found := _unsound(child, name))), None)


def _rejection(file: InputFile, number: int, line: bytes, reason: Reason) -> Rejection:
    shown = line[: 4 * SHOWN_MAX].decode("utf-8", "backslashreplace")[:SHOWN_MAX]
    return Rejection("read", Origin(file.name, number), (reason,), {"line": shown})
