"""Rows for a report, where somebody asked for them: the first dead letters, and the first records of the plan."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from html import escape
from itertools import islice
from typing import Any, Final

import pyarrow as pa

from bucket_loader.planning import PlannedStream
from bucket_loader.reporting import Rows
from bucket_loader.runs.report.known import Known, cut
from bucket_loader.state import dead_letters

ROWS_MAX: Final = 20  # of each
_TEXT_MAX: Final = 4_000  # characters of one
_BYTES_MAX: Final = 60_000  # of all of a kind, as they stand in the page
_SHOWN: Final = ("reasons", "row", "record", "response")


def rows_of(known: Known) -> Rows:
    """Return some rows, as many as a page can hold."""
    missing = [*([] if known.letters is not None or not known.total.rejected else ["the dead letters"]),
               *([] if known.planned is not None else ["the plan"])]  # fmt: skip
    return Rows(
        letters=tuple(_fitting(_letters(known))),
        records=tuple(_fitting(_records(known))),
        gone=f"Gone, and so not shown: {' and '.join(missing)}." if missing else "",
    )


def _letters(known: Known) -> Iterator[tuple[str, Any]]:
    entries = iter(()) if known.letters is None else dead_letters.read(known.letters)
    for entry in islice(entries, ROWS_MAX):
        shown = {name: value for name in _SHOWN if (value := getattr(entry, name))}
        yield f"{entry.stream}, row {entry.origin.get('row', '?')} of {entry.origin.get('source', '?')}", shown


def _records(known: Known) -> Iterator[tuple[str, Any]]:
    left = ROWS_MAX
    for stream in known.planned.manifest.streams if known.planned is not None else ():
        count = min(left, stream.records)
        left -= count
        for number, row in enumerate(_of_stream(known, stream, count)):
            yield f"{stream.name}, record {number}", json.loads(row["record"])


def _of_stream(known: Known, stream: PlannedStream, count: int) -> list[dict[str, Any]]:
    """Return the first records of a stream; none where its file is damaged."""
    with suppress(OSError, pa.ArrowException):
        return known.planned.rows(stream, range(count), ["record"]) if known.planned is not None else []
    return []


def _fitting(found: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    room = _BYTES_MAX
    for name, value in found:
        text = cut(json.dumps(value, indent=2, ensure_ascii=False), _TEXT_MAX)
        room -= len(escape(text).encode("utf-8", "replace"))
        if room < 0:
            return
        yield cut(name, 200), text
