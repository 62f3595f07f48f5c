"""A ledger on a PostgreSQL server: a schema for each state, and the state's lock in the connection that commits.

The lock is a session's advisory lock: a connection that breaks loses it together with the ability to commit. What
reconnects takes it again, and goes on only where nobody else was here meanwhile:

- `owner.epoch` grows with each owner, `owner.backend` is the server's process that serves it. Every transaction checks
  both, so that a connection that no longer owns the state cannot commit, whatever it believes.
- `owner.token` is written anew by every transaction. After a break it tells whether the last one was applied: it is
  neither done twice nor lost.
- Senders of one run share the lock, and each has such a row of its own (`seats`).

Who owns the state asks the server every few seconds. Where the server, by its own clock, has not been asked for
`LEASE_S`, whoever waits for the lock ends that session: a machine that sleeps, or is cut off behind something that
keeps its connection, owns nothing. When it wakes, it asks before it sends.
"""

import os
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, NoReturn

from bucket_loader.model import StateError, StateLockedError, StateUnavailableError, now_s
from bucket_loader.state.ledger.connecting import FIRST_S, GONE_STATES, LATER_STATES, Server, Waiting, is_broken
from bucket_loader.state.ledger.database import Row, Statement, layout
from bucket_loader.state.ledger.postgres_sql import MORE, TABLES, copying, kept_table, spelt
from bucket_loader.state.ledger.seats import OwnerSeat, Seat
from bucket_loader.state.ledger.session_lock import TRIES_EVERY_S, SessionLock

_LOOKS_EVERY_S: Final = 5.0  # how long a break can stay unnoticed while nothing is committed
_ASKS_AFTER_S: Final = 12.0  # without an answer: then it is asked before a request is sent
_open: "Final[weakref.WeakSet[PostgresDatabase]]" = weakref.WeakSet()


