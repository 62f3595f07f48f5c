"""What became of a stream's records, part by part: nothing that is held here grows with all of them."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from bucket_loader.model import ranges
from bucket_loader.planning import Part, Plan, PlannedStream
from bucket_loader.state import ChunkRow, ChunkState, Ledger

Fate = np.ndarray[tuple[int], np.dtype[np.uint8]]
"""What became of each of some records; 0 is nothing that is remembered."""
DELIVERED: Final = 1
CLAIMED: Final = 2  # it may have been delivered
GONE: Final = 3  # it was claimed, and is known not to have been delivered
_SENT: Final[tuple[ChunkState, ...]] = ("delivered", "held", "intent", "queued")


class Fated(NamedTuple):
    """Some records of a plan, and what became of each: `first` is the sequence of the first."""

    first: int
    batch: pa.RecordBatch
    fate: Fate


class Fates:
    """What became of the records of a stream; each part is worked out when it is asked for.

    Args:
        stream: the stream.
        find: returns what became of the records of a part.
    """

    def __init__(self, stream: PlannedStream, find: Callable[[Part], Fate]) -> None:
        self._stream, self._find = stream, find
        self._alike: dict[int, int] = {}  # of parts whose records all came to the same: all of them, most of the time

    def by_part(self) -> Iterator[tuple[Part, Fate]]:
        """Yield what became of the records of each part, in order."""
        return ((part, self._of(part)) for part in self._stream.parts)

    def _of(self, part: Part) -> Fate:
        if part.first in self._alike:
            return np.full(part.records, self._alike[part.first], np.uint8)
        fate = self._find(part)
        if len(fate) and (fate == fate[0]).all():
            self._alike[part.first] = int(fate[0])
        return fate

    def has_any(self) -> bool:
        """Whether anything became of any record."""
        return any(fate.any() for _, fate in self.by_part())

    def sequences(self, fate: int) -> Iterator[int]:
        """Yield the sequences of the records that came to this, ascending."""
        for part, found in self.by_part():
            yield from (np.flatnonzero(found == fate) + part.first).tolist()

    def beside(self, planned: Plan, *, records: bool = False) -> Iterator[Fated]:
        """Yield `key` and `content` of every record, in order, and the `record` itself where it is asked for."""
        for part, fate in self.by_part():
            first = 0
            for batch in planned.keys(self._stream, part, records=records):
                yield Fated(part.first + first, batch, fate[first : first + batch.num_rows])
                first += batch.num_rows


class Folded:
    """Rows that stand for several chunks each, found by what they carry: such a row may be of many parts."""

    def __init__(self, rows: Sequence[ChunkRow]) -> None:
        self.rows = rows
        self._spans = sorted((*both, number) for number, row in enumerate(rows) for both in ranges(row.members))
        # Ascending also where a ledger is damaged, and a record is in two.
        self._lasts = list(accumulate((last for _, last, _ in self._spans), max))

    def spans(self, sequences: range) -> Iterator[tuple[int, int, int]]:
        """Yield first and last of what touches some sequences, and the number of its row."""
        for place in range(bisect_left(self._lasts, sequences.start), len(self._spans)):
            first, last, number = self._spans[place]
            if first >= sequences.stop:
                return
            if last >= sequences.start:
                yield first, last, number

    def within(self, sequences: range) -> list[ChunkRow]:
        """Return the rows that carry some of these."""
        return [self.rows[number] for number in sorted({number for *_, number in self.spans(sequences)})]


def fates_of(ledger: Ledger, run: str, stream: PlannedStream, *, again: bool = False) -> Fates:
    """Return whether each record was delivered, or sent without an answer; 0 for neither.

    Args:
        ledger: what knows the chunks.
        run: the run.
        stream: the stream of its plan.
        again: whether what was sent without an answer is sent again by a later plan, and so counts as neither.
    """
    folded = Folded([row for row in ledger.folded(run, stream.position) if row.state in _SENT])

    def find(part: Part) -> Fate:
        fate = np.zeros(part.records, np.uint8)
        rows = ledger.chunks(run, stream.position, *_SENT, within=part.sequences)
        for row in (*folded.within(part.sequences), *rows):
            if row.state == "delivered":
                mark(fate, part, row, DELIVERED)
            elif not again and (row.state in {"held", "intent"} or row.ambiguous):
                mark(fate, part, row, CLAIMED)
        return fate

    return Fates(stream, find)


def mark(fate: Fate, part: Part, row: ChunkRow, what: int) -> None:
    """Let the records of a part that a chunk carries come to something."""
    for first, last in ranges(row.members):
        start, after = max(first, part.first) - part.first, min(last + 1, part.sequences.stop) - part.first
        if start < after:
            fate[start:after] = what


def unsent(ledger: Ledger, run: str, stream: PlannedStream, fates: Fates, *, again: bool) -> Iterator[int]:
    """Yield the sequences that nothing became of, and that their run does not keep: neither sent nor judged."""
    for part, fate in fates.by_part():
        left = fate.copy()
        ended = ledger.chunks(run, stream.position, "rejected", "dropped", "superseded", within=part.sequences)
        kept = () if again else ledger.queued(run, stream.position, aside=True, within=part.sequences)
        for row in (*ended, *kept):
            mark(left, part, row, DELIVERED)
        yield from (np.flatnonzero(left == 0) + part.first).tolist()
