"""The files that a path means: one, a glob's, or all of a folder, here or in a store."""

import glob
import itertools
import os
from pathlib import Path

from bucket_loader.config import PATH_PARAMETER, FileSource, scheme_of
from bucket_loader.model import LoadedFile, nearest_few
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.files.input_file import InputFile, NothingFoundError, Partitions, fingerprint, partitions_of
from bucket_loader.sources.files.local import LocalFile, named


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
        """Return the files that a reading gives the rows of, each with its size and digest."""
        return tuple(self._new(self._context.loaded or frozenset()).values())

    def fingerprint(self) -> str:
        """Identify the bytes of all."""
        return fingerprint(self.found())

    def local_file(self, name: str) -> InputFile | None:
        """Return its file of a name, where that lies on this machine's disk and is the only one of it."""
        if scheme_of(self._spec.path) is not None:
            return None
        files = [file for file in self.found() if file.name == name]
        return files[0] if len(files) == 1 else None

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
    return [LocalFile(file.path, file.name, _local_partitions(file.path, fixed)) for file in files]


def _local_partitions(path: Path, fixed: Path) -> Partitions:
    return partitions_of(path.relative_to(fixed).parts[:-1]) if path.is_relative_to(fixed) else ()


def _files_below(folder: Path, context: SourceContext) -> list[LocalFile]:
    """List every file of a folder, but for marks like `_SUCCESS` and hidden ones."""
    below: list[LocalFile] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(("_", "."))]
        below += [named(Path(parent, name), context) for name in names if not name.startswith(("_", "."))]
    if not below:
        raise NothingFoundError(f"the directory {folder.name} has no files", hint="look at what writes it")
    return sorted(below, key=lambda file: file.name)


def filled(path: str, context: SourceContext) -> str:
    """Fill `{interval_start:%Y-%m-%d}` and `{interval_end:...}` in, in UTC."""
    return PATH_PARAMETER.sub(lambda match: context.moment(match[1]).strftime(match[2]), path)


def _matching(written: str, context: SourceContext) -> list[LocalFile]:
    """Find the files that a path or glob means, sorted by name; at least one."""
    base = context.base.absolute()
    literal = base / written
    if os.path.lexists(literal):
        return [named(literal, context)]
    # Path.glob refuses absolute patterns, and would read the base itself as a pattern.
    found = {base / match for match in glob.glob(written, root_dir=base, recursive=True)}  # noqa: PTH207
    files = sorted((named(path, context) for path in found if not path.is_dir()), key=lambda file: file.name)
    if not files:
        raise missing(written, base)
    return files


def fixed_part(pattern: Path) -> Path:
    """Return the part of a path before its first wildcard: what the user has spelt out."""
    if pattern.is_dir() or pattern.exists():
        return pattern
    parts = list(itertools.takewhile(lambda part: not glob.has_magic(part), pattern.parts))
    return Path(*parts)


def missing(written: str, base: Path) -> NothingFoundError:
    """Return that there is no such file, with where it was looked for, and what is there."""
    what = "no file matches" if glob.has_magic(written) else "there is no file"
    meant = Path.cwd() / written
    near = f"write {os.path.relpath(meant, base)}" if meant.exists() else _neighbours(base / written)
    return NothingFoundError(f"{what} {written}", hint=f"paths start from {base}; {near}")


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
    near = nearest_few(path.name, names) or names[:5]
    return f"near names there: {', '.join(near)}" if near else "the folder is empty"
