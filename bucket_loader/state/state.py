"""An opened state: its ledger, and its files, brought here where this disk lacks them."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from bucket_loader.model import StateError, file_digest, make_folder, sync
from bucket_loader.state.ledger import Ledger, Part
from bucket_loader.state.store import Files

MANIFEST: Final = "manifest.json"  # of a plan: a reader looks for it first, so it is kept last


class State:
    """An opened state: locked, and its ledger open."""

    def __init__(self, root: Path, ledger: Ledger, lock: IO[bytes], files: Files | None = None) -> None:
        self.root = root
        self.ledger = ledger
        self.files = files if files is not None else Files(root)
        self._lock = lock

    @property
    def plans(self) -> Path:
        """Where plans lie."""
        return self.root / "plans"

    @property
    def snapshots(self) -> Path:
        """Where the streams' memory lies."""
        return self.root / "snapshots"

    def plan_folder(self, run: str) -> Path:
        """Give the folder of a run's plan, fetched where this disk lacks it."""
        folder = self.plans / run
        if not (folder / MANIFEST).exists():
            names = sorted((one.name for one in self.files.listed(f"plans/{run}")), key=_manifest_last)
            for name in names if f"plans/{run}/{MANIFEST}" in names else ():
                self.files.fetch(name)
        return folder

    def keep_plan(self, run: str) -> None:
        """Make a plan outlive this disk."""
        names = sorted((f"plans/{run}/{path.name}" for path in (self.plans / run).iterdir()), key=_manifest_last)
        self.files.keep(*names)

    def remove_plan(self, run: str) -> None:
        """Remove a plan from the store: the manifest first, so that no half of it can be taken for a whole."""
        names = sorted((one.name for one in self.files.listed(f"plans/{run}")), key=_manifest_last, reverse=True)
        self.files.remove(*names)

    def memory(self) -> dict[str, list[Path]]:
        """Give each stream's snapshot parts, oldest first, fetched where this disk lacks them.

        Raises:
            StateError: one is missing, or is not what was written.
        """
        return {stream: [self._part(stream, part) for part in parts] for stream, parts in self.ledger.parts().items()}

    def _part(self, stream: str, part: Part) -> Path:
        path = self.snapshots / part.file
        if path.exists():
            return path
        if not self.files.fetch(f"snapshots/{part.file}"):
            place = self.files.url(f"snapshots/{part.file}") or path
            raise StateError(
                f"a part of what stream {stream!r} remembers is missing: {place}",
                hint="give the --state that it was kept in, or restore the file from a backup; without it everything "
                "would count as new, so nothing is sent",
            )
        if part.digest is not None and file_digest(path) != part.digest:
            path.unlink()
            raise StateError(
                f"{self.files.url(f'snapshots/{part.file}')} is not what was written there",
                hint="restore it from a backup, or from the store's older versions; nothing is sent",
            )
        return path

    def keep_part(self, file: str, rows: int) -> Part:
        """Make a new part of memory outlive this disk; gives what the ledger is to name."""
        self.files.keep(f"snapshots/{file}")
        return Part(file, rows, file_digest(self.snapshots / file))

    def forget_parts(self, files: list[str]) -> None:
        """Remove parts that the ledger names no more."""
        for file in files:
            (self.snapshots / file).unlink(missing_ok=True)
        self.files.remove(*(f"snapshots/{file}" for file in files))

    # --- dead letters --------------------------------------------------------------------------------------------

    def dead_letters(self, run: str) -> Path:
        """Give the file for what a run rejects."""
        return self.root / "dead_letters" / f"{run}.jsonl"

    def letters_kept(self, run: str) -> Callable[[bytes], None]:
        """Give what makes new lines of a run's dead letters outlive this disk: an object for each append."""

        def keep(lines: bytes) -> None:
            self.files.add(f"dead_letters/{run}/{time.time_ns():020d}-{secrets.token_hex(4)}.jsonl", lines)

        return keep

    def fetch_letters(self, run: str) -> Path:
        """Give the file of a run's dead letters, with what other workers have added to it."""
        path = self.dead_letters(run)
        names = [one.name for one in self.files.listed(f"dead_letters/{run}")]
        if names:
            make_folder(path.parent)
            unfinished = path.with_suffix(".fetching")
            unfinished.touch(mode=0o600)
            with unfinished.open("wb") as file:
                for lines in self.files.read(*names):
                    file.write(lines)
            sync(unfinished)
            unfinished.replace(path)
            sync(path.parent)
        return path

    def remove_letters(self, run: str) -> None:
        """Remove a run's dead letters, here and in the store."""
        self.dead_letters(run).unlink(missing_ok=True)
        self.files.remove(*(one.name for one in self.files.listed(f"dead_letters/{run}")))

    def letters_place(self, run: str) -> str | None:
        """Say where a run's dead letters are: an absolute path, else a place in the store; None when there are none."""
        path = self.dead_letters(run)
        if path.exists():
            return str(path.absolute())
        return self.files.url(f"dead_letters/{run}") if self.files.listed(f"dead_letters/{run}") else None

    def close(self) -> None:
        """Close the ledger and let the next run in."""
        self.ledger.close()
        self._lock.close()


def _manifest_last(name: str) -> bool:
    return name.endswith(f"/{MANIFEST}")
