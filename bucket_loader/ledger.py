"""The ledger: the durable memory of runs and chunks, in SQLite.

An intent is committed before its first byte is sent, an outcome before the worker takes the next chunk; one commit may
carry both. `synchronous=FULL`: what was committed survives a power cut. Statements run under one lock, so that workers
may call from any thread.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

from bucket_loader.errors import LedgerDamagedError, StateError, StateUnavailableError
from bucket_loader.records import Chunk, Counts, LoadedFile, read_ranges

SCHEMA_VERSION: Final = "3"
_OLDER: Final = ("1", "2")
_ADDED: Final = {"removed": "INTEGER NOT NULL DEFAULT 0"}  # columns of `stream` that older ones lack
PLANS: Final = "plans"  # the folder beside the ledger, made by the first plan
LOCKED_S_MAX: Final = 10.0  # for another program that has the file open: a backup, a person with `sqlite3`
_SYNCHRONOUS_FULL: Final = 2

RunStatus = Literal["running", "succeeded", "rejected", "unfinished", "stopped", "failed", "abandoned"]
ChunkState = Literal["queued", "intent", "delivered", "rejected", "split", "held", "dropped"]


@dataclass(frozen=True)
class RunRow:
    """A run as the ledger knows it."""

    run: str
    number: int
    status: RunStatus
    as_of: str
    interval_start: str | None
    interval_end: str | None
    plan_digest: str
    created_at: str
    ended_at: str | None
    exit_code: int | None
    requests: int
    retries: int


@dataclass(frozen=True)
class NewStream:
    """What the ledger keeps of a planned stream."""

    position: int
    name: str
    records: int
    read: int
    rejected: int
    filtered: int
    superseded: int
    unchanged: int
    mapping: str
    removed: int = 0


@dataclass(frozen=True)
class Replay:
    """A dead letter that a run takes up again.

    Attributes:
        letters: the run that wrote it.
        stream: its stream's name.
        number: the last part of its id.
        sequence: its record in the run that takes it up; None when it made none.
    """

    letters: str
    stream: str
    number: str
    sequence: int | None


@dataclass(frozen=True)
class ChunkRow:
    """A chunk as the ledger knows it."""

    stream: int
    members: str
    records: int
    state: ChunkState
    attempts: int
    ambiguous: int
    digest: bytes

    @property
    def sequences(self) -> tuple[int, ...]:
        """The sequences that it carries."""
        return read_ranges(self.members)


class Ledger:
    """One state's ledger; open it under the state's lock."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._committing = threading.Lock()
        self._waiting: deque[_Ticket] = deque()
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(OSError):  # SQLite says why it cannot be made
            path.touch(mode=0o600)  # the files that SQLite puts beside it are as private as this one
        with self._explained():
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=LOCKED_S_MAX
            )
        try:
            with self._explained():
                self._prepare(path)
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Tell what stands in the way for now (a full disk, a lock) from a file that is not what it was."""
        try:
            yield
        except UnicodeDecodeError:
            raise _damaged(self._path, "a text in it is none") from None
        except sqlite3.DatabaseError as error:
            if type(error) is sqlite3.DatabaseError or "decode" in str(error):
                raise _damaged(self._path, str(error)) from None
            if isinstance(error, sqlite3.OperationalError):
                raise _unwritable(error) from None
            raise

    def _prepare(self, path: Path) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        (synchronous,) = self._connection.execute("PRAGMA synchronous").fetchone()
        if synchronous != _SYNCHRONOUS_FULL:
            raise StateError("this SQLite does not sync its commits", hint="use a SQLite that honours synchronous=FULL")
        if not self._tables():
            if (path.parent / PLANS).exists():  # there were runs, so there was a ledger
                raise _damaged(path, "it is empty; was it copied without its -wal file?")
            self._lay_out()
        (verdict,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise _damaged(path, str(verdict))
        if self.meta("schema") in _OLDER:
            self._lay_out()
        if self.meta("schema") != SCHEMA_VERSION:
            raise StateError(
                f"the ledger {path} has schema {self.meta('schema')}, this version reads {SCHEMA_VERSION}",
                hint="use the version of bucket_loader that wrote it",
            )

    def _lay_out(self) -> None:
        statements = files("bucket_loader").joinpath("ledger.sql").read_text("utf-8")
        found = {name for _, name, *_ in self._connection.execute("PRAGMA table_info(stream)")}
        added = [f"ALTER TABLE stream ADD COLUMN {name} {kind};" for name, kind in _ADDED.items() if name not in found]
        self._connection.executescript(
            f"BEGIN IMMEDIATE; {' '.join(added) if found else ''} {statements} "
            f"INSERT OR REPLACE INTO meta VALUES ('schema', '{SCHEMA_VERSION}'); COMMIT;"
        )

    def _tables(self) -> int:
        (count,) = self._connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()
        return int(count)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Run statements as one commit; the lock is held, and nothing is left half done."""
        with self._lock, self._explained():
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
                raise

    def _query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self._lock, self._explained():
            return self._connection.execute(statement, parameters).fetchall()

    # --- meta --------------------------------------------------------------------------------------------------

    def meta(self, name: str) -> str | None:
        """Give what is noted under a name."""
        rows = self._query("SELECT value FROM meta WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    def note(self, **values: str) -> None:
        """Note values under names."""
        with self._transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(values.items()))

    # --- runs --------------------------------------------------------------------------------------------------

    def add_run(  # noqa: PLR0913  # a row's columns
        self, run: str, *, as_of: str, interval: tuple[str, str] | None, plan_digest: str, created_at: str,
        streams: Sequence[NewStream], replays: Sequence["Replay"] = (),
    ) -> None:  # fmt: skip
        """Note a finished plan: from here on its run exists, and what it replays is taken up."""
        start, end = interval or (None, None)
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO run (run, number, status, as_of, interval_start, interval_end, plan_digest, created_at) "
                "VALUES (?, (SELECT coalesce(max(number), 0) + 1 FROM run), 'running', ?, ?, ?, ?, ?)",
                (run, as_of, start, end, plan_digest, created_at),
            )
            connection.executemany(
                "INSERT INTO stream (run, position, name, records, read, rejected, filtered, superseded, unchanged, "
                "mapping, removed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (run, new.position, new.name, new.records, new.read, new.rejected, new.filtered, new.superseded,
                     new.unchanged, new.mapping, new.removed)
                    for new in streams
                ],
            )  # fmt: skip
            connection.executemany(
                "INSERT INTO replay VALUES (?, ?, ?, ?, ?)",
                [(one.letters, one.stream, one.number, run, one.sequence) for one in replays],
            )

    def runs(self, *statuses: RunStatus) -> list[RunRow]:
        """Give the runs, oldest first; those of some statuses when any are named."""
        rows = self._query(
            "SELECT run, number, status, as_of, interval_start, interval_end, plan_digest, created_at, ended_at, "
            "exit_code, requests, retries FROM run ORDER BY number"
        )
        found = [RunRow(*row) for row in rows]
        return [row for row in found if not statuses or row.status in statuses]

    def end_run(self, run: str, status: RunStatus, *, exit_code: int, ended_at: str) -> None:
        """Say how a run ended, for now or for good."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE run SET status = ?, exit_code = ?, ended_at = ? WHERE run = ?",
                (status, exit_code, ended_at, run),
            )

    def add_traffic(self, run: str, *, requests: int, retries: int) -> None:
        """Add to a run's count of requests, and of those that were retries."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE run SET requests = requests + ?, retries = retries + ? WHERE run = ?", (requests, retries, run)
            )

    # --- chunks ------------------------------------------------------------------------------------------------

    def recover(self, run: str, stream: int, *, hold: bool) -> list[ChunkRow]:
        """Name the intents that a crash left: each counts one ambiguous attempt, and is queued again or held."""
        with self._transaction() as connection:
            left = connection.execute(
                f"{_SELECT_CHUNK} WHERE run = ? AND stream = ? AND state = 'intent' ORDER BY first", (run, stream)
            ).fetchall()
            connection.execute(
                "UPDATE chunk SET ambiguous = ambiguous + 1, status = NULL, state = ? "
                "WHERE run = ? AND stream = ? AND state = 'intent'",
                ("held" if hold else "queued", run, stream),
            )
        return [ChunkRow(*row) for row in left]

    def queued(self, run: str, stream: int) -> list[ChunkRow]:
        """Give the chunks that were begun and still have to be sent."""
        return self.chunks(run, stream, "queued")

    def chunks(self, run: str, stream: int, *states: ChunkState) -> list[ChunkRow]:
        """Give a stream's chunks in some states, in order."""
        marks = ", ".join("?" * len(states))
        rows = self._query(
            f"{_SELECT_CHUNK} WHERE run = ? AND stream = ? AND state IN ({marks}) ORDER BY first, members",
            run, stream, *states,
        )  # fmt: skip
        return [ChunkRow(*row) for row in rows]

    def begun(self, run: str, stream: int) -> set[int]:
        """Give the first sequences of the plan's chunks that were ever intended."""
        rows = self._query("SELECT first FROM chunk WHERE run = ? AND stream = ? AND part = 0", run, stream)
        return {int(first) for (first,) in rows}

    def intend(self, run: str, chunk: Chunk) -> None:
        """Commit the intent to send a chunk; returns only when it is durable."""
        self._commit([(_INTEND, _intent(run, chunk))])

    def conclude(self, run: str, chunk: Chunk, conclusion: "Conclusion", following: Chunk | None = None) -> None:
        """Commit what became of a chunk, and with it the intent of the worker's next."""
        values = (conclusion.state, conclusion.attempts, conclusion.ambiguous, conclusion.status)
        statements: list[_Statement] = [(_CONCLUDE, (*values, run, *_name(chunk)))]
        if following is not None:
            statements.append((_INTEND, _intent(run, following)))
        self._commit(statements)

    def count_ambiguous(self, run: str, chunk: Chunk) -> None:
        """Name an attempt that may have been applied, before the chunk is sent again."""
        self._commit([(_COUNT_AMBIGUOUS, (run, *_name(chunk)))])

    def _commit(self, statements: "list[_Statement]") -> None:
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
            with self._transaction() as connection:
                for ticket in tickets:
                    for statement, values in ticket.statements:
                        connection.execute(statement, values)
        except BaseException as error:  # noqa: BLE001  # every waiting worker has to hear of it
            for ticket in tickets:
                ticket.error = error
        for ticket in tickets:
            ticket.ended = True

    def split(self, run: str, chunk: Chunk, parts: Sequence[Chunk], conclusion: "Conclusion") -> None:
        """Commit that a chunk is replaced by its parts, each queued: they are intents of their own."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE chunk SET state = 'split', attempts = attempts + ?, ambiguous = ambiguous + ?, status = ? "
                "WHERE run = ? AND stream = ? AND first = ? AND members = ?",
                (conclusion.attempts, conclusion.ambiguous, conclusion.status, run, *_name(chunk)),
            )
            connection.executemany(
                "INSERT INTO chunk (run, stream, first, members, records, part, state, ambiguous, digest) "
                "VALUES (?, ?, ?, ?, ?, 1, 'queued', (SELECT ambiguous FROM chunk WHERE run = ? AND stream = ? "
                "AND first = ? AND members = ?), ?)",
                [
                    (run, *_name(part)[:2], part.members, len(part.sequences), run, *_name(chunk), _digest(part))
                    for part in parts
                ],
            )

    def ever_delivered(self) -> bool:
        """Tell whether anything was ever delivered from this state."""
        return bool(self._query("SELECT 1 FROM chunk WHERE state = 'delivered' LIMIT 1"))

    def counts(self, run: str) -> dict[str, Counts]:
        """Add up where every row of a run's streams went, by the stream's name."""
        rows = self._query(
            """
            SELECT s.name, s.records, s.read, s.removed, s.rejected, s.filtered, s.superseded, s.unchanged,
                   coalesce(sum(c.records) FILTER (WHERE c.state = 'delivered'), 0),
                   coalesce(sum(c.records) FILTER (WHERE c.state IN ('rejected', 'dropped')), 0),
                   coalesce(sum(c.records) FILTER (WHERE c.state IN ('intent', 'held')
                            OR (c.state = 'queued' AND c.ambiguous > 0 AND c.status IS NULL)), 0),
                   coalesce(sum(c.records) FILTER (WHERE (c.state IN ('delivered', 'rejected') AND c.ambiguous > 0)
                            OR (c.state = 'dropped' AND c.ambiguous > 1)), 0)
            FROM stream s LEFT JOIN chunk c ON c.run = s.run AND c.stream = s.position
            WHERE s.run = ? GROUP BY s.position ORDER BY s.position
            """,
            run,
        )
        counts = {}
        for name, records, read, removed, rejected, filtered, superseded, unchanged, *chunks in rows:
            delivered, refused, unknown, twice = chunks
            counts[name] = Counts(
                read=read, removed=removed, delivered=delivered, rejected=rejected + refused, unchanged=unchanged,
                superseded=superseded, filtered=filtered, pending=records - delivered - refused, unknown=unknown,
                possibly_duplicated=twice,
            )  # fmt: skip
        return counts

    def planned(self, run: str, stream: int) -> dict[str, int | str]:
        """Give what was noted of a stream's plan, by name."""
        names = ("name", "records", "read", "removed", "rejected", "filtered", "superseded", "unchanged", "mapping")
        rows = self._query(f"SELECT {', '.join(names)} FROM stream WHERE run = ? AND position = ?", run, stream)
        return dict(zip(names, rows[0], strict=True)) if rows else {}

    def release(self, run: str, members: str | None, *, state: ChunkState) -> list[ChunkRow]:
        """Take held chunks of a run (one, or all) out of being held; gives what they were."""
        with self._transaction() as connection:
            chosen = "WHERE run = ? AND state = 'held' AND members = coalesce(?, members)"
            rows = connection.execute(f"{_SELECT_CHUNK} {chosen} ORDER BY stream, first", (run, members)).fetchall()
            connection.execute(f"UPDATE chunk SET state = ? {chosen}", (state, run, members))
        return [ChunkRow(*row) for row in rows]

    # --- dead letters that were taken up again -------------------------------------------------------------------

    def replayed(self, letters: str) -> set[tuple[str, str]]:
        """Give which dead letters of a run were taken up again: stream and number."""
        rows = self._query("SELECT stream, number FROM replay WHERE letters = ?", letters)
        return {(str(stream), str(number)) for stream, number in rows}

    def is_replay(self, run: str) -> bool:
        """Tell whether a run took up dead letters."""
        return bool(self._query("SELECT 1 FROM replay WHERE run = ? LIMIT 1", run))

    def give_back(self, run: str, stream: str, sequences: Sequence[int]) -> None:
        """Let the dead letters of records that a closed run never sent be taken up another time."""
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM replay WHERE run = ? AND stream = ? AND sequence = ?",
                [(run, stream, sequence) for sequence in sequences],
            )

    # --- memory ------------------------------------------------------------------------------------------------

    def memory(self) -> dict[str, list[str]]:
        """Give each stream's parts, oldest first."""
        found: dict[str, list[str]] = {}
        for stream, file in self._query("SELECT stream, file FROM memory ORDER BY stream, number"):
            found.setdefault(str(stream), []).append(str(file))
        return found

    def unsettled(self, run: str) -> set[int]:
        """Give the positions of a run's streams whose memory is not up to date."""
        return {int(position) for (position,) in self._query(
            "SELECT position FROM stream WHERE run = ? AND settled = 0", run)}  # fmt: skip

    def cursors(self) -> dict[str, str]:
        """Give each stream's high-water mark, as it is spelt."""
        return {str(stream): str(mark) for stream, mark in self._query("SELECT stream, mark FROM cursor")}

    def loaded_files(self) -> dict[str, frozenset[LoadedFile]]:
        """Give the files that each stream has loaded."""
        found: dict[str, set[LoadedFile]] = {}
        for stream, *file in self._query("SELECT stream, name, bytes, digest FROM loaded_file"):
            found.setdefault(str(stream), set()).add(LoadedFile(*file))
        return {stream: frozenset(files) for stream, files in found.items()}

    def settle(  # noqa: PLR0913  # what moves, moves in one commit
        self, run: str, position: int, *, stream: str, part: tuple[str, int] | None, mark: str | None = None,
        loaded: Sequence[LoadedFile] = (),
    ) -> None:  # fmt: skip
        """Commit that a stream's memory holds what this run delivered.

        Args:
            run: the run.
            position: the stream's place in its plan.
            stream: its name.
            part: the new file of memory, and its rows.
            mark: the new high-water mark, where it moves.
            loaded: files that are not to be loaded again.
        """
        with self._transaction() as connection:
            connection.execute("UPDATE stream SET settled = 1 WHERE run = ? AND position = ?", (run, position))
            if mark is not None:
                connection.execute("INSERT OR REPLACE INTO cursor VALUES (?, ?, ?)", (stream, mark, run))
            connection.executemany(
                "INSERT OR IGNORE INTO loaded_file VALUES (?, ?, ?, ?, ?)",
                [(stream, file.name, file.bytes, file.digest, run) for file in loaded],
            )
            if part is not None:
                connection.execute(
                    "INSERT INTO memory SELECT ?, coalesce(max(number), 0) + 1, ?, ?, ? FROM memory WHERE stream = ?",
                    (stream, *part, run, stream),
                )

    def replace_memory(self, stream: str, files_: Sequence[str], merged: tuple[str, int], run: str) -> None:
        """Commit that one part stands for several."""
        with self._transaction() as connection:
            numbers = connection.execute(
                f"SELECT max(number) FROM memory WHERE stream = ? AND file IN ({', '.join('?' * len(files_))})",
                (stream, *files_),
            ).fetchone()
            connection.executemany("DELETE FROM memory WHERE stream = ? AND file = ?", [(stream, f) for f in files_])
            connection.execute("INSERT INTO memory VALUES (?, ?, ?, ?, ?)", (stream, numbers[0], *merged, run))

    def last_mapping(self, stream: str) -> str | None:
        """Give the mapping that a stream's newest memory was made with; None when it has none."""
        rows = self._query(
            "SELECT s.mapping FROM memory m JOIN stream s ON s.run = m.run AND s.name = m.stream "
            "WHERE m.stream = ? ORDER BY m.number DESC LIMIT 1",
            stream,
        )
        return str(rows[0][0]) if rows else None


