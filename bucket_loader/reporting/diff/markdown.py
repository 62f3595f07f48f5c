"""What a plan changes, for a comment on a pull request: no longer than one may be, and no value is more than a text."""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from bucket_loader.model import counted
from bucket_loader.reporting.diff.showing import Showing
from bucket_loader.reporting.diff.values import NUMBERS, Diff, RecordDiff, StreamDiff, more_records, short_name

CHARACTERS_MOST: Final = 60_000  # Source: GitHub takes 65,536 in a comment
_FOR_THE_END: Final = 300  # characters: what says that something is left out
_FIELDS_SHOWN: Final = 50
_VALUE: Final = Showing(80)
_WHOLE: Final = Showing(1_000)
_TICKS: Final = re.compile("`+")

Piece = tuple[str, int]
"""A part of the text that is there or not, and how many records it shows."""


def markdown(diff: Diff, filled: Callable[[str], str]) -> str:
    """Return the whole text; `filled` names the pipeline in commands."""
    total, shown, room, text = sum(stream.sent for stream in diff.streams), 0, CHARACTERS_MOST - _FOR_THE_END, ""
    for piece, records in _pieces(diff, filled):
        if len(text) + len(piece) > room:
            left = f"{total - shown:,} of {total:,} records"
            return f"{text}\n... a comment may not be longer: {left} are not in it\n"
        text, shown = text + piece, shown + records
    return text


def _pieces(diff: Diff, filled: Callable[[str], str]) -> Iterator[Piece]:
    yield f"### What a run of {code(_VALUE.text(diff.pipeline))} would change\n", 0
    yield from ((f"\n{code(_WHOLE.text(line))}\n", 0) for line in diff.on_stops)
    if diff.impact:
        yield f"\nImpact: {code(diff.impact)}\n", 0
    yield header("stream", *NUMBERS, numbers=True), 0
    for stream in diff.streams:
        yield row(code(stream.name), *(f"{getattr(stream, word):,}" for word in NUMBERS)), 0
    for stream in diff.streams:
        if stream.sent:
            yield from _stream(stream, filled)


def _stream(stream: StreamDiff, filled: Callable[[str], str]) -> Iterator[Piece]:
    yield f"\n#### {code(stream.name)}\n", 0
    if stream.on_unknown:
        yield f"\n{filled(stream.on_unknown)}\n", 0
    if stream.fields:
        yield header("field", f"changed {stream.plural}", numbers=True), 0
    for path, count in islice(stream.fields.items(), _FIELDS_SHOWN):
        yield row(code(_VALUE.text(path)), f"{count:,}"), 0
    if (more := len(stream.fields) - _FIELDS_SHOWN) > 0:
        yield f"\n... and {counted(more, 'more field')}\n", 0
    if stream.shown:
        yield header(stream.kind, "change", "field", "old", "new"), 0
    for record in stream.records:
        yield _record(record), 1
    if stream.more:
        yield f"\n... {more_records(stream.more)}\n", 0


def _record(record: RecordDiff) -> str:
    """Return the rows of a record: one for each field that changes, and one for all of a new record."""
    first = (" / ".join(code(_VALUE.text(str(one))) for one in record.ids.values()), record.change)
    rows = list(_says(record)) or [("", "", "")]
    return "".join(row(*(first if one is rows[0] else ("", "")), *one) for one in rows)


def _says(record: RecordDiff) -> Iterator[tuple[str, str, str]]:
    if record.fields is None:
        yield "", "not remembered", ""
    elif record.change == "created":
        said = ", ".join(f"{_name(path)}: {_VALUE.value(field['new'])}" for path, field in record.fields.items())
        yield "", "", code(_WHOLE.text(said))
    else:
        for path, field in record.fields.items():
            old, new = _VALUE.pair(field)
            yield code(_name(path)), code(old) if old else "(none)", code(new) if new else "(no longer sent)"


def _name(path: str) -> str:
    return _VALUE.text(short_name(path))


def header(*names: str, numbers: bool = False) -> str:
    """Return the head of a table; all columns after the first may hold numbers."""
    lines = ("---", *(("---:" if numbers else "---") for _ in names[1:]))
    return "\n" + row(*names) + row(*lines)


def row(*cells: str) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(cells)} |\n"


def code(text: str) -> str:
    """Return a text as code, in which nothing is a link, a mention or HTML; nor the end of a table's cell."""
    fence = "`" * (max(map(len, _TICKS.findall(text)), default=0) + 1)
    blank = " " if text[:1] in {"`", " ", ""} or text[-1:] in {"`", " "} else ""
    return f"{fence}{blank}{text}{blank}{fence}".replace("|", "\\|")
