"""Compacting and comparing: of each key the last row stays, and what the memory already holds is left out."""

from dataclasses import replace
from pathlib import Path

from bucket_loader.config import Stream
from bucket_loader.model import Counts, give_memory_back
from bucket_loader.planning import plan_file
from bucket_loader.planning.request import PlanRequest
from bucket_loader.planning.staging import Read, Staged
from bucket_loader.state import snapshots


def compact(request: PlanRequest, stream: Stream, read: Read, staged: Staged, final: Path) -> snapshots.Compared:
    """Keep the last row of each key, leave out what is known, and write the plan's file.

    Args:
        request: its memory is compared with.
        stream: says what identifies a record, and whether a known one is sent again.
        read: what was staged.
        staged: the records, and those of removed rows.
        final: the plan's file.
    """
    if read.schema is None or not (stream.mode.remembers or stream.ordered):
        staged.path.rename(final)
        return snapshots.Compared(Counts(pending=read.records))
    is_ignored = request.full and stream.ordered
    give_memory_back()
    chosen = snapshots.compare(
        staged.path,
        [] if is_ignored else request.memory.get(stream.name, []),
        staged.selected,
        mode=stream.mode,
        identity="key" if stream.ordered or stream.key else "content",
    )
    if chosen.counts.pending == read.records and not chosen.renumbered and not staged.removals.exists():
        staged.path.rename(final)
    else:
        plan_file.select(staged.path, staged.selected, final, staged.removals)
        staged.path.unlink()
    staged.selected.unlink()
    staged.removals.unlink(missing_ok=True)
    return replace(chosen, counts=replace(chosen.counts, pending=plan_file.count(final)))
