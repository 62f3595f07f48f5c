"""A ledger in a file: SQLite, each commit synced to its disk."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bucket_loader.model import SYSTEM, Clock, LedgerDamagedError, StateError, StateUnavailableError
from bucket_loader.state.layout import StateLayout
from bucket_loader.state.ledger.database import Row, Statement, layout

LOCKED_S_MAX: Final = 10.0  # for another program that has the file open: a backup, a person with `sqlite3`
_SYNCHRONOUS_FULL: Final = 2
Connect = Callable[..., sqlite3.Connection]


class SqliteDatabase:
    """A file; `synchronous=FULL`: what was committed survives a power cut. The state's lock keeps others away."""

    def __init__(self, path: Path, clock: Clock = SYSTEM, connect: Connect | None = None) -> None:
        self._lock = clock.threading.Lock()
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(OSError):  # SQLite says why it cannot be made
            path.touch(mode=0o600)  # the files that SQLite puts beside it are as private as this one
        with self._explained():
            self._connection = (connect or sqlite3.connect)(
                path, isolation_level=None, check_same_thread=False, timeout=LOCKED_S_MAX
            )
        try:
            with self._explained():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

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
            raise _damaged(self._path, "a text in it is none") from None
        except sqlite3.DatabaseError as error:
            if type(error) is sqlite3.DatabaseError or "decode" in str(error):
                raise _damaged(self._path, str(error)) from None
            if isinstance(error, sqlite3.OperationalError):
                raise self._refused(error) from None
            raise

    def _refused(self, error: sqlite3.OperationalError) -> StateError:
        return StateUnavailableError(
            f"the ledger cannot be written: {error}",
            hint="make room on its disk, then run again: nothing was sent that is not recorded",
        )

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        (synchronous,) = self._connection.execute("PRAGMA synchronous").fetchone()
        if synchronous != _SYNCHRONOUS_FULL:
            raise StateError("this SQLite does not sync its commits", hint="use a SQLite that honours synchronous=FULL")
        if not self.has_begun():
            self.write(list(layout(self.columns)))
        self.require_sound()

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

    def require_sound(self) -> None:
        """Read through it.

        Raises:
            LedgerDamagedError: it is not what SQLite wrote.
        """
        ((verdict,),) = self.query("PRAGMA quick_check(1)")
        if verdict != "ok":
            raise _damaged(self._path, str(verdict))

    def query(self, statement: str, *parameters: object) -> list[Row]:
        """Return the rows of a SELECT."""
        with self._lock, self._explained():
            return self._connection.execute(statement, parameters).fetchall()

    def write(self, statements: Sequence[Statement]) -> None:
        """Commit statements as one transaction: nothing is left half done."""
        with self._lock, self._explained():
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                for statement, parameters in statements:
                    self._connection.execute(statement, parameters)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
                raise

    def columns(self, table: str) -> set[str]:
        """Return the names of a table's columns."""
        return {str(name) for _, name, *_ in self.query(f"PRAGMA table_info({table})")}

    def wait_until_held(self) -> None:
        """Return: the lock goes with the process."""

    def close(self) -> None:
        """Close the file; a worker that was left behind by a host's Ctrl-C may still be committing."""
        with self._lock:
            self._connection.close()


def _damaged(path: Path, what: str) -> LedgerDamagedError:
    return LedgerDamagedError(
        f"the ledger {path} is damaged: {what}",
        hint="restore it from a backup, or move the state's folder away and run with `--full` after looking at Bucket",
    )
