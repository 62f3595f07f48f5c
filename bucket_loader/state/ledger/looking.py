"""A ledger that is only read: nothing changes, also where its disk cannot be written or its version is an older one."""

import contextlib
import re
import shutil
import sqlite3
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import quote

from bucket_loader.model import StateError
from bucket_loader.state.ledger.database import OLDER, Database, layout
from bucket_loader.state.ledger.ledger import Ledger
from bucket_loader.state.ledger.sqlite import LOCKED_S_MAX, SqliteDatabase

_TABLE: Final = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")


def look_at_file(path: Path) -> Ledger | None:
    """Open a ledger's file to read in it, beside a run that may be using it; None when there is none.

    Raises:
        StateError: it cannot be read.
        LedgerDamagedError: it is not what it was.
    """
    try:
        path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error.strerror or "") from None
    with contextlib.ExitStack() as undo:
        database = _ToRead(path)
        undo.callback(database.close)
        if not database.has_begun():
            return None
        database.require_sound()
        ledger = to_read(database)
        undo.pop_all()
    return ledger


def to_read(database: Database) -> Ledger:
    """Return a ledger to read in; one of an older version is read from a copy that is brought up to date."""
    ((version,),) = database.query("SELECT max(value) FROM meta WHERE name = 'schema'")
    if version not in OLDER:
        return Ledger(database)
    copy = _ToRead(Path(database.name), _connect(":memory:"))
    for statement, parameters in layout(lambda _table: set()):
        copy.write([(statement, parameters)])
        if (table := _TABLE.match(statement)) is not None and (columns := sorted(database.columns(table[1]))):
            rows = database.query(f"SELECT {', '.join(columns)} FROM {table[1]}")
            marks = ", ".join("?" * len(columns))
            copy.write([(f"INSERT INTO {table[1]} ({', '.join(columns)}) VALUES ({marks})", row) for row in rows])
    database.close()
    return Ledger(copy)


class _ToRead(SqliteDatabase):
    """A file that is not written, or a copy in memory."""

    def __init__(self, path: Path, connection: sqlite3.Connection | None = None) -> None:
        self._lock = threading.Lock()
        self._path = path
        with self._explained():
            self._connection = connection or _connection(path)

    def _refused(self, error: sqlite3.OperationalError) -> StateError:
        return _unreadable(self._path, str(error))


def _connection(path: Path) -> sqlite3.Connection:
    """Connect to a file without changing it, also where SQLite cannot make the files that it wants beside it."""
    try:
        # Not `mode=ro`: it would leave the files that SQLite makes beside this one.
        connection = _opened(path)
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.OperationalError:
        with TemporaryDirectory(prefix="bucket_loader-") as folder:
            for name in (path.name, f"{path.name}-wal"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(path.with_name(name), Path(folder, name))
            connection = _connect(":memory:")
            with contextlib.closing(_opened(Path(folder, path.name))) as copy:
                copy.backup(connection)
    return connection


def _opened(path: Path) -> sqlite3.Connection:
    connection = _connect(f"file:{quote(bytes(path.absolute()))}?mode=rw")
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(where: str) -> sqlite3.Connection:
    return sqlite3.connect(where, isolation_level=None, check_same_thread=False, timeout=LOCKED_S_MAX, uri=True)


def _unreadable(path: Path, why: str) -> StateError:
    return StateError(f"the ledger {path} cannot be read: {why}", hint="look as a user who may read the state's folder")
