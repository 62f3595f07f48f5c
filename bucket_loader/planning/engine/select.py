"""Selecting: the records that are sent, of slices one behind the other, become a part of the plan."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import pyarrow as pa

from bucket_loader.model import SLICE_ROWS, as_numpy, file_digest, int64_array
from bucket_loader.planning.manifest import Part
from bucket_loader.planning.plan_file import Piece, assemble
from bucket_loader.state import Records, opened

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

    def written(self, chosen: Path | None) -> Part:
        """Write the part."""
        records = Records(self.staged, tuple(np.diff(self.places).tolist()))
        table = None if chosen is None else _between(chosen, self.places[0], self.places[-1])
        assemble(self.file, [Piece(records, table)])
        return self._part(self.file)

    def _part(self, file: Path) -> Part:
        return Part(file.name, self.first, self.count, file_digest(file))


def _between(chosen: Path, first: int, after: int) -> pa.Table:
    """Return the chosen rows whose places are in a range, counted from its beginning; reads no other row groups."""
    places, keys = [np.empty(0, np.int64)], []
    with opened(chosen) as file:
        for group in range(file.num_row_groups):
            ends = file.metadata.row_group(group).column(0).statistics
            if ends.max >= first and ends.min < after:
                table = file.read_row_group(group, ["position", "key"], use_threads=False).combine_chunks()
                here = as_numpy(table["position"].chunk(0))
                start, end = np.searchsorted(here, (first, after)).tolist()
                places.append(here[start:end] - first)
                keys.append(table["key"].chunk(0).slice(start, end - start))
    # Comparing with a number of Python would load pandas.
    return pa.table([int64_array(np.concatenate(places)), pa.chunked_array(keys, pa.binary())], ["position", "key"])


@dataclass(frozen=True)
class Select:
    """The third of the three functions. It pickles.

    Attributes:
        chosen: the file of the records to send, by their places, with their final keys; None when that is all.
    """

    chosen: Path | None
    travels: ClassVar[bool] = True

    def __call__(self, items: Iterable[Selection]) -> Iterator[Part]:
        """Write parts."""
        return (item.written(self.chosen) for item in items)


def selections(records: Records, chosen: Path | None, named: Callable[[int], Path]) -> list[Selection]:
    """Return what becomes one part each, by what is chosen of each staged file.

    Args:
        records: the staged records.
        chosen: as `Select` has it.
        named: names a part by its number.
    """
    starts, found, first = records.starts, list[Selection](), 0
    counts = np.diff(starts).tolist() if chosen is None else counted(chosen, starts)
    for number, group in enumerate(grouped(counts)):
        count = sum(counts[place] for place in group)
        files, places = records.files[group.start : group.stop], starts[group.start : group.stop + 1]
        found.append(Selection(named(number), files, places, first, count))
        first += count
    return found


def counted(chosen: Path, starts: Sequence[int]) -> list[int]:
    """Return how many records are chosen of each file, whose first places are `starts`; the last is behind all."""
    found = np.zeros(len(starts) - 1, np.int64)
    for batch in Records.of(chosen).batches(["position"]):
        places = np.searchsorted(np.array(starts), as_numpy(batch.column(0)), side="right") - 1
        found += np.bincount(places, minlength=len(found))
    return found.tolist()


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
