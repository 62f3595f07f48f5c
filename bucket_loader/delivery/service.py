"""What the API has done for this run so far, seen by all workers: how much it served, and how often it failed."""

import threading
from collections import deque
from typing import Final

from bucket_loader.delivery.course import FAILED, Served
from bucket_loader.model import Clock, Outcome, Verdict

_FIRSTS: Final = 100  # first attempts that the rate of server errors is taken over
_PRIOR_RATE, _PRIOR_WEIGHT = 0.2, 5.0
_SERVED: Final = frozenset({Verdict.DELIVERED, Verdict.REJECTED})
_TELLING: Final = _SERVED | FAILED


class Service:
    """Counts what was served; any worker may call.

    Attributes:
        patience_s: seconds without a success after which an outage is not waited out any longer.
        successes: requests that the API did something with.
        firsts: which of the latest first attempts met a server error, or were blocked.
    """

    def __init__(self, patience_s: float, clock: Clock, stopped: threading.Event) -> None:
        self.patience_s = patience_s
        self.successes = 0
        self.firsts: deque[bool] = deque(maxlen=_FIRSTS)
        self._clock = clock
        self._stopped = stopped
        self._since_s = clock.now_s()

    def note(self, outcome: Outcome, *, first: bool, suspected: bool) -> None:
        """Count an attempt's outcome.

        Args:
            outcome: what it came to.
            first: whether it was the chunk's first.
            suspected: whether the chunk is a part of one that was suspected: that says nothing of the others.
        """
        if outcome.verdict in _SERVED:
            self._since_s = self._clock.now_s()
            self.successes += 1
        if first and not suspected and outcome.verdict in _TELLING:
            self.firsts.append(outcome.verdict in FAILED)

    def _left_s(self) -> float:
        return self.patience_s - (self._clock.now_s() - self._since_s)

    def served(self, *, when_sent: int, may_postpone: bool) -> Served:
        """Return what the API did for others, for the judgement of one outcome."""
        left_s = self._left_s()
        return Served(
            successes=self.successes,
            when_sent=when_sent,
            error_rate=(sum(list(self.firsts)) + _PRIOR_RATE * _PRIOR_WEIGHT) / (len(self.firsts) + _PRIOR_WEIGHT),
            stopped=self._stopped.is_set(),
            out_of_patience=left_s < 0,
            patience_left_s=max(0.0, left_s),
            may_postpone=may_postpone,
        )
