"""A PostgreSQL server, as a ledger wants it: how long is waited for it, and that it syncs what it commits."""

import hashlib
import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.model import StateError, StateUnavailableError, UsageError, Wait, now_s

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMA_BYTES_MAX: Final = 63  # of a name in PostgreSQL
_CONNECT_S: Final = 10
FIRST_S: Final = 10.0  # for a server that is about to come up
_STOPPED_S: Final = 10.0  # for one that is away while the run drains
# A dead network is noticed after so many seconds: by us, who then stop sending, before the server gives the lock away.
_NOTICED_S: Final = 15
LEASE_S: Final = 30  # a worker that vanished with its machine holds its lock so long, and not longer
_GONE: Final = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)
_CLIENT: Final = {"keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 2}
_SESSION: Final = {
    "tcp_keepalives_idle": str(LEASE_S // 3),
    "tcp_keepalives_interval": str(LEASE_S // 6),
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": f"{LEASE_S}s",
    "synchronous_commit": "on",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
# Classes of SQLSTATE: the connection, the server's resources, its operator, a server that only reads.
LATER_STATES: Final = ("08", "25006", "53", "57", "58", "40")
GONE_STATES: Final = ("42P01", "3F000")  # a table, or a schema, is not there
# What a server says when trying again is of no use.
_NEVER: Final = ("authentication failed", "does not exist", "pg_hba.conf", "no password", "certificate", "permission")


def schema_of(identity: str) -> str:
    """Name the schema of a state: as the state is named, or where that is too long, its hash at the end."""
    name = f"bucket_loader@{identity}"
    if len(name) <= SCHEMA_BYTES_MAX:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: SCHEMA_BYTES_MAX - 17]}-{digest}"


@dataclass(frozen=True)
class Waiting:
    """How long is waited, and what ends the waiting.

    Attributes:
        lock_s: seconds for another copy to end.
        reconnect_s: seconds for a server to come back.
        gives_up_s: when who waits for another copy gives up (`now_s`), where it waits several times; None for once.
        stopped: set by a signal, and set here when nothing more may be sent.
        tell: told what is waited for, and None when that is over.
    """

    lock_s: float = 0.0
    reconnect_s: float = 60.0
    gives_up_s: float | None = None
    stopped: threading.Event = field(default_factory=threading.Event)
    tell: Callable[[Wait | None], None] = lambda _wait: None

    def is_stopped(self) -> bool:
        """Whether a signal has asked for the end."""
        return self.stopped.is_set()

    def stop(self) -> None:
        """Let nothing more be sent."""
        self.stopped.set()

    def sleep(self, seconds: float) -> None:
        """Wait, but not beyond a signal."""
        self.stopped.wait(seconds)

    def for_lock(self, where: str, began: float, ends: float, next_s: float) -> None:
        """Tell that another copy has the lock, and wait for a while.

        Args:
            where: what it has locked.
            began: since when that is waited for (`now_s`).
            ends: until when.
            next_s: seconds to the next try.
        """
        now, ends = now_s(), ends if self.gives_up_s is None else self.gives_up_s
        why, hint = f"another copy is running on {where}", "The lock goes with its process; there is nothing to remove."
        self.tell(Wait("lock", why, hint, 0, now - began, None, max(0.0, ends - now)))
        self.sleep(next_s)

    def for_server(self, why: str, began: float) -> None:
        """Tell that a server is away since then (`now_s`)."""
        waited_s = now_s() - began
        hint = "Nothing is sent meanwhile that is not recorded."
        self.tell(Wait("ledger", why, hint, 0, waited_s, None, max(0.0, self.reconnect_s - waited_s)))

    def is_over(self, began: float) -> bool:
        """Whether a server that is away since then (`now_s`) is waited for no longer; a signal shortens it."""
        longest = min(self.reconnect_s, _STOPPED_S) if self.stopped.is_set() else self.reconnect_s
        return now_s() - began >= longest


@dataclass(frozen=True)
class Server:
    """A server and a database of it, as a URL names them. No message holds the URL."""

    url: str = field(repr=False)

    @property
    def errors(self) -> Any:  # noqa: ANN401  # a module
        """The driver's errors.

        Raises:
            UsageError: there is no driver.
        """
        try:
            import psycopg.errors
        except ImportError:
            raise UsageError(
                "a ledger on PostgreSQL needs a driver that is not installed",
                hint="pip install 'bucket-loader[postgres]'",
            ) from None
        return psycopg.errors

    def _words(self) -> dict[str, Any]:
        from psycopg.conninfo import conninfo_to_dict

        try:
            return dict(conninfo_to_dict(self.url))
        except self.errors.Error:
            raise UsageError(
                "the state's database URL cannot be taken apart",
                hint="write postgresql://user@host:5432/database; in a user or password write @ as %40, / as %2F, "
                ": as %3A, # as %23, ? as %3F, % as %25",
            ) from None

    @property
    def name(self) -> str:
        """What to call it in a message."""
        words = self._words()
        port = f":{words['port']}" if words.get("port") else ""
        return f"PostgreSQL at {words.get('host') or 'localhost'}{port}/{words.get('dbname') or ''}"

    def scrubbed(self, error: Exception) -> str:
        """Return the first line of what it says, without what may be a secret."""
        said = next(iter(str(error).strip().splitlines()), "")
        for name, value in self._words().items():
            if "pass" in name and value:
                said = said.replace(str(value), "***")
        return said

    def connect(self, schema: str, *, writes: bool, tries_s: float | None = None) -> "Connection[Any]":
        """Connect, and make the session what a ledger wants.

        Raises:
            StateError: it refuses us, or does not sync its commits.
            StateUnavailableError: it cannot be reached.
        """
        ends = now_s() + (FIRST_S if tries_s is None else tries_s)
        while True:
            try:
                return self._connected(schema, writes=writes)
            except StateUnavailableError:
                if now_s() >= ends:
                    raise
            time.sleep(0.25)

    def _connected(self, schema: str, *, writes: bool) -> "Connection[Any]":
        errors = self.errors
        import psycopg

        defaults = {
            "connect_timeout": _CONNECT_S,
            "application_name": "bucket_loader",
            "tcp_user_timeout": _NOTICED_S * 1000,
            **_CLIENT,
            **({"target_session_attrs": "read-write"} if writes else {}),
        }
        connection: Connection[Any] | None = None
        try:
            connection = psycopg.connect(autocommit=True, **{**defaults, **self._words()})
            settings = {**_SESSION, "search_path": f'"{schema}"', "default_transaction_read_only": str(not writes)}
            looking = {} if writes else {"default_transaction_isolation": "repeatable read"}
            _set(connection, settings | looking)
            self._require_synced(connection)
        except errors.OperationalError as error:
            if connection is not None:
                connection.close()
            raise self._unreachable(error) from None
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        return connection

    def _unreachable(self, error: Exception) -> StateError:
        said = self.scrubbed(error)
        if any(phrase in str(error) for phrase in _NEVER):
            return StateError(
                f"{self.name} refuses the connection: {said}",
                hint="look at user, password and database of --state; a password can also be in PGPASSWORD, ~/.pgpass",
            )
        return StateUnavailableError(
            f"{self.name} cannot be reached: {said}", hint="is it up? run the same command again later"
        )

    def _require_synced(self, connection: "Connection[Any]") -> None:
        for setting in ("fsync", "synchronous_commit"):
            ((value,),) = connection.execute(f"SHOW {setting}").fetchall()
            if value != "on":
                raise StateError(
                    f"{self.name} does not sync its commits ({setting} = {value})",
                    hint=f"set `{setting} = on` on the server: what it forgets in a power cut would be sent twice",
                )

    def has(self, connection: "Connection[Any]", schema: str) -> bool:
        """Whether a schema is there."""
        found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)).fetchall()
        return bool(found)

    def make_schema(self, connection: "Connection[Any]", schema: str) -> None:
        """Make a schema, unless somebody who may has made it before.

        Raises:
            StateError: we may not.
        """
        if self.has(connection, schema):
            return
        try:
            connection.execute(f'CREATE SCHEMA "{schema}"')
        except self.errors.InsufficientPrivilege as error:
            raise self.forbidden(error, schema) from None

    def forbidden(self, error: Exception, schema: str) -> StateError:
        """Say what is not allowed, and what would allow it."""
        return StateError(
            f"{self.name} does not let us: {self.scrubbed(error)}",
            hint=f'GRANT CREATE ON DATABASE to our user, or make the schema for it: CREATE SCHEMA "{schema}" '
            "AUTHORIZATION the_user",
        )


def is_broken(connection: "Connection[Any]", errors: type[Exception]) -> bool:
    """Whether a connection is known to be broken; asks the system alone, so any thread may at any time.

    Args:
        connection: the connection.
        errors: what the driver raises of one that is closed.
    """
    try:
        poll = select.poll()
        poll.register(connection.fileno(), _GONE)
        return any(event & _GONE for _, event in poll.poll(0))
    except (errors, OSError, ValueError):
        return True


def _set(connection: "Connection[Any]", settings: dict[str, str]) -> None:
    """Set what this server knows of; an older one lacks one or another."""
    connection.execute(
        "SELECT set_config(s.name, w.value, false) FROM pg_settings s "
        "JOIN unnest(%s::text[], %s::text[]) AS w (name, value) ON w.name = s.name",
        (list(settings), list(settings.values())),
    )
