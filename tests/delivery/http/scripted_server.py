"""A server of the tests' own: raw sockets in threads, so that it can answer what no HTTP library would."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

KEY = "sec_must_never_be_seen_0123456789"
JSON = "application/json"
SUCCESS = b'{"success":true}'


def reply(status: int, body: bytes = b"", *headers: str, content_type: str | None = JSON) -> bytes:
    """Write an answer with its Content-Length."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def until_closed(body: bytes, *headers: str, status: int = 200, content_type: str = JSON) -> bytes:
    """Write an answer that ends where the connection does."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {content_type}", *headers, "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """Write an answer in chunks."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


OK = reply(200, SUCCESS)
REFUSED = reply(400, b'{"success":false,"error":{"code":"BODY_VALIDATION_FAILED","message":"no"}}')


def tls(path: Path) -> ssl.SSLContext:
    """Make a server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


class GoneError(Exception):
    """The client has closed its side."""


@dataclass
class Received:
    """One request as it came."""

    connection: int
    head: bytes
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers, names in lower case."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines if line)
        return {name.lower(): value.strip() for name, _, value in pairs}


class Peer:
    """One connection, as the server sees it."""

    def __init__(self, server: "ScriptedServer", connection: socket.socket, number: int) -> None:
        self.server = server
        self.socket = connection
        self.number = number
        self.sent_bytes = 0
        self._buffer = b""

    def read_head(self) -> bytes:
        """Read to the blank line; what follows it stays."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    def read(self) -> Received:
        """Read a whole request, and note it."""
        received = Received(self.number, self.read_head(), b"")
        length = int(received.headers.get("content-length", "0"))
        while len(self._buffer) < length:
            self._more()
        received.body, self._buffer = self._buffer[:length], self._buffer[length:]
        self.server.received.append(received)
        return received

    def _more(self) -> None:
        try:
            data = self.socket.recv(262_144)
        except OSError:
            data = b""
        if not data:
            raise GoneError
        self._buffer += data

    def send(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self.socket.sendall(data)
        except OSError:
            raise GoneError from None
        self.sent_bytes += len(data)

    def pause(self, seconds: float) -> None:
        """Do nothing for a while; the end of the test ends it."""
        if self.server.ended.wait(seconds):
            raise GoneError

    def drip(self, data: bytes, pause_s: float) -> None:
        """Send one byte at a time."""
        for place in range(len(data)):
            self.send(data[place : place + 1])
            self.pause(pause_s)

    def flood(self, piece: bytes) -> None:
        """Send the same for ever."""
        while not self.server.ended.is_set():
            self.send(piece)

    def fin(self) -> None:
        """Close in good order."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def rst(self) -> None:
        """Close by a reset."""
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


Script = Callable[[Peer], None]


@dataclass
class ScriptedServer:
    """Runs a script for each connection."""

    script: Script
    tls: ssl.SSLContext | None = None
    received: list[Received] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while not self.ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self.ended.is_set():
                connection.close()
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection, len(self.peers)), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        peer = Peer(self, connection, number)
        self.peers.append(peer)
        with contextlib.suppress(GoneError):
            try:
                if self.tls is not None:
                    peer.socket = self.tls.wrap_socket(connection, server_side=True)
            except OSError:
                raise GoneError from None
            finally:
                if peer.socket is not connection:
                    connection.close()
            self.script(peer)
        peer.socket.close()
        connection.close()

    def close(self) -> None:
        """End all scripts and close all sockets."""
        self.ended.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()  # wakes the accepting thread
        self._listener.close()
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)


@contextlib.contextmanager
def scripted(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[ScriptedServer]:
    """Run a script for each connection, for as long as the `with` lasts."""
    server = ScriptedServer(script, tls)
    try:
        yield server
    finally:
        server.close()


def always(answer: bytes) -> Script:
    """Answer every request of every connection alike, and keep the connection."""

    def script(peer: Peer) -> None:
        while True:
            peer.read()
            peer.send(answer)

    return script


def in_turn(*answers: bytes) -> Script:
    """Return each request its own answer, over all connections; the last one goes on for ever."""
    turns = iter(answers)
    lock = threading.Lock()
    last = answers[-1]

    def script(peer: Peer) -> None:
        while True:
            peer.read()
            with lock:
                answer = next(turns, last)
            peer.send(answer)

    return script
