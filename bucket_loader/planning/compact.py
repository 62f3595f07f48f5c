"""Compacting and comparing: of each key the last row stays, what is known is left out, and the rest becomes parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from msgspec.structs import replace as replace_member

from bucket_loader.config import Stream
from bucket_loader.model import Counts, UsageError, counted, give_memory_back
from bucket_loader.planning.engine.compare import Found, compare
from bucket_loader.planning.engine.select import Select, Selection, selections
from bucket_loader.planning.manifest import Part, RefusedBefore
from bucket_loader.planning.plan_file import assemble, parts_of
from bucket_loader.planning.refused import Sorted, sort_out
from bucket_loader.planning.request import PlanRequest
from bucket_loader.planning.staging import Read
from bucket_loader.planning.stream_files import StreamFiles
from bucket_loader.state import snapshots


@dataclass(frozen=True)
class Compacted:
    """What compacting a stream came to.

    Attributes:
        parts: the plan's records.
        counts: where the staged rows, and those of removed ones, went.
        known: keys that the memory held before, without those that count as removed.
        changed: records whose key was known with another content; without those that were refused before.
        refused: how many records were refused before; they are the last ones.
        known_refused: what is known of these, and of those that are not sent again.
    """

    parts: tuple[Part, ...]
    counts: Counts
    known: int = 0
    changed: int = 0
    refused: int = 0
    known_refused: RefusedBefore | None = None


def compact(request: PlanRequest, stream: Stream, read: Read, files: StreamFiles) -> Compacted:
    """Keep the last row of each key, leave out what is known, put last what was refused, and write the plan's parts.

    Args:
        request: its memory is compared with.
        stream: says what identifies a record, and whether a known one is sent again.
        read: what was staged.
        files: where the parts go, and where the records of removed rows are.
    """
    refusals = request.refusals.get(stream.name)
    if read.schema is None or not (stream.mode.remembers or stream.ordered or refusals is not None):
        parts = _behind_each_other(_selected(request, read, files, None))
        return Compacted(parts, Counts(pending=len(read.records)))
    is_ignored = request.full and stream.ordered
    give_memory_back()
    memory = snapshots.Memory() if is_ignored else request.memory_of(stream)
    comparison = snapshots.Comparison(stream.mode, _identity(stream), refusals)
    found = compare(request.engine, read.records, memory, comparison, files.compared)
    _require_order(stream, read, found, files)
    last = sort_out(request, stream, read.records, found, files)
    known = last.keep(files.waiting)
    selected = _selected(request, read, files, found.chosen, are_keys_new=found.sums["renumbered"] > 0)
    parts = _behind_each_other([*selected, *_last(last, files, len(selected))])
    read.clear()
    files.clear()
    counts = replace(found.counts, pending=sum(part.records for part in parts)) + last.counts
    return Compacted(parts, counts, memory.known, found.sums["changed"], last.refused, known)


def _require_order(stream: Stream, read: Read, found: Found, files: StreamFiles) -> None:
    """Refuse rows without an order, where it matters which of two is the later one.

    Raises:
        UsageError: keys repeat with different contents.
    """
    if read.has_order or not found.counts.superseded:
        return
    if count := snapshots.conflicting(read.records, files.folder):
        raise UsageError(
            f"stream {stream.name!r}: {counted(count, 'key')} repeat with different contents, and these rows have no "
            "order that says which one holds",
            hint="name the columns that say it: `order_by: [updated_at]` on the source",
        )


def _identity(stream: Stream) -> snapshots.Identity:
    if not (stream.mode.remembers or stream.ordered):
        return "row"
    return "key" if stream.ordered or stream.key else "content"


def _selected(
    request: PlanRequest, read: Read, files: StreamFiles, chosen: snapshots.Chosen | None, *, are_keys_new: bool = False
) -> list[Part]:
    """Make parts of the staged records that are sent; a staged file of which all are sent is a part as it is."""
    found = selections(read.records, chosen, files.part)
    as_staged, others = list[Selection](), list[Selection]()
    for one in found:
        (as_staged if one.is_as_staged and not are_keys_new else others).append(one)
    written = request.engine.run(Select(chosen), others)
    return sorted([*written, *(one.renamed() for one in as_staged)], key=lambda part: part.first)


def _last(last: Sorted, files: StreamFiles, number: int) -> Iterator[Part]:
    """Make parts of what goes last: the records of removed rows, then what was refused before."""
    for pieces in (last.removed, last.again):
        if any(len(piece) for piece in pieces):
            assemble(path := files.part(number), pieces)
            yield from parts_of(path)
            number += 1


def _behind_each_other(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Return parts with their places in the stream; an empty one only where there is no other."""
    filled = [part for part in parts if part.records] or parts[:1]
    firsts = accumulate((part.records for part in filled), initial=0)
    return tuple(replace_member(part, first=first) for part, first in zip(filled, firsts, strict=False))
