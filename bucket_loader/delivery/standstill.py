"""What stands in the way of a delivery: from an attempt that served nobody to the next that serves somebody."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bucket_loader.delivery.place import Place
from bucket_loader.model import Cause, Clock, Outcome, Verdict, Wait

_CAUSES: Final[dict[Verdict, Cause]] = {
    Verdict.NOT_SENT: "unreachable",
    Verdict.UNKNOWN: "no_answer",
    Verdict.SERVER_ERROR: "server_error",
    Verdict.THROTTLED: "rate_limit",
    Verdict.BLOCKED: "refused",
}
_WHY: Final[dict[Cause, str]] = {
    "unreachable": "{place} cannot be reached: {said}",
    "no_answer": "{place} does not answer: {said}",
    "server_error": "{place} answers with an error: {said}",
    "rate_limit": "{place} asks to send less: {said}",
    "refused": "{place} refuses what is sent: {said}",
}
_HINTS: Final[dict[Cause, str]] = {
    "unreachable": "Is the host up, and `destination: base_url` right?",
    "no_answer": "Is the host up, and `destination: base_url` right?",
    "server_error": "The host has to mend that; what may arrive twice is counted.",
    "rate_limit": "Nothing has to be done; `destination: requests_per_second` sets a pace of your own.",
    "refused": "Is `destination: base_url` right, and is a firewall on the way?",
}


class Standstill:
    """Counts attempts that serve nobody, and knows when the next is made; any worker may tell, without a lock."""

    def __init__(self, place: Place, clock: Clock) -> None:
        self.place = place
        self._clock = clock
        self._last: Outcome | None = None
        self._tries = 0
        self._since_s = 0.0
        self._next_s: dict[object, float] = {}

    def met(self, outcome: Outcome) -> None:
        """Count an attempt that served nobody."""
        if self._last is None:
            self._since_s, self._tries = self._clock.now_s(), 0
        self._last = outcome
        self._tries += 1

    def over(self) -> None:
        """Say that somebody was served."""
        self._last = None

    @contextmanager
    def next_in(self, wait_s: float) -> Iterator[None]:
        """Say that for as long as the `with` lasts somebody waits to try again, in so many seconds."""
        who = object()
        self._next_s[who] = self._clock.now_s() + wait_s
        try:
            yield
        finally:
            del self._next_s[who]

    def seen(self, left_s: float) -> Wait | None:
        """Return what stands in the way now; None when nothing does.

        Args:
            left_s: seconds of patience that are left.
        """
        last, now = self._last, self._clock.now_s()
        cause = None if last is None else _CAUSES.get(last.verdict)
        if last is None or cause is None:
            return None
        said = " ".join(filter(None, (str(last.status or ""), last.message)))
        next_s = min(list(self._next_s.values()), default=now) - now
        return Wait(
            cause=cause,
            why=_WHY[cause].format(place=self.place.name, said=said),
            hint=_HINTS[cause],
            tries=self._tries,
            waited_s=now - self._since_s,
            next_s=next_s if next_s > 0 else None,
            left_s=max(0.0, left_s),
        )
