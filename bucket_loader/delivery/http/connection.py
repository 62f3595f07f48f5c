"""One connection to the API: opened by `requests`, then spoken over directly.

`requests` finds the way (proxy, certificates), urllib3 opens it and words the head of a request. All exchanges are
alike from there on: a send and a parser. What `requests` leaves open (TRAPS section 1) is closed here: a deadline over
the whole attempt, after which nothing is sent, a cap on the answer, and the knowledge whether any byte of the request
left this machine.
"""

import contextlib
import http.client
import ssl
from dataclasses import dataclass, field
from typing import Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.proxy import connection_requires_http_tunnel
from urllib3.util.ssl_match_hostname import CertificateError

from bucket_loader.delivery.http.addresses import connect
from bucket_loader.delivery.http.parser import Answer, Parsed
from bucket_loader.delivery.http.watchdog import Trace, Watchdog
from bucket_loader.model import EMULATOR_HEADER, now_s

ANSWER_BYTES_MAX: Final = 1024 * 1024
CONNECT_S_MAX: Final = 10.0
PATH_KEY: Final = "/:key"  # stands for the key in a URL, wherever anybody could see it
_RECEIVED_AT_ONCE: Final = 65_536  # bytes
_TOO_LATE: Final = "the answer takes too long"
_TOO_LATE_TO_SEND: Final = "the time was over before anything could be sent"


