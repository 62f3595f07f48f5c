"""One emulator for all workers of pytest-xdist: a child of the process that starts them, from when the first asks."""

import json
import socket
from collections.abc import Callable
from contextlib import closing, suppress
from threading import Thread
from typing import Final

from bucket_loader.integrations.pytest.process import Process

_LOOPBACK: Final = "127.0.0.1"


class Shared:
    """Answers workers with the address of the emulator.

    Attributes:
        port: where workers ask.
    """

    def __init__(self, start: Callable[[], Process]) -> None:
        self._start = start
        self._process: Process | None = None
        self._listener = socket.create_server((_LOOPBACK, 0))
        self._is_open = True
        self.port: Final[int] = self._listener.getsockname()[1]
        self._thread = Thread(target=self._answer, name="bucket", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the emulator, if any worker had asked for it."""
        self._is_open = False
        socket.create_connection((_LOOPBACK, self.port)).close()  # wakes the thread
        self._thread.join()
        self._listener.close()
        if self._process is not None:
            self._process.stop()

    def _answer(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if not self._is_open:
                    return
                address = json.dumps(self._address()).encode()
                with suppress(OSError):  # who asked has crashed meanwhile; others still ask
                    connection.sendall(address)

    def _address(self) -> dict[str, str]:
        try:
            self._process = self._process or self._start()
        except OSError as error:
            return {"error": str(error)}
        return {"url": self._process.url}


def ask(port: int) -> str:
    """Return the address of the shared emulator.

    Raises:
        OSError: it did not start.
    """
    with closing(socket.create_connection((_LOOPBACK, port))) as connection, connection.makefile("rb") as answer:
        found: dict[str, str] = json.load(answer)
    if "error" in found:
        raise OSError(found["error"])
    return found["url"]
