"""The journal in SQLite, for an emulator whose state outlives its process (`--data DIR`).

Only the journal and three small values are stored; the state is what replaying the journal gives, so there is nothing
that could disagree with it. The price is the start: about four seconds for each million records.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from bucket_loader.emulator.store.journal import Entry
from bucket_loader.model import StateError

_TABLES = """
create table if not exists accepted (
    place integer primary key, request integer not null, at_ms real not null, type text not null, body blob not null);
create table if not exists kept (name text primary key, value blob not null);
"""


class DurableJournal:
    """A journal in one SQLite file; an answer is given only after its commit."""

    is_durable: ClassVar[bool] = True

    def __init__(self, directory: Path) -> None:
        file = directory / "emulator.db"
        self._beginnings = 0  # each clearing is one, and closing; a reading that is under way ends with it
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(file, isolation_level=None, timeout=0.5)  # seconds
        except (OSError, sqlite3.OperationalError) as error:
            raise StateError(f"{file} cannot be opened: {error}", hint="give another --data directory") from error
        try:
            # WAL survives a kill of this process at any moment; for a power cut there is no need in an emulator.
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = normal")
            # Two emulators on one file would each know half of what was sent.
            self._connection.execute("pragma locking_mode = exclusive")
            self._connection.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise StateError(
                    f"{file} is used by another emulator", hint="end it, or give another --data"
                ) from error
            raise StateError(
                f"{file} cannot be used: {error}", hint="give another --data directory, or remove this file"
            ) from error

    def append(self, entry: Entry) -> None:
        """Keep an accepted call."""
        self._connection.execute(
            "insert into accepted (request, at_ms, type, body) values (?, ?, ?, ?)",
            (entry.request, entry.at_ms, entry.type, entry.body),
        )

    def entries(self) -> Iterator[Entry]:
        """Yield every call kept so far, in order."""
        return (entry for _, entry in self.after(0))

    def after(self, place: int) -> Iterator[tuple[int, Entry]]:
        """Yield the calls kept after a place; one by one, so that no read stays open while calls come in."""
        beginnings, end = self._beginnings, self.end()
        while place < end and self._beginnings == beginnings:
            row = self._connection.execute(
                "select place, request, at_ms, type, body from accepted where place > ? order by place limit 1",
                (place,),
            ).fetchone()
            place = row[0]
            yield place, Entry(*row[1:])

    def end(self) -> int:
        """Return the place of the last call."""
        (end,) = self._connection.execute("select coalesce(max(place), 0) from accepted").fetchone()
        return int(end)

    def keep(self, name: str, value: bytes) -> None:
        """Keep something small under a name, where the next start finds it."""
        self._connection.execute("insert or replace into kept (name, value) values (?, ?)", (name, value))

    def kept(self, name: str) -> bytes | None:
        """Return what was kept under a name."""
        row = self._connection.execute("select value from kept where name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Keep all that is kept inside the `with`, or nothing of it."""
        self._connection.execute("begin")
        try:
            yield
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._connection.execute("commit")

    def clear(self) -> None:
        """Forget everything."""
        self._beginnings += 1
        self._connection.execute("delete from accepted")
        self._connection.execute("delete from kept")

    def close(self) -> None:
        """Let go of the file; a reading that is under way ends."""
        self._beginnings += 1
        self._connection.close()
