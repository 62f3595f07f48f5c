"""The latest calls and what became of them: bounded, for a person who wonders why something was refused."""

from collections import deque
from itertools import islice
from typing import Final

import msgspec

from bucket_loader.emulator.answers import Answer
from bucket_loader.emulator.journal import Journal

_LATEST_CALLS: Final = 1000
_ERROR_CHARACTERS_MAX: Final = 500


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
    """

    request: int
    at_ms: float
    method: str
    path: str
    status: int | None
    error: str | None
    fault: str | None


class RequestsLog:
    """Numbers the calls, counts the refused ones, and keeps the latest.

    Refused is what was answered with anything but success; a connection that was cut had no answer.
    """

    def __init__(self, journal: Journal) -> None:
        counts = msgspec.json.decode(journal.kept("requests") or b"[0,0]", type=tuple[int, int])
        self.requests, self.refused = counts
        self._journal = journal
        self._latest: deque[Noted] = deque(maxlen=_LATEST_CALLS)

    def number(self) -> int:
        """Count a call that has come in, and give its number."""
        self.requests += 1
        return self.requests

    def note(self, noted: Noted) -> None:
        """Keep what became of a call."""
        if noted.error is not None:
            self.refused += 1
        self._latest.appendleft(noted)
        self._journal.keep("requests", b"[%d,%d]" % (self.requests, self.refused))

    def latest(self, limit: int) -> list[Noted]:
        """Give the latest calls, newest first."""
        return list(islice(self._latest, limit))

    def clear(self) -> None:
        """Begin again at 1."""
        self.requests = self.refused = 0
        self._latest.clear()


def outcome(answer: Answer | None) -> tuple[int | None, str | None]:
    """Give status and error of an answer, short enough to keep."""
    if answer is None:
        return None, None
    return answer.status, None if answer.error is None else answer.error[:_ERROR_CHARACTERS_MAX]
