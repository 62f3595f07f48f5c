"""The proof of a stream's chunks: each is what it says, and together they are every record of the plan once.

It goes part by part, so nothing that is held grows with all records. A row that stands for several chunks is proved
with the digest of all of them, where none of them had been cut.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from bucket_loader.model import Chunk, ranges
from bucket_loader.planning import Part, Plan, PlannedStream
from bucket_loader.runs.fates import Folded
from bucket_loader.state import ChunkRow, FoldDigest, Ledger

LEAVES: Final = ("queued", "intent", "delivered", "rejected", "held", "dropped", "superseded")
Covered = np.ndarray[tuple[int], np.dtype[np.uint8]]


def cover(stream: str, within: range, rows: Iterable[ChunkRow]) -> Generator[str, None, Covered | None]:
    """Yield which chunks are not what they say; return how often each record is in one, or None where one is not.

    Args:
        stream: the stream's name.
        within: the sequences that are looked at; all chunks but folded ones are of these alone.
        rows: the chunks.
    """
    covered = np.zeros(len(within), np.uint8)
    for row in rows:
        spans = ranges(row.members)
        is_beside = row.folded is None and (spans[0][0] < within.start or spans[-1][1] >= within.stop)
        if is_beside or sum(last - first + 1 for first, last in spans) != row.records:
            yield f"stream {stream!r}: chunk {row.members} is not of this plan"
            return None
        if row.state in LEAVES:
            for first, last in spans:
                covered[max(0, first - within.start) : max(0, last + 1 - within.start)] += 1
        if row.state in {"delivered", "rejected"} and row.attempts < (row.folded or 1):
            yield f"stream {stream!r}: chunk {row.members} is {row.state} but was never attempted"
    return covered


def not_proved(stream: str, rows: list[ChunkRow]) -> Iterator[str]:
    """Yield what of a stream's chunks can no longer be told."""
    if folded := sum(row.folded or 0 for row in rows):
        yield (
            f"stream {stream!r}: {folded:,} chunks are folded (of a large run, or older than `keep:`): how often each "
            "was attempted, and how it was cut, can no longer be told"
        )


def chunk_findings(planned: Plan, stream: PlannedStream, ledger: Ledger) -> Iterator[str]:
    """Hold a stream's chunks against its plan."""
    run, said, off = planned.manifest.run, f"stream {stream.name!r}: ", _Off()
    folds = _Folds(ledger.folded(run, stream.position))
    if (beyond := folds.beyond(stream.records)) is not None:
        yield f"{said}chunk {beyond.members} is not of this plan"
        return
    for part in (*stream.parts, None):  # what lies behind the last part is of no plan
        within = part.sequences if part is not None else range(stream.records, 2**62)
        rows = [row for row in ledger.chunks(run, stream.position, *LEAVES, "split", within=within) if not row.folded]
        if part is None:
            yield from (f"{said}chunk {row.members} is not of this plan" for row in rows)
        elif not (yield from _part_findings(planned, stream, part, _Chunks(rows, folds, off))):
            return
    yield from (f"{said}chunks of {members} were not sent as planned" for members in folds.unproved())
    if off.count:
        yield f"{said}{off.count:,} records are not accounted for exactly once (first: {off.first})"


@dataclass
class _Off:
    """The records that are not accounted for exactly once: how many, and the first."""

    count: int = 0
    first: int = -1

    def add(self, part: Part, covered: Covered) -> None:
        if (off := np.flatnonzero(covered != 1)).size:
            self.first = self.first if self.count else part.first + int(off[0])
            self.count += off.size


class _Chunks(NamedTuple):
    """What the ledger has of a part, and what is found out about the whole stream on the way."""

    rows: list[ChunkRow]
    folds: "_Folds"
    off: _Off


def _part_findings(planned: Plan, stream: PlannedStream, part: Part, chunks: _Chunks) -> Generator[str, None, bool]:
    """Hold the chunks of a part against the plan; return whether they are of this plan at all."""
    said, (rows, folds, off) = f"stream {stream.name!r}: ", chunks
    covered = yield from cover(stream.name, part.sequences, [*rows, *folds.within(part.sequences)])
    if covered is None:
        return False
    found = {row.members: row for row in rows}
    for sequences, records in planned.chunks(stream, part):
        chunk = Chunk(stream.position, sequences, records, bare=planned.manifest.bare)
        here = slice(sequences.start - part.first, sequences.stop - part.first)
        if chunk.members in found:
            yield from _digest_findings(said, found.pop(chunk.members), chunk)
        elif folds.take(chunk, sequences):
            continue
        elif covered[here].any():
            yield f"{said}chunk {chunk.members} is missing, although parts of it were sent"
        else:
            covered[here] = 1  # never begun: pending
    for row in found.values():
        records = tuple(one["record"].encode() for one in planned.rows(stream, row.sequences, ["record"]))
        chunk = Chunk(stream.position, row.sequences, records, bare=planned.manifest.bare)
        yield from _digest_findings(said, row, chunk)
    off.add(part, covered)
    return True


def _digest_findings(said: str, row: ChunkRow, chunk: Chunk) -> Iterator[str]:
    if row.digest != chunk.digest:
        yield f"{said}chunk {row.members} was not sent as planned"


class _Folds:
    """The rows that stand for several chunks, and what of the plan belongs to each."""

    def __init__(self, rows: list[ChunkRow]) -> None:
        self._folded = Folded(rows)
        self._digests = [FoldDigest() for _ in rows]
        self._cut: set[int] = set()

    def beyond(self, records: int) -> ChunkRow | None:
        """Return a row that carries what the plan has not, if there is one."""
        return next((row for row in self._folded.rows if ranges(row.members)[-1][1] >= records), None)

    def within(self, sequences: range) -> list[ChunkRow]:
        """Return the rows that carry some of these."""
        return self._folded.within(sequences)

    def take(self, chunk: Chunk, sequences: range) -> bool:
        """Take a chunk of the plan; returns whether it is, or a part of it, in such a row."""
        match list(self._folded.spans(sequences)):
            case [(first, last, number)] if first <= sequences.start and sequences.stop - 1 <= last:
                self._digests[number].add(chunk.members, chunk.digest)
                return True
            case found:
                self._cut |= {number for *_, number in found}
                return bool(found)

    def unproved(self) -> Iterator[str]:
        """Yield the rows whose chunks are not what the plan makes; those of which some had been cut cannot be."""
        for number, (row, digest) in enumerate(zip(self._folded.rows, self._digests, strict=True)):
            if number not in self._cut and digest.chunks == row.folded and digest.value() != row.digest:
                yield row.members
