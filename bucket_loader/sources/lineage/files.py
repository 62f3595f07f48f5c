"""What files are called: the store that they lie in, and their path there."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from bucket_loader.config import PATH_PARAMETER, DeltaSource, FileSource, scheme_of
from bucket_loader.sources.lineage.upstream import Dataset

_WILDCARD = re.compile(r"[*?\[]")
_AZURE = "dfs.core.windows.net"


def file_dataset(spec: FileSource | DeltaSource, base: Path) -> Dataset:
    """Return the dataset of a path: the file, or the folder of all files that a pattern may mean."""
    account = spec.storage.account if spec.storage is not None else None
    return path_dataset(spec.path, base, account)


def path_dataset(path: str, base: Path, account: str | None = None) -> Dataset:
    """Return the dataset of a path.

    Args:
        path: as a pipeline file spells it.
        base: the folder that a local one starts from.
        account: of an Azure container.
    """
    scheme = scheme_of(path)
    is_web = scheme in {"http", "https"}
    path = _folder_of_pattern(path.partition("?")[0] if is_web else path)  # what follows may be a key
    if scheme is None:
        return Dataset("file", os.path.normpath(base.absolute() / path))
    parts = urlsplit(path)
    name = parts.path.strip("/") or "/"
    if is_web:
        return Dataset(f"{scheme}://{parts.netloc.rpartition('@')[2]}", parts.path or "/")
    if scheme in {"az", "abfs", "abfss"}:
        container, _, host = parts.netloc.partition("@")
        host = host or (f"{account}.{_AZURE}" if account else "")
        return Dataset(f"abfss://{container}@{host}" if host else f"az://{container}", name)
    return Dataset(f"{scheme}://{parts.netloc}", name)


def _folder_of_pattern(path: str) -> str:
    """Return a path up to the first part that is not the same every day; a table of lineage has no day in its name."""
    places = [match.start() for sign in (_WILDCARD, PATH_PARAMETER) if (match := sign.search(path)) is not None]
    return path[: path.rfind("/", 0, min(places)) + 1] or "." if places else path
