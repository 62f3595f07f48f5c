"""How often and how long to try: tenacity's loop around one attempt, until an outcome is final.

What is retried: nothing sent, throttled, a server error, an answer that never came. Never: 400, a refused key, a
redirect, TLS. An attempt after an ambiguous one may duplicate, so `told` is called before it.
"""

import math
import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import tenacity

from bucket_loader.model import Outcome, Verdict

WAIT_S_FIRST: Final = 0.5
WAIT_S_MAX: Final = 30.0
BUDGET: Final = 50.0  # retries that may be made before any is earned
# Server errors after which a chunk is suspected itself. It is judged only when others succeed meanwhile.
SUSPICIOUS_AFTER: Final = 4
# A single record is given more: it ends in the dead letters.
SUSPICIOUS_ALONE_AFTER: Final = 6
# ... and as many as make mere bad luck less likely than this, at the rate at which others meet server errors.
CHANCE_MAX: Final = 1e-6
_FIRSTS: Final = 100  # first attempts that the rate is taken over
_PRIOR_RATE, _PRIOR_WEIGHT = 0.2, 5.0

_TELLING: Final = frozenset({Verdict.DELIVERED, Verdict.REJECTED, Verdict.SERVER_ERROR})
RETRIED: Final = frozenset({Verdict.NOT_SENT, Verdict.THROTTLED, Verdict.SERVER_ERROR, Verdict.UNKNOWN})


class Patience:
    """How long an outage is waited out: seconds since the API last did something for us; shared by all workers."""

    def __init__(self, patience_s: float, clock: Callable[[], float]) -> None:
        self.patience_s = patience_s
        self.clock = clock
        self._since = clock()
        self.successes = 0

    def answered(self) -> None:
        """Note that the API served a request."""
        self._since = self.clock()
        self.successes += 1

    @property
    def over(self) -> bool:
        """Whether nothing has succeeded for as long as `patience`."""
        return self.clock() - self._since > self.patience_s


