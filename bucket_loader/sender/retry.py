"""How often and how long to try: tenacity's loop around one attempt, until an outcome is final.

What is retried: nothing sent, throttled, a server error, an answer that never came. Never: 400, a refused key, a
redirect, TLS. An attempt after an ambiguous one may duplicate, so `told` is called before it.
"""

import random
import threading
from collections.abc import Callable
from typing import Final

import tenacity

from bucket_loader.records import Outcome, Verdict

WAIT_S_FIRST: Final = 0.5
WAIT_S_MAX: Final = 30.0
# Server errors in a row after which a chunk is suspected itself, when others succeed meanwhile; a single record is
# given more, since it ends in the dead letters.
SUSPICIOUS_AFTER: Final = 4
SUSPICIOUS_ALONE_AFTER: Final = 10

RETRIED: Final = frozenset({Verdict.NOT_SENT, Verdict.THROTTLED, Verdict.SERVER_ERROR, Verdict.UNKNOWN})


class Patience:
    """How long an outage is waited out: seconds since the API last did something for us; shared by all workers."""

    def __init__(self, patience_s: float, clock: Callable[[], float]) -> None:
        self.patience_s = patience_s
        self._clock = clock
        self._since = clock()
        self.successes = 0

    def answered(self) -> None:
        """Note that the API served a request."""
        self._since = self._clock()
        self.successes += 1

    @property
    def over(self) -> bool:
        """Whether nothing has succeeded for as long as `patience`."""
        return self._clock() - self._since > self.patience_s


class Retry:
    """The policy of a run; `attempt_until_final` may be called from many threads."""

    def __init__(self, patience: Patience, stopped: threading.Event) -> None:
        self.patience = patience
        self.stopped = stopped

    def attempt_until_final(
        self, attempt: Callable[[], Outcome], told: Callable[[Outcome], None], *, hold: bool, alone: bool
    ) -> Outcome:
        """Attempt until the outcome is final, patience is over, or the run is stopped.

        Args:
            attempt: one attempt.
            told: called with each outcome that is followed by another attempt, before that attempt.
            hold: an ambiguous outcome is final: at most once.
            alone: whether the chunk is a single record.
        """
        successes_before = self.patience.successes
        suspicious_after = SUSPICIOUS_ALONE_AFTER if alone else SUSPICIOUS_AFTER

        def again(outcome: Outcome) -> bool:
            return outcome.verdict in RETRIED and not (hold and outcome.ambiguous)

        def stop(state: tenacity.RetryCallState) -> bool:
            others_succeed = self.patience.successes > successes_before
            suspicious = state.attempt_number >= suspicious_after and _result(state).verdict is Verdict.SERVER_ERROR
            return self.stopped.is_set() or self.patience.over or (suspicious and others_succeed)

        outcome: Outcome = tenacity.Retrying(
            retry=tenacity.retry_if_result(again),
            stop=stop,
            wait=_wait_s,
            sleep=self._sleep,
            before_sleep=lambda state: told(_result(state)),
            retry_error_callback=_result,
        )(attempt)
        return outcome

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
