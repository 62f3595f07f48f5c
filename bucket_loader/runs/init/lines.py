"""The lines of a pipeline file, from what was guessed. Written by hand, since their comments are the point."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from bucket_loader.runs.init.guess import name_of, quoted, scalar
from bucket_loader.runs.init.guessed import GuessedField, GuessedStream, LeftOut, Limit

_FIELD: Final = "      "
_ATTRIBUTE: Final = "        "
_WIDTH: Final = 100  # of a line, where its words allow it


def head_lines(shown: str, notes: Sequence[str]) -> Iterator[str]:
    """Return the lines that say what the file is, and what to do next."""
    yield from comment(f"A first pipeline for {shown}, guessed from its first rows.")
    yield "# Look at each `guess`. Then, in this order:"
    yield "#   bucket-loader check FILE       are the columns and types as this file says?"
    yield "#   bucket-loader rehearse FILE    the whole run, into a local Bucket"
    yield "#   bucket-loader run FILE         for real; BUCKET_SECRET_KEY holds the key"
    for note in notes:
        yield from comment(note)


def body_lines(name: str, limits: Sequence[Limit], sources: Sequence[str], streams: Sequence[str]) -> Iterator[str]:
    """Return the lines of the file itself."""
    yield f"name: {scalar(name)}"
    yield "destination:"
    yield "  base_url: ${BUCKET_BASE_URL:-https://front.bucket.co}"
    yield "  key: ${BUCKET_SECRET_KEY}"
    yield "arrays: keep  # lists are sent whole"
    if limits:
        yield "limits:  # a run stops before it sends anything"
        yield from (f"  {limit.name}: {limit.share}  # {limit.reason}" for limit in limits)
    yield from sources
    yield "streams:"
    yield from streams


def stream_lines(stream: GuessedStream, source: str, described: Mapping[str, str]) -> Iterator[str]:
    """Return the lines of a stream.

    Args:
        stream: what was guessed.
        source: its source, as the file spells it.
        described: what somebody has written of columns, by their names in lower case.
    """
    yield f"  - name: {scalar(stream.name)}"
    yield from comment(f"guess: {stream.reason}", "    ")
    yield f"    record: {stream.kind.name}"
    yield f"    source: {source}"
    if stream.timezone:
        yield f"    timezone: {stream.timezone}  # guess: of the times inside its lists and structs"
    yield from _where(stream)
    yield from _key(stream)
    yield "    fields:"
    for name in stream.missing:
        yield f"{_FIELD}# {name}: column  # missing: no column is one; write which it is"
    for field in stream.fields:
        yield from _field(field, _FIELD, described)
    yield from _attributes(stream, described)


def comment(text: str, indent: str = "") -> Iterator[str]:
    """Return a text as comment lines."""
    first, others = f"{indent}#   " if text.startswith(" ") else f"{indent}# ", f"{indent}#   "
    lines = textwrap.TextWrapper(_WIDTH, first, others, break_long_words=False, break_on_hyphens=False)
    yield from lines.wrap(plain(text).strip())


def plain(text: str) -> str:
    """Return a text that can stand in a comment: on one line, and of printable signs."""
    return re.sub(r"\s+", " ", "".join(sign if sign.isprintable() else " " for sign in text))


def _where(stream: GuessedStream) -> Iterator[str]:
    for condition in stream.where:
        yield from comment(condition.reason, "    ")
    if stream.where:
        yield f"    where: {quoted(' and '.join(condition.sql for condition in stream.where))}"


def _key(stream: GuessedStream) -> Iterator[str]:
    if stream.kind.ordered:
        return
    if len(stream.key) > 1:
        yield from comment(f"guess: {stream.key_reason}", "    ")
        yield f"    key: [{', '.join(map(scalar, stream.key))}]"
    elif stream.key:
        yield f"    key: [{', '.join(map(scalar, stream.key))}]  # guess: {stream.key_reason}"
    else:
        yield "    # key: [column]  # what tells two rows apart; without it the whole content does"


def _field(field: GuessedField, indent: str, described: Mapping[str, str]) -> Iterator[str]:
    if text := described.get(field.column.lower()):
        yield from comment(text, indent)
    line = f"{indent}{name_of(field.name)}: {field.spelling}"
    reason = f"  # guess: {plain(field.reason)}" if field.reason else ""
    if field.reason and len(line) + len(reason) > _WIDTH:
        yield from comment(f"guess: {field.reason}", indent)
        reason = ""
    for choice in field.choices:
        yield f"{indent}# or: {name_of(field.name)}: {choice}"
    yield line + reason


def _attributes(stream: GuessedStream, described: Mapping[str, str]) -> Iterator[str]:
    if stream.attributes:
        yield f"{_FIELD}attributes:  # what is not named here is not sent"
        for field in stream.attributes:
            yield from _field(field, _ATTRIBUTE, described)
    elif stream.left_out:
        yield f"{_FIELD}# attributes:"
    yield from _left_out(stream.left_out, described)


def _left_out(left: Sequence[LeftOut], described: Mapping[str, str]) -> Iterator[str]:
    if left:
        yield f"{_ATTRIBUTE}# Left out; to send one, take the # away before its name:"
    for reason, members in groupby(left, key=lambda one: one.reason):
        yield f"{_ATTRIBUTE}#   {plain(reason)}:"
        for one in members:
            text = plain(described.get(one.spelling.lower(), ""))
            yield f"{_ATTRIBUTE}# {name_of(one.name)}: {one.spelling}" + (f"  # {text}" if text else "")
