"""Compacting and comparing: of each key the last row stays, and what the memory already holds is left out."""

from dataclasses import dataclass, replace
from pathlib import Path

from bucket_loader.config import Stream
from bucket_loader.model import Counts, give_memory_back
from bucket_loader.planning import plan_file
from bucket_loader.planning.manifest import RefusedBefore
from bucket_loader.planning.refused import sort_out
from bucket_loader.planning.request import PlanRequest
from bucket_loader.planning.staging import Read, Staged
from bucket_loader.state import Records, snapshots, waiting_file


@dataclass(frozen=True)
class Compacted:
    """What compacting a stream came to.

    Attributes:
        compared: its counts are those of the finished plan.
        refused: how many of its records were refused before; they are the last ones.
        known: what is known of them, and of those that are not sent again.
    """

    compared: snapshots.Compared
    refused: int = 0
    known: RefusedBefore | None = None


def compact(request: PlanRequest, stream: Stream, read: Read, staged: Staged, final: Path) -> Compacted:
    """Keep the last row of each key, leave out what is known, put last what was refused, and write the plan's file.

    Args:
        request: its memory is compared with.
        stream: says what identifies a record, and whether a known one is sent again.
        read: what was staged.
        staged: the records, and those of removed rows.
        final: the plan's file.
    """
    refusals = request.refusals.get(stream.name)
    if read.schema is None or not (stream.mode.remembers or stream.ordered or refusals is not None):
        staged.path.rename(final)
        return Compacted(snapshots.Compared(Counts(pending=read.records)))
    is_ignored = request.full and stream.ordered
    give_memory_back()
    chosen = snapshots.compare(
        staged.records,
        snapshots.Known(snapshots.Memory() if is_ignored else request.memory_of(stream), refusals),
        staged.selected,
        mode=stream.mode,
        identity=_identity(stream),
    )
    records = sort_out(request, stream, staged)
    known = records.keep(final.with_name(waiting_file(final.name)))
    if chosen.counts.pending == read.records and not chosen.renumbered and not staged.removals.exists() and not known:
        staged.path.rename(final)
    else:
        plan_file.assemble(final, [*records.new, *records.again])
    staged.clear()
    held_back = records.held_back
    counts = Counts(pending=len(Records.of(final)), rejected=held_back, refused_before=held_back)
    return Compacted(replace(chosen, counts=replace(chosen.counts, pending=0) + counts), records.refused, known)


def _identity(stream: Stream) -> snapshots.Identity:
    if not (stream.mode.remembers or stream.ordered):
        return "row"
    return "key" if stream.ordered or stream.key else "content"
