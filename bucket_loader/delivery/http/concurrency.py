"""The requests at once that a server works on without a queue."""

import math
from typing import Final

from bucket_loader.delivery.http.rate import Slot

AUTO_QUICK: Final = 16.0  # slots that a server may get whatever its latency: one thread fills them
AUTO_MAX: Final = 48  # slots: 200 requests a second that are answered after 200 ms, and a fifth to spare
OWN_PER_S: Final = 4_000  # about what this program can make in a second: with more slots they wait for each other


class Concurrency:
    """The requests at once that a server works on without a queue, as far as latency shows."""

    WINDOW = 20  # answers; twice as many as slots when that is more
    RISE = 1.5
    RISE_S = 0.01  # less than that is this machine's own doing
    DRAIN = 0.8
    DRAIN_LEAST = 0.25
    GROW, GROW_FIRST = 1.1, 1.25  # once it is known where it ends, and before

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.used = False
        self._grow = self.GROW_FIRST
        self._base_s = 0.0
        self._drained = True
        self._began = -math.inf
        self._logs, self._count = 0.0, 0

    @property
    def slots(self) -> int:
        """How many may be out at once."""
        return round(self.limit)

    def shrink(self, factor: float, now: float) -> None:
        """Take slots away."""
        self.limit = max(1.0, self.limit * factor)
        self._begin(now)

    def answered(self, slot: Slot, now: float) -> None:
        """Learn from how long a good answer took; the mean is geometric, so that a few late ones say little."""
        if slot.at < self._began:
            return
        self._logs += math.log(max(now - slot.at, 1e-6))
        self._count += 1
        if self._count >= max(self.WINDOW, 2 * self.limit):
            self._judge(math.exp(self._logs / self._count), now)

    def _judge(self, latency_s: float, now: float) -> None:
        if not self._drained and latency_s > self.RISE * self._base_s + self.RISE_S:
            self._drained, self._grow = True, self.GROW
            self.shrink(max(self.DRAIN_LEAST, self.DRAIN * self._base_s / latency_s), now)
            return
        if self._drained:
            self._base_s = latency_s
        else:
            self._base_s += (0.25 if latency_s < self._base_s else 0.02) * (latency_s - self._base_s)
        self._drained = False
        if self.used:
            most = min(max(AUTO_QUICK, OWN_PER_S * self._base_s), float(AUTO_MAX))
            self.limit = max(self.limit, min(max(self.limit * self._grow, self.limit + 1), most))
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._began, self._logs, self._count, self.used = now, 0.0, 0, False
