"""What a worker sends over: connections, each with two methods that matter, and the few that are shared by all."""

import math
import os
import resource
import threading
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from bucket_loader.model import Clock, Outcome

FURTHER_S_FIRST, FURTHER_S_MAX = 0.5, 10.0  # from one try to have a further connection to the next
FILES_SPARE: Final = 16  # for what else a run opens: dead letters, parts of the plan, the memory


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

    def means(self, emulator: str | None) -> None:
        """Say which emulator all that follows is for: another refuses it, and applies nothing."""

    def connection(self, endpoint: str) -> Connection:
        """Return a new connection to an endpoint; it is opened by its first `begin`."""

    def answered(self, connections: Sequence[Connection], wait_s: float | None) -> Sequence[Connection]:
        """Return those whose `end` will not wait; wait for one, at most so many seconds, with None for ever."""

    def reads(self) -> bool:
        """Whether the host answers a read."""

    def close(self) -> None:
        """End what watches over the connections."""


def connections_max() -> float:
    """Return how many connections this process may hold, so that files can be opened beside them."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return math.inf
    try:
        held = len(os.listdir("/dev/fd"))  # noqa: PTH208  # only their number is of interest
    except OSError:  # a system without that folder
        held = 0
    return max(1, soft - held - FILES_SPARE)


class Pool:
    """The connections of a stream's workers, shared: who sends takes one, and gives it back.

    When one more cannot be had while others are open (the server, the files or the ports have a limit), who needs one
    waits for those. From time to time one more is tried.
    """

    def __init__(
        self,
        transport: Transport,
        endpoint: str,
        clock: Clock,
        stopped: threading.Event | None = None,
        most: float = math.inf,
    ) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._clock = clock
        self._stopped = stopped
        self._opened: deque[Connection] = deque()
        self._others: deque[Connection] = deque()
        self._lent = 0
        self._opening: list[Connection] = []  # of the lent; what becomes of them is not known
        self._possible = most
        self._most = math.inf  # as far as the server has shown
        self._pause_s = FURTHER_S_FIRST
        self._further_at = -math.inf
        self._waiting = 0  # for an open connection
        self._condition = clock.threading.Condition()

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
        with self._condition:
            return self._take_opened()

    def _take_opened(self) -> Connection | None:
        while self._opened:
            connection = self._opened.popleft()  # the one that has rested longest: its end has been heard of by now
            if connection.is_connected:
                self._lent += 1
                return connection
            self._others.append(connection)
        return None

    def take_closed(self) -> Connection:
        """Return a connection that has to be opened; where no further one can be had, wait for an open one."""
        with self._condition:
            while not self._may_open():
                if (opened := self._take_opened()) is not None:
                    return opened
                self._waiting += 1
                self._condition.wait(min(self._clock.look_s, FURTHER_S_FIRST))
                self._waiting -= 1
            self._lent += 1
            connection = self._others.pop() if self._others else self._transport.connection(self._endpoint)
            self._opening.append(connection)
            return connection

    def _may_open(self) -> bool:
        held, now = self.capacity, self._clock.now_s()
        if held == 0 or (self._stopped is not None and self._stopped.is_set()):
            return True
        if held >= self._possible or (held >= self._most and now < self._further_at):
            return False
        if held >= self._most:
            self._further_at = now + self._pause_s  # it is one that tries
        return True

    def give_back(self, connection: Connection, outcome: Outcome | None = None) -> None:
        """Let others have a connection.

        Args:
            connection: which one.
            outcome: what came of the last request over it; None when there was none.
        """
        with self._condition:
            self._lent -= 1
            (self._opened if connection.is_open else self._others).append(connection)
            if connection in self._opening:
                self._opening.remove(connection)
                self._learn(is_open=connection.is_open, outcome=outcome)
            if self._waiting:
                self._condition.notify()

    def _learn(self, *, is_open: bool, outcome: Outcome | None) -> None:
        """See a connection that had to be opened: it was answered, or could not be had."""
        proven = self.capacity - len(self._opening)
        if is_open or (outcome is not None and outcome.status is not None):
            self._most = max(self._most, proven + 1)
            self._pause_s, self._further_at = FURTHER_S_FIRST, -math.inf
        elif outcome is not None:
            # Without another that is open it is no limit: nobody is served.
            self._most = proven or math.inf
            self._pause_s = min(2 * self._pause_s, FURTHER_S_MAX)
            self._further_at = self._clock.now_s() + self._pause_s

    def answered(self, connections: Sequence[Connection], wait_s: float | None) -> Sequence[Connection]:
        """Return those whose answer is there; wait for one, at most so many seconds, with None for ever."""
        return self._transport.answered(connections, wait_s)

    def close(self) -> None:
        """Close those that were given back."""
        for connection in (*self._opened, *self._others):
            connection.close()
