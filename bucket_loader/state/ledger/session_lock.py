"""The lock of a state on PostgreSQL: a session's advisory lock, that one owner has alone and senders share.

Where the server, by its own clock, has not been asked for `LEASE_S` by who has the lock, whoever waits for it ends that
session.
"""

import hashlib
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.model import StateLockedError, now_s
from bucket_loader.state.ledger.connecting import LEASE_S, Waiting
from bucket_loader.state.ledger.postgres_sql import END_OVERDUE

if TYPE_CHECKING:
    from psycopg import Connection

TRIES_EVERY_S: Final = 0.25
_DYING_S: Final = 1.0  # what the server may take to notice that a process has ended
_ALONE: Final = "SELECT pg_try_advisory_lock(%s)"
_SHARED: Final = "SELECT pg_try_advisory_lock_shared(%s)"


class SessionLock:
    """The lock of a schema, as one process wants it.

    Attributes:
        is_shared: whether others may have it too.
    """

    def __init__(self, schema: str, waiting: Waiting, *, is_shared: bool) -> None:
        self.is_shared = is_shared
        self._key = int.from_bytes(hashlib.sha256(schema.encode()).digest()[:8], "big", signed=True)
        self._waiting = waiting

    def taken(self, connection: "Connection[Any]") -> bool:
        """Take it if it can be had now; return whether it was."""
        statement = _SHARED if self.is_shared else _ALONE
        ((locked,),) = connection.execute(statement, (self._key,)).fetchall()
        return bool(locked)

    def wait(self, connection: "Connection[Any]", name: str) -> None:
        """Take it, or wait for it as long as is waited.

        Raises:
            StateLockedError: it could not be had.
        """
        began = now_s()
        ends = began + max(self._waiting.lock_s, _DYING_S)
        while not self.taken(connection):
            if now_s() >= ends or self._waiting.is_stopped():
                raise StateLockedError(
                    f"another copy is running on {name}",
                    hint="wait for it and run again, or use --wait-for-lock; the lock goes with its connection",
                )
            self.end_overdue(connection)
            self._waiting.for_lock(name, began, ends, TRIES_EVERY_S)
        self._waiting.tell(None)

    def end_overdue(self, connection: "Connection[Any]") -> None:
        """End the sessions that have it and were not heard of for long."""
        connection.execute(END_OVERDUE, (self._key, LEASE_S))

    def share(self, connection: "Connection[Any]") -> None:
        """Let others have it too; nobody can have it alone in between."""
        self.is_shared = True
        self.taken(connection)
        connection.execute("SELECT pg_advisory_unlock(%s)", (self._key,))

    def is_alone_again(self, connection: "Connection[Any]") -> bool:
        """Have it alone again, if nobody else has it by now; return whether that is so."""
        self.is_shared = False
        if self.taken(connection):
            connection.execute("SELECT pg_advisory_unlock_shared(%s)", (self._key,))
            return True
        self.is_shared = True
        self.end_overdue(connection)
        return False
