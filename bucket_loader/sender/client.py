"""One POST, and what it came to. No retry, no redirect, nothing read from the environment.

`requests` does the HTTP; what it leaves open (TRAPS section 1) is closed here: a deadline over the whole attempt, a cap
on the answer, and the knowledge whether any byte of the request left this machine.
"""

import contextlib
import json
import re
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import BaseHTTPResponse

from bucket_loader.records import Outcome, Verdict

ANSWER_BYTES_MAX: Final = 1024 * 1024
RETRY_AFTER_S_MAX: Final = 300.0
CONNECT_S_MAX: Final = 10.0
DETAILS_DEPTH_MAX: Final = 20
_OK, _REDIRECTS, _TIMEOUT, _TOO_BIG, _THROTTLED, _UNAVAILABLE = 200, range(300, 400), 408, 413, 429, 503
_UNDOCUMENTED: Final = range(100, 300)  # all but 200: the request may have been done (TRAPS: H2, Q2)
_REFUSED: Final = (400, 422)
_REFUSED_ONCE_PROVEN: Final = (405, 409, 415)  # by Bucket they are of a record; by anybody, of the address
_KEY: Final = (401, 403)
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,59}")
_KEY_REFUSED: Final = "INVALID_API_KEY"  # the legacy documents know no status but 400 for it
_INTEGER_MAX: Final = 2**63  # more than a dead letter's JSON can hold
PATH_KEY: Final = "/:key"  # stands for the key in a URL, wherever anybody could see it


@dataclass
class Trace:
    """What one worker's connection is doing: told by the connection, read by the client and the watchdog.

    Attributes:
        sent: the first byte of the request has left.
        written: the last one has.
        socket: the connection's.
        deadline: when the attempt has to end, of the monotonic clock.
        expired: it was ended for that.
    """

    sent: bool = False
    written: bool = False
    socket: Any = None
    deadline: float = float("inf")
    expired: bool = False


class Proof:
    """Whether this destination ever answered as Bucket does; shared by all clients of a run."""

    def __init__(self) -> None:
        self.given = threading.Event()


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


