"""Folding: what an old run leaves of its chunks, so that a ledger does not grow for ever.

All chunks of a stream that came to the same end become one row; of a large run, those of a part that was delivered
without a doubt do so as soon as it has ended. Such a row says: which records they carried, how many chunks and
attempts they were, and a digest of their names and digests. Which record came to which end stays known, and all counts;
what is gone is how the records were cut, when they were attempted, and in words what ended the run early. The stream
keeps how many attempts had which answer, those of splits included. Nothing is folded of a run that has anything left to
send or to decide, and no refusal that was not replayed.
"""

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bucket_loader.model import count_statuses, ranges
from bucket_loader.state.ledger.database import Statement
from bucket_loader.state.ledger.past import Past, note_why
from bucket_loader.state.ledger.rows import SELECT_CHUNK, ChunkRow, ChunkState, RunRow

AGED: Final = 1  # `run.aged`
LETTERS_STAY: Final = 2
_ROWS_AT_ONCE: Final = 10_000
_OPEN: Final = "state IN ('queued', 'intent', 'held')"
_STAYS: Final = """state = 'rejected' AND NOT (records = 1 AND EXISTS (
    SELECT 1 FROM replay r JOIN stream s ON s.run = r.letters AND s.name = r.stream
    WHERE r.letters = chunk.run AND s.position = chunk.stream AND r.number = CAST(chunk.first AS TEXT)
))"""
_FOLDABLE: Final = f"run = ? AND stream = ? AND folded IS NULL AND NOT {_OPEN} AND NOT ({_STAYS}) AND state <> 'split'"
_SPLITS: Final = "run = ? AND stream = ? AND state = 'split'"
_KEEP_ANSWERS: Final = "UPDATE stream SET answers = ? WHERE run = ? AND position = ?"
_WITHIN: Final = "run = ? AND stream = ? AND first >= ? AND first < ?"
_DELETE_WITHIN: Final = f"DELETE FROM chunk WHERE {_WITHIN}"
_SELECT_WITHIN: Final = (
    f"SELECT members, records, state, attempts, ambiguous, digest, tries, folded FROM chunk WHERE {_WITHIN} "
    "ORDER BY first, members"
)
_INSERT: Final = """
    INSERT INTO chunk (run, stream, first, members, records, part, state, attempts, ambiguous, digest, folded)
    VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)
"""


class FoldDigest:
    """The digest of chunks that are folded into one row: of their names and digests, in the order of their records."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()
        self.chunks = 0

    def add(self, members: str, digest: bytes) -> None:
        """Add the next chunk."""
        self._sum.update(members.encode() + b"\n" + digest)
        self.chunks += 1

    def value(self) -> bytes:
        """Return the digest."""
        return self._sum.digest()


@dataclass
class _Fold:
    """The chunks of one end that were met so far."""

    records: int = 0
    attempts: int = 0
    ranges: list[tuple[int, int]] = field(default_factory=list)
    digest: FoldDigest = field(default_factory=FoldDigest)
    answers: Counter[str] = field(default_factory=Counter)

    def add(self, members: str, records: int, attempts: int, digest: bytes, tries: str) -> None:
        self.records += records
        self.attempts += attempts
        self.answers.update(count_statuses(tries, attempts))
        self.digest.add(members, digest)
        for one in ranges(members):
            self.ranges[-1:] = _joined(self.ranges[-1:], one)

    def members(self) -> str:
        """Return which records they carried, as a chunk's name spells them."""
        found: list[tuple[int, int]] = []
        for one in sorted(self.ranges):
            found[-1:] = _joined(found[-1:], one)
        return ",".join(f"{first}-{last}" for first, last in found)


def _joined(before: list[tuple[int, int]], one: tuple[int, int]) -> list[tuple[int, int]]:
    """Return a range and the next one, as one where that begins where the first ends."""
    if before and before[0][1] == one[0] - 1:
        return [(before[0][0], one[1])]
    return [*before, one]


