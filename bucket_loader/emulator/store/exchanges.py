"""The latest calls word by word, for a person who wants to see what was sent: bounded, and only in memory."""

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

import msgspec

BODY_BYTES_KEPT: Final = 65_536  # of one body; what is longer is cut
ANSWER_BYTES_KEPT: Final = 16_384
_BYTES_MAX: Final = 8 * 1024 * 1024  # of all bodies and answers in one list
_CALLS_MAX: Final = 1000
_SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
_KEY_IN_QUERY: Final = re.compile(r"((?:^|&)publishableKey=)[^&]*")
_MASK: Final = "…"

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]


class Exchange(msgspec.Struct, frozen=True, gc=False):
    """One call and its answer, as bytes.

    Attributes:
        query: of the address.
        headers: of the call.
        body: what was sent, cut where it is long.
        body_bytes: how long it was.
        answer_headers: of the answer; empty where the connection was cut.
        answer: what was answered, cut where it is long.
        answer_bytes: how long it was.
    """

    query: bytes
    headers: Headers
    body: bytes
    body_bytes: int
    answer_headers: Headers
    answer: bytes
    answer_bytes: int

    @property
    def size(self) -> int:
        """How much memory it takes, about: bytes."""
        return len(self.body) + len(self.answer) + len(self.query)


class Exchanges:
    """The latest calls by their numbers, and as many of the refused: good calls do not push out a bad one."""

    def __init__(self) -> None:
        self._latest = _Bounded()
        self._refused = _Bounded()

    def add(self, request: int, exchange: Exchange, *, refused: bool) -> None:
        """Keep a call."""
        self._latest.add(request, exchange)
        if refused:
            self._refused.add(request, exchange)

    def get(self, request: int) -> Exchange | None:
        """Return a call, if it is still kept."""
        return self._latest.get(request) or self._refused.get(request)

    def clear(self) -> None:
        """Forget all of them."""
        self._latest = _Bounded()
        self._refused = _Bounded()


class _Bounded:
    def __init__(self) -> None:
        self._calls: dict[int, Exchange] = {}
        self._bytes = 0

    def add(self, request: int, exchange: Exchange) -> None:
        self._calls[request] = exchange
        self._bytes += exchange.size
        while len(self._calls) > _CALLS_MAX or (self._bytes > _BYTES_MAX and len(self._calls) > 1):
            self._bytes -= self._calls.pop(next(iter(self._calls))).size

    def get(self, request: int) -> Exchange | None:
        return self._calls.get(request)


def shown_headers(headers: Headers, keys: Iterable[str]) -> list[tuple[str, str]]:
    """Return headers as text, with no key in them."""
    keys = list(keys)
    texts = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    return [
        (name, _masked(value) if name.lower() in _SECRET_HEADERS else without(value, keys)) for name, value in texts
    ]


def shown_query(query: bytes, keys: Iterable[str]) -> str:
    """Return a query as text, with no key in it."""
    return without(_KEY_IN_QUERY.sub(rf"\1{_MASK}", query.decode("latin-1")), keys)


def without(text: str, keys: Iterable[str]) -> str:
    """Return a text in which each key is masked."""
    for key in keys:
        text = text.replace(key, key[:4] + _MASK)
    return text


def _masked(value: str) -> str:
    """Return what may be seen of a secret: its scheme, and the four characters that say what kind of key it is."""
    scheme, blank, token = value.partition(" ")
    return f"{scheme} {token[:4]}{_MASK}" if blank else _MASK
