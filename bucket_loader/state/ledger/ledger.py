"""The ledger's one class: runs, chunks, and what is remembered of them, whatever database it lies in.

An intent is committed before its first byte is sent, an outcome before the worker takes the next chunk; one commit may
carry both. Workers may call from any thread.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bucket_loader.model import (
    ATTEMPT_LETTERS,
    ATTEMPTS_FIRST,
    ATTEMPTS_LAST,
    PLANNED,
    SENT,
    SYSTEM,
    BucketLoaderError,
    Chunk,
    Clock,
    Counts,
    spell_attempts,
)
from bucket_loader.state.ledger.database import NOTE, Database, Statement
from bucket_loader.state.ledger.folding import Folding
from bucket_loader.state.ledger.forgetting import EMULATOR, Forgetting
from bucket_loader.state.ledger.memory import ASIDE, CLAIMING
from bucket_loader.state.ledger.past import note_why
from bucket_loader.state.ledger.rows import (
    SELECT_CHUNK,
    Ambiguous,
    Behind,
    ChunkRow,
    ChunkState,
    Concluded,
    Entry,
    Intent,
    Meets,
    NewStream,
    Replay,
    RunStatus,
    SplitInto,
)
from bucket_loader.state.ledger.sharing import END_SHARING, Sharing
from bucket_loader.state.ledger.sqlite import SqliteDatabase

ALL: Final = range(2**62)  # of a stream's sequences
_WITHIN: Final = "first >= ? AND first < ?"


class Ledger(Folding, Forgetting, Sharing):
    """One state's ledger; open it under the state's lock."""

    def __init__(self, where: Path | Database, clock: Clock = SYSTEM) -> None:
        self._committing = clock.threading.Lock()
        self._waiting: deque[_Ticket] = deque()
        super().__init__(SqliteDatabase(where) if isinstance(where, Path) else where)

    # --- runs --------------------------------------------------------------------------------------------------

    def add_run(  # noqa: PLR0913  # a row's columns
        self, run: str, *, as_of: str, interval: tuple[str, str] | None, plan_digest: str, created_at: str,
        streams: Sequence[NewStream], replays: Sequence[Replay] = (), superseded: Sequence[tuple[str, Entry]] = (),
    ) -> None:  # fmt: skip
        """Note a finished plan: from here on its run exists, what it replays is taken up, what it supersedes is not."""
        values = (run, as_of, *(interval or (None, None)), plan_digest, created_at)
        self._write([
            (_ADD_RUN, values),
            *((_ADD_STREAM, (run, *_columns_of(new))) for new in streams),
            *(("INSERT INTO replay VALUES (?, ?, ?, ?, ?)", (one.letters, one.stream, one.number, run, one.sequence))
              for one in replays),
            *(statement for older, entry in superseded for statement in _statements(older, entry)),
        ])  # fmt: skip

    def end_run(
        self, run: str, status: RunStatus, *, exit_code: int, ended_at: str, error: BucketLoaderError | None = None
    ) -> None:
        """Say how a run ended, for now or for good, and what ended it early; nobody has parts of it from then on."""
        statement = "UPDATE run SET status = ?, exit_code = ?, ended_at = ?, aged = 0 WHERE run = ?"
        parts = ((one, (run,)) for one in END_SHARING)
        self._write([(statement, (status, exit_code, ended_at, run)), note_why(run, error), *parts])

    def add_traffic(self, run: str, *, requests: int, retries: int) -> None:
        """Add to a run's count of requests, and of those that were retries."""
        statement = "UPDATE run SET requests = requests + ?, retries = retries + ? WHERE run = ?"
        self._write([(statement, (requests, retries, run))])

    # --- chunks ------------------------------------------------------------------------------------------------

    def recover(self, run: str, stream: int, *, hold: bool, within: range = ALL) -> list[ChunkRow]:
        """Name the intents that a crash left: each counts one ambiguous attempt, and is queued again or held.

        Args:
            run: of which run.
            stream: of which of its streams.
            hold: whether they are held.
            within: of which sequences; what lies beside them may be in another sender's hands.
        """
        left = self.chunks(run, stream, "intent", within=within)
        if left:
            statement = (
                "UPDATE chunk SET ambiguous = ambiguous + 1, status = NULL, state = ? "
                f"WHERE run = ? AND stream = ? AND {_WITHIN} AND state = 'intent'"
            )
            self._write([(statement, ("held" if hold else "queued", run, stream, within.start, within.stop))])
        return left

    def queued(self, run: str, stream: int, *, aside: bool = False, within: range = ALL) -> list[ChunkRow]:
        """Return the chunks that were begun and still have to be sent; or those that come after all others."""
        rows = self.chunks(run, stream, "queued", within=within)
        return [row for row in rows if (row.aside is not None) == aside]

    def rejected(self, run: str, stream: int, *, within: range = ALL) -> list[int]:
        """Return the sequences that the API refused, each judged by itself, ascending."""
        rows = self.chunks(run, stream, "rejected", within=within)
        return sorted(sequence for row in rows for sequence in row.sequences)

    def has_refused(self, run: str) -> bool:
        """Whether the API refused anything of a run."""
        return bool(self._query("SELECT 1 FROM chunk WHERE run = ? AND state = 'rejected' LIMIT 1", run))

    def dropped(self, run: str) -> set[tuple[str, str]]:
        """Return which dead letters of a run a person dropped: stream and number."""
        names = list(self.counts(run))
        dropped = [row for position in range(len(names)) for row in self.chunks(run, position, "dropped")]
        return {(names[row.stream], str(sequence)) for row in dropped for sequence in row.sequences}

    def has_aside(self, run: str) -> bool:
        """Whether anything of a run comes after all others."""
        return bool(self._query(f"SELECT 1 FROM chunk WHERE run = ? AND {ASIDE} LIMIT 1", run))

    def chunks(self, run: str, stream: int, *states: ChunkState, within: range = ALL) -> list[ChunkRow]:
        """Return a stream's chunks in some states, in order; those that begin within some sequences."""
        marks = ", ".join("?" * len(states))
        rows = self._query(
            f"{SELECT_CHUNK} WHERE run = ? AND stream = ? AND {_WITHIN} AND state IN ({marks}) "
            "ORDER BY first, members", run, stream, within.start, within.stop, *states,
        )  # fmt: skip
        return [ChunkRow(*row) for row in rows]

    def chunks_with(self, run: str, stream: int, sequence: int) -> list[ChunkRow]:
        """Return the chunks that carry a record, or did before they were cut: the plan's own first."""
        own = "SELECT max(first) FROM chunk WHERE run = ? AND stream = ? AND part = 0 AND first <= ?"
        rows = self._query(
            f"{SELECT_CHUNK} WHERE run = ? AND stream = ? AND first <= ? AND (part = 1 OR first = ({own})) "
            "ORDER BY part, records DESC, first",
            run, stream, sequence, run, stream, sequence,
        )  # fmt: skip
        return [row for row in (ChunkRow(*row) for row in rows) if row.carries(sequence)]

    def chunks_before(self, run: str, stream: int, first: int) -> int:
        """Return how many chunks of a plan were begun that come before the one that begins with a sequence."""
        statement = "SELECT count(*) FROM chunk WHERE run = ? AND stream = ? AND part = 0 AND first < ?"
        ((count,),) = self._query(statement, run, stream, first)
        return int(count)

    def begun(self, run: str, stream: int, *, within: range = ALL) -> set[int]:
        """Return the first sequences of the plan's chunks that were ever intended."""
        rows = self._query(
            f"SELECT first FROM chunk WHERE run = ? AND stream = ? AND {_WITHIN} AND part = 0",
            run, stream, within.start, within.stop,
        )  # fmt: skip
        return {int(first) for (first,) in rows}

    def commit(self, run: str, entries: Sequence[Entry]) -> None:
        """Commit what is to be remembered of chunks, all of it together; returns only when it is durable.

        What several workers wait to commit at once shares one transaction.
        """
        self._commit([statement for entry in entries for statement in _statements(run, entry)])

    def _commit(self, statements: list[Statement]) -> None:
        """Make statements durable; those of several workers that wait at once share one commit.

        Each caller returns only when its own are durable, so an intent is still committed before its first byte.
        """
        ticket = _Ticket(statements)
        self._waiting.append(ticket)
        with self._committing:
            if not ticket.ended:
                self._commit_together([self._waiting.popleft() for _ in range(len(self._waiting))])
        if ticket.error is not None:
            raise ticket.error

    def _commit_together(self, tickets: "list[_Ticket]") -> None:
        try:
            self._write(statement for ticket in tickets for statement in ticket.statements)
        except BaseException as error:  # noqa: BLE001  # every waiting worker has to hear of it
            for ticket in tickets:
                ticket.error = error
        for ticket in tickets:
            ticket.ended = True

    def ever_delivered(self) -> bool:
        """Whether anything was ever delivered from this state."""
        return bool(self._query("SELECT 1 FROM chunk WHERE state = 'delivered' LIMIT 1"))

    def counts(self, run: str) -> dict[str, Counts]:
        """Add up where every row of a run's streams went, by the stream's name."""
        rows = self._query(f"{_COUNTS} WHERE s.run = ? {_OF_EACH_STREAM}", run)
        return {str(name): _counts_in(row) for _, name, *row in rows}

    def all_counts(self) -> dict[tuple[str, str], Counts]:
        """Add up where every row of all runs' streams went, by the run's and the stream's name."""
        rows = self._query(f"{_COUNTS} {_OF_EACH_STREAM}")
        return {(str(run), str(name)): _counts_in(row) for run, name, *row in rows}

    def planned(self, run: str, stream: int) -> dict[str, int | str]:
        """Return what was noted of a stream's plan, by name."""
        names = ("name", "records", *_PLANNED, "mapping")
        rows = self._query(f"SELECT {', '.join(names)} FROM stream WHERE run = ? AND position = ?", run, stream)
        return dict(zip(names, rows[0], strict=True)) if rows else {}

    def release(self, run: str, members: str | None, *, state: ChunkState) -> list[ChunkRow]:
        """Take held chunks of a run (one, or all) out of being held; return what they were."""
        chosen = "WHERE run = ? AND state = 'held' AND members = coalesce(?, members)"
        rows = self._query(f"{SELECT_CHUNK} {chosen} ORDER BY stream, first", run, members)
        self._write([(f"UPDATE chunk SET state = ? {chosen}", (state, run, members))])
        return [ChunkRow(*row) for row in rows]

    def unsettled(self, run: str) -> set[int]:
        """Return the positions of a run's streams whose memory is not up to date.

        It is not when what was set aside has ended since: until then its stream is settled with a claim for it.
        """
        aside = f"SELECT 1 FROM chunk c WHERE c.run = s.run AND c.stream = s.position AND {ASIDE}"
        rows = self._query(
            "SELECT position FROM stream s WHERE run = ? AND (settled = 0 OR (settled = ? AND NOT EXISTS "
            f"({aside})))", run, CLAIMING,
        )  # fmt: skip
        return {int(position) for (position,) in rows}

    def is_settled_with_claims(self, run: str, stream: int) -> bool:
        """Whether a stream was settled with claims for what was set aside."""
        where = "run = ? AND position = ? AND settled = ?"
        return bool(self._query(f"SELECT 1 FROM stream WHERE {where}", run, stream, CLAIMING))

    def sent(self, run: str) -> dict[str, str | None]:
        """Return the digest of what each stream of a settled run has delivered; None for nothing, or not settled."""
        return {
            str(name): digest
            for name, digest in self._query("SELECT name, sent FROM stream WHERE run = ? ORDER BY position", run)
        }

    # --- dead letters that were taken up again -------------------------------------------------------------------

    def replayed(self, letters: str) -> set[tuple[str, str]]:
        """Return which dead letters of a run were taken up again: stream and number."""
        rows = self._query("SELECT stream, number FROM replay WHERE letters = ?", letters)
        return {(str(stream), str(number)) for stream, number in rows}

    def taken_up(self, letters: str, stream: str, number: str) -> tuple[str, int | None] | None:
        """Return the run that took up a dead letter again, and the record's sequence there, if it made one."""
        statement = "SELECT run, sequence FROM replay WHERE letters = ? AND stream = ? AND number = ?"
        return next(((str(run), sequence) for run, sequence in self._query(statement, letters, stream, number)), None)

    def is_replay(self, run: str) -> bool:
        """Whether a run took up dead letters."""
        return bool(self._query("SELECT 1 FROM replay WHERE run = ? LIMIT 1", run))

    def give_back(self, run: str, stream: str, sequences: Sequence[int]) -> None:
        """Let the dead letters of records that a closed run never sent be taken up another time."""
        statement = "DELETE FROM replay WHERE run = ? AND stream = ? AND sequence = ?"
        self._write((statement, (run, stream, sequence)) for sequence in sequences)


