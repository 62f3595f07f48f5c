"""What a plan does: each of its records, beside what their stream remembers of it.

the plan's records --by their keys--> what is remembered --> created, changed, removed, the same again
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bucket_loader.config import Stream
from bucket_loader.model import as_numpy, bool_array, hash_array, int64_array
from bucket_loader.planning import plan_file
from bucket_loader.planning.change import Change, What, is_own_time, unlike
from bucket_loader.planning.compact import Compacted
from bucket_loader.planning.request import PlanRequest
from bucket_loader.state import Records, snapshots

if TYPE_CHECKING:
    from bucket_loader.model import Numbers

Whats = np.ndarray[tuple[int], np.dtype[np.uint8]]
"""What becomes of records, each as its place in `_WHATS`."""
Truths = np.ndarray[tuple[int], np.dtype[np.bool_]]
_WHATS: Final[tuple[What, ...]] = get_args(What)
_CREATED, _CHANGED, _REMOVED, _UNCHANGED = range(len(_WHATS))
_COLUMNS: Final = ("key", "content", "record")
_WITH_RECORDS: Final = snapshots.part_schema(records=True)
_SORTED_TOGETHER: Final = 1 << 18  # records of a plan; a page of the memory is read once for each such piece at most
_PIECES_MOST: Final = 128  # files that are open at once; of a larger plan each has more records
_AT_ONCE: Final = 1 << 15  # records that are held beside what is remembered of them
_NO_HASH: Final = bytes(16)


@dataclass(frozen=True)
class Effects:
    """What a plan does to the records of a stream.

    Attributes:
        whats: what becomes of each, by its sequence.
        unknown: how many of the changed ones nobody knows the old values of.
        fields: how many of the others differ in a field, by its path.
    """

    whats: Whats
    unknown: int
    fields: Counter[str]

    def count(self, what: What) -> int:
        """Return of how many records this becomes."""
        return int(np.count_nonzero(self.whats == _WHATS.index(what)))

    def sequences(self, what: What) -> "Numbers":
        """Return the sequences of those records, ascending."""
        return np.flatnonzero(self.whats == _WHATS.index(what))


def effects_of(records: Records, memory: snapshots.Memory, *, is_timed: bool) -> Effects:
    """Hold every record of a planned stream against what that remembers.

    Args:
        records: the plan's.
        memory: what the stream remembers; nothing where it does not compare.
        is_timed: whether rows may give the times.
    """
    whats, unknown, fields = np.full(len(records), _CREATED, np.uint8), 0, Counter[str]()
    for sequences, rows in _pieces(records) if memory.rows else ():
        beside = _Beside.of(rows, memory, is_timed=is_timed)
        whats[sequences] = beside.whats
        unknown += beside.count_unlike(fields)
    return Effects(whats, unknown, fields)


def changed_fields(request: PlanRequest, stream: Stream, compacted: Compacted) -> dict[str, int]:
    """Count the known records of a plan that have changed, by field; none where nobody knows what they were.

    Args:
        request: has the memory, and the folder of the plan.
        stream: the plan's.
        compacted: says whether any has changed, and how many records, the last ones, were refused before: these do
            not count.
    """
    memory, found = request.memory_of(stream), Counter[str]()
    if not compacted.changed or "record" not in memory.schema.names:
        return {}
    records = plan_file.records_of(request.folder, compacted.parts)
    new, is_timed = len(records) - compacted.refused, "timestamp" in stream.fields.given()
    for sequences, rows in _pieces(records):
        some = rows.filter(bool_array(sequences < new)) if compacted.refused else rows
        _Beside.of(some, memory, is_timed=is_timed).count_unlike(found)
    return dict(sorted(found.items()))


def changes(rows: pa.Table, memory: snapshots.Memory, *, is_timed: bool) -> Iterator[Change]:
    """Yield what a plan does to some of its records, in their order.

    Args:
        rows: the records: `key`, `content`, `record`; so many as may be held beside what they were.
        memory: what their stream remembers; nothing where it does not compare.
        is_timed: whether rows may give the times.
    """
    return _Beside.of(rows, memory, is_timed=is_timed).changes()


def _pieces(records: Records) -> "Iterator[tuple[Numbers, pa.Table]]":
    """Yield the records of a plan, near ones by key together, and their sequences."""
    ranges = snapshots.key_ranges(len(records), max(_SORTED_TOGETHER, len(records) // _PIECES_MOST))
    with TemporaryDirectory(dir=records.folder) as folder:
        for piece in snapshots.by_range(records, ranges, Path(folder), _COLUMNS):
            positions, table = piece.read(_COLUMNS)
            order = snapshots.order_of(snapshots.as_keys(table["key"]))
            for first in range(0, len(order), _AT_ONCE):
                some = order[first : first + _AT_ONCE]
                yield positions[some], table.take(int64_array(some))


# --- some records, and what is remembered of each --------------------------------------------------------------------


@dataclass(frozen=True)
class _Beside:
    """Some records of a plan, and of each what is remembered.

    Attributes:
        rows: the records: `key`, `content`, `record`.
        whats: what becomes of each.
        found: what is remembered of each: `content` and `record`, null where that is nothing.
        is_timed: whether rows may give the times.
    """

    rows: pa.Table
    whats: Whats
    found: pa.Table
    is_timed: bool

    @classmethod
    def of(cls, rows: pa.Table, memory: snapshots.Memory, *, is_timed: bool) -> "_Beside":
        """Find them in the memory."""
        keys = snapshots.as_keys(rows["key"])
        table = memory.find(np.unique(keys), _WITH_RECORDS)
        there = snapshots.as_keys(table["key"])
        places = np.minimum(np.searchsorted(there, keys), max(0, len(there) - 1))
        is_there = there[places] == keys if len(there) else np.zeros(len(keys), np.bool_)
        found = table.take(_or_null(places, is_there))
        known, sent, removed = _hashes(found["content"]), _hashes(rows["content"]), np.bytes_(snapshots.REMOVED)
        whats = np.where(known == sent, _UNCHANGED, _CHANGED)
        whats[~is_there | (known == removed)] = _CREATED
        whats[sent == removed] = _REMOVED
        return cls(rows, whats.astype(np.uint8), found, is_timed)

    def changes(self) -> Iterator[Change]:
        """Yield what becomes of each."""
        for what, (new, old, times) in zip(self.whats.tolist(), self.pairs(), strict=True):
            yield Change(_WHATS[what], new, old, times)

    def count_unlike(self, fields: Counter[str]) -> int:
        """Count by path the changed ones that differ in it; return of how many others nobody knows the old values."""
        is_changed = bool_array(self.whats == _CHANGED)
        known = self._chosen(pc.and_(is_changed, self.found["record"].is_valid()))
        for new, old, times in known.pairs():
            for path in unlike(new, old or "", times):
                fields[path] += 1
        return int(np.count_nonzero(self.whats == _CHANGED)) - len(known.whats)

    def _chosen(self, which: pa.ChunkedArray) -> "_Beside":
        places = pc.indices_nonzero(which)
        return _Beside(self.rows.take(places), self.whats[as_numpy(places)], self.found.take(places), self.is_timed)

    def pairs(self) -> Iterator[tuple[str, str | None, tuple[bool, bool]]]:
        """Yield the new and the old record of each, and whether the row gives the time in the old and in the new."""
        news, olds = self.rows["record"].to_pylist(), self.found["record"].to_pylist()
        if not self.is_timed:
            yield from ((new, old, (False, False)) for new, old in zip(news, olds, strict=True))
            return
        contents = zip(self.rows["content"].to_pylist(), self.found["content"].to_pylist(), strict=True)
        for new, old, (sent, known) in zip(news, olds, contents, strict=True):
            yield new, old, (is_own_time(old, known), is_own_time(new, sent))


def _or_null(places: "Numbers", is_there: Truths) -> pa.Array:
    """Return places to take from, null for those that are not there."""
    validity = pa.py_buffer(np.packbits(is_there, bitorder="little"))
    return pa.Array.from_buffers(pa.int64(), len(places), [validity, pa.py_buffer(places)])


def _hashes(column: pa.ChunkedArray) -> snapshots.Keys:
    """Return hashes as numpy compares them; in the place of null one that nothing has."""
    return snapshots.as_keys(pc.fill_null(column, hash_array([_NO_HASH], pa.binary(16))[0]))
