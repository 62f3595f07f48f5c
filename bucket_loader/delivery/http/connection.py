"""One connection to the API: opened by `requests`, then spoken over directly.

`requests` finds the way (proxy, certificates, timeouts), and its connection makes the first exchange. Those after it
are the same bytes with another body, so they need no more than a send and a parser. What `requests` leaves open (TRAPS
section 1) is closed here: a deadline over the whole attempt, a cap on the answer, and the knowledge whether any byte of
the request left this machine.
"""

import contextlib
import re
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import BaseHTTPResponse

from bucket_loader.delivery.http.parser import Answer, Parsed
from bucket_loader.delivery.http.watchdog import Trace, Watchdog

ANSWER_BYTES_MAX: Final = 1024 * 1024
CONNECT_S_MAX: Final = 10.0
PATH_KEY: Final = "/:key"  # stands for the key in a URL, wherever anybody could see it
_RECEIVED_AT_ONCE: Final = 65_536  # bytes
_TOO_LATE: Final = "the answer takes too long"
_LENGTH: Final = re.compile(rb"(?<=\r\nContent-Length: )\d+")


@dataclass(frozen=True)
class Route:
    """Where to send, and how.

    Attributes:
        url: the endpoint; for a key in the path, with `PATH_KEY` in its place.
        key: the key; a secret one is only ever in the Authorization header.
        timeout_s: seconds that one attempt may take, from connecting to the last byte of the answer.
        proxy: an explicit proxy; the environment's is never used.
        ca_bundle: a file of certificate authorities; the environment's is never used.
        key_in_path: whether the key is a part of the path (legacy), and not in the header.
    """

    url: str
    key: str = field(repr=False)
    timeout_s: float
    proxy: str | None = None
    ca_bundle: str | None = None
    key_in_path: bool = False


class Connection:
    """Makes one exchange after the other; every error is `requests`', urllib3's or the system's own."""

    def __init__(self, route: Route, watchdog: Watchdog) -> None:
        self.trace = Trace()
        self._route = route
        self._watchdog = watchdog
        self._adapter = _Adapter(self.trace, route.key if route.key_in_path else None)
        self._ways: dict[str, tuple[Any, str]] = {}  # urllib3's pool, and the path to ask it for
        self._headers = _headers(route)
        self._timeout = urllib3.Timeout(connect=min(CONNECT_S_MAX, route.timeout_s), read=route.timeout_s)
        self._head: tuple[bytes, bytes] | None = None  # of the last POST, before and after its length
        self._answer: Answer | None = None
        self._parsed = Parsed()
        self._busy = False
        watchdog.watch(self.trace)

    def close(self) -> None:
        """Close it for good."""
        self._watchdog.forget(self.trace)
        self.disconnect()

    def disconnect(self) -> None:
        """Close it; the next exchange opens another."""
        self._head, self._busy = None, False
        self._ways.clear()
        self._adapter.close()

    @property
    def is_open(self) -> bool:
        """Whether it is open and free, as far as is known here: the next POST will only be sent."""
        return self._head is not None and not self._busy and self.trace.connection.sock is not None

    @property
    def is_connected(self) -> bool:
        """Whether it is open, and nothing came that nobody asked for, its end included; asks the system."""
        # What TLS has read already is not for the system to know (TRAPS: Q).
        return self.is_open and self.trace.connection.is_connected and not getattr(self.trace.socket, "pending", int)()

    @property
    def socket(self) -> Any:  # noqa: ANN401  # a socket, or TLS over one
        """Where the answer is awaited; None when there is nothing to wait for."""
        return None if self._answer is not None else self.trace.socket

    def send(self, method: str, url: str, body: bytes | None) -> None:
        """Send a request; over a connection that is not open yet, wait for its answer as well."""
        trace, is_kept = self.trace, self.is_connected
        if self._busy or (self.is_open and not is_kept):
            self.disconnect()  # what may still come over it must not be taken for this one's answer
        trace.deadline = time.monotonic() + self._route.timeout_s
        trace.sent = trace.written = trace.expired = False
        self._answer, self._busy = None, True
        try:
            if is_kept and body is not None:
                self._send(body)
            else:
                self._answer = self._exchange(method, url, body)
        except BaseException:
            trace.deadline = float("inf")
            raise

    def _send(self, body: bytes) -> None:
        assert self._head is not None  # noqa: S101  # narrows the type
        trace, (before, after) = self.trace, self._head
        self._parsed = Parsed()
        trace.sent = True
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the answer may have come before
            trace.socket.sendall(b"%b%d%b" % (before, len(body), after))
            trace.socket.sendall(body)
            trace.written = True

    def receive(self) -> Answer:
        """Return the answer to what was sent, once all of it is there.

        Raises:
            OSError: it is too long, cut short, too late, or no HTTP.
        """
        try:
            while (answer := self._answer) is None:
                self._read_on()
        finally:
            self.trace.deadline = float("inf")
        self._busy = False
        return answer

    def advance(self) -> bool:
        """Read what has come of the answer, without waiting for more; return whether that is all of it.

        Raises:
            OSError: as `receive`.
        """
        if self._answer is None:
            is_tls = isinstance(self.trace.socket, ssl.SSLSocket)  # which may have to wait for the rest of a record
            timeout_s = self.trace.socket.gettimeout()
            if is_tls:
                self.trace.socket.settimeout(0)
            try:
                self._read_on()
            except ssl.SSLWantReadError:
                pass
            except BaseException:
                self.trace.deadline = float("inf")
                raise
            finally:
                if is_tls:
                    self.trace.socket.settimeout(timeout_s)
        return self._answer is not None

    def _exchange(self, method: str, url: str, body: bytes | None) -> Answer:
        pool, path = self._ways.get(url) or self._way(url)
        self._head = None
        response = pool.urlopen(
            method,
            path,
            body=body,
            headers=self._headers,
            timeout=self._timeout,
            retries=False,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )
        with _closed(response):
            answer = Answer(
                response.status,
                {name.lower(): value for name, value in response.headers.itermerged()},
                _read(response, self.trace),
            )
        if body is not None:
            before, _, after = _LENGTH.sub(b"\0", self.trace.head, count=1).partition(b"\0")
            self._head = before, after
        return answer

    def _way(self, url: str) -> tuple[Any, str]:
        """Let requests find the way to a URL, its proxy and its certificates: once, since it takes longer than a post.

        What `requests.Session` does besides (cookies, redirects, the environment) is what must not happen here.
        """
        request = requests.Request("POST", url).prepare()
        proxies = {"http": self._route.proxy, "https": self._route.proxy} if self._route.proxy else None
        verify = self._route.ca_bundle or True
        pool = self._adapter.get_connection_with_tls_context(request, verify, proxies=proxies)
        self._adapter.cert_verify(pool, url, verify, None)  # type: ignore[no-untyped-call]  # requests has no types there
        self._ways[url] = pool, self._adapter.request_url(request, proxies)
        return self._ways[url]

    def _read_on(self) -> None:
        trace, parsed = self.trace, self._parsed
        was_ended = trace.expired  # by the watchdog: no more will come, but what has come is read
        data = trace.socket.recv(_RECEIVED_AT_ONCE)
        parsed.feed(data, at_end=not data and not trace.expired)
        if not parsed.complete:
            if not (was_ended and data):
                _check(parsed.bytes, trace)
            return
        if not parsed.keeps_open:
            trace.connection.close()
        self._answer = Answer(parsed.status, parsed.headers, b"".join(parsed.body))


