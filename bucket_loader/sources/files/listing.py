"""Files as sources: which ones a path means, what identifies their bytes, and why one cannot be opened."""

import difflib
import glob
import hashlib
import io
import itertools
import os
import stat
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Final, Protocol, cast
from urllib.parse import unquote

from bucket_loader.config import PATH_PARAMETER, FileSource, scheme_of
from bucket_loader.model import LoadedFile, SourceError
from bucket_loader.sources.base import SourceContext

HIVE_NULL: Final = "__HIVE_DEFAULT_PARTITION__"
# Objects asked for their state at once: what is slow is the way there and back.
_ASKED_AT_ONCE: Final = 8
# Bytes asked of a store at once by what reads from the beginning to the end.
_READ_BYTES: Final = 1024 * 1024

# Bytes hashed at each end of a file: where an append or a rewrite shows, at a cost that does not grow with the file.
_END_BYTES: Final = 64 * 1024


Partitions = tuple[tuple[str, str | None], ...]
"""What the folders of a file say: its columns beside those that it holds, in order."""


class InputFile(Protocol):
    """A file to read, wherever it lies.

    Attributes:
        name: as the user would recognise it; never holds a credential.
        partitions: the `key=value` folders that the path did not spell out.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def partitions(self) -> Partitions: ...  # noqa: D102

    def open(self, *, at_once: bool = False) -> BinaryIO:
        """Open it for reading; it can be sought in. `at_once`: all of it is wanted, and in no certain order."""
        ...

    def identity(self) -> Sequence[object]:
        """Give what is different when its bytes are, cheaply."""
        ...

    def content(self) -> tuple[int, str]:
        """Give its size in bytes, and a digest of all of them."""
        ...

    def trouble(self, error: OSError) -> SourceError | None:
        """Say why reading it failed; None when it is not the place it lies in that failed."""
        ...


@dataclass(frozen=True)
class SourceFile:
    """A local file, and its name as the user would recognise it: relative to the pipeline file when below it."""

    path: Path
    name: str
    partitions: Partitions = ()

    def open(self, *, at_once: bool = False) -> BinaryIO:  # noqa: ARG002  # the disk does not mind
        """Open it; see `open_file`."""
        return open_file(self)

    def identity(self) -> Sequence[object]:
        """Give device, inode, size, time, and a hash of both ends."""
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
        """Tell a file system's error, which has a number, from a reader's, which has none."""
        return unreadable(self, error) if error.errno is not None else None


class Files:
    """The files that a source's path means; what more than one kind of source does with them.

    With `context.loaded`, those already loaded are left out, and the choice is made once: a file that arrives later
    is the next run's.
    """

    def __init__(self, spec: FileSource, context: SourceContext) -> None:
        self._spec = spec
        self._context = context
        self._chosen: dict[InputFile, LoadedFile] | None = None

    def found(self) -> list[InputFile]:
        """List them, sorted by name; at least one, but where only new ones are wanted."""
        if self._context.loaded is None:
            return found(self._spec, self._context)
        return list(self._new(self._context.loaded))

    def arrivals(self) -> tuple[LoadedFile, ...]:
        """Give the files that a reading gives the rows of, each with its size and digest."""
        return tuple(self._new(self._context.loaded or frozenset()).values())

    def fingerprint(self) -> str:
        """Identify the bytes of all."""
        return fingerprint(self.found())

    def _new(self, loaded: frozenset[LoadedFile]) -> "dict[InputFile, LoadedFile]":
        if self._chosen is None:
            files = found(self._spec, self._context, required=False)
            all_ = {file: LoadedFile(file.name, *file.content()) for file in files}
            self._chosen = {file: entry for file, entry in all_.items() if entry not in loaded}
        return self._chosen


def found(spec: FileSource, context: SourceContext, *, required: bool = True) -> list[InputFile]:
    """Find the files that a source's path means, here or in a store: one, a glob's, or all of a folder.

    Raises:
        SourceError: there are none and they are `required`, or the store refuses.
        SourceUnavailableError: the store cannot be reached.
    """
    written = filled(spec.path, context)
    if scheme_of(written) is not None:
        from bucket_loader.sources.stores import remote

        return list(remote.found(written, spec.storage, required=required))
    folder = context.base.absolute() / written
    try:
        files = _files_below(folder, context) if folder.is_dir() else _matching(written, context)
    except NothingFoundError:
        if required:
            raise
        return []
    fixed = fixed_part(folder)
    return [SourceFile(file.path, file.name, _local_partitions(file.path, fixed)) for file in files]


class NothingFoundError(SourceError):
    """A path means no file at all."""


def _local_partitions(path: Path, fixed: Path) -> Partitions:
    return partitions_of(path.relative_to(fixed).parts[:-1]) if path.is_relative_to(fixed) else ()


def partitions_of(folders: Iterable[str]) -> Partitions:
    """Read `key=value` from the names of folders."""
    pairs = [part.split("=", 1) for part in folders if "=" in part]
    return tuple({unquote(key): None if value == HIVE_NULL else unquote(value) for key, value in pairs}.items())


def _files_below(folder: Path, context: SourceContext) -> list[SourceFile]:
    """List every file of a folder, but for marks like `_SUCCESS` and hidden ones."""
    below: list[SourceFile] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(("_", "."))]
        below += [named(Path(parent, name), context) for name in names if not name.startswith(("_", "."))]
    if not below:
        raise NothingFoundError(f"the directory {folder.name} has no files", hint="look at what writes it")
    return sorted(below, key=lambda file: file.name)


def filled(path: str, context: SourceContext) -> str:
    """Fill `{interval_start:%Y-%m-%d}` and `{interval_end:...}` in, in UTC."""
    return PATH_PARAMETER.sub(lambda match: context.moment(match[1]).strftime(match[2]), path)


def named(path: Path, context: SourceContext) -> SourceFile:
    """Name one path: from the pipeline file's folder where that is shorter, as a person would have written it."""
    whole = os.path.normpath(context.base.absolute() / path)
    below = os.path.relpath(whole, context.base.absolute())
    return SourceFile(path, Path(min(below, whole, key=len)).as_posix())