@dataclass
class _Ticket:
    """Statements that wait for a commit, whether it was tried, and what stood in its way."""

    statements: list[Statement]
    ended: bool = False
    error: BaseException | None = None


_ADD_RUN: Final = """
    INSERT INTO run (number, run, status, as_of, interval_start, interval_end, plan_digest, created_at)
    VALUES ((SELECT coalesce(max(number), 0) + 1 FROM run), ?, 'running', ?, ?, ?, ?, ?)
"""
_PLANNED: Final = tuple(count.name for count in PLANNED)
_ADD_STREAM: Final = f"""
    INSERT INTO stream (run, position, name, mapping, records, {", ".join(_PLANNED)})
    VALUES (?, ?, ?, ?, ?{", ?" * len(_PLANNED)})
"""
_ADD_PART: Final = """
    INSERT INTO chunk (run, stream, first, members, records, part, state, ambiguous, aside, digest)
    SELECT ?, ?, ?, ?, ?, 1, 'queued', ambiguous, aside, ?
    FROM chunk WHERE run = ? AND stream = ? AND first = ? AND members = ?
"""
_WAIT: Final = """
    INSERT INTO chunk (run, stream, first, members, records, part, state, digest, aside)
    VALUES (?, ?, ?, ?, ?, 0, 'queued', ?, ?)
    ON CONFLICT (run, stream, first, members)
    DO UPDATE SET state = 'queued', aside = coalesce(chunk.aside, excluded.aside)
"""
# A row that holds the first and the last attempts loses what is between them before more are added.
_BEGINNING, _END = ATTEMPTS_FIRST * ATTEMPT_LETTERS, ATTEMPTS_LAST * ATTEMPT_LETTERS
_ADD_TRIES: Final = f"""
    tries = CASE WHEN length(tries) > {_BEGINNING + _END}
                 THEN substr(tries, 1, {_BEGINNING}) || substr(tries, length(tries) - {_END - 1}) ELSE tries END || ?
"""
# What has waited for another fails from its own first failure on, and not since it began to wait.
_CONCLUDE: Final = f"""
    UPDATE chunk SET state = ?, attempts = attempts + ?, ambiguous = ambiguous + ?, status = ?,
                     aside = CASE WHEN attempts = 0 THEN coalesce(?, aside) ELSE coalesce(aside, ?) END, {_ADD_TRIES}
    WHERE run = ? AND stream = ? AND first = ? AND members = ?
"""
_COUNT_AMBIGUOUS: Final = f"""
    UPDATE chunk SET attempts = attempts + ?, ambiguous = ambiguous + 1, {_ADD_TRIES}
    WHERE run = ? AND stream = ? AND first = ? AND members = ?
"""
_INTEND: Final = """
    INSERT INTO chunk (run, stream, first, members, records, part, state, digest) VALUES (?, ?, ?, ?, ?, 0, 'intent', ?)
    ON CONFLICT (run, stream, first, members)
    DO UPDATE SET state = 'intent'
"""
_COUNTS: Final = f"""
    SELECT s.run, s.name, s.records, {", ".join(f"s.{name}" for name in _PLANNED)},
           {", ".join(f"coalesce(sum(c.records) FILTER (WHERE {count.chunks}), 0)" for count in SENT)}
    FROM stream s LEFT JOIN chunk c ON c.run = s.run AND c.stream = s.position
"""
_OF_EACH_STREAM: Final = "GROUP BY s.run, s.position ORDER BY s.run, s.position"


