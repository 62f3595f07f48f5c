"""One POST, and what it came to. No retry, no redirect, nothing read from the environment."""

import json
import re
import select
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final

import requests
import urllib3

from bucket_loader.delivery.http.connection import Connection, Route
from bucket_loader.delivery.http.parser import Answer
from bucket_loader.delivery.http.unsent import PROXY_KEY, PROXY_KEY_WANTED, unsent
from bucket_loader.delivery.http.watchdog import Watchdog
from bucket_loader.model import ANOTHER_EMULATOR, EMULATOR_HEADER, Outcome, Verdict, read_emulator

RETRY_AFTER_S_MAX: Final = 366 * 86_400.0  # a year: more is nonsense
DETAILS_DEPTH_MAX: Final = 20
_OK, _REDIRECTS, _TIMEOUT, _TOO_BIG, _THROTTLED, _UNAVAILABLE = 200, range(300, 400), 408, 413, 429, 503
_UNDOCUMENTED: Final = range(300)  # all but 200: the request may have been done (TRAPS: H2, Q2)
_REFUSED: Final = (400, 422)
_KEY: Final = (401, 403)
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,59}")
_KEY_REFUSED: Final = "INVALID_API_KEY"  # the legacy documents know no status but 400 for it
_FAILURES: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
_INTEGER_MAX: Final = 2**63  # more than a dead letter's JSON can hold


