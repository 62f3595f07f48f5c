"""A server that answers POST /bulk after a while and admits so many records a second: the program, run by `sinks`.

    python limited_sink.py LATENCY_S RECORDS_PER_SECOND BURST

The limit is a bucket of tokens, one a record, judged when a request has come whole; what it refuses gets 429 and
Retry-After: 1. Without a rate everything is admitted. GET /counts gives what it did, in tenths of a second since its
first request; POST /forget begins anew, and POST /admit/RATE moves the limit. It keeps no body and parses none, so that
it does not itself become the limit.
"""

import asyncio
import json
import sys
import time
from collections import defaultdict
from typing import Final

try:
    from uvloop import run
except ImportError:
    from asyncio import run  # type: ignore[assignment]  # it takes less, and does what is asked of it

BIN_S: Final = 0.1
HEAD: Final = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s"
ADMITTED: Final = b'{"success":true}'
REFUSED: Final = b'{"success":false,"error":{"code":"UNKNOWN_ERROR","message":"too many records"}}'


class Admission:
    """How much may come in, and what did.

    Attributes:
        latency_s: between a whole request and its answer.
        per_second: records that are admitted a second; 0 for all.
        burst: records that may come at once.
    """

    def __init__(self, latency_s: float, per_second: float, burst: float) -> None:
        self.latency_s, self.per_second, self.burst = latency_s, per_second, burst
        self.forget()

    def move(self, per_second: float) -> None:
        """Admit so many records a second from here on."""
        self._fill(time.monotonic())
        self.per_second = per_second

    def forget(self) -> None:
        """Begin anew, with a full bucket."""
        self._tokens, self._filled_s, self._began_s = self.burst, time.monotonic(), 0.0
        self.requests = 0
        self._bins: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0, 0])

    def admit(self, records: int) -> bool:
        """Judge one request and note it."""
        now_s = time.monotonic()
        self._began_s = self._began_s or now_s
        self._fill(now_s)
        admitted = not self.per_second or self._tokens >= records
        if admitted:
            self._tokens -= records
        self.requests += 1
        noted = self._bins[int((now_s - self._began_s) / BIN_S)]
        noted[0] += records if admitted else 0
        noted[1 if admitted else 2] += 1
        return admitted

    def _fill(self, now_s: float) -> None:
        self._tokens = min(self.burst, self._tokens + (now_s - self._filled_s) * self.per_second)
        self._filled_s = now_s

    def counts(self) -> bytes:
        """Return what was admitted and refused, as JSON: a list of (records, requests admitted, refused) a bin."""
        bins = [self._bins.get(i, [0, 0, 0]) for i in range(max(self._bins, default=-1) + 1)]
        return json.dumps({"requests": self.requests, "bin_s": BIN_S, "bins": bins}).encode()


class Connection(asyncio.Protocol):
    """One client's connection; one request at a time."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Collect a request, and answer it when it is whole."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end])
        length = _body_bytes(head)
        if len(self._received) < end + 4 + length:
            return
        body = bytes(self._received[end + 4 :])
        self._received.clear()
        self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET"):
            self._reply(b"200 OK", b"", self._admission.counts())
        elif head.startswith(b"POST /forget"):
            self._admission.forget()
            self._reply(b"200 OK", b"", b"{}")
        elif head.startswith(b"POST /admit/"):
            self._admission.move(float(head.split()[1].removeprefix(b"/admit/")))
            self._reply(b"200 OK", b"", b"{}")
        else:
            admitted = self._admission.admit(body.count(b'"type"'))
            words = (b"200 OK", b"", ADMITTED) if admitted else (b"429 Too Many", b"Retry-After: 1\r\n", REFUSED)
            if self._admission.latency_s:
                asyncio.get_running_loop().call_later(self._admission.latency_s, self._reply, *words)
            else:
                self._reply(*words)

    def _reply(self, status: bytes, header: bytes, body: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(HEAD % (status, len(body), header, body))


def _body_bytes(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def main() -> None:
    """Serve for ever; says the port on stdout."""
    admission = Admission(*map(float, sys.argv[1:4]))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(admission), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    run(main())
