"""The rows that are sent, as comparing has found them: files of positions and keys, each in the order of positions.

Each file has the rows of a range of keys, so the positions of all files stand among each other. They are looked up in
place: of a range of positions only these rows are read.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from bucket_loader.model import as_numpy, int64_array

if TYPE_CHECKING:
    from bucket_loader.model import Numbers

CHOSEN_SCHEMA: Final = pa.schema([("position", pa.int64()), ("key", pa.binary(16))])


@dataclass(frozen=True)
class Chosen:
    """Rows, by their positions, ascending, with their final keys. It pickles.

    Attributes:
        files: the files, each what `write_chosen` wrote.
    """

    files: tuple[Path, ...]

    def __len__(self) -> int:
        return sum(len(positions) for positions, _ in self._pieces())

    def counts(self, bounds: Sequence[int]) -> "Numbers":
        """Return how many rows are chosen between each two neighbours of some ascending positions."""
        found = np.zeros(len(bounds) - 1, np.int64)
        for positions, _ in self._pieces():
            found += np.diff(np.searchsorted(positions, bounds))
        return found

    def between(self, first: int, after: int) -> pa.Table:
        """Return the chosen rows from a position to before another one: `position` and `key`, in their order."""
        some: list[pa.RecordBatch] = []
        for positions, rows in self._pieces():
            start, end = np.searchsorted(positions, (first, after)).tolist()
            if end > start:
                some.append(rows.slice(start, end - start))
        if not some:
            return CHOSEN_SCHEMA.empty_table()
        found = pa.Table.from_batches(some).combine_chunks()
        order = np.argsort(as_numpy(found["position"].chunk(0)), kind="stable")  # it merges what ascends already
        return found.take(int64_array(order)).combine_chunks()

    def _pieces(self) -> "Iterator[tuple[Numbers, pa.RecordBatch]]":
        """Yield the rows where they lie, and their positions; what is mapped stays so while something refers to it."""
        for path in self.files:
            with pa.memory_map(str(path)) as mapped, pa.ipc.open_file(mapped) as file:
                for number in range(file.num_record_batches):
                    rows = file.get_batch(number)
                    yield as_numpy(rows["position"]), rows


def write_chosen(path: Path, batches: Iterable[pa.RecordBatch]) -> None:
    """Write rows that ascend by their positions."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, CHOSEN_SCHEMA) as file:
        for batch in batches:
            if batch.num_rows:
                file.write_batch(batch.cast(CHOSEN_SCHEMA))