def _headers(route: Route) -> dict[str, str]:
    authorization = {} if route.key_in_path else {"Authorization": f"Bearer {route.key}"}
    return authorization | {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "bucket-loader",
    }


@contextlib.contextmanager
def _closed(response: BaseHTTPResponse) -> Iterator[None]:
    """Return the connection to its pool when the whole answer was read, and close it otherwise."""
    try:
        yield
    finally:
        response.close()
        response.release_conn()


def _read(response: BaseHTTPResponse, trace: Trace) -> bytes:
    """Read an answer, at most `ANSWER_BYTES_MAX` bytes of it.

    Raises:
        OSError: it is longer, or is cut short.
    """
    answer = bytearray()
    while part := response.read1(_RECEIVED_AT_ONCE, decode_content=False):
        answer += part
        _check(len(answer), trace)
    if trace.expired:  # the watchdog ended it: that is not the answer's own end
        raise OSError(_TOO_LATE)
    return bytes(answer)


def _check(received: int, trace: Trace) -> None:
    if received > ANSWER_BYTES_MAX:
        raise OSError("the answer is too long")
    if time.monotonic() > trace.deadline:
        trace.expired = True
    if trace.expired:
        raise OSError(_TOO_LATE)


# --- connections that tell what they do ----------------------------------------------------------------------------


class _Adapter(HTTPAdapter):
    """Makes connections that report to a trace, and that alone know the key of a path. Never retries."""

    def __init__(self, trace: Trace, path_key: str | None) -> None:
        self._trace = trace
        self._path_key = path_key
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:  # noqa: ANN401, FBT001, FBT002  # the signature is requests'
        super().init_poolmanager(connections, maxsize, block, **options)
        self._tell(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:  # noqa: ANN401  # the signature is requests'
        manager = super().proxy_manager_for(proxy, **options)
        self._tell(manager)
        return manager

    def _tell(self, manager: Any) -> None:  # noqa: ANN401  # urllib3's PoolManager or ProxyManager
        manager.pool_classes_by_scheme = {
            "http": _traced(HTTPConnectionPool, HTTPConnection, self._trace, self._path_key),
            "https": _traced(HTTPSConnectionPool, HTTPSConnection, self._trace, self._path_key),
        }


def _traced(pool: type[Any], connection: type[Any], trace: Trace, path_key: str | None) -> type[Any]:
    """Make a pool class whose connections note themselves, and when the first byte of a request leaves."""

    class Traced(connection):  # type: ignore[misc]
        def connect(self) -> None:
            try:
                super().connect()
            finally:
                trace.sent = False  # what was sent to a proxy so far is not the request
            trace.connection, trace.socket = self, self.sock

        def putrequest(self, method: str, url: str, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # http.client's own signature
            # Only here does the key come into a path: URLs stand in exceptions, and urllib3 logs them.
            if path_key is not None:
                url = url.replace(f"{PATH_KEY}/", f"/{path_key}/", 1)
            trace.head = b""
            super().putrequest(method, url, *arguments, **options)

        def request(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # urllib3's own signature
            super().request(*arguments, **options)
            trace.written = True

        def send(self, data: Any) -> None:  # noqa: ANN401  # http.client's own signature
            trace.head = trace.head or data
            if self.sock is None:
                self.connect()
            trace.connection, trace.socket, trace.sent = self, self.sock, True
            super().send(data)

    return type("TracedPool", (pool,), {"ConnectionCls": Traced})
