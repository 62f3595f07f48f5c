"""Whose a ledger's file is: what its every commit compares, so that who lost it commits nothing more.

A lock can be lost without a word: its file is removed, the state's folder is removed or replaced, the file system only
pretends to lock, the process is forked. So the owner stands in the data. Who opens the ledger raises its epoch; every
transaction compares that, and the process, device and inode of the file.
"""

import os
import sqlite3
from pathlib import Path
from secrets import token_hex
from typing import Final, NoReturn

from bucket_loader.model import StateError, StateLockedError

_LAY_OUT: Final = """
    CREATE TABLE IF NOT EXISTS owner (
        one   INTEGER PRIMARY KEY CHECK (one = 1),
        epoch INTEGER NOT NULL,
        token TEXT NOT NULL
    ) WITHOUT ROWID
"""
_FIRST: Final = "INSERT INTO owner VALUES (1, 0, '') ON CONFLICT DO NOTHING"
_TAKE: Final = "UPDATE owner SET epoch = epoch + 1, token = ? RETURNING epoch"
_OWNER: Final = "SELECT epoch, token FROM owner"


class FileOwner:
    """A process that owns a ledger's file.

    Attributes:
        epoch: how often the file had been taken when this process took it, that time included.
        file: its device and inode; None where nothing can be reached.
        lost: what took the file away from it, for good.
    """

    def __init__(self, path: Path) -> None:
        self.lost: StateError | None = None
        self._path, self._name = path, str(path)
        self._process = os.getpid()
        self.file = _file_at(str(path))
        self._token = token_hex(8)
        self.epoch = 0

    def take(self, connection: sqlite3.Connection) -> None:
        """Become the owner, within a transaction."""
        connection.execute(_LAY_OUT)
        connection.execute(_FIRST)
        ((self.epoch,),) = connection.execute(_TAKE, (self._token,)).fetchall()

    @property
    def is_forked(self) -> bool:
        """Whether this process is a fork of the owner."""
        return os.getpid() != self._process

    def require_process(self) -> None:
        """Refuse a fork of the owner.

        Raises:
            StateLockedError: this process is one.
        """
        if self.is_forked:
            raise StateLockedError(
                f"the ledger {self._path} was opened by another process, and this one is a fork of it",
                hint="nothing is sent from a fork; open the state anew in it, when the other process has ended",
            )

    def require_file(self) -> None:
        """Require that this process still owns the file, as far as its name tells.

        Raises:
            StateError: it is lost.
        """
        if os.getpid() != self._process:
            self.require_process()
        if self.lost is not None:
            raise self.lost
        if self.file is None or (found := _file_at(self._name)) != self.file:
            what = "removed" if found is None else "replaced by another"
            self._lose(StateError(
                f"the state at {self._path.parent} was {what} while this run was using it",
                hint="nothing more is sent from here. Put the folder back if it was only moved: it knows what was "
                "sent. A run without it knows nothing and sends all of that again; `--expect-state` refuses that",
            ))  # fmt: skip

    def require_epoch(self, connection: sqlite3.Connection) -> None:
        """Require that nobody else has opened the file as its owner since.

        Raises:
            StateLockedError: somebody has.
        """
        if connection.execute(_OWNER).fetchall() != [(self.epoch, self._token)]:
            self._lose(StateLockedError(
                f"another copy has taken over {self._path.parent}",
                hint="nothing more is sent from here, and the other copy goes on. What was in flight is counted as "
                "possibly duplicated. Was the file `lock` removed, or does the file system not lock?",
            ))  # fmt: skip

    def _lose(self, error: StateError) -> NoReturn:
        self.lost = error
        raise error


def _file_at(path: str) -> tuple[int, int] | None:
    """Return device and inode of what lies at a path; None where nothing can be reached."""
    try:
        found = os.stat(path)  # noqa: PTH116  # a `Path` takes three calls for it
    except OSError:
        return None
    return found.st_dev, found.st_ino
