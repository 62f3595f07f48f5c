"""What a worker sends over: connections, each with two methods that matter, and the few that are shared by all."""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from bucket_loader.model import Clock, Outcome


class Connection(Protocol):
    """Sends bodies one at a time. It never raises for what the network does."""

    @property
    def is_open(self) -> bool:
        """Whether it is open, as far as is known here: `begin` will only send."""

    @property
    def is_connected(self) -> bool:
        """Whether it is open; asks the system."""

    def begin(self, body: bytes) -> None:
        """Send a body; while no connection is open, this waits for one."""

    def end(self) -> Outcome:
        """Wait for the answer to what was begun, and return what it came to."""

    def close(self) -> None:
        """Close it."""


class Transport(Protocol):
    """Makes connections to the API, and knows which of them were answered."""

    def connection(self, endpoint: str) -> Connection:
        """Return a new connection to an endpoint; it is opened by its first `begin`."""

    def answered(self, connections: Sequence[Connection], wait_s: float | None) -> Sequence[Connection]:
        """Return those whose `end` will not wait; wait for one, at most so many seconds, with None for ever."""

    def close(self) -> None:
        """End what watches over the connections."""


class Pool:
    """The connections of a stream's workers, shared: who sends takes one, and gives it back."""

    def __init__(self, transport: Transport, endpoint: str, clock: Clock) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._opened: deque[Connection] = deque()
        self._others: deque[Connection] = deque()
        self._lent = 0
        self._lock = clock.threading.Lock()

    @property
    def opened(self) -> int:
        """How many open connections are free."""
        return len(self._opened)

    @property
    def capacity(self) -> int:
        """How many requests could be in flight without another connection."""
        return len(self._opened) + self._lent

    def take(self) -> Connection:
        """Return a connection, an open one if there is one."""
        return self.take_opened() or self.take_closed()

    def take_opened(self) -> Connection | None:
        """Return an open connection, if there is one."""
        with self._lock:
            while self._opened:
                connection = self._opened.popleft()  # the one that has rested longest: its end has been heard of by now
                if connection.is_connected:
                    self._lent += 1
                    return connection
                self._others.append(connection)
        return None

    def take_closed(self) -> Connection:
        """Return a connection that has to be opened."""
        with self._lock:
            self._lent += 1
            return self._others.pop() if self._others else self._transport.connection(self._endpoint)

    def give_back(self, connection: Connection) -> None:
        """Let others have a connection."""
        with self._lock:
            self._lent -= 1
            (self._opened if connection.is_open else self._others).append(connection)

    def answered(self, connections: Sequence[Connection], wait_s: float | None) -> Sequence[Connection]:
        """Return those whose answer is there; wait for one, at most so many seconds, with None for ever."""
        return self._transport.answered(connections, wait_s)

    def close(self) -> None:
        """Close those that were given back."""
        for connection in (*self._opened, *self._others):
            connection.close()