class PostgresDatabase:
    """A schema of a server; owned, unless it is only looked at."""

    def __init__(
        self, server: Server, schema: str, waiting: Waiting, seat: Seat | None = None, *, looks_only: bool = False
    ) -> None:
        self._server, self._schema, self._waiting = server, schema, waiting
        self._seat: Seat = seat or OwnerSeat()
        self._session_lock = SessionLock(schema, waiting, is_shared=self._seat.shares)
        self._lock = threading.RLock()
        self._lost: StateError | None = None
        self._process = os.getpid()
        self._heard_s = now_s()  # of the last answer: when it was asked for
        self._owns = False
        self._epoch = 0
        self._token = self._pending = ""  # of the last transaction that was applied, and of the last that was tried
        self._backend: tuple[int, Any] = (0, None)
        self._closed = threading.Event()
        self._connection = server.connect(schema, writes=not looks_only)
        _open.add(self)
        if not looks_only:
            self._take_at_last()
            threading.Thread(target=self._look, name="ledger", daemon=True).start()

    @property
    def name(self) -> str:
        """The server, its database and the schema."""
        return f"{self._server.name}, schema {self._schema!r}"

    @property
    def owner(self) -> str:
        """The epoch of the owner."""
        return str(self._epoch)

    @property
    def lost(self) -> StateError | None:
        """What took the state away."""
        return self._lost

    # --- the seam ------------------------------------------------------------------------------------------------

    def query(self, statement: str, *parameters: object) -> list[Row]:
        """Return the rows of a SELECT; after a break, of a new connection."""
        self._require_process()
        with self._lock, self._explained():
            self._require_open()
            while True:
                asked_s = now_s()
                try:
                    rows = self._connection.execute(spelt(statement), parameters).fetchall()
                except self._server.errors.OperationalError as error:
                    if self._lost is not None:
                        raise self._lost from None
                    self._survive(error)
                else:
                    self._heard_s = asked_s
                    return rows

    @contextmanager
    def still(self) -> Iterator[None]:
        """Let all queries see the same moment: who only looks reads repeatably."""
        with self._explained(), self._connection.transaction():
            yield

    def write(self, statements: Sequence[Statement]) -> None:
        """Commit statements as one transaction, once, whatever breaks meanwhile."""
        self._require_process()
        with self._lock, self._explained():
            self._require_open()
            if self._lost is not None:
                raise self._lost
            self._pending = token_hex(8)
            while self._token != self._pending:
                asked_s = now_s()
                try:
                    self._commit(self._pending, statements)
                    self._token, self._heard_s = self._pending, asked_s
                except self._server.errors.OperationalError as error:
                    if error.sqlstate is None:
                        # No answer of the server: a session that ended between COMMIT and its answer may look alive.
                        # A new one tells by the token whether it was done.
                        self._connection.close()
                    self._survive(error)

    def _commit(self, token: str, statements: Sequence[Statement]) -> None:
        """Send a transaction whole, and read its answers: one journey."""
        connection, seat = self._connection, self._seat
        try:
            with connection.cursor() as fence:
                with connection.pipeline(), connection.cursor() as cursor:
                    cursor.execute("BEGIN")
                    fence.execute(spelt(seat.fence), seat.fenced(self._epoch, token))
                    for statement, parameters in statements:
                        cursor.execute(spelt(statement), parameters)
                    cursor.execute("COMMIT")
                if fence.description is not None and seat.heard(fence.fetchone()):
                    self._waiting.stop()
        except BaseException:
            if not connection.closed:
                with suppress(self._server.errors.Error):
                    connection.execute("ROLLBACK")
            raise

    def columns(self, table: str) -> set[str]:
        """Return the names of a table's columns."""
        return {str(name) for (name,) in self.query(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = ? AND table_name = ?",
            self._schema, table)}  # fmt: skip

    def keep_copy(self, version: str) -> str:
        """Copy its tables within its schema: whoever may write there may do that, and make no other schema."""
        tables = self.query(TABLES, self._schema)
        self.write([statement for (table,) in tables for statement in copying(table, version)])
        return f"{self.name}, tables {kept_table('*', version)}"

    def require_whole(self) -> None:
        """Leave it to the server, which answers for what it wrote."""

    def shrink(self) -> None:
        """Leave it to the server's autovacuum."""

    def wait_until_held(self) -> None:
        """Return while the connection, and with it the lock, stands; else reconnect, or raise what stands in the way.

        A request asks this first: it must not go out when another may own the state by now. A connection that was not
        heard of for long, since the machine slept or the process was stopped, may only seem to stand.
        """
        if self._lost is not None:
            raise self._lost
        if self._is_gone() or now_s() - self._heard_s > _ASKS_AFTER_S:
            self._ask()

    def _ask(self) -> None:
        self.query(self._seat.ask, *self._seat.asks(self._epoch))

    def close(self) -> None:
        """Close the connection: the lock goes with it."""
        if os.getpid() != self._process:
            return  # it is not a fork's to close
        self._closed.set()
        with self._lock:
            self._connection.close()

    # --- owning --------------------------------------------------------------------------------------------------

    def _take_at_last(self) -> None:
        """Become the owner, also where the server restarts in between; the lock may have been waited for long."""
        breaks_since = now_s()
        try:
            while True:
                tried_s = now_s()
                try:
                    with self._explained():
                        return self._take()
                except StateUnavailableError:
                    was_there = now_s() - tried_s >= FIRST_S  # another had the lock
                    breaks_since = now_s() if was_there else breaks_since
                    if now_s() - breaks_since >= FIRST_S or not (self._connection.closed or self._is_gone()):
                        raise
                self._connection.close()
                self._connection = self._server.connect(self._schema, writes=True)
        except BaseException:
            self._connection.close()
            raise

    def _take(self) -> None:
        """Lock the state, lay it out when it is new, and become its owner."""
        self._session_lock.wait(self._connection, self.name)
        if not self.columns("owner"):
            self._lay_out()
        self._token = token_hex(8)
        self._epoch, self._owns = self._seat.take(self._connection, self._token), True
        self._know_backend()

    def _lay_out(self) -> None:
        self._server.make_schema(self._connection, self._schema)
        with self._connection.transaction():
            for statement, parameters in layout(lambda _table: set()):
                self._connection.execute(spelt(statement), parameters)
            for statement in MORE:
                self._connection.execute(statement)

    def _know_backend(self) -> None:
        ((pid, began),) = self._connection.execute(
            "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        ).fetchall()
        self._backend = pid, began

    def _require_process(self) -> None:
        """Refuse a fork of the process that opened it; before the lock, which nobody would let go of there."""
        if os.getpid() != self._process:
            raise StateLockedError(
                f"the ledger ({self.name}) was opened by another process, and this one is a fork of it",
                hint="nothing is sent from a fork; open the state anew in it, when the other process has ended",
            )

    def let_go_in_fork(self) -> None:
        """Let go of the connection in a fork of the process: the lock must not live on with it."""
        with suppress(self._server.errors.Error, OSError), Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), self._connection.fileno(), inheritable=False)

    def _require_open(self) -> None:
        if self._closed.is_set():  # and it does not reconnect for a worker that was left behind by a host's Ctrl-C
            raise StateUnavailableError(f"the ledger ({self.name}) is closed", hint="run the same command again")

    def _lose(self, error: StateError) -> NoReturn:
        """Stop for good: somebody else owns the state, or nobody can tell."""
        self._lost = error
        self._waiting.stop()
        raise error

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Let senders in beside this owner for as long as the `with` lasts; nobody can become its owner meanwhile.

        At its end this waits for those that are still there.
        """
        with self._lock, self._explained():
            self._session_lock.share(self._connection)
        try:
            yield
        finally:
            while not self._is_alone_again():
                time.sleep(TRIES_EVERY_S)

    def _is_alone_again(self) -> bool:
        with self._lock, self._explained():
            self._ask()  # after a break it reconnects
            return self._session_lock.is_alone_again(self._connection)

    def end_overdue(self) -> None:
        """End the sessions beside this one that were not heard of for long."""
        with self._lock, self._explained():
            self._ask()
            self._session_lock.end_overdue(self._connection)

    # --- breaks --------------------------------------------------------------------------------------------------

    def _is_gone(self) -> bool:
        return is_broken(self._connection, self._server.errors.Error)

    def _look(self) -> None:
        """Look at the connection now and then, so that a break is known where nothing is committed for long."""
        while not self._closed.wait(_LOOKS_EVERY_S):
            with suppress(StateError), self._lock:
                if self._lost is not None or self._closed.is_set():
                    return
                self._ask()

    def _survive(self, error: Exception) -> None:
        """Make a new connection and take the lock again; raises what is no break.

        Raises:
            StateLockedError: somebody else owns the state now.
            StateUnavailableError: the server did not come back in time.
        """
        if not (self._connection.closed or self._is_gone()):
            raise error
        if not self._owns:
            raise StateUnavailableError(f"the connection to {self._server.name} broke", hint="run it again") from None
        began, why = now_s(), self._server.scrubbed(error)
        while True:
            with suppress(self._server.errors.Error):
                self._connection.close()
            try:
                self._connection = self._server.connect(self._schema, writes=True, tries_s=0.0)
                if self._is_mine_again():
                    self._waiting.tell(None)
                    return
                why = "its old session has not ended yet"
            except StateUnavailableError as failure:
                why = failure.message
            except StateError as failure:
                self._lose(failure)
            except self._server.errors.OperationalError as failure:
                why = self._server.scrubbed(failure)
            if self._closed.is_set() or self._waiting.is_over(began):
                self._lose(StateUnavailableError(
                    f"the ledger ({self.name}) was out of reach for {now_s() - began:.0f} s: {why}",
                    hint="nothing was sent that is not recorded: run the same command again when the server is back",
                ))  # fmt: skip
            self._waiting.for_server(f"the ledger ({self.name}) is out of reach: {why}", began)
            time.sleep(TRIES_EVERY_S)

    def _is_mine_again(self) -> bool:
        """Take the lock again, and see what the last transaction came to; False while the old session lives.

        Raises:
            StateLockedError: somebody else has been here.
            StateError: it is not the ledger that it was.
        """
        connection = self._connection
        # The server may not know yet that the old connection is gone.
        pid, began = self._backend
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s", (pid, began)
        )
        locked = self._session_lock.taken(connection)  # from here on what the old session did is done, or undone
        epoch, token = self._seat.standing(connection)
        if epoch != self._epoch:
            raise self._seat.lost(self.name)
        if not locked:
            return False
        if token not in {self._token, self._pending}:
            raise StateError(
                f"the ledger ({self.name}) has lost what it had committed: was it restored, or did a standby take over "
                "that lagged behind?",
                hint="nothing more is sent; before going on compare the last run with Bucket: "
                "`bucket-loader audit PIPELINE latest`",
            )
        self._seat.take_again(connection, epoch)
        self._token = token
        self._know_backend()
        return True

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Raise what stands in the way for now as such; a bug stays a bug."""
        errors = self._server.errors
        try:
            yield
        except errors.NotNullViolation as error:
            if error.diag.table_name != "owner":
                raise
            self._lose(self._seat.lost(self.name))
        except errors.DivisionByZero:
            self._lose(self._seat.lost(self.name))
        except errors.Error as error:
            state = error.sqlstate or ""
            if state in GONE_STATES and self._owns:
                self._lose(StateError(
                    f"the state in {self.name} was removed while this run was using it",
                    hint="nothing more is sent from here. Restore the schema: it knows what was sent. A run without it "
                    "sends all of that again; `--expect-state` refuses that",
                ))  # fmt: skip
            if state.startswith(LATER_STATES) or (isinstance(error, errors.OperationalError) and not state):
                raise StateUnavailableError(
                    f"the ledger ({self.name}) cannot be written: {self._server.scrubbed(error)}",
                    hint="look at the server, then run again: nothing was sent that is not recorded",
                ) from None
            if state.startswith("42501"):
                raise self._server.forbidden(error, self._schema) from None
            raise


def _let_go_in_fork() -> None:
    for database in list(_open):
        database.let_go_in_fork()


os.register_at_fork(after_in_child=_let_go_in_fork)


def look(server: Server, schema: str) -> PostgresDatabase | None:
    """Open a ledger to read in it, beside a run that may be using it; None when there is none."""
    database = PostgresDatabase(server, schema, Waiting(), looks_only=True)
    if database.columns("owner"):
        return database
    database.close()
    return None
