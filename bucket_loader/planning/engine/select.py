"""Selecting: the records that are sent, of slices one behind the other, become a part of the plan."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import numpy as np

from bucket_loader.model import SLICE_ROWS, as_numpy, file_digest, int64_array
from bucket_loader.planning.manifest import Part
from bucket_loader.planning.plan_file import Piece, assemble
from bucket_loader.state import Records, snapshots

_ENOUGH: Final = SLICE_ROWS // 4  # records; a slice that has fewer left is joined with its neighbours


@dataclass(frozen=True)
class Selection:
    """Staged records that become one part.

    Attributes:
        file: the part's file.
        staged: the files of the records.
        places: the first place of each among all staged records, and the one behind the last.
        first: the sequence of the part's first record.
        count: how many records are selected.
    """

    file: Path
    staged: tuple[Path, ...]
    places: tuple[int, ...]
    first: int
    count: int

    @property
    def is_as_staged(self) -> bool:
        """Whether the part is a staged file, as long as no key is another one."""
        return len(self.staged) == 1 and self.count == self.places[-1] - self.places[0]

    def renamed(self) -> Part:
        """Make the staged file the part."""
        self.staged[0].rename(self.file)
        return self._part(self.file)

    def written(self, chosen: snapshots.Chosen | None) -> Part:
        """Write the part."""
        records = Records(self.staged, tuple(np.diff(self.places).tolist()))
        if chosen is None:
            piece = Piece(records)
        else:
            rows = chosen.between(self.places[0], self.places[-1])
            here = int64_array(as_numpy(rows["position"].combine_chunks()) - self.places[0])
            piece = Piece(records, rows.set_column(0, "position", here))
        assemble(self.file, [piece])
        return self._part(self.file)

    def _part(self, file: Path) -> Part:
        return Part(file.name, self.first, self.count, file_digest(file))


@dataclass(frozen=True)
class Select:
    """The third of the three functions. It pickles.

    Attributes:
        chosen: the records to send, by their places, with their final keys; None when that is all.
    """

    chosen: snapshots.Chosen | None
    travels: ClassVar[bool] = True

    def __call__(self, items: Iterable[Selection]) -> Iterator[Part]:
        """Write parts."""
        return (item.written(self.chosen) for item in items)


def selections(records: Records, chosen: snapshots.Chosen | None, named: Callable[[int], Path]) -> list[Selection]:
    """Return what becomes one part each, by what is chosen of each staged file.

    Args:
        records: the staged records.
        chosen: as `Select` has it.
        named: names a part by its number.
    """
    starts, found, first = records.starts, list[Selection](), 0
    counts = (np.diff(starts) if chosen is None else chosen.counts(starts)).tolist()
    for number, group in enumerate(grouped(counts)):
        count = sum(counts[place] for place in group)
        files, places = records.files[group.start : group.stop], starts[group.start : group.stop + 1]
        found.append(Selection(named(number), files, places, first, count))
        first += count
    return found


def grouped(counts: Sequence[int]) -> list[range]:
    """Return which slices become a part together: one that has records enough, or neighbours that have few left."""
    groups: list[range] = []
    first = held = 0
    for number, count in enumerate(counts):
        if count >= _ENOUGH:
            groups += [range(first, number)] if held else []
            groups.append(range(number, number + 1))
        elif held + count < SLICE_ROWS:
            held += count
            continue
        else:
            groups.append(range(first, number + 1))
        first, held = number + 1, 0
    return [*groups, range(first, len(counts))] if held or not groups else groups
