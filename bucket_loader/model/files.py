"""Files that survive a power cut: folders, syncs, and a digest to know a file again by."""

import hashlib
import os
from pathlib import Path


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, for their owner alone; their names survive a power cut."""
    missing = [path, *path.parents]
    missing = missing[: next(number for number, folder in enumerate(missing) if folder.is_dir())]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True, mode=0o700)
        sync(folder.parent)


def sync(path: Path) -> None:
    """Make a file, or a folder's list of names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_digest(path: Path) -> str:
    """Give a file's sha256, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
