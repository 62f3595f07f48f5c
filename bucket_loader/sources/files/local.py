"""A file on the disk: its name for a person, what identifies its bytes, and why it cannot be opened."""

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar, Final

from bucket_loader.model import SourceError, require_utf8, shown_path
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.files.input_file import Partitions, digest_of

# Bytes hashed at each end of a file: where an append or a rewrite shows, at a cost that does not grow with the file.
_END_BYTES: Final = 64 * 1024


@dataclass(frozen=True)
class LocalFile:
    """A local file, and its name as the user would recognise it: relative to the pipeline file when below it."""

    path: Path
    name: str
    partitions: Partitions = ()
    travels: ClassVar[bool] = True

    def open(self, *, at_once: bool = False) -> BinaryIO:  # noqa: ARG002  # the disk does not mind
        """Open it; see `open_file`."""
        return open_file(self)

    def size(self) -> int | None:
        """Return its bytes; None for what is no regular file."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def identity(self) -> Sequence[object]:
        """Return device, inode, size, time, and a hash of both ends."""
        with self.open() as stream:
            return _identity(stream, self)

    def content(self) -> tuple[int, str]:
        """Read it all."""
        with self.open() as stream:
            try:
                digest = digest_of(stream)
            except OSError as error:
                raise unreadable(self, error) from error
            return stream.tell(), digest

    def trouble(self, error: OSError) -> SourceError | None:
        """Word a file system's error, which has a number; a reader's has none."""
        return unreadable(self, error) if error.errno is not None else None


def named(path: Path, context: SourceContext) -> LocalFile:
    """Name one path: from the pipeline file's folder where that is shorter, as a person would have written it."""
    whole = os.path.normpath(context.base.absolute() / path)
    require_utf8(whole, f"the path of a source, {shown_path(whole)},")
    below = os.path.relpath(whole, context.base.absolute())
    return LocalFile(path, Path(min(below, whole, key=len)).as_posix())


def unreadable(file: LocalFile, error: OSError) -> SourceError:
    """Say why a file cannot be read, and what to do about it."""
    hints: dict[type[OSError], str] = {
        FileNotFoundError: "it was there a moment ago, or it is a link to nothing; look at what writes it, and on "
        "Spark whether each machine sees it",
        PermissionError: "let the user that runs the loader read it",
        IsADirectoryError: "name the files in it with a glob",
    }
    return SourceError(
        f"{file.name} cannot be read: {error.strerror or error}", hint=hints.get(type(error), "look at the file system")
    )


def open_file(file: LocalFile) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        SourceError: it cannot be opened, or it is not a regular file.
    """
    try:
        if not stat.S_ISREG(file.path.stat().st_mode) and not file.path.is_dir():
            raise SourceError(
                f"{file.name} is not a regular file", hint="write it to a file: a pipe cannot be read again to check it"
            )
        return file.path.open("rb")
    except OSError as error:
        raise unreadable(file, error) from error


def _identity(stream: BinaryIO, file: LocalFile) -> Sequence[object]:
    try:
        status = os.fstat(stream.fileno())
        head = stream.read(_END_BYTES)
        stream.seek(max(0, status.st_size - _END_BYTES))
        tail = stream.read(_END_BYTES)
    except OSError as error:
        raise unreadable(file, error) from error
    ends = hashlib.sha256(head + tail).hexdigest()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, ends)


def log_of(file: LocalFile, suffix: str) -> list[LocalFile]:
    """Return the write-ahead log of a database file, if it has one; an empty one is as good as none.

    Merely opening an SQLite database for reading may create an empty log, which must not look like a change.
    """
    log = LocalFile(file.path.with_name(file.path.name + suffix), file.name + suffix)
    return [log] if log.path.is_file() and log.path.stat().st_size else []