@dataclass(frozen=True)
class Conclusion:
    """What became of a chunk: its state, the attempts since the last commit, how many of them were ambiguous."""

    state: ChunkState
    attempts: int
    ambiguous: int = 0
    status: int | None = None


_Statement = tuple[str, tuple[object, ...]]


@dataclass
class _Ticket:
    """Statements that wait for a commit, whether it was tried, and what stood in its way."""

    statements: list[_Statement]
    ended: bool = False
    error: BaseException | None = None


_CONCLUDE: Final = """
    UPDATE chunk SET state = ?, attempts = attempts + ?, ambiguous = ambiguous + ?, status = ?
    WHERE run = ? AND stream = ? AND first = ? AND members = ?
"""
_COUNT_AMBIGUOUS: Final = """
    UPDATE chunk SET attempts = attempts + 1, ambiguous = ambiguous + 1
    WHERE run = ? AND stream = ? AND first = ? AND members = ?
"""
_SELECT_CHUNK: Final = "SELECT stream, members, records, state, attempts, ambiguous, digest FROM chunk"
_INTEND: Final = """
    INSERT INTO chunk (run, stream, first, members, records, part, state, digest) VALUES (?, ?, ?, ?, ?, 0, 'intent', ?)
    ON CONFLICT DO UPDATE SET state = 'intent'
"""


def _name(chunk: Chunk) -> tuple[int, int, str]:
    return chunk.stream, chunk.sequences[0], chunk.members


def _intent(run: str, chunk: Chunk) -> tuple[object, ...]:
    return (run, *_name(chunk), len(chunk.sequences), _digest(chunk))


def _digest(chunk: Chunk) -> bytes:
    return sha256(chunk.body).digest()


def _unwritable(error: sqlite3.OperationalError) -> StateUnavailableError:
    return StateUnavailableError(
        f"the ledger cannot be written: {error}",
        hint="make room on its disk, then run again: nothing was sent that is not recorded",
    )


def _damaged(path: Path, what: str) -> LedgerDamagedError:
    return LedgerDamagedError(
        f"the ledger {path} is damaged: {what}",
        hint="restore it from a backup, or move the state's folder away and run with `--full` after looking at Bucket",
    )
