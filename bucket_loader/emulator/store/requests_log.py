"""The latest calls and what became of them: bounded, for a person who wonders why something was refused."""

import re
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Final, TypeAlias

import msgspec

from bucket_loader.emulator.store import wire
from bucket_loader.emulator.store.exchanges import Exchange, Exchanges
from bucket_loader.emulator.store.journal import Journal

LATEST_CALLS: Final = 1000  # of all, and as many of the refused: a thousand good calls must not hide a bad one
ERROR_CHARACTERS_MAX: Final = 500
_ITEM_CHARACTERS_MAX: Final = 600
_INDEX: Final = re.compile(r"\[(\d+)\]")
_BYTE: Final = re.compile(r"\(byte (\d+)\)")


class Wrong(msgspec.Struct, frozen=True):
    """One mistake in a call.

    Attributes:
        message: which field of which item, and what was expected.
        item: what was sent there, cut where it is long; None where the message says it all.
    """

    message: str
    item: str | None


Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=10**15)]  # as a journal can hold it
Moment: TypeAlias = Annotated[float, msgspec.Meta(ge=wire.MS_MIN, le=wire.MS_MAX)]


class Noted(msgspec.Struct, frozen=True):
    """One call: what came, and what was answered.

    Attributes:
        request: its number, from 1.
        at_ms: when it was answered, milliseconds since the epoch.
        method: of HTTP.
        path: without the query, which may hold a key.
        status: of the answer; None when the connection was cut instead.
        error: why it was refused.
        fault: the kind of fault that dealt with it.
        records: how many were accepted; None for a call that brings none.
        wrong: the first mistakes in its body.
    """

    request: Number
    at_ms: Moment
    method: str
    path: str
    status: int | None
    error: str | None
    fault: str | None
    records: int | None = None
    wrong: list[Wrong] = []


class SavedLog(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A log of requests, to be saved and restored; the latest calls come first."""

    requests: Number = 0
    refused: Number = 0
    latest: list[Noted] = []
    latest_refused: list[Noted] = []


class RequestsLog:
    """Numbers the calls, counts the refused ones, and keeps the latest; `exchanges` has them word by word.

    Refused is what was answered with anything but success; a connection that was cut had no answer.
    """

    def __init__(self, journal: Journal) -> None:
        counts = msgspec.json.decode(journal.kept("requests") or b"[0,0]", type=tuple[int, int])
        self.requests, self.refused = counts
        self._journal = journal
        self._latest = _Latest(journal, "call")
        self._refused = _Latest(journal, "refused")
        self.exchanges: Final = Exchanges()

    def number(self) -> int:
        """Count a call that has come in, and return its number."""
        self.requests += 1
        return self.requests

    def remember(self, request: int) -> None:
        """Know that this number was given: the process was killed before it noted what became of the call."""
        self.requests = max(self.requests, request)

    def note(self, noted: Noted, exchange: Exchange) -> None:
        """Keep what became of a call."""
        self.exchanges.add(noted.request, exchange, refused=noted.error is not None)
        if noted.error is not None:
            self.refused += 1
            self._refused.add(noted, self.refused)
        self._latest.add(noted, noted.request)
        self._keep()

    def latest(self, limit: int, *, only_refused: bool = False) -> list[Noted]:
        """Return the latest calls, newest first."""
        return self._refused.first(limit) if only_refused else self._latest.first(limit)

    def find(self, request: int) -> Noted | None:
        """Return a call by its number, if it is still kept."""
        return self._latest.find(request) or self._refused.find(request)

    def saved(self) -> SavedLog:
        """Return all of it."""
        return SavedLog(
            self.requests, self.refused, self._latest.first(LATEST_CALLS), self._refused.first(LATEST_CALLS)
        )

    def restore(self, saved: SavedLog) -> None:
        """Be as a log that was saved."""
        self.clear()
        self.requests, self.refused = saved.requests, saved.refused
        for noted in reversed(saved.latest):
            self._latest.add(noted, noted.request)
        for older, noted in reversed(list(enumerate(saved.latest_refused))):
            self._refused.add(noted, saved.refused - older)
        self._keep()

    def clear(self) -> None:
        """Begin again at 1."""
        self.requests = self.refused = 0
        self._latest.clear()
        self._refused.clear()
        self.exchanges.clear()

    def _keep(self) -> None:
        self._journal.keep("requests", b"[%d,%d]" % (self.requests, self.refused))


class _Latest:
    """A list that forgets its oldest, and is there again after a restart if the journal is."""

    def __init__(self, journal: Journal, name: str) -> None:
        self._journal = journal
        self._name = name
        kept = [journal.kept(f"{name} {place}") for place in range(LATEST_CALLS)] if journal.is_durable else []
        calls = [msgspec.json.decode(one, type=Noted) for one in kept if one is not None]
        self._calls = deque(sorted(calls, key=lambda call: call.at_ms, reverse=True), maxlen=LATEST_CALLS)

    def add(self, noted: Noted, number: int) -> None:
        """Keep a call; `number` is its own among those that belong here."""
        self._calls.appendleft(noted)
        if self._journal.is_durable:
            self._journal.keep(f"{self._name} {number % LATEST_CALLS}", msgspec.json.encode(noted))

    def first(self, limit: int) -> list[Noted]:
        return list(islice(self._calls, limit))

    def find(self, request: int) -> Noted | None:
        return next((noted for noted in self._calls if noted.request == request), None)

    def clear(self) -> None:
        self._calls.clear()


def wrong(mistakes: Sequence[str], body: bytes) -> list[Wrong]:
    """Put what was sent beside each mistake in it."""
    items: list[bytes] | None = None
    found = []
    for message in mistakes:
        sent: bytes = body
        if (byte := _BYTE.search(message)) is not None:
            start = max(0, int(byte[1]) - _ITEM_CHARACTERS_MAX // 2)
            sent = body[start:]
        elif (index := _INDEX.match(message)) is not None:
            items = wire.split(body) if items is None else items
            sent = items[int(index[1])]
        found.append(Wrong(message[:ERROR_CHARACTERS_MAX], _text(sent)))
    return found


def _text(sent: bytes) -> str | None:
    if not sent:
        return None
    text = sent[: _ITEM_CHARACTERS_MAX * 4].decode(errors="replace")
    return text if len(text) <= _ITEM_CHARACTERS_MAX else text[:_ITEM_CHARACTERS_MAX] + "…"