class Budget:
    """Keeps retries to about half of all requests, so that a server that struggles is not sent the same over and over.

    Each first attempt earns a retry, and so does each second. One that is not earned yet is made all the same, but
    later: when it would be, or after as long as any retry waits at most, or a tenth of `patience`.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._earned = BUDGET
        self._at = patience.clock()
        self._lock = threading.Lock()

    def earn(self) -> None:
        """Note a first attempt."""
        self._count(1.0)

    def spend(self) -> float:
        """Note a retry; gives the seconds until it is earned."""
        return max(0.0, -self._count(-1.0))

    def _count(self, change: float) -> float:
        wait_s_max = min(WAIT_S_MAX, self._patience.patience_s / 10)
        with self._lock:
            now = self._patience.clock()
            self._earned = min(max(self._earned + now - self._at + change, -wait_s_max), BUDGET)
            self._at = now
            return self._earned


@dataclass
class Case:
    """What is known of a chunk that is attempted.

    Attributes:
        hold: an ambiguous outcome is final: at most once.
        alone: whether it is a single record.
        began: the run's successes when it was first tried.
        successes_before: the same; for a part of a suspicious chunk, when that chunk was.
        suspected: whether it is such a part: something in it, or in the part beside it, brings the errors.
        attempts: how many were made.
        errors: how many of them met a server error; what was throttled or never arrived says nothing of the chunk.
        yields: whether it is given back undecided after enough server errors, for something else to be tried first.
        postponed: whether it was given back before.
    """

    hold: bool
    alone: bool
    began: int
    successes_before: int
    suspected: bool = False
    attempts: int = 0
    errors: int = 0
    yields: bool = False
    postponed: bool = False

    @property
    def suspicious_after(self) -> int:
        """Server errors after which it is suspected itself."""
        return (SUSPICIOUS_ALONE_AFTER if self.alone else SUSPICIOUS_AFTER) - (2 if self.suspected else 0)


class Retry:
    """The policy of a run; `attempt_until_final` may be called from many threads."""

    def __init__(self, patience: Patience, stopped: threading.Event) -> None:
        self.patience = patience
        self.stopped = stopped
        self._budget = Budget(patience)
        self._firsts: deque[bool] = deque(maxlen=_FIRSTS)

    def attempt_until_final(
        self, attempt: Callable[[], Outcome], told: Callable[[Outcome], None], case: "Case", made: Outcome | None = None
    ) -> Outcome:
        """Attempt until the outcome is final, the chunk is suspicious, patience is over, or the run is stopped.

        Args:
            attempt: one attempt.
            told: called with each outcome that is followed by another attempt, before that attempt.
            case: what is known of the chunk; it counts the attempts.
            made: what the first attempt came to, if it was made, and counted, before.
        """

        def again(outcome: Outcome) -> bool:
            return outcome.verdict in RETRIED and not (case.hold and outcome.ambiguous)

        def counted() -> Outcome:
            return self.count(attempt(), case)

        def stop(state: tenacity.RetryCallState) -> bool:
            suspicious = _result(state).verdict is Verdict.SERVER_ERROR and self.suspicious(case)
            decided = suspicious and (case.yields or self.proven_against(case))
            return self.stopped.is_set() or self.patience.over or decided

        first = made or counted()
        if not again(first):
            return first  # as most parts are: a policy made for each would take longer than the rest of this
        firsts = [first]
        outcome: Outcome = tenacity.Retrying(
            retry=tenacity.retry_if_result(again),
            stop=stop,
            wait=self._pause_s,
            sleep=self._sleep,
            before_sleep=lambda state: told(_result(state)),
            retry_error_callback=_result,
        )(lambda: firsts.pop() if firsts else counted())
        return outcome

    def count(self, outcome: Outcome, case: "Case") -> Outcome:
        """Count an attempt, and give its outcome again."""
        case.attempts += 1
        failed = outcome.verdict is Verdict.SERVER_ERROR
        case.errors += failed
        if case.attempts == 1:
            self._budget.earn()
            if not case.suspected and outcome.verdict in _TELLING:
                self._firsts.append(failed)
        return outcome

    def suspicious(self, case: "Case") -> bool:
        """Tell whether a chunk met server errors so often that something else should be tried."""
        return case.errors >= case.suspicious_after

    def proven_against(self, case: "Case") -> bool:
        """Tell whether a chunk's server errors are its own: the API served others since it was first tried.

        A single record ends in the dead letters for it, so chance is ruled out too: with every third request failing,
        six failures in a row happen to one good record in a thousand.
        """
        served = self.patience.successes > case.successes_before
        return served and (not case.alone or case.errors >= self._beyond_chance())

    def _beyond_chance(self) -> int:
        firsts = list(self._firsts)
        rate = (sum(firsts) + _PRIOR_RATE * _PRIOR_WEIGHT) / (len(firsts) + _PRIOR_WEIGHT)
        return math.ceil(math.log(CHANCE_MAX) / math.log(rate))

    def _pause_s(self, state: tenacity.RetryCallState) -> float:
        if _result(state).verdict is Verdict.THROTTLED:
            return _wait_s(state)  # pacing slows down for it
        return max(_wait_s(state), self._budget.spend())

    def _sleep(self, seconds: float) -> None:
        self.stopped.wait(seconds)


def _result(state: tenacity.RetryCallState) -> Outcome:
    assert state.outcome is not None  # noqa: S101  # tenacity calls back after an attempt only
    outcome: Outcome = state.outcome.result()
    return outcome


def _wait_s(state: tenacity.RetryCallState) -> float:
    """Wait as long as the server asks, else double each time; jittered, so that workers do not come together."""
    outcome = _result(state)
    doubled = min(WAIT_S_FIRST * 2.0 ** min(state.attempt_number - 1, 30), WAIT_S_MAX)
    jittered = doubled * random.uniform(0.5, 1.0)  # noqa: S311  # no secret
    asked = outcome.retry_after_s
    return jittered if asked is None else asked + jittered * 0.1
