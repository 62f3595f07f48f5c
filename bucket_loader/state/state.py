"""An opened state: its ledger, and its files, brought here where this disk lacks them."""

from collections.abc import Callable
from pathlib import Path
from typing import IO

from bucket_loader.model import DISK, Disk, StateError, file_digest, make_folder, written_whole
from bucket_loader.state.layout import MANIFEST, StateLayout
from bucket_loader.state.ledger import Ledger, SnapshotFile
from bucket_loader.state.store import Files


class State:
    """An opened state: locked, and its ledger open."""

    def __init__(  # what it is made of
        self,
        layout: StateLayout,
        ledger: Ledger,
        lock: IO[bytes],
        files: Files | None = None,
        disk: Disk = DISK,
    ) -> None:
        self.layout = layout
        self.disk = disk
        self.ledger = ledger
        self.files = files if files is not None else Files(layout.root)
        self._lock = lock

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
            names = self._stored_plan(run)
            for name in names if self.layout.name(folder / MANIFEST) in names else ():
                self.files.fetch(name)
        return folder

    def keep_plan(self, run: str) -> None:
        """Make a plan outlive this disk."""
        names = (self.layout.name(path) for path in self.layout.plan(run).iterdir())
        self.files.keep(*sorted(names, key=_manifest_last))

    def remove_plan(self, run: str) -> None:
        """Remove a plan from the store: the manifest first, so that no half of it can be taken for a whole."""
        self.files.remove(*reversed(self._stored_plan(run)))

    def _stored_plan(self, run: str) -> list[str]:
        """List the files of a plan in the store, the manifest last: a reader looks for it first."""
        found = self.files.listed(self.layout.name(self.layout.plan(run)))
        return sorted((one.name for one in found), key=_manifest_last)

    def memory(self) -> dict[str, list[Path]]:
        """Return each stream's files of memory, oldest first, fetched where this disk lacks them.

        Raises:
            StateError: one is missing, or is not what was written.
        """
        known = self.ledger.parts()
        return {stream: [self._fetched(stream, file) for file in files] for stream, files in known.items()}

    def _fetched(self, stream: str, file: SnapshotFile) -> Path:
        path = self.layout.snapshot(file.file)
        if path.exists():
            return path
        name = self.layout.name(path)
        if not self.files.fetch(name):
            raise StateError(
                f"a part of what stream {stream!r} remembers is missing: {self.files.url(name) or path}",
                hint="give the --state that it was kept in, or restore the file from a backup; without it everything "
                "would count as new, so nothing is sent",
            )
        if file.digest is not None and file_digest(path) != file.digest:
            path.unlink()
            raise StateError(
                f"{self.files.url(name)} is not what was written there",
                hint="restore it from a backup, or from the store's older versions; nothing is sent",
            )
        return path

    def keep_part(self, file: str, rows: int) -> SnapshotFile:
        """Make a new file of memory outlive this disk; returns what the ledger is to name."""
        path = self.layout.snapshot(file)
        self.files.keep(self.layout.name(path))
        return SnapshotFile(file, rows, file_digest(path))

    def forget_parts(self, files: list[str]) -> None:
        """Remove files of memory that the ledger names no more."""
        paths = [self.layout.snapshot(file) for file in files]
        for path in paths:
            path.unlink(missing_ok=True)
        self.files.remove(*map(self.layout.name, paths))

    # --- dead letters --------------------------------------------------------------------------------------------

    def dead_letters(self, run: str) -> Path:
        """Return the file for what a run rejects."""
        return self.layout.letters(run)

    def letters_kept(self, run: str) -> Callable[[bytes], None]:
        """Return what makes new lines of a run's dead letters outlive this disk: an object for each append."""

        def keep(lines: bytes) -> None:
            self.files.add(self.layout.new_letters(run), lines)

        return keep

    def fetch_letters(self, run: str) -> Path:
        """Return the file of a run's dead letters, with what other workers have added to it."""
        path = self.layout.letters(run)
        if names := self._stored_letters(run):
            make_folder(path.parent)
            with written_whole(path) as file:
                for lines in self.files.read(*names):
                    file.write(lines)
        return path

    def remove_letters(self, run: str) -> None:
        """Remove a run's dead letters, here and in the store."""
        self.layout.letters(run).unlink(missing_ok=True)
        self.files.remove(*self._stored_letters(run))

    def letters_place(self, run: str) -> str | None:
        """Return where a run's dead letters are: an absolute path, else a place in the store, or None."""
        path = self.layout.letters(run)
        if path.exists():
            return str(path.absolute())
        return self.files.url(self.layout.stored_letters(run)) if self._stored_letters(run) else None

    def _stored_letters(self, run: str) -> list[str]:
        return [one.name for one in self.files.listed(self.layout.stored_letters(run))]

    def close(self) -> None:
        """Close the ledger and let the next run in."""
        self.ledger.close()
        self._lock.close()


def _manifest_last(name: str) -> bool:
    return name.endswith(f"/{MANIFEST}")
