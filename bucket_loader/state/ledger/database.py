"""The seam between the ledger and where it lies: statements in, rows out, and one durable commit at a time."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib.resources import files
from typing import Any, Final, Protocol

from bucket_loader.model import PLANNED, StateError

Statement = tuple[str, tuple[object, ...]]
Row = tuple[Any, ...]

# Version 6 had six counts of planning, an owner in a file, and chunks that are set aside; each new count is a version,
# and so is any other change: chunks that are folded, attempts that are recorded, parts of several senders, their rates.
_VERSION: Final = 6 + len(PLANNED) - 6 + 4
SCHEMA_VERSION: Final = str(_VERSION)
OLDER: Final = tuple(map(str, range(1, _VERSION)))
NOTE: Final = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_FIRST: Final = {count.name: "INTEGER NOT NULL" for count in PLANNED if not count.is_later}
_LATER: Final = {count.name: "INTEGER NOT NULL DEFAULT 0" for count in PLANNED if count.is_later}
# Columns that tables of older ledgers lack.
ADDED: Final = {
    "stream": {**_LATER, "sent": "TEXT", "answers": "TEXT"},
    "memory": {"digest": "TEXT"},
    "run": {"aged": "INTEGER NOT NULL DEFAULT 0"},
    "sender": {"rate": "DOUBLE PRECISION"},
    "chunk": {"folded": "INTEGER", "tries": "TEXT NOT NULL DEFAULT ''"},
}
# Its states are a list in the table itself, and older ledgers lack one: the table is made anew, and its rows go there.
_REMADE: Final = "run, stream, first, members, records, part, state, attempts, ambiguous, digest, status"


class Database(Protocol):
    """Where a ledger lies. Statements are SQL that SQLite and PostgreSQL both read, with `?` for a parameter.

    Any thread may call. What cannot be done now is a `StateUnavailableError`, what is not what it was a
    `LedgerDamagedError`.
    """

    @property
    def name(self) -> str:
        """What to call it in a message; without a password."""

    @property
    def owner(self) -> str:
        """What tells this process's ownership of it from all others: whoever opens it next has another."""

    @property
    def lost(self) -> StateError | None:
        """What took it away from this process, for good: nothing is committed any more, but it may be read."""

    def query(self, statement: str, *parameters: object) -> list[Row]:
        """Return the rows of a SELECT."""

    def still(self) -> AbstractContextManager[None]:
        """While it lasts, all queries of who only looks see one moment, whatever a run beside does."""

    def write(self, statements: Sequence[Statement]) -> None:
        """Commit statements as one transaction; returns only when it is durable, and raises only when it is not.

        Every transaction makes sure that this process still owns it.
        """

    def columns(self, table: str) -> set[str]:
        """Return the names of a table's columns; none when there is no such table."""

    def keep_copy(self, version: str) -> str:
        """Keep a copy of all that is in it, as it is, beside it: before an older version of it is brought up to date.

        Returns where the copy is, in words. One that is there already is replaced.
        """

    def require_whole(self) -> None:
        """Read through all of it, where nobody else answers for what it wrote; raise when it is damaged."""

    def shrink(self) -> None:
        """Give the space of what was deleted back to its disk, where nobody else does that."""

    def wait_until_held(self) -> None:
        """Return at once while nobody else can write here; else wait until that is so again, or raise."""

    def shared(self) -> AbstractContextManager[None]:
        """While it lasts, senders are let in beside this owner; at its end this waits until they are gone."""

    def end_overdue(self) -> None:
        """End what others that share it left open, and were not heard of since: it may be in the way of a commit."""

    def close(self) -> None:
        """Let go of it, and let the next run in."""


def layout(found: Callable[[str], set[str]]) -> Iterator[Statement]:
    """Yield the statements that lay out a ledger, or bring an older one up to date.

    Args:
        found: returns the columns that a table has.
    """
    for table, columns in ADDED.items():
        there = found(table)
        for column, kind in columns.items():
            if there and column not in there:
                yield f"ALTER TABLE {table} ADD COLUMN {column} {kind}", ()
    text = re.sub(r"--[^\n]*", "", files("bucket_loader.state.ledger").joinpath("ledger.sql").read_text("utf-8"))
    for mark, columns in (("/* first counts */", _FIRST), ("/* later counts */", _LATER)):
        text = text.replace(mark, " ".join(f"{column} {kind}," for column, kind in columns.items()))
    remade = (chunks := found("chunk")) and "aside" not in chunks
    if remade:
        yield "ALTER TABLE chunk RENAME TO chunk_before", ()
    for statement in filter(None, map(str.strip, text.split(";"))):
        yield statement, ()
    if remade:
        yield f"INSERT INTO chunk ({_REMADE}) SELECT {_REMADE} FROM chunk_before", ()
        yield "DROP TABLE chunk_before", ()
    yield (
        "INSERT INTO meta VALUES ('schema', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (SCHEMA_VERSION,),
    )
