"""An opened state: its ledger, and its files, brought here where this disk lacks them."""

import hashlib
import os
from collections.abc import Container, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final, Protocol

from bucket_loader.model import DISK, Disk, StateError, StateUnavailableError, file_digest
from bucket_loader.state.layout import MANIFEST, StateLayout, is_merged, is_of_old, merged_file
from bucket_loader.state.ledger import Ledger, SnapshotFile
from bucket_loader.state.letters import WithLetters
from bucket_loader.state.marks import Marks
from bucket_loader.state.snapshots import FileBytes, Memory, Part, Written, is_sound, read_index, rows_of, take_over
from bucket_loader.state.store import Files, Stored

_DOUBTED: Final = "yes"


class Closable(Protocol):
    """What is closed with a state."""

    def close(self) -> None:
        """Close it."""


class State(WithLetters):
    """An opened state: locked, and its ledger open."""

    def __init__(  # what it is made of
        self,
        layout: StateLayout,
        ledger: Ledger,
        lock: Closable,
        files: Files | None = None,
        disk: Disk = DISK,
    ) -> None:
        super().__init__(layout, files if files is not None else Files(layout.root))
        self.disk = disk
        self.ledger = ledger
        self._lock = lock
        self._parts: dict[SnapshotFile, Part] = {}
        self.marks = Marks(layout, ledger, self.files)

    @property
    def root(self) -> Path:
        """The folder that all of it lies in."""
        return self.layout.root

    @property
    def plans(self) -> Path:
        """Where plans lie."""
        return self.layout.plans

    @property
    def snapshots(self) -> Path:
        """Where the streams' memory lies."""
        return self.layout.snapshots

    def plan_folder(self, run: str) -> Path:
        """Return the folder of a run's plan, fetched where this disk lacks it."""
        folder = self.layout.plan(run)
        if not (folder / MANIFEST).exists():
            names = [one.name for one in self._stored_plan(run)]
            for name in names if self.layout.name(folder / MANIFEST) in names else ():
                self.files.fetch(name)
        return folder

    def keep_plan(self, run: str) -> None:
        """Make a plan outlive this disk; not what a look at it has left that was killed."""
        names = (self.layout.name(path) for path in self.layout.plan(run).iterdir() if path.is_file())
        self.files.keep(*sorted(names, key=_manifest_last))

    def remove_plan(self, run: str) -> int:
        """Remove a plan from the store; return how many bytes that were.

        The manifest goes first, so that no half of it can be taken for a whole.
        """
        return self._removed(self._stored_plan(run)[::-1])

    def _stored_plan(self, run: str) -> list[Stored]:
        """List the files of a plan in the store, the manifest last: a reader looks for it first."""
        found = self.files.listed(self.layout.name(self.layout.plan(run)))
        return sorted(found, key=lambda one: _manifest_last(one.name))

    def runs_in(self, folder: Path) -> list[str]:
        """Return the runs of which something lies in a folder of the state, here or in the store."""
        here = {path.name.partition(".")[0] for path in folder.glob("*")}
        there = {one.name.split("/")[1] for one in self.files.listed(self.layout.name(folder))}
        return sorted(here | there)

    def has_heard_of(self, run: str) -> bool:
        """Whether anything here has a run's name: a run, a plan, dead letters."""
        paths = (self.layout.plan(run), self.layout.letters(run))
        return (
            any(os.path.lexists(path) for path in paths)
            or self.ledger.run(run) is not None
            or bool(self._stored_plan(run) or self._stored_letters(run))
        )

    # --- memory --------------------------------------------------------------------------------------------------

    def memory(self) -> dict[str, Memory]:
        """Return what each stream remembers; pages of it are read where they are asked for, here or in the store.

        Raises:
            StateError: a file is missing, or is not what was written.
        """
        return {stream: self.memory_of(stream) for stream in self.ledger.parts()}

    def memory_of(self, stream: str, files: Container[str] | None = None) -> Memory:
        """Return what a stream remembers; or what some of its files say.

        Raises:
            StateError: a file is missing, or is not what was written.
        """
        named = self.take_over(stream)
        if self.ledger.meta(_doubted(stream)):
            self._require_sound(stream, named)
        return Memory([self._part(stream, file) for file in named if files is None or file.file in files])

    def take_over(self, stream: str) -> list[SnapshotFile]:
        """Write what older versions remember of a stream as pages; return its files, oldest first.

        Parts that have to stay apart stay so.

        Raises:
            StateError: a file is missing, or is not what was written.
        """
        named, before = self.ledger.parts().get(stream, []), list[Part]()
        if not any(is_of_old(file.file) for file in named):
            return named
        beside = zip(self.ledger.parts_beside_claims(stream), named, strict=True)
        for _, group in groupby(beside, key=itemgetter(0)):
            files = [file for _, file in group]
            if older := [file for file in files if is_of_old(file.file)]:
                name = merged_file(older[-1].file)
                found = [self._as_written(stream, file) for file in older]
                written = take_over(found, self.layout.snapshot(name), before=Memory(before), disk=self.disk)
                self.replace_parts(stream, [file.file for file in older], name, written)
                before.append(self._part(stream, SnapshotFile(name, written.rows, written.digest)))
            before += [self._part(stream, file) for file in files if not is_of_old(file.file)]
        return self.ledger.parts()[stream]

    def doubt_memory(self, stream: str) -> None:
        """Have all pages of what a stream remembers looked at before it is believed: one was not what was written."""
        self.ledger.note(**{_doubted(stream): _DOUBTED})

    def _require_sound(self, stream: str, files: list[SnapshotFile]) -> None:
        """Refuse what a stream remembers where any page is not what was written, also one that nobody asks for."""
        for file in files:
            if not self._is_sound(file):
                raise self._unsound(stream, self.layout.snapshot(file.file))
        self.ledger.note(**{_doubted(stream): ""})

    def _part(self, stream: str, file: SnapshotFile) -> Part:
        """Return a file of memory, opened once: settling asks for what planning has asked for."""
        if file not in self._parts:
            self._parts[file] = self._opened(stream, file)
        return self._parts[file]

    def _opened(self, stream: str, file: SnapshotFile) -> Part:
        """Open a file of memory: its index is what the ledger has noted, here, else in the store."""
        path, name = self.layout.snapshot(file.file), self.layout.name(self.layout.snapshot(file.file))
        here, stored = FileBytes(path), self.files.bytes(name)
        if (index := read_index(here, file.digest)) is not None:
            return Part(index, [here, stored] if stored else [here], lambda: self._unsound(stream, path))
        if stored is None or (index := read_index(stored, file.digest)) is None:
            raise self._unsound(stream, path)
        path.unlink(missing_ok=True)  # this disk holds copies alone

        def bring() -> FileBytes:
            self.files.fetch(name)
            return here

        return Part(index, [stored], lambda: self._unsound(stream, path), bring)

    def refusals(self) -> dict[str, Path]:
        """Return the file of what the API has refused of each stream, fetched where this disk lacks it.

        Raises:
            StateError: one is missing, or is not what was written.
        """
        return {stream: self._as_written(stream, file) for stream, file in self.ledger.refusals().items()}

    def refusals_of(self, stream: str) -> Path | None:
        """Return the file of what the API has refused of a stream; None where that is nothing.

        Raises:
            StateError: it is missing, or is not what was written.
        """
        file = self.ledger.refusals().get(stream)
        return self._as_written(stream, file) if file is not None else None

    def _as_written(self, stream: str, file: SnapshotFile) -> Path:
        """Return a file of memory that is what the ledger has noted; with a store, of its copy there."""
        path = self.layout.snapshot(file.file)
        name = self.layout.name(path)
        place = self.files.url(name)
        if _is_as_written(path, file):
            return path
        if place is not None:
            path.unlink(missing_ok=True)  # this disk holds copies alone
            if self.files.fetch(name) and _is_as_written(path, file):
                return path
        raise self._unsound(stream, path)

    def _unsound(self, stream: str, path: Path) -> StateError:
        place = self.files.url(self.layout.name(path))
        what = "is not what was written there" if os.path.lexists(path) else "is missing"
        if place is not None:
            path.unlink(missing_ok=True)
        return StateError(
            f"a part of what stream {stream!r} remembers {what}: {place or path}",
            hint="restore the file from a backup or from the store's older versions, or give the --state that it was "
            "kept in; without it everything would count as new, so nothing is sent",
        )

    def unsound_memory(self) -> list[str]:
        """Read all that is remembered, on this disk and in the store; return which files are not what was written."""
        named = [(stream, file) for stream, files in self.ledger.files().items() for file in files]
        found = [(stream, file) for stream, file in named if not self._is_sound(file)]
        left = self.ledger.files()  # a run may have merged some meanwhile
        return [f"{file.file} of stream {stream!r}" for stream, file in found if file in left.get(stream, [])]

    def _is_sound(self, file: SnapshotFile) -> bool:
        path = self.layout.snapshot(file.file)
        name = self.layout.name(path)
        if not is_of_old(file.file):
            return self._has_sound_pages(path, file)
        if self.files.url(name) is None:
            return _is_as_written(path, file)
        try:
            data = b"".join(self.files.read(name))
        except StateUnavailableError:
            raise
        except StateError:
            return False
        return hashlib.sha256(data).hexdigest() == file.digest and (not path.exists() or _is_as_written(path, file))

    def _has_sound_pages(self, path: Path, file: SnapshotFile) -> bool:
        """Whether the pages are what was written: in the store, and on this disk as far as they are there."""
        stored, here = self.files.bytes(self.layout.name(path)), FileBytes(path)
        places = [stored] if stored is not None else []
        places += [here] if stored is None or path.exists() else []
        return all(is_sound(place, file.digest) for place in places)

    def keep_part(self, file: str, written: Written) -> SnapshotFile:
        """Make a new file of memory outlive this disk; returns what the ledger is to name."""
        self.files.keep(self.layout.name(self.layout.snapshot(file)))
        return SnapshotFile(file, written.rows, written.digest)

    def replace_parts(self, stream: str, files: list[str], merged: str, written: Written) -> None:
        """Let one file of memory stand for several."""
        self.ledger.replace_memory(stream, files, self.keep_part(merged, written))
        self.forget_parts([*files, *self._left_by_deaths()])

    @contextmanager
    def swept(self) -> Iterator[None]:
        """Remove all files of memory that the ledger does not name after a commit, here and in the store.

        They are listed before it: what whoever takes the state away has written since is not among them.
        """
        here = [path.name for path in self.layout.snapshots.glob("*") if path.is_file()]
        there = [one.name.rpartition("/")[2] for one in self.files.listed(self.layout.name(self.layout.snapshots))]
        yield
        named = {file.file for files in self.ledger.files().values() for file in files}
        self.forget_parts(sorted({*here, *there} - named))

    def _left_by_deaths(self) -> list[str]:
        """Return merged files that no ledger names: who wrote them died before it could name them."""
        named = {file.file for files in self.ledger.files().values() for file in files}
        return [
            path.name for path in self.layout.snapshots.iterdir() if is_merged(path.name) and path.name not in named
        ]

    def forget_parts(self, files: list[str]) -> None:
        """Remove files of memory that the ledger names no more."""
        paths = [self.layout.snapshot(file) for file in files]
        for path in paths:
            path.unlink(missing_ok=True)
        self.files.remove(*map(self.layout.name, paths))

    def part_of(self, stream: str, file: SnapshotFile) -> Part:
        """Return a file of memory, for whoever only looks: nothing is taken over.

        Raises:
            StateError: it is missing, is not what was written, or is of an older version.
        """
        if is_of_old(file.file):
            raise StateError(f"what stream {stream!r} remembers is of an older version", hint="the next run renews it")
        return self._part(stream, file)

    @property
    def owner(self) -> str:
        """What tells this process's ownership of the state from all others."""
        return self.ledger.database.owner

    def lost(self) -> StateError | None:
        """Look whether this process still has the state; return what took it away."""
        try:
            self.ledger.database.wait_until_held()
        except StateUnavailableError:
            return None  # for now
        except StateError as error:
            return error
        return None

    def close(self) -> None:
        """Close the ledger and let the next run in."""
        self.ledger.close()
        self._lock.close()


def _is_as_written(path: Path, file: SnapshotFile) -> bool:
    """Whether a file of memory is there, and holds what was written; ledgers of old know no digest but its rows."""
    try:
        if file.digest is None:
            return rows_of(path) == file.rows
        return file_digest(path) == file.digest
    except OSError:
        return False


def _doubted(stream: str) -> str:
    return f"doubted memory of {stream}"


def _manifest_last(name: str) -> bool:
    return name.endswith(f"/{MANIFEST}")
