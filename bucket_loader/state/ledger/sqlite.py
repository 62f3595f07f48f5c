"""A ledger in a file: SQLite, each commit synced to its disk."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from bucket_loader.model import SYSTEM, Clock, LedgerDamagedError, StateError, StateUnavailableError, written_whole
from bucket_loader.state.file_system import ELSEWHERE, name_of
from bucket_loader.state.layout import StateLayout
from bucket_loader.state.ledger.database import Row, Statement, layout
from bucket_loader.state.ledger.owning import FileOwner
from bucket_loader.state.ledger.soundness import Soundness

LOCKED_S_MAX: Final = 10.0  # for another program that has the file open: a backup, a person with `sqlite3`
_SYNCHRONOUS_FULL: Final = 2
_DAMAGE_SAYS: Final = ("decode", "unsupported file format")  # of errors that SQLite calls operational
_FREE_PAGES_MAX: Final = 1_000  # 4 MiB
Connect = Callable[..., sqlite3.Connection]


class SqliteDatabase:
    """A file; `synchronous=FULL`: what was committed survives a power cut.

    The state's lock keeps others away; where it does not, the owner that stands in the file does.
    """

    _owner: FileOwner | None = None  # who only reads is none
    _is_damaged = _is_closed = False

    def __init__(self, path: Path, clock: Clock = SYSTEM, connect: Connect | None = None) -> None:
        self._lock = clock.threading.Lock()
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make(path)
        owner = FileOwner(path)
        with self._explained():
            self._connection = (connect or sqlite3.connect)(
                path, isolation_level=None, check_same_thread=False, timeout=LOCKED_S_MAX
            )
        try:
            with self._explained():
                self._prepare(owner)
                self.write([], owner.take)
            self._owner = owner
            owner.require_file()  # it was not exchanged while it was opened
        except BaseException:
            self._connection.close()
            raise

    @property
    def owner(self) -> str:
        """The epoch of the owner."""
        return str(0 if self._owner is None else self._owner.epoch)

    @property
    def lost(self) -> StateError | None:
        """What took the file away."""
        return None if self._owner is None else self._owner.lost

    @property
    def name(self) -> str:
        """Its path."""
        return str(self._path)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Raise what stands in the way for now (a full disk, a lock) as such, and a damaged file as damage."""
        try:
            yield
        except UnicodeDecodeError:
            raise self._damage("a text in it is none") from None
        except sqlite3.DatabaseError as error:
            if type(error) is sqlite3.DatabaseError or any(said in str(error) for said in _DAMAGE_SAYS):
                raise self._damage(str(error)) from None
            if isinstance(error, sqlite3.OperationalError):
                raise self._refused(error) from None
            raise

    def _refused(self, error: sqlite3.OperationalError) -> StateError:
        code: str = getattr(error, "sqlite_errorname", "")
        if code.startswith("SQLITE_IOERR_") and ("LOCK" in code or "SHM" in code):
            return StateError(
                f"the ledger {self._path} cannot lie there: {name_of(self._path)} does not lock, or has no memory that "
                f"processes share: {error} ({code})",
                hint=ELSEWHERE,
            )
        hint = (
            "something else has it open, or its file system does not lock: close that, or give another --state"
            if "locked" in str(error)
            else "make room on its disk, then run again: nothing was sent that is not recorded"
        )
        return StateUnavailableError(f"the ledger cannot be written: {error}", hint=hint)

    def _damage(self, what: str) -> LedgerDamagedError:
        """Return what to raise of a damaged file, which does not come to a clean end then."""
        self._is_damaged = True
        return _damaged(self._path, what)

    def _prepare(self, owner: FileOwner) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        (synchronous,) = self._connection.execute("PRAGMA synchronous").fetchone()
        if synchronous != _SYNCHRONOUS_FULL:
            raise StateError("this SQLite does not sync its commits", hint="use a SQLite that honours synchronous=FULL")
        if not self.has_begun():
            self.write(list(layout(self.columns)))
        self.require_sound(owner.file)

    def has_begun(self) -> bool:
        """Whether anything is in it.

        Raises:
            LedgerDamagedError: nothing is, and it must be.
        """
        if self.columns("meta"):
            return True
        if StateLayout.of_ledger(self._path).plans.exists():  # there were runs, so there was a ledger
            raise _damaged(self._path, "it is empty; was it copied without its -wal file?")
        return False

    def require_sound(self, file: object = None) -> None:
        """Read as much of it as a start has to.

        Args:
            file: what tells the file from all others; None for whoever only looks at it.

        Raises:
            LedgerDamagedError: it is not what SQLite wrote.
        """
        self._soundness = Soundness(self.query)
        if (wrong := self._soundness.at_start(file)) is not None:
            raise self._damage(wrong)

    def keep_copy(self, version: str) -> str:
        """Put a copy of the file beside it, whole or not at all."""
        kept = StateLayout.of_ledger(self._path).ledger_of(version)
        unfinished = kept.with_name(f"{kept.name}.unfinished")
        try:
            with (
                self._lock,
                self._explained(),
                written_whole(kept, beside=unfinished),
                closing(sqlite3.connect(unfinished)) as copy,
            ):
                self._connection.backup(copy)
        except OSError as error:
            raise StateUnavailableError(
                f"no copy of the ledger can be put beside it: {error.strerror}",
                hint="make room on its disk, then run again: nothing has changed",
            ) from None
        return str(kept)

    def require_whole(self) -> None:
        """Read through all of it.

        Raises:
            LedgerDamagedError: it is not what SQLite wrote.
        """
        if (wrong := Soundness(self.query).whole()) is not None:
            raise self._damage(wrong)

    def shrink(self) -> None:
        """Write the file anew where most of it is free; what comes next would fill that as well."""
        ((pages,),), ((free,),) = self.query("PRAGMA page_count"), self.query("PRAGMA freelist_count")
        if free > _FREE_PAGES_MAX and free * 2 > pages:
            self.wait_until_held()
            self.query("VACUUM")

    def query(self, statement: str, *parameters: object) -> list[Row]:
        """Return the rows of a SELECT."""
        if self._owner is not None:
            self._owner.require_process()  # SQLite may not be used across a fork
        with self._lock, self._explained():
            return self._connection.execute(statement, parameters).fetchall()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Let all queries see the same moment."""
        self.query("BEGIN")
        try:
            yield
        finally:
            self.query("COMMIT")

    def write(self, statements: Sequence[Statement], first: Callable[[sqlite3.Connection], None] | None = None) -> None:
        """Commit statements as one transaction: nothing is left half done.

        Args:
            statements: what is committed.
            first: done in the same transaction before them, by who is not the owner yet.
        """
        owner = self._owner
        if owner is not None:
            owner.require_file()  # before it waits: in a fork there is nobody who would let go of the lock
            first = owner.require_epoch
        with self._lock, self._explained():
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                if first is not None:
                    first(self._connection)
                for statement, parameters in statements:
                    self._connection.execute(statement, parameters)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
                raise
            if owner is not None:
                owner.require_file()  # last: a commit to a file that nobody finds again is none

    def columns(self, table: str) -> set[str]:
        """Return the names of a table's columns."""
        return {str(name) for _, name, *_ in self.query(f"PRAGMA table_info({table})")}

    def wait_until_held(self) -> None:
        """Return while the file is ours; raise when it is lost."""
        if (owner := self._owner) is None:
            return
        owner.require_file()
        if self._lock.acquire(blocking=False):  # a commit under way asks the same
            try:
                owner.require_epoch(self._connection)
            except sqlite3.Error:
                return  # the next commit says what is wrong
            finally:
                self._lock.release()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Let nobody in."""
        yield

    def end_overdue(self) -> None:
        """Do nothing: one process has it."""

    def close(self) -> None:
        """Close the file; a worker that was left behind by a host's Ctrl-C may still be committing."""
        if self._is_closed or (self._owner is not None and self._owner.is_forked):
            return  # it is not a fork's to close
        self._is_closed = True
        try:
            with suppress(StateError):  # without the mark the next start reads all of it
                self._mark_closed()
        finally:
            with self._lock:
                self._connection.close()

    def _mark_closed(self) -> None:
        owner = self._owner
        if owner is not None and owner.lost is None and not self._is_damaged:
            self.write(self._soundness.closing_notes(owner.epoch, owner.file))


def _make(path: Path) -> None:
    """Make the file, for its owner alone, as those that SQLite puts beside it are then.

    One that is there is not opened: closing it would take away the locks that SQLite has on it in this process.
    """
    with suppress(OSError):  # SQLite says why it cannot be made
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def _damaged(path: Path, what: str) -> LedgerDamagedError:
    return LedgerDamagedError(
        f"the ledger {path} is damaged: {what}",
        hint="restore it from a backup, or move the state's folder away and run with `--full` after looking at Bucket",
    )
