"""The state of a pipeline on disk: where everything lies, whose it is, and that only one run uses it at a time.

<state>/<pipeline>@<environment>@<host>/
ledger.db      lock
plans/<run>/   snapshots/<stream>/   dead_letters/<run>.jsonl
"""

import contextlib
import fcntl
import hashlib
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bucket_loader.config import Pipeline
from bucket_loader.errors import StateError, StateLockedError
from bucket_loader.ledger import Ledger
from bucket_loader.records import make_folder, sync

FOLDER = ".bucket_loader"


@dataclass
class State:
    """An opened state: locked, and its ledger open."""

    root: Path
    ledger: Ledger
    _lock: IO[bytes]

    @property
    def plans(self) -> Path:
        """Where plans lie."""
        return self.root / "plans"

    @property
    def snapshots(self) -> Path:
        """Where the streams' memory lies."""
        return self.root / "snapshots"

    def dead_letters(self, run: str) -> Path:
        """Give the file for what a run rejects."""
        return self.root / "dead_letters" / f"{run}.jsonl"

    def memory(self) -> dict[str, list[Path]]:
        """Give each stream's snapshot parts, oldest first."""
        return {stream: [self.snapshots / file for file in files] for stream, files in self.ledger.memory().items()}

    def close(self) -> None:
        """Close the ledger and let the next run in."""
        self.ledger.close()
        self._lock.close()


def folder_of(pipeline: Pipeline, state: Path) -> Path:
    """Give the folder of a pipeline's state: a name, a host and an environment have one together."""
    parts = (pipeline.name, pipeline.destination.environment, pipeline.destination.host)
    return state / "@".join(re.sub(r"[^A-Za-z0-9_.-]+", "_", part) for part in parts)


def open_state(
    pipeline: Pipeline, state: Path, *, expect: bool = False, key_rotated: bool = False, check_key: bool = True
) -> State:
    """Open and lock a pipeline's state, and hold it against the key.

    Raises:
        StateError: `expect` and there is none; the key is another one; the ledger is damaged.
        StateLockedError: another copy is running on it.
    """
    root = folder_of(pipeline, state)
    if expect and not (root / "ledger.db").exists():
        raise StateError(
            f"there is no state at {root}, and --expect-state asks for one",
            hint="give the right --state, or leave --expect-state out on the very first run",
        )
    try:
        make_folder(root)
        lock = (root / "lock").open("ab")
    except OSError as error:
        raise StateError(
            f"cannot write the state at {root}: {error.strerror}", hint="give a writable folder with --state"
        ) from None
    with contextlib.ExitStack() as undo:
        undo.callback(lock.close)
        _take(lock, root)
        for folder in (root.parent, root, *(path for path in root.iterdir() if path.is_dir())):
            sync(folder)  # names that a death may have left unsynced
        ledger = Ledger(root / "ledger.db")
        undo.callback(ledger.close)
        if check_key:
            _check_key(ledger, pipeline, key_rotated=key_rotated)
        undo.pop_all()
    return State(root, ledger, lock)


def look_at_state(pipeline: Pipeline, state: Path) -> State | None:
    """Open a state to read in it, beside a run that may be using it; None when there is none."""
    root = folder_of(pipeline, state)
    if not (root / "ledger.db").exists():
        return None
    return State(root, Ledger(root / "ledger.db"), (root / "lock").open("rb"))


def _take(lock: IO[bytes], root: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise StateLockedError(
            f"another copy is running on {root}",
            hint="wait for it and run again; the lock goes with its process, there is nothing to remove",
        ) from None


def _check_key(ledger: Ledger, pipeline: Pipeline, *, key_rotated: bool) -> None:
    """Refuse another key than the state's: another key is another Bucket environment, most of the time.

    A key that never delivered anything may have been a mistake, so it binds nothing.
    """
    salt = ledger.meta("key_salt") or secrets.token_hex(16)
    key = pipeline.destination.key.get_secret_value()
    fingerprint = hashlib.scrypt(key.encode(), salt=salt.encode(), n=2**12, r=8, p=1, dklen=16).hex()
    known = ledger.meta("key_fingerprint")
    if known not in {None, fingerprint} and not key_rotated and ledger.ever_delivered():
        raise StateError(
            "this state belongs to another key",
            hint="is this the right environment? If the key of the same one was renewed, run once with --key-rotated",
        )
    if known != fingerprint:
        ledger.note(key_salt=salt, key_fingerprint=fingerprint, pipeline=pipeline.name)
