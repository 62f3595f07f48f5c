"""A way to an emulator that can be shut: then connections are refused, as by a host on which nothing listens."""

import socket
import threading
import urllib.parse
from contextlib import contextmanager, suppress


class Door:
    """Passes connections on to a server; its address stays its own while it is shut."""

    def __init__(self, url: str) -> None:
        there = urllib.parse.urlsplit(url)
        self._there = there.hostname, there.port
        self._listener = self._bound(0)
        self._port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self.open()

    @staticmethod
    def _bound(port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", port))
        return listener

    def open(self) -> None:
        """Let connections in."""
        self._listener.listen()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Refuse connections; a port that is bound, and not listened on, is nobody else's."""
        before, self._listener = self._listener, self._bound(self._port)
        self._close(before)

    def close(self) -> None:
        """Be gone."""
        self._close(self._listener)

    @staticmethod
    def _close(*sockets: socket.socket) -> None:
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes whoever waits on it
            one.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                here = listener.accept()[0]
                there = socket.create_connection(self._there)
                for way in ((here, there), (there, here)):
                    threading.Thread(target=self._pass, args=way, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        self._close(source, target)


@contextmanager
def door(url: str):
    """Have a door for as long as the `with` lasts."""
    it = Door(url)
    try:
        yield it
    finally:
        it.close()
