"""The proof of a stream's chunks: each is what it says, and together they are every record of the plan once.

A row that stands for several chunks is proved with the digest of all of them, where none of them had been cut.
"""

from collections.abc import Generator, Iterator
from typing import Final

import numpy as np

from bucket_loader.model import Chunk, ranges
from bucket_loader.planning import Plan, PlannedStream
from bucket_loader.state import ChunkRow, FoldDigest

LEAVES: Final = ("queued", "intent", "delivered", "rejected", "held", "dropped", "superseded")
Covered = np.ndarray[tuple[int], np.dtype[np.uint8]]


def cover(stream: str, records: int, rows: list[ChunkRow]) -> Generator[str, None, Covered | None]:
    """Yield which chunks are not what they say; return how often each record is in one, or None where one is not."""
    covered = np.zeros(records, np.uint8)
    for row in rows:
        spans = ranges(row.members)
        if spans[-1][1] >= records or sum(last - first + 1 for first, last in spans) != row.records:
            yield f"stream {stream!r}: chunk {row.members} is not of this plan"
            return None
        if row.state in LEAVES:
            for first, last in spans:
                covered[first : last + 1] += 1
        if row.state in {"delivered", "rejected"} and row.attempts < (row.folded or 1):
            yield f"stream {stream!r}: chunk {row.members} is {row.state} but was never attempted"
    return covered


def not_proved(stream: str, rows: list[ChunkRow]) -> Iterator[str]:
    """Yield what of a stream's chunks can no longer be told."""
    if folded := sum(row.folded or 0 for row in rows):
        yield (
            f"stream {stream!r}: {folded:,} chunks are older than `keep:` and folded: how often each of them was "
            "attempted, and how it was cut, can no longer be told"
        )


def chunk_findings(planned: Plan, stream: PlannedStream, rows: list[ChunkRow]) -> Iterator[str]:
    """Hold a stream's chunks against its plan."""
    said = f"stream {stream.name!r}: "
    covered = yield from cover(stream.name, stream.records, rows)
    if covered is None:
        return
    folds = _Folds(stream, [row for row in rows if row.folded is not None])
    parts = {row.members: row for row in rows if row.folded is None}
    for sequences, records in planned.chunks(stream):
        chunk = Chunk(stream.position, sequences, records, bare=planned.manifest.bare)
        if chunk.members in parts:
            yield from _digest_findings(said, parts.pop(chunk.members), chunk)
        elif folds.take(chunk, sequences):
            continue
        elif covered[sequences.start : sequences.stop].any():
            yield f"{said}chunk {chunk.members} is missing, although parts of it were sent"
        else:
            covered[sequences.start : sequences.stop] = 1  # never begun: pending
    for row in parts.values():
        found = planned.rows(stream, row.sequences, ["record"])
        records = tuple(one["record"].encode() for one in found)
        chunk = Chunk(stream.position, row.sequences, records, bare=planned.manifest.bare)
        yield from _digest_findings(said, row, chunk)
    yield from (f"{said}chunks of {members} were not sent as planned" for members in folds.unproved())
    if (off := np.flatnonzero(covered != 1)).size:
        yield f"{said}{off.size:,} records are not accounted for exactly once (first: {off[0]})"


def _digest_findings(said: str, row: ChunkRow, chunk: Chunk) -> Iterator[str]:
    if row.digest != chunk.digest:
        yield f"{said}chunk {row.members} was not sent as planned"


class _Folds:
    """The rows that stand for several chunks, and what of the plan belongs to each."""

    def __init__(self, stream: PlannedStream, rows: list[ChunkRow]) -> None:
        self._rows = rows
        self._digests = [FoldDigest() for _ in rows]
        self._cut: set[int] = set()
        self._row_of = np.full(stream.records, -1, np.int64)
        for number, row in enumerate(rows):
            for first, last in ranges(row.members):
                self._row_of[first : last + 1] = number

    def take(self, chunk: Chunk, sequences: range) -> bool:
        """Take a chunk of the plan; returns whether it is, or a part of it, in such a row."""
        if not self._rows:
            return False
        numbers = set(np.unique(self._row_of[sequences.start : sequences.stop]).tolist())
        if numbers == {-1}:
            return False
        if len(numbers) == 1:
            self._digests[numbers.pop()].add(chunk.members, chunk.digest)
        else:
            self._cut |= numbers
        return True

    def unproved(self) -> Iterator[str]:
        """Yield the rows whose chunks are not what the plan makes; those of which some had been cut cannot be."""
        for number, (row, digest) in enumerate(zip(self._rows, self._digests, strict=True)):
            if number not in self._cut and digest.chunks == row.folded and digest.value() != row.digest:
                yield row.members
