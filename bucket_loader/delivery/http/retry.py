"""How long to wait before an attempt is repeated. What is repeated is decided in `delivery.course`."""

from typing import Final

import tenacity

from bucket_loader.model import Clock

WAIT_S_FIRST: Final = 0.5
WAIT_S_MAX: Final = 30.0
BUDGET: Final = 50.0  # retries that may be made before any is earned


class Backoff:
    """The wait after so many attempts, in seconds: tenacity's, which doubles up to a most."""

    def __init__(self) -> None:
        self._doubled = tenacity.wait_exponential(multiplier=WAIT_S_FIRST, max=WAIT_S_MAX)
        self._retrying = tenacity.Retrying()

    def __call__(self, attempts: int) -> float:
        """Return the seconds to wait after so many attempts."""
        state = tenacity.RetryCallState(self._retrying, None, (), {})
        state.attempt_number = attempts
        return self._doubled(state)


class Budget:
    """Keeps retries to about half of all requests, so that a server that struggles is not sent the same over and over.

    Each first attempt earns one retry. Each second that passes earns one, too. A retry that is not earned yet is made
    all the same, but later: when it would be earned, or after as long as any retry waits at most, or a tenth of
    `patience`.
    """

    def __init__(self, patience_s: float, clock: Clock) -> None:
        self._patience_s = patience_s
        self._clock = clock
        self._earned = BUDGET
        self._at_s = clock.now_s()
        self._lock = clock.threading.Lock()

    def earn(self) -> None:
        """Note a first attempt."""
        self._count(1.0)

    def spend(self) -> float:
        """Note a retry, and return the seconds until it is earned."""
        return max(0.0, -self._count(-1.0))

    def _count(self, change: float) -> float:
        wait_s_max = min(WAIT_S_MAX, self._patience_s / 10)
        with self._lock:
            now_s = self._clock.now_s()
            self._earned = min(max(self._earned + now_s - self._at_s + change, -wait_s_max), BUDGET)
            self._at_s = now_s
            return self._earned
