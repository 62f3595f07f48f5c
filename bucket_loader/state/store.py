"""A state's files: in its folder, and, where workers lose their disks, in an object store that every worker sees.

The folder is where files are written and read; a store holds what has to outlive it. What the ledger names is in the
store before the ledger names it.
"""

import errno
import functools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bucket_loader.model import (
    SourceError,
    SourceUnavailableError,
    StateError,
    StateUnavailableError,
    make_folder,
    side_by_side,
    written_whole,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import fs

    from bucket_loader.sources import Place
    from bucket_loader.state.snapshots import Bytes

_PIECE_BYTES: Final = 8 * 1024 * 1024
_AT_ONCE: Final = 8  # requests


@dataclass(frozen=True)
class Stored:
    """A file in a store: its name within the state, its size, and when it was written (seconds since 1970)."""

    name: str
    size: int
    written_s: float


class Files:
    """Files that lie in the state's folder alone: nothing has to be brought anywhere."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def keep(self, *names: str) -> None:
        """Make files of the folder outlive it, in this order; returns when they do."""

    def add(self, name: str, data: bytes) -> None:
        """Make bytes outlive the folder under a name of their own."""

    def fetch(self, name: str) -> bool:
        """Bring a file into the folder, unless it is there; tells whether it is."""
        return (self.root / name).exists()

    def read(self, *names: str) -> Iterator[bytes]:  # noqa: ARG002  # nor is there anything to read
        """Return the bytes of files of the store, in order."""
        return iter(())

    def bytes(self, name: str) -> "Bytes | None":  # noqa: ARG002
        """Return the bytes of a file of the store; None without one."""
        return None

    def listed(self, folder: str) -> list[Stored]:  # noqa: ARG002
        """List what is in the store below a folder, sorted by name."""
        return []

    def remove(self, *names: str) -> None:
        """Remove files from the store, in this order."""

    def url(self, name: str) -> str | None:  # noqa: ARG002
        """Return what to call a place in the store; None without one."""
        return None


class StoredBytes:
    """The bytes of a file in a store, read where they are asked for."""

    at_once: int = _AT_ONCE

    def __init__(
        self,
        explained: Callable[[], AbstractContextManager[None]],
        opened: Callable[[], "pa.NativeFile"],
    ) -> None:
        self._explained = explained
        self._opened = functools.cache(opened)

    def size(self) -> int | None:
        """Return how many there are; None when there is no such file."""
        with self._explained():
            try:
                return int(self._opened().size())
            except FileNotFoundError:
                return None

    def read(self, first: int, count: int) -> bytes:
        """Return some of them; fewer where the file ends."""
        with self._explained():
            return bytes(self._opened().read_at(count, first))


class StoredFiles(Files):
    """Files with a copy in an object store: S3, Google Cloud Storage or Azure, as sources find them."""

    def __init__(self, root: Path, place: "Place") -> None:
        super().__init__(root)
        self._place = place

    def keep(self, *names: str) -> None:
        """Upload files; those that a reader looks for first come last."""
        for name in names:
            with self._explained(name), (self.root / name).open("rb") as file:
                with self._system.open_output_stream(self._key(name), compression=None) as stream:
                    while piece := file.read(_PIECE_BYTES):
                        stream.write(piece)
                self._require_size(name, os.fstat(file.fileno()).st_size)

    def _require_size(self, name: str, size: int) -> None:
        found = self._system.get_file_info(self._key(name))
        if not found.is_file or found.size != size:
            raise StateUnavailableError(
                f"{self.url(name)} is not what was written there a moment ago",
                hint="run the same command again; is something else writing to this place?",
            )

    def add(self, name: str, data: bytes) -> None:
        """Upload bytes."""
        with self._explained(name), self._system.open_output_stream(self._key(name), compression=None) as stream:
            stream.write(data)

    def fetch(self, name: str) -> bool:
        """Download a file, unless it is there: whole under its name, or not at all."""
        path = self.root / name
        if path.exists():
            return True
        make_folder(path.parent)
        with self._explained(name):
            try:
                stream = self._system.open_input_stream(self._key(name), compression=None)
            except FileNotFoundError:
                return False
        with written_whole(path) as file, self._explained(name), stream:
            while piece := stream.read(_PIECE_BYTES):
                file.write(piece)
        return True

    def read(self, *names: str) -> Iterator[bytes]:
        """Return the bytes of files, a few at a time."""

        def one(name: str) -> bytes:
            with self._explained(name), self._system.open_input_stream(self._key(name), compression=None) as stream:
                return bytes(stream.read())

        yield from side_by_side(one, names, _AT_ONCE)

    def bytes(self, name: str) -> "StoredBytes":
        """Return the bytes of a file, which are read where they are asked for."""
        return StoredBytes(lambda: self._explained(name), lambda: self._opened(name))

    def _opened(self, name: str) -> "pa.NativeFile":
        return self._system.open_input_file(self._key(name))

    def listed(self, folder: str) -> list[Stored]:
        """List what is below a folder."""
        from pyarrow import fs

        with self._explained(folder):
            selector = fs.FileSelector(self._key(folder), recursive=True, allow_not_found=True)
            infos = [info for info in self._system.get_file_info(selector) if info.is_file]
        return sorted(
            (Stored(info.path.removeprefix(self._key("")), info.size, (info.mtime_ns or 0) / 1e9) for info in infos),
            key=lambda stored: stored.name,
        )

    def remove(self, *names: str) -> None:
        """Delete files."""
        for name in names:
            with self._explained(name):
                try:
                    self._system.delete_file(self._key(name))
                except FileNotFoundError:
                    continue

    def url(self, name: str) -> str | None:
        """Return a file's whole path."""
        return self._place.name(self._key(name))

    def _key(self, name: str) -> str:
        return f"{self._place.key}/{name}"

    @property
    def _system(self) -> "fs.FileSystem":
        try:
            return self._place.system
        except SourceError as error:
            raise StateError(error.message, hint=error.hint) from None

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Say what a store's error means; its own words hold requests and keys, and are not shown."""
        try:
            yield
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise  # this machine's disk
            found = self._place.refused(error, self.url(name) or name)
            if isinstance(found, SourceUnavailableError):
                raise StateUnavailableError(
                    f"the state's store cannot be reached, or fails ({self.url(name)})",
                    hint="look at the network, AWS_ENDPOINT_URL and the store's state; then run the same command again",
                ) from None
            raise StateError(
                f"the state's store refuses ({self.url(name)})",
                hint="the credentials have to list, read, write and delete below this place; does the bucket exist?",
            ) from None


def stored(root: Path, url: str, identity: str) -> StoredFiles:
    """Return the files of a state below a store's URL."""
    from bucket_loader.config import Storage
    from bucket_loader.sources import place_of

    return StoredFiles(root, place_of(f"{url.rstrip('/')}/{identity}", Storage()))
