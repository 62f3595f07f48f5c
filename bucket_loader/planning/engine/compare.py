"""Comparing: which staged records are sent, by what their stream remembers; range by range of their keys.

    staged parts --cut--> a range's rows --compare, with what is remembered of it--> those to send
                              ^                                                         |
                              +------cut--- keys that another range has renumbered <----+

What fits into memory at once is one range: it is compared as it was staged. Records never go along, hashes do.
"""

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from operator import add
from pathlib import Path
from typing import ClassVar, Final

from bucket_loader.model import Counts
from bucket_loader.planning.engine.engine import Engine
from bucket_loader.state import Records, snapshots

_CUT_ROWS: Final = 1 << 22  # cut by one call, at least: of each range a file
_CUTS_MOST: Final = 64  # files that a range is read from


@dataclass(frozen=True)
class Uncut:
    """Rows that are cut by one call.

    Attributes:
        rows: the rows.
        first: the position of the first, where they do not say it.
    """

    rows: Records
    first: int = 0


@dataclass(frozen=True)
class Cut:
    """Cuts rows by ranges of keys, before they are compared. It pickles.

    Attributes:
        ranges: the ranges, ascending.
        folder: where its files go, under names of their own.
    """

    ranges: Sequence[snapshots.KeyRange]
    folder: Path
    travels: ClassVar[bool] = True

    def __call__(self, items: Iterable[Uncut]) -> Iterator[list[Path]]:
        """Yield the files of each item, in the order of the ranges."""
        for item in items:
            yield snapshots.cut(item.rows, self.ranges, _own(self.folder), first=item.first)


@dataclass(frozen=True)
class Range:
    """What there is of a range of keys.

    Attributes:
        staged: its rows.
        memory: what is remembered of it.
        are_renumbered: whether they are what another range has renumbered.
    """

    staged: snapshots.StagedRange
    memory: snapshots.Memory
    are_renumbered: bool = False


@dataclass(frozen=True)
class Compare:
    """The second of the three functions. It pickles.

    Attributes:
        comparison: how rows are compared.
        folder: where its files go, under names of their own.
    """

    comparison: snapshots.Comparison
    folder: Path
    travels: ClassVar[bool] = True

    def __call__(self, items: Iterable[Range]) -> Iterator[snapshots.Compared]:
        """Yield what comparing each range came to."""
        for one in items:
            base = _own(self.folder)
            yield snapshots.compare(self.comparison, one.staged, one.memory, base, are_renumbered=one.are_renumbered)


def _own(folder: Path) -> Path:
    """Return a name that no other call has: one that was given up may run on."""
    return folder / secrets.token_hex(8)


@dataclass(frozen=True)
class Found:
    """What comparing came to.

    Attributes:
        sums: as `snapshots.Compared` has them, of all ranges.
        chosen: the records to send, with their final keys; None where that is all, as they are.
        refused: the files of those to send that are known as refused, with what is known; `chosen` is without them.
    """

    sums: Counter[str]
    chosen: snapshots.Chosen | None
    refused: tuple[Path, ...] = ()

    @property
    def counts(self) -> Counts:
        """Where the staged rows go."""
        total, kept, sent = (self.sums[name] for name in ("total", "kept", "sent"))
        return Counts(superseded=total - kept, unchanged=kept - sent, pending=sent)


def compare(
    engine: Engine, staged: Records, memory: snapshots.Memory, comparison: snapshots.Comparison, folder: Path
) -> Found:
    """Decide which staged records are sent.

    Args:
        engine: cuts and compares the ranges, where there are several.
        staged: the records.
        memory: what their stream remembers.
        comparison: how they are compared.
        folder: where to write what comes of it.
    """
    folder.mkdir(mode=0o700)
    function, ranges = Compare(comparison, folder), snapshots.ranges_of(staged, memory)
    if len(ranges) == 1:
        found = list(function([Range(snapshots.StagedRange(ranges[0], staged, is_all=True), memory)]))
    else:
        by_range = _ByRange(engine, Cut(ranges, folder), function, memory)
        found = by_range.compared(staged)
        if again := [one.again for one in found if one.again is not None]:
            found += by_range.compared(Records.of(*again), are_renumbered=True)
    sums = reduce(add, (one.sums for one in found))
    is_all = comparison.refused is None and sums["sent"] == sums["total"] and not sums["renumbered"]
    sent = tuple(one.sent for one in found if one.sent is not None)
    refused = tuple(one.refused for one in found if one.refused is not None)
    return Found(sums, None if is_all else snapshots.Chosen(sent), refused)


@dataclass(frozen=True)
class _ByRange:
    """Compares rows range by range, wherever the engine does that."""

    engine: Engine
    cut: Cut
    compare: Compare
    memory: snapshots.Memory

    def compared(self, rows: Records, *, are_renumbered: bool = False) -> list[snapshots.Compared]:
        """Return what comparing came to, a value for each range."""
        files = list(zip(*self.engine.run(self.cut, _uncut(rows)), strict=True))
        items = [
            Range(snapshots.StagedRange(keys, Records(some)), self.memory.within(keys), are_renumbered)
            for keys, some in zip(self.cut.ranges, files, strict=True)
        ]
        found = list(self.engine.run(self.compare, items))
        for path in chain.from_iterable(files):
            path.unlink()
        return found


def _uncut(rows: Records) -> list[Uncut]:
    """Return what one call cuts each: neighbouring files that have rows enough together."""
    enough, found, first = max(_CUT_ROWS, len(rows) // _CUTS_MOST), list[Uncut](), 0
    for number, after in enumerate(rows.starts[1:], start=1):
        if after - rows.starts[first] >= enough or number == len(rows.files):
            found.append(Uncut(Records(rows.files[first:number]), rows.starts[first]))
            first = number
    return found
