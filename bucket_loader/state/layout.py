"""Where everything of a state lies: the one place that names its files and folders.

<state>/<pipeline>@<environment>@<host>/
ledger.db      lock          mark.json (where the ledger is on a server)
ledger.schema-8.db           (as it was before a newer version of the loader brought it up to date)
plans/<run>/   snapshots/<file>.pages   dead_letters/<run>.jsonl

<state>/checked/<pipeline>@<environment>@<host>.jsonl   the rows that the last check rejected

A place in a store has the same names, but for the dead letters: a folder for each run, and an object for each append.
"""

import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PLANS: Final = "plans"
_SNAPSHOTS: Final = "snapshots"
_DEAD_LETTERS: Final = "dead_letters"
_LETTERS: Final = ".jsonl"
_CHECKED: Final = "checked"
_MERGED: Final = "-merged-"
_RECORDS: Final = ".parquet"
_PAGES: Final = ".pages"  # of memory; those of older versions are Parquet
_LEDGER: Final = "ledger.db"
MANIFEST: Final = "manifest.json"  # of a plan: without it the plan does not exist
REJECTED: Final = f"rejected{_LETTERS}"  # of a plan: what planning rejected


@dataclass(frozen=True)
class StateLayout:
    """The files and folders below a state's folder, and what a store calls them."""

    root: Path

    @classmethod
    def of_letters(cls, file: Path) -> "StateLayout":
        """Return the layout of the state that a file of dead letters lies in, if it lies in one."""
        return cls(file.absolute().parent.parent)

    @classmethod
    def of_ledger(cls, file: Path) -> "StateLayout":
        """Return the layout of the state that a ledger's file lies in."""
        return cls(file.parent)

    @property
    def ledger(self) -> Path:
        """The ledger, where it is a file."""
        return self.root / _LEDGER

    def ledger_of(self, version: str) -> Path:
        """Return the copy of the ledger as it was in an older version of its schema."""
        return self.root / f"{self.ledger.stem}.schema-{version}{self.ledger.suffix}"

    @property
    def lock(self) -> Path:
        """What a run locks, so that it is alone."""
        return self.root / "lock"

    @property
    def plans(self) -> Path:
        """The folder of plans; made by the first."""
        return self.root / _PLANS

    @property
    def snapshots(self) -> Path:
        """The folder of the streams' memory."""
        return self.root / _SNAPSHOTS

    @property
    def dead_letters(self) -> Path:
        """The folder of what was rejected."""
        return self.root / _DEAD_LETTERS

    @property
    def mark(self) -> Path:
        """How far the ledger was, where it lies on a server."""
        return self.root / "mark.json"

    @property
    def checked(self) -> Path:
        """The rows that the last check of the pipeline rejected: beside the state, for a check makes none."""
        return self.root.parent / _CHECKED / f"{self.root.name}{_LETTERS}"

    def plan(self, run: str) -> Path:
        """Return the folder of a run's plan."""
        return self.plans / run

    def snapshot(self, file: str) -> Path:
        """Return the path of a file of memory."""
        return self.snapshots / file

    def letters(self, run: str) -> Path:
        """Return the file of a run's dead letters."""
        return self.dead_letters / f"{run}{_LETTERS}"

    def all_letters(self) -> Iterable[Path]:
        """Return the files of dead letters that are there."""
        return self.dead_letters.glob(f"*{_LETTERS}")

    def name(self, path: Path) -> str:
        """Return what a store calls a file or folder of the state."""
        return path.relative_to(self.root).as_posix()

    def stored_letters(self, run: str) -> str:
        """Return the folder of a run's dead letters in a store."""
        return f"{_DEAD_LETTERS}/{run}"

    def new_letters(self, run: str) -> str:
        """Name an object for more of a run's dead letters: objects sort as they were written."""
        return f"{self.stored_letters(run)}/{time.time_ns():020d}-{secrets.token_hex(4)}{_LETTERS}"


def records_file(position: int, stream: str, part: int = 0) -> str:
    """Name the file of a part of a stream in a plan: its position, and enough of its name to recognise."""
    return f"{_stem(position, stream)}{f'.{part}' if part else ''}{_RECORDS}"


def waiting_file(records: str) -> str:
    """Name the file of a plan's rows that were refused before and are not sent, beside that of its records."""
    return f"{records.removesuffix(_RECORDS)}.refused{_RECORDS}"


def snapshot_file(position: int, stream: str, run: str, owner: str) -> str:
    """Name the file of what a stream remembers of a run; one that lost the state never writes another owner's."""
    return f"{_stem(position, stream)}-{run}-{owner}{_PAGES}"


def refusals_file(position: int, stream: str, run: str, owner: str) -> str:
    """Name the file of what the API has refused of a stream, as of a run."""
    return f"{_stem(position, stream)}-{run}-{owner}-refused{_RECORDS}"


def merged_file(last: str) -> str:
    """Name the file that stands for several files of memory, the last of which is given; no file has the name yet."""
    first = re.sub(rf"({_MERGED}[0-9a-f]{{8}})+$", "", Path(last).stem)  # or the name would grow with each time
    return f"{first}{_MERGED}{secrets.token_hex(4)}{_PAGES}"


def is_merged(file: str) -> bool:
    """Whether a file of memory stands for several."""
    return re.search(rf"{_MERGED}[0-9a-f]{{8}}{re.escape(_PAGES)}$", file) is not None


def is_of_old(file: str) -> bool:
    """Whether a file of memory is one of older versions: Parquet, in any order."""
    return not file.endswith(_PAGES)


def _stem(position: int, stream: str) -> str:
    return f"{position:02d}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', stream)}"
