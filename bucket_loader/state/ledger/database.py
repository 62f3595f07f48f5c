"""The seam between the ledger and where it lies: statements in, rows out, and one durable commit at a time."""

import re
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from typing import Any, Final, Protocol

Statement = tuple[str, tuple[object, ...]]
Row = tuple[Any, ...]

SCHEMA_VERSION: Final = "4"
OLDER: Final = ("1", "2", "3")
# Columns that tables of older ledgers lack.
ADDED: Final = {
    "stream": {"removed": "INTEGER NOT NULL DEFAULT 0", "sent": "TEXT"},
    "memory": {"digest": "TEXT"},
}


class Database(Protocol):
    """Where a ledger lies. Statements are SQL that SQLite and PostgreSQL both read, with `?` for a parameter.

    Any thread may call. What cannot be done now is a `StateUnavailableError`, what is not what it was a
    `LedgerDamagedError`.
    """

    @property
    def name(self) -> str:
        """What to call it in a message; without a password."""

    def query(self, statement: str, *parameters: object) -> list[Row]:
        """Give the rows of a SELECT."""

    def write(self, statements: Sequence[Statement]) -> None:
        """Commit statements as one transaction; returns only when it is durable, and raises only when it is not."""

    def columns(self, table: str) -> set[str]:
        """Give the names of a table's columns; none when there is no such table."""

    def wait_until_held(self) -> None:
        """Return at once while nobody else can write here; else wait until that is so again, or raise."""

    def close(self) -> None:
        """Let go of it, and let the next run in."""


def layout(found: Callable[[str], set[str]]) -> Iterator[Statement]:
    """Give the statements that lay out a ledger, or bring an older one up to date.

    Args:
        found: gives the columns that a table has.
    """
    for table, columns in ADDED.items():
        there = found(table)
        for column, kind in columns.items():
            if there and column not in there:
                yield f"ALTER TABLE {table} ADD COLUMN {column} {kind}", ()
    text = re.sub(r"--[^\n]*", "", files("bucket_loader.state.ledger").joinpath("ledger.sql").read_text("utf-8"))
    for statement in filter(None, map(str.strip, text.split(";"))):
        yield statement, ()
    yield (
        "INSERT INTO meta VALUES ('schema', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (SCHEMA_VERSION,),
    )
