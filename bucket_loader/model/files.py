"""Files that survive a power cut: syncs, folders, files that are written whole; a digest to know a file again by."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from bucket_loader.model.errors import UsageError

_UNFINISHED: Final = ".unfinished"
_FOLDER_OF_USER: Final = "bucket_loader"


class Disk:
    """How bytes get to a disk and stay there; a rehearsal of power cuts has one of its own."""

    def write(self, descriptor: int, data: bytes) -> int:
        """Write some of the bytes to an open file, and return how many."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Make what was written to an open file, or a folder's list of names, survive a power cut."""
        os.fsync(descriptor)

    @contextmanager
    def alone(self, descriptor: int) -> Iterator[None]:
        """Keep other processes that ask the same from an open file, where its file system can; they wait."""
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)

    def free_bytes(self, path: Path) -> int | None:
        """Return how much a program may still write where a path lies, or will lie; None where nobody says."""
        for folder in (path, *path.parents):
            try:
                found = os.statvfs(folder)
            except FileNotFoundError:
                continue
            except OSError:
                return None
            return found.f_bavail * found.f_frsize if found.f_blocks else None  # some FUSE programs say 0 of 0
        return None


DISK: Final = Disk()


@contextmanager
def written_whole(
    path: Path, *, beside: Path | None = None, sync_folder: bool = True, disk: Disk = DISK
) -> Iterator[BinaryIO]:
    """Open a file to write it whole: it is complete under its name and survives a power cut, or it is not there.

    It is written beside its place, synced, renamed, and then its folder is synced. It is for its owner alone.

    Args:
        path: its name; a file that is there is replaced.
        beside: its name until it is complete, where several processes may write it at once.
        sync_folder: whether its name has to survive a power cut too.
        disk: where it lies.

    Raises:
        OSError: the disk refuses; what was there before is still there.
    """
    unfinished = beside or path.with_name(path.name + _UNFINISHED)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as file:
            yield file
            file.flush()
            disk.sync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
    if sync_folder:
        sync(path.parent, disk)


def make_folder(path: Path, disk: Disk = DISK) -> None:
    """Make a folder, and those above it, for their owner alone; their names survive a power cut."""
    missing = [path, *path.parents]
    missing = missing[: next(number for number, folder in enumerate(missing) if folder.is_dir())]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True, mode=0o700)
        sync(folder.parent, disk)


def folder_of_user() -> Path | None:
    """Return the folder in which a user's programs keep what they know; None where there is none."""
    given = Path(os.environ.get("XDG_STATE_HOME", ""))
    if given.is_absolute():
        return given / _FOLDER_OF_USER
    with suppress(RuntimeError):
        if (home := Path.home()).is_absolute() and home.is_dir():  # else a user without one, as in containers
            return home / ".local" / "state" / _FOLDER_OF_USER
    return None


def sync(path: Path, disk: Disk = DISK) -> None:
    """Make a file, or a folder's list of names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        disk.sync(descriptor)
    finally:
        os.close(descriptor)


def require_utf8(path: str | Path, what: str) -> None:
    """Refuse a path, or a word of the command line, whose bytes are no UTF-8: not every library can spell it.

    Args:
        path: the path, or the word.
        what: what it is, for the message.

    Raises:
        UsageError: they are not.
    """
    try:
        os.fsencode(path).decode()
    except UnicodeError:
        raise UsageError(
            f"{what} is not UTF-8", hint="rename the file or folder, or look at the terminal's encoding"
        ) from None


def shown_path(path: str | Path) -> str:
    """Return a path as a message can hold it: bytes that are no UTF-8 are question marks."""
    return str(path).encode("utf-8", "replace").decode()


def file_digest(path: Path) -> str:
    """Return a file's sha256, in hex."""
    import hashlib  # here, since `--help` starts without it

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
