"""Folders that are tables: a log beside the files says which of them count, so that they are not read as files."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Literal

from bucket_loader.config import FileSource, Storage, scheme_of
from bucket_loader.model import SourceError
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.files.input_file import InputFile
from bucket_loader.sources.files.listing import filled

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

# Folders of a store whose surroundings are looked at: each takes a few requests.
_FOLDERS_MAX: Final = 20
_METADATA_NUMBER: Final = re.compile(r"v?(\d+)")


@dataclass(frozen=True)
class TableFolder:
    """A folder that is a table.

    Attributes:
        kind: the type of source that reads it.
        metadata: where its newest metadata file is, below the folder; for Iceberg alone.
    """

    kind: Literal["delta", "iceberg"]
    metadata: str = ""


def table_at(path: str, base: Path) -> TableFolder | None:
    """Look whether a path, here or in a store, is the folder of a table; where that cannot be seen, it is none."""
    if scheme_of(path) in {"http", "https"}:
        return None
    return _table_in(*_place(path, base, Storage()))


def refuse_tables(spec: FileSource, context: SourceContext, files: Sequence[InputFile]) -> None:
    """Refuse files that a folder or a glob means, and that belong to a table. One that is spelt out may be read.

    Raises:
        SourceError: names the table, and what reads it.
    """
    path = filled(spec.path, context)
    if scheme_of(path) in {"http", "https"}:
        return
    system, whole = _place(path, context.base, spec.storage or Storage())
    seen: set[PurePosixPath] = set()
    for folder in _folders(files, whole, limited=scheme_of(path) is not None):
        for root in (folder, *folder.parents):
            if root in seen or root.name == "":
                continue
            seen.add(root)
            if (table := _table_in(system, str(root))) is not None:
                raise _refused(_shown(root, whole, path), table)


def _folders(files: Sequence[InputFile], whole: str, *, limited: bool) -> "list[PurePosixPath]":
    """Return the folders that files are in, above those of partitions; a file that the path spells out has none."""
    keys = [str(getattr(file, "key", None) or getattr(file, "path", "")) for file in files]
    found = dict.fromkeys(_above_partitions(PurePosixPath(key).parent) for key in keys if key != whole)
    return list(found)[: _FOLDERS_MAX if limited else None]


def _above_partitions(folder: PurePosixPath) -> PurePosixPath:
    return _above_partitions(folder.parent) if "=" in folder.name else folder


def _place(path: str, base: Path, storage: Storage) -> "tuple[FileSystem, str]":
    """Return the file system of a path, and the path in it."""
    from pyarrow import fs

    if scheme_of(path) is None:
        return fs.LocalFileSystem(), str(base.absolute() / path)
    from bucket_loader.sources.stores.remote import place_of

    place = place_of(path, storage)
    return place.system, place.key


def _table_in(system: "FileSystem", folder: str) -> TableFolder | None:
    from pyarrow import fs

    try:
        log, metadata = system.get_file_info([f"{folder}/_delta_log", f"{folder}/metadata"])
        if log.type == fs.FileType.Directory:
            return TableFolder("delta")
        if metadata.type == fs.FileType.Directory:
            names = [info.base_name for info in system.get_file_info(fs.FileSelector(f"{folder}/metadata"))]
            return next(_iceberg(name for name in names if name.endswith(".metadata.json")), None)
    except OSError:  # a folder above may be hidden from this user; whether the files can be read is seen elsewhere
        return None
    return None


def _iceberg(names: Iterator[str]) -> Iterator[TableFolder]:
    """Return the table of metadata files, the newest of which has the highest number."""
    numbered = [(int(found[1]), name) for name in names if (found := _METADATA_NUMBER.match(name))]
    yield from [TableFolder("iceberg", f"metadata/{max(numbered)[1]}")] if numbered else []


def _shown(root: PurePosixPath, whole: str, path: str) -> str:
    """Return a folder as the user would write it, where the path that was written leads there."""
    if whole.rstrip("/").endswith(path.rstrip("/")) and str(root).startswith(whole.rstrip("/")):
        return path.rstrip("/") + str(root).removeprefix(whole.rstrip("/"))
    scheme = path.partition("://")[0] + "://" if scheme_of(path) else ""
    return f"{scheme}{root}"


def _refused(folder: str, table: TableFolder) -> SourceError:
    if table.kind == "delta":
        return SourceError(
            f"{folder} is a Delta table: its log says which of its files count, and which rows of them",
            hint=f"write `type: delta` and `path: {folder}`",
        )
    return SourceError(
        f"{folder} is an Iceberg table: its metadata says which of its files count, and which rows of them",
        hint=f"write `type: iceberg` with `table:` and `catalog:`, or with `metadata: {folder}/{table.metadata}`",
    )