def _counts_in(row: Sequence[Any]) -> Counts:
    """Return the counts that a row of that SELECT says after the names."""
    records, *numbers = map(int, row)
    planned = Counts(**dict(zip(_PLANNED, numbers, strict=False)))
    sent = dict(zip((count.name for count in SENT), numbers[len(_PLANNED) :], strict=True))
    ended = sum(sent[count.name] for count in SENT if count.side == "out")
    return planned + Counts(**sent, pending=records - ended)


def _columns_of(new: NewStream) -> tuple[object, ...]:
    counts = (getattr(new.counts, name) for name in _PLANNED)
    return (new.position, new.name, new.mapping, new.counts.pending, *counts)


def _statements(run: str, entry: Entry) -> Iterator[Statement]:
    match entry:
        case Intent(chunk):
            yield _INTEND, (run, *_name(chunk), len(chunk.sequences), chunk.digest)
        case Ambiguous(chunk, attempts, tries):
            yield _COUNT_AMBIGUOUS, (attempts, spell_attempts(tries), run, *_name(chunk))
        case Concluded():
            yield _conclude(run, entry)
        case SplitInto(was, parts):
            yield _conclude(run, was)
            for part in parts:
                yield _ADD_PART, (run, *_name(part), len(part.sequences), part.digest, run, *_name(was.chunk))
        case Meets(emulator):
            yield NOTE, (EMULATOR, emulator)
        case Behind(chunk, since):
            yield _WAIT, (run, *_name(chunk), len(chunk.sequences), chunk.digest, since)


def _conclude(run: str, was: Concluded) -> Statement:
    values = (was.state, was.attempts, was.ambiguous, was.status, was.aside, was.aside, spell_attempts(was.tries))
    return _CONCLUDE, (*values, run, *_name(was.chunk))


def _name(chunk: Chunk) -> tuple[int, int, str]:
    return chunk.stream, chunk.sequences[0], chunk.members