class Folding(Past):
    """The part of a ledger that folds."""

    def aging(self, before: str, count: int) -> list[RunRow]:
        """Return runs that ended before a moment (wire time), and of which nothing was let go yet: the oldest."""
        return self._runs(
            "WHERE aged = 0 AND status NOT IN ('running', 'unfinished') AND ended_at < ? ORDER BY number LIMIT ?",
            before, count,
        )  # fmt: skip

    def fold_parts(self, run: str, position: int, parts: Sequence[range]) -> int:
        """Fold the chunks of each part that was delivered as it was planned, at once; return how many those were.

        Args:
            run: a run of which nothing is left to send or to settle.
            position: of which of its streams.
            parts: the sequences of each part.
        """
        chunks = 0
        for part in parts if self._is_over(run) else ():
            fold = self._delivered(run, position, part)
            if fold is not None:
                chunks += fold.digest.chunks
                statements: list[Statement] = [(_DELETE_WITHIN, (run, position, part.start, part.stop))]
                statements += _rows(run, position, {("delivered", 0): fold})
                self._write([*statements, self._answered(run, position, [fold], [])])
        return chunks

    def _delivered(self, run: str, position: int, part: range) -> _Fold | None:
        """Return what becomes of a part's chunks; None where they are not all delivered, whole and without a doubt."""
        fold = _Fold()
        rows = self._query(_SELECT_WITHIN, run, position, part.start, part.stop)
        for members, records, state, attempts, ambiguous, digest, tries, folded in rows:
            if state != "delivered" or ambiguous or folded is not None:
                return None
            fold.add(members, records, attempts, digest, tries)
        return fold if fold.records == len(part) and len(rows) > 1 else None

    def chunk_count(self, run: str) -> int:
        """Return how many chunks of a run were begun, those that are folded counted one by one."""
        ((count,),) = self._query("SELECT coalesce(sum(coalesce(folded, 1)), 0) FROM chunk WHERE run = ?", run)
        return int(count)

    def folded(self, run: str, position: int) -> list[ChunkRow]:
        """Return the rows of a stream that stand for several chunks each."""
        rows = self._query(f"{SELECT_CHUNK} WHERE run = ? AND stream = ? AND folded IS NOT NULL", run, position)
        return [ChunkRow(*row) for row in rows]

    def holds(self, run: str) -> bool:
        """Whether a run has anything for a person to release or to drop; also one that was abandoned may."""
        return bool(self._query("SELECT 1 FROM chunk WHERE run = ? AND state = 'held' LIMIT 1", run))

    def fold(self, run: str, *, letters_stay: bool) -> int:
        """Fold what can be of an old run's chunks, in one commit; return how many chunks that were.

        Args:
            run: a run that has ended.
            letters_stay: whether its dead letters stay.
        """
        statements: list[Statement] = []
        chunks = 0
        if self._is_over(run):
            for (position,) in self._query("SELECT position FROM stream WHERE run = ? ORDER BY position", run):
                found = self._folded(run, position)
                chunks += sum(one.digest.chunks for one in found.values())
                if found:
                    statements.append((f"DELETE FROM chunk WHERE {_FOLDABLE}", (run, position)))
                    splits = self._splits_that_go(run, position)
                    statements += (_delete_split(run, position, split) for split in splits)
                    statements += _rows(run, position, found)
                    statements.append(self._answered(run, position, [*found.values()], splits))
        aged = LETTERS_STAY if letters_stay else AGED
        self._write([*statements, ("UPDATE run SET aged = ? WHERE run = ?", (aged, run)), note_why(run, None)])
        return chunks

    def _is_over(self, run: str) -> bool:
        """Whether nothing of a run is left to send, to settle or to decide."""
        left = f"SELECT 1 FROM chunk WHERE run = ? AND {_OPEN} LIMIT 1"
        unsettled = "SELECT 1 FROM stream WHERE run = ? AND settled <> 1 LIMIT 1"
        return not self._query(left, run) and not self._query(unsettled, run)

    def _folded(self, run: str, position: int) -> dict[tuple[ChunkState, int], _Fold]:
        """Return what becomes of a stream's chunks, by state and doubt; nothing where there is one alone."""
        found: dict[tuple[ChunkState, int], _Fold] = {}
        for members, records, state, attempts, ambiguous, digest, tries in self._foldable(run, position):
            found.setdefault((state, ambiguous), _Fold()).add(members, records, attempts, digest, tries)
        return found if sum(one.digest.chunks for one in found.values()) > 1 else {}

    def _foldable(self, run: str, position: int) -> Iterator[tuple[str, int, ChunkState, int, int, bytes, str]]:
        after: tuple[int, str] = (-1, "")
        while True:
            rows = self._query(
                f"SELECT first, members, records, state, attempts, ambiguous, digest, tries FROM chunk "
                f"WHERE {_FOLDABLE} AND (first, members) > (?, ?) ORDER BY first, members LIMIT ?",
                run, position, *after, _ROWS_AT_ONCE,
            )  # fmt: skip
            for _, *row in rows:
                yield tuple(row)
            if len(rows) < _ROWS_AT_ONCE:
                return
            after = rows[-1][:2]

    def _splits_that_go(self, run: str, position: int) -> "list[_Split]":
        """Return the splits for which their parts stand; one that a refusal was cut from stays with it."""
        stay = self._query(f"SELECT members FROM chunk WHERE run = ? AND stream = ? AND {_STAYS}", run, position)
        refused = sorted(first for (members,) in stay for first, _ in ranges(members))
        splits = self._query(f"SELECT first, members, attempts, tries FROM chunk WHERE {_SPLITS}", run, position)
        return [split for split in map(_Split._make, splits)
                if not any(_is_any_within(refused, *one) for one in ranges(split.members))]  # fmt: skip

    def _answered(self, run: str, position: int, found: list[_Fold], splits: "list[_Split]") -> Statement:
        """Return the statement that adds the attempts of what goes to those that the stream keeps by their answers."""
        ((before,),) = self._query("SELECT answers FROM stream WHERE run = ? AND position = ?", run, position)
        parts = [Counter(json.loads(before or "{}")), *(fold.answers for fold in found)]
        parts += (count_statuses(split.tries, split.attempts) for split in splits)
        answers = sum(parts, Counter())
        return _KEEP_ANSWERS, (json.dumps(answers, sort_keys=True), run, position)

    def answers(self, run: str) -> Counter[str]:
        """Return how many attempts of a run's folded chunks had each answer, as `count_statuses` names it."""
        found = self._query("SELECT answers FROM stream WHERE run = ? AND answers IS NOT NULL", run)
        return sum((Counter(json.loads(answers)) for (answers,) in found), Counter())

    def letters_stay(self, run: str) -> bool:
        """Whether a run is old, and its dead letters stay."""
        return bool(self._query("SELECT 1 FROM run WHERE run = ? AND aged = ?", run, LETTERS_STAY))

    def forget_letters(self, run: str) -> None:
        """Note that the dead letters of an old run are gone."""
        self._write([("UPDATE run SET aged = ? WHERE run = ? AND aged = ?", (AGED, run, LETTERS_STAY))])

    def letters_that_stay(self) -> int:
        """Return how many old runs there are whose dead letters stay."""
        ((count,),) = self._query("SELECT count(*) FROM run WHERE aged = ?", LETTERS_STAY)
        return int(count)

    def taken_up_by(self, run: str) -> list[str]:
        """Return the runs whose dead letters a run took up."""
        return [str(one) for (one,) in self._query("SELECT DISTINCT letters FROM replay WHERE run = ?", run)]


class _Split(NamedTuple):
    """A chunk that was replaced by its parts."""

    first: int
    members: str
    attempts: int
    tries: str


def _delete_split(run: str, position: int, split: _Split) -> Statement:
    where = f"{_SPLITS} AND first = ? AND members = ?"
    return f"DELETE FROM chunk WHERE {where}", (run, position, split.first, split.members)


def _is_any_within(numbers: list[int], first: int, last: int) -> bool:
    """Whether one of ascending numbers is in a range."""
    return bisect_left(numbers, first) < bisect_right(numbers, last)


def _rows(run: str, position: int, found: dict[tuple[ChunkState, int], _Fold]) -> Iterator[Statement]:
    for (state, ambiguous), fold in found.items():
        yield (
            _INSERT,
            (run, position, min(fold.ranges)[0], fold.members(), fold.records, state, fold.attempts, ambiguous,
             fold.digest.value(), fold.digest.chunks),
        )  # fmt: skip
