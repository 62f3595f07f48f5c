"""How far a ledger was, noted where an old copy of it does not bring the note back: so that such a copy is noticed.

    a ledger in a folder    a file in the user's own folder, $XDG_STATE_HOME/bucket_loader
    one on PostgreSQL       a file in the state's folder, and an object in its store

A mark is written after the ledger's own commit, so it is never ahead of the ledger that it was made of. It is no
promise: where it is not there, or cannot be written, nothing is said.
"""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from bucket_loader.model import StateError, folder_of_user, make_folder
from bucket_loader.state.layout import StateLayout
from bucket_loader.state.ledger import Ledger
from bucket_loader.state.store import Files

_LIFE: Final = "life"  # what a ledger notes of itself; one that goes on from an old copy has another life


class Mark(msgspec.Struct, frozen=True):
    """How far a ledger was.

    Attributes:
        life: which ledger.
        runs: the number of its last run.
        requests: how many requests that and those just before it had made.
        run: the name of its last run.
    """

    life: str
    runs: int
    requests: int
    run: str

    def is_ahead_of(self, other: "Mark") -> bool:
        """Whether it knows of what the other, of the same ledger, does not."""
        return self.life == other.life and (self.runs, self.requests) > (other.runs, other.requests)


class Marks:
    """The marks of a state."""

    def __init__(self, layout: StateLayout, ledger: Ledger, files: Files) -> None:
        self._layout, self._ledger, self._files = layout, ledger, files
        self._is_in_folder = layout.ledger.exists()  # asked now: later somebody may have taken the folder away
        self._written: Mark | None = None

    def here(self) -> Mark:
        """Return how far the ledger is."""
        return Mark(self._ledger.meta(_LIFE) or "", *self._ledger.progress())

    def ahead(self) -> tuple[Mark, str] | None:
        """Return a mark that is ahead of the ledger, the farthest of several, and where it lies; None without one."""
        here = self.here()
        found = [(mark, where) for mark, where in self._read(here.life) if mark.is_ahead_of(here)]
        return max(found, key=lambda one: (one[0].runs, one[0].requests), default=None)

    def write(self) -> None:
        """Note how far the ledger is, as far as that can be done."""
        with suppress(StateError, OSError):
            if not self.here().life:
                self._ledger.note(**{_LIFE: secrets.token_hex(8)})
            if (here := self.here()) == self._written:
                return
            self._written, data = here, msgspec.json.encode(here) + b"\n"
            if (path := self._path(here.life)) is not None:
                _write(path, data)
            self._files.add(self._layout.name(self._layout.mark), data)

    def begin_anew(self) -> None:
        """Give the ledger another life: what was noted of the one before is not held against it any more."""
        self._ledger.note(**{_LIFE: secrets.token_hex(8)})
        self.write()

    def _read(self, life: str) -> Iterator[tuple[Mark, str]]:
        """Yield the marks that can be read, each with its place."""
        found: list[tuple[bytes, str]] = []
        if life and (path := self._path(life)) is not None:
            with suppress(OSError):
                found.append((path.read_bytes(), str(path)))
        name = self._layout.name(self._layout.mark)
        if life and (place := self._files.url(name)) is not None:
            with suppress(StateError, OSError):
                found += [(data, place) for data in self._files.read(name)]
        for data, where in found:
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                yield msgspec.json.decode(data, type=Mark), where

    def _path(self, life: str) -> Path | None:
        """Return where this machine keeps the mark: not in what a copy of the ledger is a part of."""
        if not self._is_in_folder:
            return self._layout.mark
        folder, root = folder_of_user(), self._layout.root.resolve()
        # Nobody restores what lies among temporary files: rehearsals, tests.
        if folder is None or root.is_relative_to(Path(tempfile.gettempdir()).resolve()):
            return None
        return folder / f"{root.name}.{life}.json"


def _write(path: Path, data: bytes) -> None:
    """Write a file whole, as far as that can be done; a power cut may take it, since nothing depends on it."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    with suppress(OSError):
        make_folder(path.parent)
        unfinished.write_bytes(data)
        unfinished.replace(path)
