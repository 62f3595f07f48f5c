"""A stream's memory: parts, of which the newer ones win; reading what they say together of some keys.

A part is a file of pages (`pages.py`). A content of null means "claimed": sent, answer unknown.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import md5
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bucket_loader.model import StateError, hash_array, int64_array, side_by_side
from bucket_loader.state.snapshots.pages import (
    HASH,
    PAGES_AT_ONCE,
    PART_SCHEMA,
    Bytes,
    FileBytes,
    Index,
    Keys,
    Written,
    as_keys,
    nothing,
    order_of,
    read_index,
    read_pages,
    schema_of,
)

REMOVED: Final = md5(
    b"removed", usedforsecurity=False
).digest()  # the content of a row that was told to be gone, or refused late
_GROUP_PAGES: Final = 1024
_MOST: Final = 4  # a file of which a store has more than one page in so many to read is brought here whole
_EVERY_KEY: Final = 1 << 16

Block = tuple[int, int]
"""Pages that lie one behind the other: the first, and the one after the last."""


@dataclass(frozen=True)
class KeyRange:
    """Keys whose first 16 bits are in a range: hashes are spread evenly over it."""

    first: int = 0
    after: int = _EVERY_KEY

    @property
    def sql(self) -> str:
        """The condition on a column `key` of UUIDs."""
        if (self.first, self.after) == (0, _EVERY_KEY):
            return "true"
        return (
            f"key BETWEEN CAST('{self.first:04x}0000-0000-0000-0000-000000000000' AS UUID) "
            f"AND CAST('{self.after - 1:04x}ffff-ffff-ffff-ffff-ffffffffffff' AS UUID)"
        )

    def bounds(self, keys: Keys) -> tuple[int, int]:
        """Return which of ascending keys are in the range: the first, and the one after the last."""
        edges = [self.first.to_bytes(2), *([self.after.to_bytes(2)] if self.after < _EVERY_KEY else [])]
        found = [int(place) for place in np.searchsorted(keys, np.array(edges, "S16"))]
        return found[0], (found[1] if len(found) > 1 else len(keys))


def key_ranges(rows: int, at_once: int) -> list[KeyRange]:
    """Return ranges of keys that each have about so many rows at the most."""
    count = min(max(1, -(-rows // at_once)), _EVERY_KEY)
    bounds = [number * _EVERY_KEY // count for number in range(count + 1)]
    return [KeyRange(first, after) for first, after in pairwise(bounds)]


@dataclass(frozen=True)
class Part:
    """A file of memory whose index was read.

    Attributes:
        index: its index, which is what was written.
        places: where its bytes are: this disk, a store; what one lacks the next may have.
        unsound: makes the error of a page that no place has as it was written.
        bring: brings the whole file to the first place; None where there is nothing to bring it from.
    """

    index: Index
    places: Sequence[Bytes]
    unsound: Callable[[], StateError]
    bring: Callable[[], Bytes] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process reads it by: a file on this disk, brought here where only a store has it."""
        place = self.places[0] if self.bring is None else self.bring()
        assert isinstance(place, FileBytes)  # noqa: S101  # narrows the type
        is_copy = self.bring is not None or len(self.places) > 1
        unsound = partial(_damaged_copy if is_copy else _not_as_written, place.path)
        return {**vars(self), "places": [place], "unsound": unsound, "bring": None}

    def within(self, keys: KeyRange) -> "Part":
        """Return as much of it as a range of keys is read from."""
        return replace(self, index=self.index.of_pages(*self._pages(keys)))

    def of(self, keys: KeyRange, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Return the rows of a range of keys, ascending; of their columns the key and some more.

        Raises:
            StateError: a page is not what was written.
        """
        for _, table in self._read(np.arange(*self._pages(keys)), columns):
            here, end = keys.bounds(as_keys(table["key"]))
            yield table.slice(here, end - here)

    def _pages(self, keys: KeyRange) -> Block:
        first, after = keys.bounds(self.index.first)
        return max(0, first - 1), after  # the page before may reach into the range

    def find(self, wanted: Keys, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Return the rows of some keys, ascending.

        Args:
            wanted: the keys, ascending, each once.
            columns: what to return of each row, the key among it.

        Raises:
            StateError: a page is not what was written.
        """
        bounds = np.append(np.searchsorted(wanted, self.index.first), len(wanted))
        for (first, after), table in self._read(np.flatnonzero(bounds[1:] > bounds[:-1]), columns):
            some, keys = wanted[bounds[first] : bounds[after]], as_keys(table["key"])
            there = np.searchsorted(keys, some)
            is_found = keys[np.minimum(there, len(keys) - 1)] == some
            yield table.take(int64_array(there[is_found]))

    def _read(
        self, numbers: np.ndarray[tuple[int], np.dtype[np.int64]], columns: Sequence[str]
    ) -> Iterator[tuple[Block, pa.Table]]:
        """Read some columns of pages, several pages at once, in order."""
        places = list(self.places)
        if self.bring is not None and len(numbers) * _MOST > len(self.index.first):
            places.insert(0, self.bring())

        def one(block: Block) -> pa.Table:
            for place in places:
                if (table := read_pages(place, self.index, *block, columns)) is not None:
                    return table
            raise self.unsound()

        for some in _groups(_blocks(numbers)):
            at_once = places[0].at_once
            yield from zip(some, side_by_side(one, some, at_once) if at_once > 1 else map(one, some), strict=True)


def _groups(blocks: Iterator[Block]) -> Iterator[list[Block]]:
    """Join blocks to groups that fit into memory together."""
    group: list[Block] = []
    for block in blocks:
        if group and sum(after - first for first, after in group) >= _GROUP_PAGES:
            yield group
            group = []
        group.append(block)
    if group:
        yield group


def opened(path: Path, written: Written) -> Part:
    """Open a file of memory that lies on this disk alone.

    Raises:
        StateError: it is not what was written.
    """
    index = read_index(FileBytes(path), written.digest)
    if index is None:
        raise _not_as_written(path)
    return Part(index, [FileBytes(path)], partial(_not_as_written, path))


def _damaged_copy(path: Path) -> StateError:
    path.unlink(missing_ok=True)
    return StateError(
        f"{path} was not what was written there; it was a copy, and is removed",
        hint="run again: the store has the file, and it is fetched anew",
    )


def _not_as_written(path: Path) -> StateError:
    return StateError(
        f"{path} is not what was written there",
        hint="something else changed it, or the disk did; restore the whole state from a backup",
    )


def _blocks(numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterator[Block]:
    """Join the numbers of pages that lie one behind the other, up to so many."""
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    for run in np.split(numbers, breaks) if len(numbers) else ():
        for first in range(int(run[0]), int(run[-1]) + 1, PAGES_AT_ONCE):
            yield first, min(first + PAGES_AT_ONCE, int(run[-1]) + 1)


@dataclass(frozen=True)
class Memory:
    """What a stream remembers: its parts, oldest first."""

    parts: Sequence[Part] = field(default_factory=tuple)

    @property
    def rows(self) -> int:
        """How many rows the parts have."""
        return sum(part.index.rows for part in self.parts)

    @property
    def known(self) -> int:
        """How many keys it knows, without those that count as removed."""
        return sum(part.index.known for part in self.parts)

    @property
    def schema(self) -> pa.Schema:
        """The columns of all parts."""
        return schema_of({*PART_SCHEMA.names, *(name for part in self.parts for name in part.index.schema.names)})

    def within(self, keys: KeyRange) -> "Memory":
        """Return as much of it as a range of keys is read from."""
        return Memory([part.within(keys) for part in self.parts])

    def of(self, keys: KeyRange, schema: pa.Schema = PART_SCHEMA) -> pa.Table:
        """Return what the parts say together of a range of keys, ascending."""
        return newest([list(part.of(keys, _held(part, schema))) for part in self.parts], schema)

    def find(self, wanted: Keys, schema: pa.Schema = PART_SCHEMA) -> pa.Table:
        """Return what the parts say together of some keys; these and the answer are ascending."""
        return newest([list(part.find(wanted, _held(part, schema))) for part in self.parts], schema)

    def names(self, keys: pa.Array) -> pa.BooleanArray:
        """Return for each of some keys whether it is remembered, as whatever."""
        return pc.is_in(keys, value_set=self.find(np.unique(as_keys(keys)))["key"].combine_chunks())

    def known_among(self, wanted: Keys) -> int:
        """Return how many of some keys it knows, without those that count as removed."""
        return known_in(self.find(wanted)["content"]) if self.parts else 0


def known_in(contents: pa.Array | pa.ChunkedArray) -> int:
    """Return how many contents do not say that their row was removed."""
    is_removed = pc.equal(contents, removed_scalar())
    return len(contents) - (pc.sum(is_removed).as_py() or 0)


def removed_scalar() -> pa.FixedSizeBinaryScalar:
    """Return the content of a row that was removed, as Arrow has it."""
    return hash_array([REMOVED], HASH)[0]


def _held(part: Part, schema: pa.Schema) -> list[str]:
    return [name for name in schema.names if name in part.index.schema.names]


def newest(parts: Sequence[Sequence[pa.Table]], schema: pa.Schema) -> pa.Table:
    """Join the rows of parts, oldest first: the newest part that names a key speaks for it, also when it claims it."""
    tables = [pa.concat_tables(part) for part in parts if part]
    found = pa.concat_tables([pa.Table.from_batches([nothing(schema)]), *tables], promote_options="default").select(
        schema.names
    )
    if sum(table.num_rows > 0 for table in tables) < 2:  # noqa: PLR2004  # one part is in order as it is
        return found
    keys = as_keys(found["key"])
    order = order_of(keys)
    ordered = keys[order]
    is_last = np.append(ordered[1:] != ordered[:-1], True)
    return found.take(int64_array(order[is_last]))
