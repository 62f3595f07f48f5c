"""What a connection is doing, and what ends an attempt that takes too long."""

import contextlib
import socket
import threading
from dataclasses import dataclass
from typing import Any, Final

from bucket_loader.model import ThreadsError, now_s


@dataclass
class Trace:
    """What a connection is doing: told by itself, read by the client and the watchdog.

    Attributes:
        sent: the first byte of the request has left.
        written: the last one has.
        connection: urllib3's.
        socket: the connection's, also while it is being opened.
        deadline: when the attempt has to end, of the clock of `now_s`.
        expired: it was ended for that.
    """

    sent: bool = False
    written: bool = False
    connection: Any = None
    socket: Any = None
    deadline: float = float("inf")
    expired: bool = False


class Watchdog:
    """Ends attempts that outlive their deadline: a timeout of `requests` is one of each receive, not of the whole."""

    PERIOD_S: Final = 0.1

    def __init__(self) -> None:
        self._traces: list[Trace] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            raise ThreadsError from error

    def watch(self, trace: Trace) -> None:
        """Begin to watch a connection."""
        with self._lock:
            self._traces.append(trace)

    def forget(self, trace: Trace) -> None:
        """Stop watching a connection."""
        with self._lock:
            self._traces = [other for other in self._traces if other is not trace]

    def stop(self) -> None:
        """End the watching."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self.PERIOD_S):
            now = now_s()
            with self._lock:
                late = [trace for trace in self._traces if trace.deadline < now]
            for trace in late:
                trace.expired = True
                with contextlib.suppress(OSError, TypeError):  # closed meanwhile, or there is none yet
                    # Both directions: a blocked send or receive returns at once. Beneath TLS, which would otherwise
                    # forget how to read what has come.
                    socket.socket.shutdown(getattr(trace.socket, "socket", trace.socket), 2)
