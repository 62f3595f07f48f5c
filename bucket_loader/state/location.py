"""Where a state lies: a folder, and for workers that forget a ledger on PostgreSQL and a store for the files."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bucket_loader.model import UsageError

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/+(.+)", re.DOTALL)  # one slash: it went through a `Path`
_LEDGERS: Final = {"postgresql", "postgres"}
_STORES: Final = {"s3", "gs", "az", "abfs", "abfss"}

Given = str | Path | Iterable[str | Path] | None


@dataclass(frozen=True)
class StatePlace:
    """Where a state lies.

    Attributes:
        folder: where its files lie on this machine; with a store, copies of them.
        ledger: the URL of a PostgreSQL database; None for a file in the folder.
        store: the URL of a place in an object store, where the files lie for every worker.
    """

    folder: Path
    ledger: str | None = field(default=None, repr=False)
    store: str | None = None


def read_place(given: Given, usual: Path) -> StatePlace:
    """Read what `--state` was given; `usual` is the folder where none is named.

    Raises:
        UsageError: it cannot be used, or only together with something else. No URL is shown: it may hold a password.
    """
    words = [given] if isinstance(given, (str, Path)) else list(given or ())
    folders: list[Path] = []
    ledgers: list[str] = []
    stores: list[str] = []
    for word in words:
        url = _URL.fullmatch(str(word))
        scheme = url[1].lower() if url else ""
        if url is None:
            folders.append(Path(word))
        elif scheme in _LEDGERS:
            ledgers.append(f"postgresql://{url[2]}")
        elif scheme in _STORES:
            stores.append(f"{scheme}://{url[2]}")
        else:
            raise UsageError(
                f"a state cannot lie at {scheme}://",
                hint="--state takes a folder, postgresql://... for the ledger, and s3://, gs:// or az:// for the files",
            )
    for many, what in ((folders, "folders"), (ledgers, "ledgers"), (stores, "stores")):
        if len(many) > 1:
            raise UsageError(
                f"--state names {len(many)} {what}",
                hint="at most one folder, one postgresql:// and one store; BUCKET_LOADER_STATE parts them by blanks",
            )
    if stores and not ledgers:
        raise UsageError(
            "a store holds the files of a state, and its ledger needs a place that every worker sees as well",
            hint="add --state postgresql://user@host/database",
        )
    return StatePlace(
        folders[0] if folders else usual,
        ledgers[0] if ledgers else None,
        stores[0] if stores else None,
    )
