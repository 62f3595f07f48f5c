"""What a process is to a ledger on PostgreSQL: its owner, alone; or one of the senders of a run, beside others.

Both are a session's advisory lock, which an owner has alone and senders share, and a row that each of their
transactions writes: one that may not is refused as a whole. The row holds a *token*, new with each transaction: after a
break it tells whether the last one was applied.
"""

import os
import socket
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Protocol

from bucket_loader.model import StateLockedError
from bucket_loader.state.ledger.postgres_sql import spelt
from bucket_loader.state.ledger.sharing import joined

if TYPE_CHECKING:
    from psycopg import Connection

Values = tuple[object, ...]


class Seat(Protocol):
    """What a process is to a ledger.

    Attributes:
        shares: whether others may have the lock too.
        ask: the SELECT that fails where the seat is lost; its parameters are `asks`.
        fence: the first statement of each transaction: it fails where the seat is lost.
    """

    shares: bool
    fence: str
    ask: str

    def asks(self, epoch: int) -> Values:
        """Return the parameters of `ask`."""

    def fenced(self, epoch: int, token: str) -> Values:
        """Return the parameters of `fence`."""

    def take(self, connection: "Connection[Any]", token: str) -> int:
        """Sit down, under the lock; return the epoch of it."""

    def standing(self, connection: "Connection[Any]") -> tuple[int, str]:
        """Return whose epoch it is now, and the token of the seat's last transaction."""

    def take_again(self, connection: "Connection[Any]", epoch: int) -> None:
        """Let another session of this process have the seat."""

    def heard(self, answer: Any) -> bool:  # noqa: ANN401  # a row, or None
        """Whether the fence's answer says that this process should come to its end."""

    def lost(self, name: str) -> StateLockedError:
        """Return what to raise where somebody else has the seat; `name` is the ledger's."""


class OwnerSeat:
    """Owns the ledger alone."""

    shares = False
    # A null token is refused by its column, and with it the transaction.
    fence = "UPDATE owner SET token = CASE WHEN epoch = %s AND backend = pg_backend_pid() THEN %s END"
    ask = "SELECT 1"

    def asks(self, epoch: int) -> Values:  # noqa: ARG002  # a sender's needs it
        """Return no parameters: the session's lock says all."""
        return ()

    def fenced(self, epoch: int, token: str) -> Values:
        """Return the parameters of the fence."""
        return epoch, token

    def take(self, connection: "Connection[Any]", token: str) -> int:
        """Become the owner; return the epoch."""
        ((epoch,),) = connection.execute("SELECT epoch + 1 FROM owner").fetchall()
        connection.execute("UPDATE owner SET epoch = %s, backend = pg_backend_pid(), token = %s", (epoch, token))
        return int(epoch)

    def standing(self, connection: "Connection[Any]") -> tuple[int, str]:
        """Return the owner's epoch and token."""
        ((epoch, token),) = connection.execute("SELECT epoch, token FROM owner").fetchall()
        return epoch, token

    def take_again(self, connection: "Connection[Any]", epoch: int) -> None:
        """Be the owner in another session."""
        connection.execute("UPDATE owner SET backend = pg_backend_pid() WHERE epoch = %s", (epoch,))

    def heard(self, answer: Any) -> bool:  # noqa: ANN401, ARG002
        """Return False: nobody tells an owner anything."""
        return False

    def lost(self, name: str) -> StateLockedError:
        """Say that another copy has it."""
        return StateLockedError(
            f"another copy has taken over {name}", hint="nothing more is sent from here; the other copy goes on"
        )


class SenderSeat:
    """Sends some parts of a run, beside others that send the rest.

    Attributes:
        sender: its name.
    """

    shares = True
    # No row of a sender that lives: a division by zero, and with it no transaction.
    fence = """
        WITH mine AS (
            UPDATE sender SET token = %s, heard = now_ms() WHERE sender = %s AND ended IS NULL
            AND backend = pg_backend_pid() AND epoch = %s AND epoch = (SELECT epoch FROM owner) RETURNING 1
        ) SELECT 1 / count(*), EXISTS (SELECT 1 FROM flag WHERE run = %s) FROM mine
    """
    ask = """
        SELECT 1 / count(*) FROM sender WHERE sender = ? AND ended IS NULL AND epoch = ?
        AND epoch = (SELECT epoch FROM owner)
    """

    def __init__(self, run: str) -> None:
        self.run, self.sender = run, token_hex(6)

    def asks(self, epoch: int) -> Values:
        """Return the parameters of `ask`."""
        return self.sender, epoch

    def fenced(self, epoch: int, token: str) -> Values:
        """Return the parameters of the fence."""
        return token, self.sender, epoch, self.run

    def take(self, connection: "Connection[Any]", token: str) -> int:
        """Come as a sender; return the epoch of the owner that there was last."""
        statement, parameters = joined(self.run, self.sender, socket.gethostname(), os.getpid())
        connection.execute(spelt(statement), (*parameters, token))
        ((epoch,),) = connection.execute("SELECT epoch FROM sender WHERE sender = %s", (self.sender,)).fetchall()
        return int(epoch)

    def standing(self, connection: "Connection[Any]") -> tuple[int, str]:
        """Return the owner's epoch and the sender's token; another epoch where it was given up."""
        rows = connection.execute(
            "SELECT o.epoch, s.token FROM owner o, sender s WHERE s.sender = %s AND s.ended IS NULL", (self.sender,)
        ).fetchall()
        return next(((epoch, token) for epoch, token in rows), (-1, ""))

    def take_again(self, connection: "Connection[Any]", epoch: int) -> None:
        """Be the sender in another session."""
        connection.execute(
            "UPDATE sender SET backend = pg_backend_pid() WHERE sender = %s AND epoch = %s", (self.sender, epoch)
        )

    def heard(self, answer: Any) -> bool:  # noqa: ANN401
        """Whether another sender has met what ends the run for all."""
        return answer is not None and bool(answer[1])

    def lost(self, name: str) -> StateLockedError:
        """Say that others have its part."""
        return StateLockedError(
            f"this sender was not heard of for too long, and others have taken over what it had of {name}",
            hint="nothing more is sent from here; the others go on with the same run",
        )
