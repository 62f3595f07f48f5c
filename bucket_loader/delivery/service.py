"""What the API has done for this run so far, seen by all workers: how much it served, and how often it failed."""

import math
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from bucket_loader.delivery.course import FAILED
from bucket_loader.delivery.place import Place
from bucket_loader.delivery.standstill import Standstill
from bucket_loader.model import JUDGED_AFTER_S, BucketLoaderError, Clock, Outcome, Served, Verdict, Wait

_FIRSTS: Final = 100  # first attempts that the rate of server errors is taken over
ASIDE_MAX: Final = 4  # chunks; in an outage not many more become ambiguous than these and those in flight
UNAMBIGUOUS_ASIDE_MAX: Final = 16  # a wrong address costs not many more requests than these
WITNESSED_FACTOR: Final = 1.5  # of the time after which a record is judged: so long that is waited for
_ASKS_EVERY_S: Final = 5.0
_PRIOR_RATE, _PRIOR_WEIGHT = 0.2, 5.0
_SOMEWHERE: Final = Place("the API")
_SERVED: Final = frozenset({Verdict.DELIVERED, Verdict.REJECTED})
_TELLING: Final = _SERVED | FAILED


class Service:
    """Counts what was served; any worker may call.

    Attributes:
        patience_s: seconds without a success after which an outage is not waited out any longer.
        successes: requests that the API did something with; one more when it was seen to, before.
        firsts: which of the latest first attempts met a server error, or were blocked.
        reached: whether anything was ever there where the run sends to.
        standstill: what stands in the way.
    """

    def __init__(
        self,
        patience_s: float,
        clock: Clock,
        stopped: threading.Event,
        *,
        reads: Callable[[], bool] = lambda: False,
        judged_after_s: float = JUDGED_AFTER_S,
    ) -> None:
        self.patience_s = patience_s
        self.successes = 0
        self.reached = False
        self.standstill = Standstill(_SOMEWHERE, clock)
        self.firsts: deque[bool] = deque(maxlen=_FIRSTS)
        self._clock = clock
        self._stopped = stopped
        self._since_s = clock.now_s()
        self._aside = 0  # since the last success
        self._ending: BucketLoaderError | None = None
        self._witnessed_s = WITNESSED_FACTOR * judged_after_s
        self._asks = reads
        self._answer, self._asked_s = False, -math.inf

    def note(self, outcome: Outcome, *, first: bool, suspected: bool) -> None:
        """Count an attempt's outcome.

        Args:
            outcome: what it came to.
            first: whether it was the chunk's first.
            suspected: whether the chunk is a part of one that was suspected: that says nothing of the others.
        """
        self.reached = self.reached or not outcome.nobody_listens
        if outcome.verdict in _SERVED:
            self.standstill.over()
            self._since_s = self._clock.now_s()
            self.successes += 1
            self._aside = 0
        else:
            self.standstill.met(outcome)
        if first and not suspected and outcome.verdict in _TELLING:
            self.firsts.append(outcome.verdict in FAILED)

    def waits(self) -> Wait | None:
        """Return what stands in the way now; None when nothing does."""
        return self.standstill.seen(self._left_s())

    def _left_s(self) -> float:
        return self.patience_s - (self._clock.now_s() - self._since_s)

    def note_set_aside(self, ending: BucketLoaderError | None = None) -> None:
        """Count a chunk that others are tried in the place of; and what the run ends with when nobody is served."""
        self._aside += 1
        self._ending = self._ending or ending

    @property
    def ending(self) -> BucketLoaderError | None:
        """What a run ends with in which nobody was served."""
        return None if self.successes else self._ending

    def served(self, outcome: Outcome, *, when_sent: int, last: bool) -> Served:
        """Return what the API did for others, for the judgement of one outcome.

        Args:
            outcome: that one.
            when_sent: the run's successes when it was sent.
            last: whether there is nothing else to be tried in its place.
        """
        left_s, failed = self._left_s(), outcome.verdict in FAILED
        most = ASIDE_MAX if outcome.ambiguous and not last else UNAMBIGUOUS_ASIDE_MAX
        return Served(
            successes=self.successes,
            when_sent=when_sent,
            error_rate=(sum(list(self.firsts)) + _PRIOR_RATE * _PRIOR_WEIGHT) / (len(self.firsts) + _PRIOR_WEIGHT),
            stopped=self._stopped.is_set(),
            out_of_patience=left_s < 0,
            patience_left_s=max(0.0, left_s),
            now_s=self._clock.now_s(),
            may_set_aside=failed and self._may_set_aside(most, self.patience_s - left_s),
            last=last,
            reads=failed and left_s < 0 and self._reads(),
            ending=self._nobody_here(outcome),
        )

    def _nobody_here(self, outcome: Outcome) -> BucketLoaderError | None:
        """Return what the run ends with when nothing listens on this machine, and nothing did before: no outage."""
        place = self.standstill.place
        is_nobody = outcome.nobody_listens and place.is_here and not self.reached
        return place.nobody_listens() if is_nobody and not self._stopped.is_set() else None

    def may_still_tell(self, *, is_new: bool) -> bool:
        """Whether waiting may show of what was set aside whose fault it is.

        Args:
            is_new: whether some of it was set aside in this call: then it may be an outage that ends.
        """
        if self.ending is not None:
            return False
        waited_s = self.patience_s - self._left_s()
        if self.successes:  # it is no outage that is waited out: patience may be shorter than what it takes to judge
            return waited_s <= max(self.patience_s, self._witnessed_s)
        return is_new and waited_s <= self.patience_s

    def _may_set_aside(self, most: int, without_s: float) -> bool:
        """Whether one more chunk may give way: some at once, and then, while the host reads, ever more seldom."""
        more = self._aside - most
        return more < 0 or (without_s >= 2 ** (more + 1) and self._reads())

    def _reads(self) -> bool:
        """Whether the host answers a read; asked at most every few seconds."""
        if self._clock.now_s() - self._asked_s >= _ASKS_EVERY_S:
            self._answer, self._asked_s = self._asks(), self._clock.now_s()
        return self._answer
