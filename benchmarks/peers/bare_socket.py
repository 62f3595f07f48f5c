"""What the wire and the sink can do: ready-made bodies, posted over plain sockets by a few threads.

As little as is honest: the answer is read to its end, and has to be a 200 that says success. Nobody should load with
this: it knows no TLS, no proxy, no redirect and no timeout.
"""

import os
import queue
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from shared import HEADERS, URL, begin

THREADS = 2
HEAD = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())


def send(bodies: "queue.SimpleQueue[bytes | None]") -> None:
    """Post what is in the queue, over one connection."""
    place = urlsplit(URL)
    head = f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\n{HEAD}Content-Length: ".encode()
    with socket.create_connection((place.hostname or "", place.port or 80)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while body := bodies.get():
            connection.sendmsg((head, b"%d\r\n\r\n" % len(body), body))
            read(connection)


def read(connection: socket.socket) -> None:
    """Read one answer."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(4096) or _gone()
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(4096) or _gone()
    if not head.startswith(b"HTTP/1.1 200") or b'"success":true' not in body:
        raise RuntimeError(received.decode(errors="replace"))


def _gone() -> bytes:
    raise ConnectionError("the sink closed the connection")


def main() -> None:
    """Post every body."""
    bodies: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    with Path(os.environ["BENCHMARK_FILE"]).open("rb") as file:
        for line in file:
            bodies.put(line)
    for _ in range(THREADS):
        bodies.put(None)
    begin()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(send, [bodies] * THREADS))


if __name__ == "__main__":
    main()