class Client:
    """Sends bodies one at a time over a connection of its own."""

    def __init__(self, route: Route, watchdog: Watchdog) -> None:
        self._route = route
        self._connection = Connection(route, watchdog)
        self._trace = self._connection.trace
        self._known: Outcome | None = None
        self._body = b""

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @property
    def is_open(self) -> bool:
        """Whether its connection is open, as far as is known here: `begin` will only send."""
        return self._connection.is_open

    @property
    def is_connected(self) -> bool:
        """Whether its connection is open; asks the system."""
        return self._connection.is_connected

    @property
    def socket(self) -> Any:  # noqa: ANN401  # a socket, or TLS over one
        """Where an answer is awaited; None when `end` knows already what came of it."""
        return None if self._known is not None else self._connection.socket

    def post(self, body: bytes) -> Outcome:
        """Send a body to the route; always gives an outcome, never raises for what the network does."""
        self.begin(body)
        return self.end()

    def begin(self, body: bytes) -> None:
        """Send a body; while no connection is open, this waits for one."""
        self._begin("POST", self._route.url, body)

    def end(self) -> Outcome:
        """Wait for the answer to what was begun, and give what it came to."""
        outcome = self._end()
        if outcome.verdict in {Verdict.UNKNOWN, Verdict.MISROUTED}:
            # What is still to come on this connection must not be taken for the next answer (TRAPS: Q, Q2).
            self._connection.disconnect()
        return outcome

    def has_ended(self) -> bool:
        """Read what has come, without waiting for more; return whether `end` will not wait either."""
        if self._known is None:
            try:
                return self._connection.advance()
            except _FAILURES as error:
                self._known = self._unanswered(error)
        return True

    def get(self, url: str) -> tuple[Outcome, bytes]:
        """Read a URL of the same API with the same care; return the answer's body too."""
        self._begin("GET", url, None)
        outcome = self.end()
        return outcome, self._body

    def _begin(self, method: str, url: str, body: bytes | None) -> None:
        self._known, self._body = None, b""
        try:
            self._connection.send(method, url, body)
        except _FAILURES as error:
            self._known = self._unanswered(error)

    def _end(self) -> Outcome:
        if self._known is not None:
            return self._known
        try:
            answer = self._connection.receive()
            return self._signed(answer, self._judge(answer))
        except _FAILURES as error:
            return self._unanswered(error)

    def _signed(self, answer: Answer, outcome: Outcome) -> Outcome:
        """Return an outcome with who has answered; who is not on this machine is not believed."""
        if self._route.meant is None or (name := read_emulator(answer.headers.get(EMULATOR_HEADER))) is None:
            return outcome
        if answer.status == ANOTHER_EMULATOR:
            outcome = Outcome(Verdict.REPLACED, answer.status, "another emulator answers")
        return replace(outcome, emulator=name)

    def _unanswered(self, error: Exception) -> Outcome:
        # The type alone: an exception's text may hold the URL, and http.client's may hold headers.
        kind = "took longer than `timeout`" if self._trace.expired else type(error).__name__
        if self._trace.sent:
            return Outcome(Verdict.UNKNOWN, message=f"sent, but no answer was read ({kind})")
        return unsent(error, kind)

    def _judge(self, answer: Answer) -> Outcome:
        status, self._body = answer.status, answer.body
        details = _object(answer.body, secret=self._route.key)
        message = _message(details)
        if status == _OK:
            return self._judge_ok(answer, details, message)
        if (status in _KEY and details is not None) or (status in _REFUSED and message == _KEY_REFUSED):
            return Outcome(Verdict.REFUSED_KEY, status, message or "the key was refused")
        if (before_bucket := self._of_the_way(status)) is not None:
            return before_bucket
        if status == _TOO_BIG and details is not None:
            return Outcome(Verdict.TOO_BIG, status, message, details)
        retry_after_s = parse_retry_after(answer.headers.get("retry-after"))
        if status == _THROTTLED or (status == _UNAVAILABLE and retry_after_s is not None):
            return Outcome(Verdict.THROTTLED, status, message, details, retry_after_s)
        if status >= 500 or status == _TIMEOUT:  # noqa: PLR2004  # the classes of HTTP
            return Outcome(Verdict.SERVER_ERROR, status, message, details, retry_after_s)
        if status in _UNDOCUMENTED:
            return Outcome(Verdict.UNKNOWN, None, f"the answer has status {status}, which says nothing for certain")
        if status in _REFUSED and details is not None:
            return Outcome(Verdict.REJECTED, status, message, details)
        if status in _REFUSED or status == _TOO_BIG:
            return Outcome(Verdict.SERVER_ERROR, status, "the answer is a page, not Bucket's")
        return Outcome(Verdict.BLOCKED, status, message or "the answer is not Bucket's", details)

    def _of_the_way(self, status: int) -> Outcome | None:
        """Return what an answer came to that somebody before Bucket gave."""
        if status == PROXY_KEY_WANTED and self._route.proxy is not None:
            return PROXY_KEY
        if status in _REDIRECTS:
            return Outcome(Verdict.MISROUTED, status, "the server redirects elsewhere; that is not Bucket's API")
        return None

    def _judge_ok(self, answer: Answer, details: dict[str, Any] | None, message: str) -> Outcome:
        if not self._trace.written:
            return Outcome(Verdict.UNKNOWN, None, "the answer came before the whole body was written")
        if details is not None and details.get("success") is True:
            return Outcome(Verdict.DELIVERED, _OK)
        if details is not None and details.get("success") is False:
            return Outcome(Verdict.REJECTED, _OK, message or "the answer says success: false", details)
        if "json" in answer.headers.get("content-type", "").lower() or not answer.body:
            return Outcome(Verdict.UNKNOWN, None, "the answer is cut short or is not the expected JSON")
        return Outcome(Verdict.MISROUTED, _OK, "the answer is not JSON, so it is not Bucket's")


def answered(clients: Sequence[Client], wait_s: float | None) -> list[Client]:
    """Return those of some clients whose `end` will not wait; wait for one, at most so many seconds.

    With None for ever; then a single one is given at once, since it waits as well by itself.
    """
    if len(clients) == 1 and wait_s is None:
        return list(clients)
    ended = [client for client in clients if client.socket is None]
    poll = select.poll()
    waiting = {} if ended else {client.socket.fileno(): client for client in clients}
    for number in waiting:
        poll.register(number, select.POLLIN)
    while waiting and not ended:
        readable = poll.poll(None if wait_s is None else wait_s * 1_000)
        ended = [waiting[number] for number, _ in readable if waiting[number].has_ended()]
        if not readable or wait_s is not None:
            break
    return ended


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
    """Return a value as a dead letter can hold it: without the key, lone surrogates, endless numbers or depths."""
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
    """Return the error's code; its words may quote a row, so they go to the dead letter alone."""
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
