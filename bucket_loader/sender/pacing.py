"""How much at once, and how fast: slots that adapt to what the API answers.

The limit grows by one for each limit's worth of good answers, shrinks on 429, and on server errors only when they are
more than a fifth (halving on each would pin it near its floor). In an outage one probe a second goes out, no more.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from bucket_loader.records import Outcome, Verdict

AUTO_START: Final = 4.0
AUTO_MAX: Final = 16
SHRINK: Final = 0.7
RECENT: Final = 50  # answers that the share of server errors is taken over
ERROR_SHARE_MAX: Final = 0.2
OUTAGE_AFTER: Final = 8  # failures in a row, with no success between
PROBE_PERIOD_S: Final = 1.0


class Pacer:
    """Hands out slots; one pacer a run, any number of threads."""

    def __init__(
        self,
        *,
        concurrency: int | None,
        requests_per_second: float | None,
        stopped: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.workers = concurrency or AUTO_MAX
        self._limit = float(concurrency) if concurrency is not None else AUTO_START
        self._adaptive = concurrency is None
        self._interval_s = 1 / requests_per_second if requests_per_second else 0.0
        self._stopped = stopped
        self._clock = clock
        self._condition = threading.Condition()
        self._in_flight = 0
        self._next_at = 0.0
        self._failures = 0
        self._recent: deque[bool] = deque(maxlen=RECENT)

    def acquire(self) -> bool:
        """Wait for a slot; False when the run is stopped meanwhile."""
        with self._condition:
            while not self._stopped.is_set():
                wait_s = self._wait_s()
                if wait_s <= 0:
                    self._in_flight += 1
                    self._next_at = max(self._next_at, self._clock()) + self._period_s()
                    return True
                self._condition.wait(min(wait_s, 1.0))
        return False

    def _wait_s(self) -> float:
        limit = 1 if self._outage() else max(1, int(self._limit))
        return 1.0 if self._in_flight >= limit else self._next_at - self._clock()

    def _period_s(self) -> float:
        return max(self._interval_s, PROBE_PERIOD_S) if self._outage() else self._interval_s

    def _outage(self) -> bool:
        return self._failures >= OUTAGE_AFTER

    def release(self, outcome: Outcome) -> None:
        """Give a slot back, and learn from what came of it."""
        with self._condition:
            self._in_flight -= 1
            self._learn(outcome)
            self._condition.notify_all()

    def _learn(self, outcome: Outcome) -> None:
        failed = outcome.verdict in {Verdict.NOT_SENT, Verdict.SERVER_ERROR, Verdict.UNKNOWN}
        self._failures = self._failures + 1 if failed else 0
        self._recent.append(outcome.verdict is Verdict.SERVER_ERROR)
        if outcome.verdict is Verdict.THROTTLED:
            self._next_at = max(self._next_at, self._clock() + (outcome.retry_after_s or 0.0))
            self._shrink()
        elif sum(self._recent) > ERROR_SHARE_MAX * RECENT:
            self._recent.clear()
            self._shrink()
        elif self._adaptive and not failed:
            self._limit = min(self._limit + 1 / self._limit, float(AUTO_MAX))

    def _shrink(self) -> None:
        if self._adaptive:
            self._limit = max(1.0, self._limit * SHRINK)
