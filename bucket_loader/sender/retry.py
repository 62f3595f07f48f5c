"""How often and how long to try: tenacity's loop around one attempt, until an outcome is final.

What is retried: nothing sent, throttled, a server error, an answer that never came. Never: 400, a refused key, a
redirect, TLS. An attempt after an ambiguous one may duplicate, so `told` is called before it.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import tenacity

from bucket_loader.records import Outcome, Verdict

WAIT_S_FIRST: Final = 0.5
WAIT_S_MAX: Final = 30.0
# Server errors in a row after which a chunk is suspected itself. It is judged only when others succeed meanwhile.
SUSPICIOUS_AFTER: Final = 4
# A single record is given more: it ends in the dead letters.
SUSPICIOUS_ALONE_AFTER: Final = 6

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
        yields: whether it is given back undecided after enough server errors, for something else to be tried first.
        postponed: whether it was given back before.
    """

    hold: bool
    alone: bool
    began: int
    successes_before: int
    suspected: bool = False
    attempts: int = 0
    yields: bool = False
    postponed: bool = False

    @property
    def suspicious_after(self) -> int:
        """Server errors in a row after which it is suspected itself."""
        return (SUSPICIOUS_ALONE_AFTER if self.alone else SUSPICIOUS_AFTER) - (2 if self.suspected else 0)


class Retry:
    """The policy of a run; `attempt_until_final` may be called from many threads."""

    def __init__(self, patience: Patience, stopped: threading.Event) -> None:
        self.patience = patience
        self.stopped = stopped

    def attempt_until_final(
        self, attempt: Callable[[], Outcome], told: Callable[[Outcome], None], case: "Case"
    ) -> Outcome:
        """Attempt until the outcome is final, the chunk is suspicious, patience is over, or the run is stopped.

        Args:
            attempt: one attempt.
            told: called with each outcome that is followed by another attempt, before that attempt.
            case: what is known of the chunk; it counts the attempts.
        """

        def again(outcome: Outcome) -> bool:
            return outcome.verdict in RETRIED and not (case.hold and outcome.ambiguous)

        def counted() -> Outcome:
            case.attempts += 1
            return attempt()

        def stop(state: tenacity.RetryCallState) -> bool:
            suspicious = _result(state).verdict is Verdict.SERVER_ERROR and case.attempts >= case.suspicious_after
            decided = suspicious and (case.yields or self.proven_against(case))
            return self.stopped.is_set() or self.patience.over or decided

        outcome: Outcome = tenacity.Retrying(
            retry=tenacity.retry_if_result(again),
            stop=stop,
            wait=_wait_s,
            sleep=self._sleep,
            before_sleep=lambda state: told(_result(state)),
            retry_error_callback=_result,
        )(counted)
        return outcome

    def proven_against(self, case: "Case") -> bool:
        """Tell whether the API served others since a chunk was first tried: its errors are then its own."""
        return self.patience.successes > case.successes_before

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
