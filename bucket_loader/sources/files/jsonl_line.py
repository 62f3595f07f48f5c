"""One line of JSON Lines: its members, every value still as it is spelt, or the reason why not.

msgspec parses five times as fast as the standard library, and says nothing of a name that comes twice. So a line that
could have one is looked at again, slowly; one look at its colons tells which lines cannot.
"""

import json
import re
from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

import msgspec

from bucket_loader.model import Origin, Reason, Rejection, SourceError
from bucket_loader.sources.files.input_file import InputFile
from bucket_loader.sources.values.texts import SHOWN_MAX, problem

LINE_BYTES_MAX: Final = 4 * 1024 * 1024

Row = dict[str, msgspec.Raw]

ROW: Final = msgspec.json.Decoder(Row)
# Half a character, or a NUL, spelt with an escape.
_DOUBTFUL: Final = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def require_lines(file: InputFile, line: bytes) -> None:
    """Hold a file's first line to be one that JSON Lines may have.

    Raises:
        SourceError: it begins another form of JSON.
    """
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


def members(line: bytes) -> Row | Reason:
    """Return a line's members, or why it is no object that can be read."""
    if len(line) > LINE_BYTES_MAX:
        return Reason("too_long", f"the line is longer than {LINE_BYTES_MAX:,} bytes")
    try:
        if not line.isascii():
            line.decode()
        row = ROW.decode(line)
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


def rejection(file: InputFile, number: int, line: bytes, reason: Reason) -> Rejection:
    """Return the rejection of a line that is none."""
    shown = line[: 4 * SHOWN_MAX].decode("utf-8", "backslashreplace")[:SHOWN_MAX]
    return Rejection("read", Origin(file.name, number), (reason,), {"line": shown})