@dataclass
class Meant:
    """Which emulator requests are for: another refuses them; None as long as nobody knows of any."""

    emulator: str | None = None


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
        meant: which emulator it leads to; None where an answer is not asked for that: it is not on this machine.
    """

    url: str
    key: str = field(repr=False)
    timeout_s: float
    proxy: str | None = None
    ca_bundle: str | None = None
    key_in_path: bool = False
    meant: Meant | None = None

    @property
    def emulator(self) -> str | None:
        """Which emulator it is known to lead to."""
        return None if self.meant is None else self.meant.emulator


@dataclass(frozen=True, slots=True)
class _Way:
    """How requests says to get to a URL.

    Attributes:
        pool: urllib3's, which knows the host, the proxy and the certificates.
        target: what to ask it for.
        tunnels: whether a proxy passes everything on unread.
    """

    pool: Any
    target: str
    tunnels: bool


class Connection:
    """Makes one exchange after the other; every error is urllib3's or the system's own."""

    def __init__(self, route: Route, watchdog: Watchdog) -> None:
        self.trace = Trace()
        self._route = route
        self._watchdog = watchdog
        self._adapter = _Adapter(self.trace, route.key if route.key_in_path else None)
        self._ways: dict[str, _Way] = {}
        self._heads: dict[tuple[str, str, str | None], tuple[bytes, bytes]] = {}  # before and after the length
        self._answer: Answer | None = None
        self._parsed = Parsed()
        self._busy = False
        watchdog.watch(self.trace)

    def close(self) -> None:
        """Close it for good."""
        self._watchdog.forget(self.trace)
        self.disconnect()
        self._adapter.close()

    def disconnect(self) -> None:
        """Close it; the next exchange opens another."""
        self._busy = False
        if self.trace.connection is not None:
            self.trace.connection.close()
        self.trace.connection = None

    @property
    def is_open(self) -> bool:
        """Whether it is open and free, as far as is known here: the next request will only be sent."""
        return self.trace.connection is not None and not self._busy

    @property
    def is_connected(self) -> bool:
        """Whether it is open, and nothing came that nobody asked for, its end included; asks the system."""
        # What TLS has read already is not for the system to know (TRAPS: Q).
        return self.is_open and self.trace.connection.is_connected and not getattr(self.trace.socket, "pending", int)()

    @property
    def status(self) -> int:
        """The status of the answer under way; 0 as long as it has none."""
        return self._parsed.status

    @property
    def socket(self) -> Any:  # noqa: ANN401  # a socket, or TLS over one
        """Where the answer is awaited; None when there is nothing to wait for."""
        return None if self._answer is not None else self.trace.socket

    def send(self, method: str, url: str, body: bytes | None) -> None:
        """Send a request; waits for a connection when none is open.

        Raises:
            OSError: it could not be opened, or sent, in time; `trace` says whether anything was.
        """
        trace, is_kept = self.trace, self.is_connected
        if not is_kept:
            self.disconnect()  # what may still come over it must not be taken for this one's answer
        trace.deadline = now_s() + self._route.timeout_s
        trace.sent = trace.written = trace.expired = False
        self._answer, self._busy, self._parsed = None, True, Parsed()
        try:
            if not is_kept:
                self._open(self._way(url))
            self._write(self._head(method, url), body)
        except BaseException:
            trace.deadline = float("inf")
            raise

    def _write(self, head: tuple[bytes, bytes], body: bytes | None) -> None:
        trace = self.trace
        if _is_late(trace):
            raise OSError(_TOO_LATE_TO_SEND)
        trace.sent = True
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the answer may have come before
            self._send_all(head[0] if body is None else b"%b%d%b" % (head[0], len(body), head[1]))
            if body is not None:
                self._send_all(body)
            trace.written = True

    def _send_all(self, data: bytes) -> None:
        """Send all of it, but nothing more once it is too late: the machine may have slept since the last piece."""
        left = memoryview(data)
        while left:
            if _is_late(self.trace):
                raise OSError(_TOO_LATE)
            left = left[self.trace.socket.send(left) :]

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

    def _way(self, url: str) -> _Way:
        """Let requests find the way to a URL, its proxy and its certificates: once, since it takes longer than a post.

        What `requests.Session` does besides (cookies, redirects, the environment) is what must not happen here.
        """
        if url not in self._ways:
            request = requests.Request("POST", url).prepare()
            proxies = {"http": self._route.proxy, "https": self._route.proxy} if self._route.proxy else None
            verify = self._route.ca_bundle or True
            pool: Any = self._adapter.get_connection_with_tls_context(request, verify, proxies=proxies)
            self._adapter.cert_verify(pool, url, verify, None)  # type: ignore[no-untyped-call]  # requests has no types there
            tunnels = connection_requires_http_tunnel(pool.proxy, pool.proxy_config, pool.scheme)
            self._ways[url] = _Way(pool, self._adapter.request_url(request, proxies), tunnels)
        return self._ways[url]

    def _open(self, way: _Way) -> None:
        """Connect, by way of the proxy and under TLS, within the attempt's time; the watchdog ends what takes longer.

        Raises:
            OSError: it could not be opened, in time; or it was ended before anything was sent.
        """
        trace, timeout_s = self.trace, self._route.timeout_s
        trace.socket = None  # until there is one, the watchdog has nothing to end
        connection = way.pool._new_conn()  # noqa: SLF001  # urllib3 has no other way to open one without a request
        connection.timeout = min(CONNECT_S_MAX, timeout_s)
        try:
            if way.tunnels:
                way.pool._prepare_proxy(connection)  # noqa: SLF001  # as above
            else:
                connection.connect()
            _check_open(connection, timeout_s)
        except (ssl.SSLError, CertificateError) as error:
            connection.close()
            raise urllib3.exceptions.SSLError(error) from error
        except http.client.HTTPException as error:  # of a proxy
            connection.close()
            raise urllib3.exceptions.ProxyError("the proxy's answer is not HTTP", error) from error
        except BaseException:
            connection.close()
            raise
        trace.connection, trace.socket = connection, connection.sock

    def _head(self, method: str, url: str) -> tuple[bytes, bytes]:
        """Return what is sent before a body, as urllib3 words it, in two parts: its length comes between."""
        name = (method, url, self._route.emulator)
        if name not in self._heads:
            way, written = self._way(url), bytearray()
            writer: Any = way.pool.ConnectionCls(way.pool.host, way.pool.port)
            writer.send = written.extend  # it is asked for the words alone
            headers = _headers(self._route) | ({} if way.tunnels else dict(way.pool.proxy_headers))
            writer.request(method, way.target, b"" if method == "POST" else None, headers)
            before, length, after = bytes(written).partition(b"\r\nContent-Length: 0\r\n")
            self._heads[name] = (before + length[:-3], length[-2:] + after) if length else (before, b"")
        return self._heads[name]

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
            trace.connection = None
        self._answer = Answer(parsed.status, parsed.headers, b"".join(parsed.body))


def _check_open(connection: Any, timeout_s: float) -> None:  # noqa: ANN401  # urllib3's
    """Let a new connection wait for so many seconds at most.

    Raises:
        OSError: its server has ended it already. Under TLS tickets may come, so there that shows later.
    """
    connection.sock.settimeout(timeout_s)
    if not isinstance(connection.sock, ssl.SSLSocket) and not connection.is_connected:
        raise ConnectionResetError("the connection was ended before anything was sent")


def _headers(route: Route) -> dict[str, str]:
    authorization = {} if route.key_in_path else {"Authorization": f"Bearer {route.key}"}
    meant = {} if route.emulator is None else {EMULATOR_HEADER: route.emulator}
    return (
        authorization
        | meant
        | {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "bucket-loader",
        }
    )


def _check(received: int, trace: Trace) -> None:
    if received > ANSWER_BYTES_MAX:
        raise OSError("the answer is too long")
    if _is_late(trace):
        raise OSError(_TOO_LATE)


def _is_late(trace: Trace) -> bool:
    trace.expired = trace.expired or now_s() > trace.deadline
    return trace.expired


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
    """Make a pool class whose connections keep to an attempt's time, and alone know the key of a path."""

    class Traced(connection):  # type: ignore[misc]
        def _new_conn(self) -> Any:  # noqa: ANN401  # urllib3's own signature
            deadline = min(trace.deadline, now_s() + self.timeout)
            made = connect(self._dns_host.strip("[]"), self.port, deadline, self.socket_options or ())
            made.settimeout(self.timeout)
            trace.socket = made  # the watchdog ends a proxy or a handshake that takes too long
            return made

        def putrequest(self, method: str, url: str, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # http.client's own signature
            # Only here does the key come into a path: URLs stand in exceptions, and urllib3 logs them.
            if path_key is not None:
                url = url.replace(PATH_KEY, f"/{path_key}", 1)
            super().putrequest(method, url, *arguments, **options)

    return type("TracedPool", (pool,), {"ConnectionCls": Traced})
