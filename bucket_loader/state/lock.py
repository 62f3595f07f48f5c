"""The lock of a state's folder: one process has it; no fork of it, and no program that it starts, has a part in it."""

import errno
import fcntl
import os
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from bucket_loader.model import StateError, StateLockedError, now_s
from bucket_loader.state.file_system import ELSEWHERE, name_of
from bucket_loader.state.ledger.connecting import Waiting

_BUSY: Final = (errno.EAGAIN, errno.EACCES)
_open: "Final[weakref.WeakSet[Lock]]" = weakref.WeakSet()


class Lock:
    """A file that this process locks; it keeps others out, where its file system keeps its word."""

    def __init__(self, path: Path, *, is_needed: bool = True) -> None:
        """Open it.

        Args:
            path: the file.
            is_needed: whether nothing else keeps others out.

        Raises:
            OSError: it cannot be opened.
        """
        self._path, self._is_needed = path, is_needed
        self._process = os.getpid()
        self._file = path.open("ab")
        _open.add(self)

    def take(self, waiting: Waiting) -> None:
        """Lock it; where something else keeps others out, only if it is free: who is frozen would never let go of it.

        Raises:
            StateLockedError: another copy has it, for longer than is waited.
            StateError: it cannot be locked here.
        """
        if not self._is_needed:
            self._is_taken()
            return
        began = now_s()
        ends = began + waiting.lock_s
        while not self._is_taken():
            if now_s() >= ends or waiting.is_stopped():
                raise StateLockedError(
                    f"another copy is running on {self._path.parent}",
                    hint="wait for it and run again, or wait with --wait-for-lock 10m; the lock goes with its process, "
                    "there is nothing to remove",
                )
            waiting.for_lock(str(self._path.parent), began, ends, min(1.0, max(0.0, ends - now_s())))
        waiting.tell(None)

    def _is_taken(self) -> bool:
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in _BUSY:
                    return False
                if not self._is_needed:
                    return True
                raise StateError(
                    f"the state at {self._path.parent} cannot be locked: {name_of(self._path)} says: {error.strerror}",
                    hint=ELSEWHERE,
                ) from None
            if _is_at(self._file, self._path):
                return True
            self._file.close()  # it was removed while it was waited for: others lock the one that is there now
            self._file = self._path.open("ab")

    def close(self) -> None:
        """Unlock it, also where something that this process has started still has the file open."""
        if os.getpid() == self._process and not self._file.closed:
            with suppress(OSError):  # where it could not be locked either
                fcntl.flock(self._file, fcntl.LOCK_UN)
        self._file.close()

    def let_go_in_fork(self) -> None:
        """Close it in a fork, which leaves it locked: the lock must not live on with the fork."""
        self._file.close()


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _let_go_in_fork() -> None:
    for lock in list(_open):
        lock.let_go_in_fork()


os.register_at_fork(after_in_child=_let_go_in_fork)
