"""Files as sources: which ones a path means, what identifies their bytes, and why one cannot be opened."""

import difflib
import glob
import hashlib
import itertools
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from bucket_loader.config import PATH_PARAMETER
from bucket_loader.errors import SourceError
from bucket_loader.sources.base import SourceContext

# Bytes hashed at each end of a file: where an append or a rewrite shows, at a cost that does not grow with the file.
_END_BYTES: Final = 64 * 1024


@dataclass(frozen=True)
class SourceFile:
    """A file to read, and its name as the user would recognise it: relative to the pipeline file when below it."""

    path: Path
    name: str


def filled(path: str, context: SourceContext) -> str:
    """Fill `{interval_start:%Y-%m-%d}` and `{interval_end:...}` in, in UTC."""
    return PATH_PARAMETER.sub(lambda match: context.parameter(match[1]).strftime(match[2]), path)


def named(path: Path, context: SourceContext) -> SourceFile:
    """Name one path: from the pipeline file's folder where that is shorter, as a person would have written it."""
    whole = os.path.normpath(context.base.absolute() / path)
    below = os.path.relpath(whole, context.base.absolute())
    return SourceFile(path, Path(min(below, whole, key=len)).as_posix())


def matching(pattern: str, context: SourceContext) -> list[SourceFile]:
    """Find the files that a path or glob means, sorted by name; at least one.

    Raises:
        SourceError: nothing matches, or a directory is named where files are meant.
    """
    written = filled(pattern, context)
    base = context.base.absolute()
    literal = base / written
    if os.path.lexists(literal):
        if literal.is_dir():
            raise SourceError(
                f"{written} is a directory", hint=f"name the files in it with a glob, for example {written}/*.csv"
            )
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


def _missing(written: str, base: Path) -> SourceError:
    if glob.has_magic(written):
        return SourceError(f"no file matches {written}", hint=f"paths start from {base}; {_neighbours(base / written)}")
    return SourceError(f"there is no file {written}", hint=f"paths start from {base}; {_neighbours(base / written)}")


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


def fingerprint(files: Iterable[SourceFile]) -> str:
    """Identify the bytes of files: names, identities, sizes, times, and the bytes at both ends.

    A file added, removed, replaced, appended to or rewritten changes it. What it cannot see is a change in the middle
    of a big file that also restores its modification time.
    """
    digest = hashlib.sha256()
    for file in files:
        with open_file(file) as stream:
            digest.update(repr((file.name, *_identity(stream, file))).encode())
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
