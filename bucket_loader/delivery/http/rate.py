"""The requests a second that a server admits, and the slots that are handed out at that rate."""

import math
from collections import deque
from dataclasses import dataclass


@dataclass(slots=True)
class Slot:
    """Leave to make one attempt.

    Attributes:
        at: when it was given.
        rate: requests a second that were paced at then; infinite when they were not.
    """

    at: float
    rate: float


class Rate:
    """The requests a second that a server admits, searched for between `good` and `bad`."""

    TRIAL_S = 1.0
    TRIAL_REQUESTS = 5
    HOLD_S = 4.0
    HOLD_S_MAX = 60.0
    HOLD_PAUSES = 20  # a hold is so many times longer than a pause that a refusal costs
    CLOSE = 0.03
    STEP_FIRST, STEP_UNSURE = 0.01, 0.05
    DROP_FIRST, DROP_MOST = 0.05, 0.5
    LEAST = 0.1  # requests a second
    # A machine that stalls sees what comes meanwhile all at once, and refuses some of it: that says little. So refusals
    # that come together count as one, and above so many requests a second one of these a second is passed over.
    TOGETHER_S = 0.25
    STALLS_FROM = 100.0

    def __init__(self) -> None:
        self.per_s = math.inf
        self._good, self._bad = 0.0, math.inf
        self._found = 0.0
        self._step, self._drop = self.STEP_FIRST, self.DROP_MOST
        self._ends = 0.0
        self._tried = 0
        self._refused_at, self._since_stall = -math.inf, 0
        self._cut_off = -math.inf  # what was sent before a cut could show says nothing of what came after
        self._holding = False
        self.pause_s = 0.0
        self._recent: deque[float] = deque(maxlen=32)

    @property
    def period_s(self) -> float:
        """Seconds from one request to the next."""
        return 1 / self.per_s

    def sent(self, now: float) -> None:
        """Count a request; a rate that was used for as long as its trial lasts has held."""
        self._tried += 1
        self._since_stall += 1
        if self.per_s == math.inf:
            self._recent.append(now)
        elif now >= self._ends and self._tried >= self.per_s * self.TRIAL_S / 2:
            self._held(now)

    def _held(self, now: float) -> None:
        self._good, self._drop = self.per_s, self.DROP_FIRST
        if self._holding:
            self._bad = math.inf
        self._holding = False
        if self._bad == math.inf:
            self._try(self._good + self._step, now)
            self._step *= 2
        elif self._bad > self._good * (1 + self.CLOSE):
            self._try((self._good + self._bad) / 2, now)
        else:
            self._hold(now)

    def _hold(self, now: float) -> None:
        """Stay for a while with a rate that was found twice; look higher, and sooner, after the first time."""
        found_again = abs(self._good - self._found) < 2 * self.CLOSE * self._good
        self._found, self._holding, self._tried = self._good, True, 0
        self._step = self._good * (self.STEP_FIRST if found_again else self.STEP_UNSURE)
        hold_s = self.HOLD_S if found_again else self.TRIAL_S
        self._ends = now + min(max(hold_s, self.HOLD_PAUSES * self.pause_s), self.HOLD_S_MAX)

    def _try(self, rate: float, now: float) -> None:
        self.per_s = max(rate, self.LEAST)
        self._tried, self._holding = 0, False
        self._ends = now + max(self.TRIAL_S, self.TRIAL_REQUESTS / self.per_s)

    def refused(self, slot: Slot, now: float, pause_s: float) -> bool:
        """Learn from a 429: what was sent at this rate, or above, was too much; return whether that is new."""
        self.pause_s = pause_s
        if self.per_s == math.inf:
            self.per_s = self._measured(now)
            self._step = self.per_s / 2
            self._cut(self.per_s, slot, now)
            return True
        rate = slot.rate
        if slot.at < self._cut_off or rate >= self._bad:
            return False  # sent before that was known, or met what still waited there
        if rate <= self._good and self._is_stall(now):
            return False
        self._bad = rate
        if not 0 < self._good < rate:
            self._good = rate * (1 - self._drop)
            self._drop = min(2 * self._drop, self.DROP_MOST)
        self._cut(self._good, slot, now)
        return True

    def _is_stall(self, now: float) -> bool:
        if self._drop > self.DROP_FIRST or self.per_s < self.STALLS_FROM:
            return False  # nothing has held yet, or a stall does not matter
        if now - self._refused_at < self.TOGETHER_S:
            return True
        often = self._since_stall < self.per_s * self.TRIAL_S
        self._refused_at, self._since_stall = now, 0
        return not often

    def _cut(self, rate: float, slot: Slot, now: float) -> None:
        self._try(rate, now)
        self._cut_off = now + (now - slot.at)

    def _measured(self, now: float) -> float:
        return len(self._recent) / max(now - self._recent[0], 0.001)