class Client:
    """Sends bodies one at a time over a connection of its own: one client a worker."""

    def __init__(self, route: Route, proof: Proof, watchdog: "Watchdog") -> None:
        self._route = route
        self._proof = proof
        self._trace = Trace()
        self._watchdog = watchdog
        self._adapter = _Adapter(self._trace, route.key if route.key_in_path else None)
        self._ways: dict[str, tuple[Any, str]] = {}  # urllib3's pool, and the path to ask it for
        self._headers = _headers(route)
        self._timeout = urllib3.Timeout(connect=min(CONNECT_S_MAX, route.timeout_s), read=route.timeout_s)
        watchdog.watch(self._trace)

    def close(self) -> None:
        """Close the connection."""
        self._watchdog.forget(self._trace)
        self._disconnect()

    def _disconnect(self) -> None:
        self._ways.clear()
        self._adapter.close()

    def post(self, body: bytes) -> Outcome:
        """Send a body to the route; always gives an outcome, never raises for what the network does."""
        return self._attempt("POST", self._route.url, body)

    def get(self, url: str) -> tuple[Outcome, bytes]:
        """Read a URL of the same API with the same care; gives the answer's body too."""
        outcome = self._attempt("GET", url, None)
        return outcome, self._answer

    def _attempt(self, method: str, url: str, body: bytes | None) -> Outcome:
        trace, self._answer = self._trace, b""
        trace.sent = trace.written = trace.expired = False
        trace.deadline = time.monotonic() + self._route.timeout_s
        outcome = self._exchange(method, url, body)
        trace.deadline = float("inf")
        if outcome.verdict in {Verdict.UNKNOWN, Verdict.MISROUTED}:
            # What is still to come on this connection must not be taken for the next answer (TRAPS: Q, Q2).
            self._disconnect()
        return outcome

    def _exchange(self, method: str, url: str, body: bytes | None) -> Outcome:
        try:
            pool, path = self._ways.get(url) or self._way(url)
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
                self._answer = _read(response, self._trace)
                return self._judge(response, self._answer)
        except urllib3.exceptions.SSLError as error:
            if self._trace.sent or _is_broken_off(error):
                return self._unanswered(error)  # the connection failed, not the certificate
            return Outcome(Verdict.MISROUTED, message="the TLS certificate is not valid for this host")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return self._unanswered(error)

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

    def _unanswered(self, error: Exception) -> Outcome:
        # The type alone: an exception's text may hold the URL, and http.client's may hold headers.
        kind = "took longer than `timeout`" if self._trace.expired else type(error).__name__
        if self._trace.sent:
            return Outcome(Verdict.UNKNOWN, message=f"sent, but no answer was read ({kind})")
        return Outcome(Verdict.NOT_SENT, message=f"could not connect ({kind})")

    def _judge(self, response: BaseHTTPResponse, answer: bytes) -> Outcome:
        status = response.status
        details = _object(answer, secret=self._route.key)
        message = _message(details)
        if status == _OK:
            return self._judge_ok(response, details, message)
        if status in _KEY or (status in _REFUSED and message == _KEY_REFUSED):
            return Outcome(Verdict.REFUSED_KEY, status, message or "the key was refused")
        if status in _REDIRECTS:
            return Outcome(Verdict.MISROUTED, status, "the server redirects elsewhere; that is not Bucket's API")
        if status == _TOO_BIG:
            return Outcome(Verdict.TOO_BIG, status, message, details)
        retry_after_s = parse_retry_after(response.headers.get("Retry-After"))
        if status == _THROTTLED or (status == _UNAVAILABLE and retry_after_s is not None):
            return Outcome(Verdict.THROTTLED, status, message, details, retry_after_s)
        if status >= 500 or status == _TIMEOUT:  # noqa: PLR2004  # the classes of HTTP
            return Outcome(Verdict.SERVER_ERROR, status, message, details, retry_after_s)
        if status in _UNDOCUMENTED:
            return Outcome(Verdict.UNKNOWN, None, f"the answer has status {status}, which says nothing for certain")
        refused = status in _REFUSED or (status in _REFUSED_ONCE_PROVEN and self._proof.given.is_set())
        if refused and details is not None:
            return Outcome(Verdict.REJECTED, status, message, details)
        return self._strange(status, f"the answer has status {status} and is not Bucket's")

    def _judge_ok(self, response: BaseHTTPResponse, details: dict[str, Any] | None, message: str) -> Outcome:
        if not self._trace.written:
            return Outcome(Verdict.UNKNOWN, None, "the answer came before the whole body was written")
        if details is not None and details.get("success") is True:
            self._proof.given.set()
            return Outcome(Verdict.DELIVERED, _OK)
        if details is not None and details.get("success") is False:
            return Outcome(Verdict.REJECTED, _OK, message or "the answer says success: false", details)
        delimited = "Content-Length" in response.headers or "Transfer-Encoding" in response.headers
        if "json" in response.headers.get("Content-Type", "").lower() or not (self._answer or delimited):
            return Outcome(Verdict.UNKNOWN, None, "the answer is cut short or is not the expected JSON")
        return self._strange(_OK, "the answer is not JSON, so it is not Bucket's")

    def _strange(self, status: int, message: str) -> Outcome:
        """Judge an answer that is not Bucket's: nobody's API before the first delivery, an accident after it."""
        verdict = Verdict.UNKNOWN if self._proof.given.is_set() else Verdict.MISROUTED
        return Outcome(verdict, status if verdict is Verdict.MISROUTED else None, message)


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
    """Give the connection back when the whole answer was read, and close it otherwise."""
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
    while part := response.read1(65_536, decode_content=False):
        answer += part
        if len(answer) > ANSWER_BYTES_MAX:
            raise OSError("the answer is too long")
        if time.monotonic() > trace.deadline:
            trace.expired = True
            break
    if trace.expired:  # also when the watchdog ended it: that is not the answer's own end
        raise OSError("the answer takes too long")
    return bytes(answer)