def _matching(written: str, context: SourceContext) -> list[SourceFile]:
    """Find the files that a path or glob means, sorted by name; at least one."""
    base = context.base.absolute()
    literal = base / written
    if os.path.lexists(literal):
        return [named(literal, context)]
    # Path.glob refuses absolute patterns, and would read the base itself as a pattern.
    found = {base / match for match in glob.glob(written, root_dir=base, recursive=True)}  # noqa: PTH207
    files = sorted((named(path, context) for path in found if not path.is_dir()), key=lambda file: file.name)
    if not files:
        raise _missing(written, base)
    return files


def fixed_part(pattern: Path) -> Path:
    """Give the part of a path before its first wildcard: what the user has spelt out."""
    if pattern.is_dir() or pattern.exists():
        return pattern
    parts = list(itertools.takewhile(lambda part: not glob.has_magic(part), pattern.parts))
    return Path(*parts)


def _missing(written: str, base: Path) -> NothingFoundError:
    if glob.has_magic(written):
        return NothingFoundError(
            f"no file matches {written}", hint=f"paths start from {base}; {_neighbours(base / written)}"
        )
    return NothingFoundError(
        f"there is no file {written}", hint=f"paths start from {base}; {_neighbours(base / written)}"
    )


def _neighbours(path: Path) -> str:
    folder = path.parent
    while not folder.is_dir():
        folder = folder.parent
    if folder != path.parent:
        return (
            f"the folder {path.parent.name} does not exist in {folder}"
            if not glob.has_magic(path.parent.name)
            else (f"look in {folder}")
        )
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    except OSError:
        return f"the folder {folder} cannot be listed"
    near = difflib.get_close_matches(path.name, names, n=5, cutoff=0.4) or names[:5]
    return f"near names there: {', '.join(near)}" if near else "the folder is empty"


def unreadable(file: SourceFile, error: OSError) -> SourceError:
    """Say why a file cannot be read, and what to do about it."""
    hints: dict[type[OSError], str] = {
        FileNotFoundError: "it was there a moment ago, or it is a link to nothing; look at what writes it",
        PermissionError: "let the user that runs the loader read it",
        IsADirectoryError: "name the files in it with a glob",
    }
    return SourceError(
        f"{file.name} cannot be read: {error.strerror or error}", hint=hints.get(type(error), "look at the file system")
    )


def open_file(file: SourceFile) -> BinaryIO:
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


def digest_of(stream: IO[bytes]) -> str:
    """Read a stream to its end, and give the digest of what it had."""
    digest = hashlib.sha256()
    while data := stream.read(_READ_BYTES):
        digest.update(data)
    return f"sha256:{digest.hexdigest()}"


def in_order(stream: BinaryIO) -> BinaryIO:
    """Give a stream that is read from its beginning to its end, so that a store is asked for much at a time."""
    return stream if isinstance(stream, io.IOBase) else cast("BinaryIO", io.BufferedReader(stream, _READ_BYTES))


def fingerprint(files: Sequence[InputFile]) -> str:
    """Identify the bytes of files: names, identities, sizes, times, and the bytes at both ends; or a store's tags.

    A file added, removed, replaced, appended to or rewritten changes it. What it cannot see is a change in the middle
    of a big local file that also restores its modification time.
    """
    digest = hashlib.sha256()
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        for file, identity in zip(files, pool.map(lambda file: file.identity(), files), strict=True):
            digest.update(repr((file.name, *identity)).encode())
    return digest.hexdigest()


def _identity(stream: BinaryIO, file: SourceFile) -> Sequence[object]:
    try:
        status = os.fstat(stream.fileno())
        head = stream.read(_END_BYTES)
        stream.seek(max(0, status.st_size - _END_BYTES))
        tail = stream.read(_END_BYTES)
    except OSError as error:
        raise unreadable(file, error) from error
    ends = hashlib.sha256(head + tail).hexdigest()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, ends)


def log_of(file: SourceFile, suffix: str) -> list[SourceFile]:
    """Give the write-ahead log of a database file, if it has one; an empty one is as good as none.

    Merely opening an SQLite database for reading may create an empty log, which must not look like a change.
    """
    log = SourceFile(file.path.with_name(file.path.name + suffix), file.name + suffix)
    return [log] if log.path.is_file() and log.path.stat().st_size else []
