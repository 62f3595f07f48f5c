"""The dead letters of a state: a file for each run on this disk, and in a store an object for each append."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from bucket_loader.model import make_folder, written_whole
from bucket_loader.state.layout import StateLayout
from bucket_loader.state.store import Files, Stored


class WithLetters:
    """The part of a state that knows its dead letters."""

    def __init__(self, layout: StateLayout, files: Files) -> None:
        self.layout = layout
        self.files = files

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
        if found := self._stored_letters(run):
            make_folder(path.parent)
            with written_whole(path) as file:
                for lines in self.files.read(*(one.name for one in found)):
                    file.write(lines)
        return path

    def letters_of(self, run: str) -> Iterator[bytes]:
        """Yield the lines of a run's dead letters, those of other workers too; nothing is fetched for it."""
        if found := self._stored_letters(run):
            for lines in self.files.read(*(one.name for one in found)):
                yield from lines.splitlines()
            return
        with suppress(FileNotFoundError), self.layout.letters(run).open("rb") as file:
            yield from file

    def runs_with_letters(self) -> list[str]:
        """Return the runs whose dead letters are there, on this disk or in the store."""
        there = self.files.listed(self.layout.name(self.layout.dead_letters))
        here = {path.stem for path in self.layout.all_letters()}
        return sorted(here.union(one.name.split("/")[1] for one in there))

    def remove_letters(self, run: str) -> int:
        """Remove a run's dead letters, here and in the store; return how many bytes those in the store were."""
        self.layout.letters(run).unlink(missing_ok=True)
        return self._removed(self._stored_letters(run))

    def replace_letters(self, run: str, lines: bytes) -> None:
        """Let some lines be all of a run's dead letters, here and in the store; without any the file goes."""
        before = self._stored_letters(run)
        if lines:
            with written_whole(self.layout.letters(run)) as file:
                file.write(lines)
            self.letters_kept(run)(lines)
        else:
            self.layout.letters(run).unlink(missing_ok=True)
        self._removed(before)

    def letters_place(self, run: str) -> str | None:
        """Return where a run's dead letters are: an absolute path, else a place in the store, or None."""
        path = self.layout.letters(run)
        if path.exists():
            return str(path.absolute())
        return self.files.url(self.layout.stored_letters(run)) if self._stored_letters(run) else None

    def _stored_letters(self, run: str) -> list[Stored]:
        return self.files.listed(self.layout.stored_letters(run))

    def _removed(self, found: list[Stored]) -> int:
        """Remove files from the store, in this order; return how many bytes they were."""
        self.files.remove(*(one.name for one in found))
        return sum(one.size for one in found)