def _is_broken_off(error: BaseException) -> bool:
    """Tell a TLS handshake that was cut from one that was refused."""
    broken = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError, ConnectionError, TimeoutError)
    return any(isinstance(cause, broken) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    # urllib3 keeps the first cause in `reason`, or as an argument.
    pending = [error]
    while pending:
        cause = pending.pop()
        yield cause
        pending += [inner for inner in (getattr(cause, "reason", None), *cause.args) if isinstance(inner, Exception)]


def _object(answer: bytes, *, secret: str) -> dict[str, Any] | None:
    """Read an answer that is a JSON object; what it says twice, and differently, it does not say."""
    try:
        parsed = json.loads(answer, object_pairs_hook=_unanimous)
    except (ValueError, RecursionError):
        return None
    return _plain(parsed, secret) if isinstance(parsed, dict) else None


def _unanimous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        found[name] = None if name in found and found[name] != value else value
    return found


def _plain(value: Any, secret: str, depth: int = 0) -> Any:  # noqa: ANN401  # JSON of any shape
    """Give a value as a dead letter can hold it: without the key, lone surrogates, endless numbers or depths."""
    if isinstance(value, str):
        return value.replace(secret, "[key]").encode("utf-8", "replace").decode()
    if isinstance(value, int) and abs(value) >= _INTEGER_MAX:
        return str(value)
    if isinstance(value, dict | list) and depth >= DETAILS_DEPTH_MAX:
        return "..."
    if isinstance(value, dict):
        return {_plain(name, secret): _plain(child, secret, depth + 1) for name, child in value.items()}
    if isinstance(value, list):
        return [_plain(child, secret, depth + 1) for child in value]
    return value


def _message(details: dict[str, Any] | None) -> str:
    """Give the error's code; its words may quote a row, so they go to the dead letter alone."""
    error = (details or {}).get("error")
    if not isinstance(error, dict):
        return ""
    code = error.get("code")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def parse_retry_after(text: str | None, now: float | None = None) -> float | None:
    """Read Retry-After: seconds, whole or not, or a date; nonsense is None, never an error (TRAPS: I).

    Args:
        text: the header, or None.
        now: seconds since the epoch, for dates; the clock by default.
    """
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # `-0000` is UTC as well
            seconds = moment.timestamp() - (time.time() if now is None else now)
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), RETRY_AFTER_S_MAX) if seconds == seconds else None  # noqa: PLR0124  # NaN


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
    """Make a pool class whose connections note their socket, and when the first byte of a request leaves."""

    class Traced(connection):  # type: ignore[misc]
        def connect(self) -> None:
            try:
                super().connect()
            finally:
                trace.sent = False  # what was sent to a proxy so far is not the request
            trace.socket = self.sock

        def putrequest(self, method: str, url: str, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # http.client's own signature
            # Only here does the key come into a path: URLs stand in exceptions, and urllib3 logs them.
            if path_key is not None:
                url = url.replace(f"{PATH_KEY}/", f"/{path_key}/", 1)
            super().putrequest(method, url, *arguments, **options)

        def request(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # urllib3's own signature
            super().request(*arguments, **options)
            trace.written = True

        def send(self, data: Any) -> None:  # noqa: ANN401  # http.client's own signature
            if self.sock is None:
                self.connect()
            trace.socket, trace.sent = self.sock, True
            super().send(data)

    return type("TracedPool", (pool,), {"ConnectionCls": Traced})


class Watchdog:
    """Ends attempts that outlive their deadline: a timeout of `requests` is one of each receive, not of the whole."""

    PERIOD_S: Final = 0.1

    def __init__(self) -> None:
        self._traces: list[Trace] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._thread.start()

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
            now = time.monotonic()
            with self._lock:
                late = [trace for trace in self._traces if trace.deadline < now]
            for trace in late:
                trace.expired = True
                with contextlib.suppress(OSError, AttributeError):
                    trace.socket.shutdown(2)  # both directions: a blocked send or receive returns at once
