"""How much at once, and how fast: slots that adapt to what the API answers.

An API sets one of two limits, and never says which: so many requests a second (then it answers 429), or so many at once
(then it answers later and later). Each is looked for in its own quantity, by trying a little more and listening:

- `Rate`, once there was a 429, is a search between the highest rate that held and the lowest that was refused. A rate
  is tried for a second; the gap is halved until it closes; then the good rate is held for a while, and what lies above
  it is tried, in steps that begin at one per cent and double. So a limit that stays costs a few 429s in a thousand, and
  one that rises fourfold is found in fifteen seconds. A refusal of what had held leads down, by doubling steps too.
  Refusals that have nothing to do with the rate are told from a limit's by trying twice the rate, and then allowed for.
- `Concurrency` grows while latency stays. Latency that has risen by half over what it was without a queue means that
  requests wait for each other: down to a little less than what the server has in the works (slots x base / latency),
  so that its queue empties, and the base is measured anew. Latency that stays up all the same is not our doing.
  A server that answers at once needs no more slots than keep this program busy.

Server errors take slots away only when they are more than a fifth of recent answers (halving on each would pin it near
its floor). When nothing succeeds at all it is an outage: one probe a second, and half the slots with the first success.
"""

import math
import threading
from collections import deque
from typing import Final

from bucket_loader.delivery.http.concurrency import Concurrency
from bucket_loader.delivery.http.rate import Rate, Slot
from bucket_loader.model import SYSTEM, Clock, Outcome, Verdict

AUTO_START: Final = 4.0
AUTO_WORKERS: Final = 64  # threads: some of them wait to try again
RECENT: Final = 50  # answers that the share of server errors is taken over
ERROR_SHARE_MAX: Final = 0.2
ERROR_SHRINK: Final = 0.7
OUTAGE_AFTER: Final = 8  # failures in a row, with no success between
PROBE_PERIOD_S: Final = 1.0
PROBE_HANGS_S: Final = 10.0  # without an answer for so long, the next probe goes out
FEW: Final = 4  # chunks under way until something was delivered
SPARE: Final = 4  # chunks under way beside those in flight, at the least
QUICK_S: Final = 0.01  # a server that answers sooner is served by one thread that has all in flight
LATE_S_MAX: Final = 0.02  # a thread's lateness that is made up for
# Retry-After counts whole seconds, so this is also what a wait of a few milliseconds is called.
RETRY_AFTER_S_LEAST: Final = 1.0

_FAILED: Final = frozenset({Verdict.NOT_SENT, Verdict.SERVER_ERROR, Verdict.UNKNOWN, Verdict.THROTTLED})


class Pacer:
    """Hands out slots; one pacer a run, any number of threads."""

    def __init__(
        self,
        *,
        concurrency: int | None,
        requests_per_second: float | None,
        stopped: threading.Event,
        clock: Clock = SYSTEM,
    ) -> None:
        self.workers = concurrency or AUTO_WORKERS
        self._adaptive = concurrency is None
        self._concurrency = Concurrency(AUTO_START if concurrency is None else float(concurrency))
        self._rate = Rate()
        self._interval_s = 1 / requests_per_second if requests_per_second else 0.0
        self._stopped = stopped
        self._clock = clock
        self._lock = clock.threading.Lock()
        self._waiting: list[threading.Condition] = []
        self._proven = False
        self._latency_s = math.inf  # of what was served lately
        self._watched_until = math.inf  # when the first of the waiters looks again
        self._in_flight = 0
        self._sent_at = -math.inf
        self._next_at = -math.inf
        self._paused_until = -math.inf
        self._hinted_until = -math.inf  # the same, when it was the least that can be asked for
        self._hinted_of = -math.inf  # when the request was sent that it was asked of
        self._served_at = -math.inf  # when the latest request was sent that was served
        self._probed_at = -math.inf
        self._failures = 0
        self._recent: deque[bool] = deque(maxlen=RECENT)

    @property
    def room(self) -> int:
        """How many chunks may be under way: those in flight, and some that wait to be tried again.

        Until something was delivered it is a few: when all is refused, few requests show it.
        """
        if not self._adaptive:
            return self.workers
        slots = self._concurrency.slots
        if not self._proven:
            return FEW
        return slots if self.at_once > 1 else slots + max(SPARE, slots // 3)

    @property
    def at_once(self) -> int:
        """How many requests one thread should have in flight.

        All of them, when answers come sooner than threads can hand over to each other; one, when somebody has to wait:
        for an answer, for a rate, for an outage to end.
        """
        quick = self._latency_s < QUICK_S and self._rate.per_s == math.inf and not self._interval_s
        return self._concurrency.slots if quick and not self._failures else 1

    def pace(self, requests_per_second: float) -> None:
        """Make at most so many requests a second from here on, counted from the last; 0 for none."""
        with self._lock:
            self._interval_s = 1 / requests_per_second if requests_per_second > 0 else math.inf
            if self._interval_s == math.inf:
                self._next_at = math.inf
            else:
                probes_s = PROBE_PERIOD_S if self._outage() else 0.0
                self._next_at = self._sent_at + max(self._rate.period_s, self._interval_s, probes_s)
            self._watched_until = math.inf
            self._tell_next()

    def acquire(self, *, wait: bool = True) -> Slot | None:
        """Return a slot; None when the run is stopped while waiting for one, or there is none and no `wait`."""
        place: threading.Condition | None = None
        watched = False
        with self._lock:
            while not self._stopped.is_set():
                now = self._clock.now_s()
                wait_s = self._wait_s(now)
                if wait_s <= 0:
                    self._leave(place)
                    return self._take(now, watched=watched)
                if not wait:
                    return None
                place = place or self._clock.threading.Condition(self._lock)
                watched = self._wait(place, now, wait_s)
            self._leave(place)
        return None

    def _wait_s(self, now: float) -> float:
        if self._in_flight >= self._concurrency.slots:
            return math.inf
        return self._due() - now

    def _due(self) -> float:
        return max(self._next_at, self._paused_until, self._hinted_until)

    def _wait(self, place: threading.Condition, now: float, wait_s: float) -> bool:
        """Wait for the next slot, or until told; return whether this thread is the one that watches the clock.

        Were it all of them, waking for each slot would cost more than sending. Who came last is told first: no more
        chunks are under way than are of use.
        """
        if place not in self._waiting:
            self._waiting.append(place)
        if now + wait_s >= self._watched_until:
            place.wait(self._clock.look_s)
            return False
        self._watched_until = now + wait_s
        place.wait(min(wait_s, self._clock.look_s))
        self._watched_until = math.inf
        return True

    def _leave(self, place: threading.Condition | None) -> None:
        if place in self._waiting:
            self._waiting.remove(place)

    def _tell_next(self) -> None:
        room = self._in_flight < self._concurrency.slots
        if room and self._waiting and self._due() < self._watched_until:
            self._waiting.pop().notify()

    def _take(self, now: float, *, watched: bool) -> Slot:
        slot = Slot(now, self._rate.per_s)
        self._sent_at = now
        self._in_flight += 1
        self._concurrency.used |= self._in_flight >= self._concurrency.slots
        if self._outage():
            self._probed_at, self._next_at = now, now + max(self._interval_s, PROBE_HANGS_S)
        else:
            self._rate.sent(now)
            period_s = self._rate.period_s
            # A thread that woke a little late does not slow down the next. A rate that was asked for is kept exactly.
            late_s = now - self._due() if watched and period_s > self._interval_s else 0.0
            self._next_at = now - min(late_s, period_s, LATE_S_MAX) + max(period_s, self._interval_s)
        self._tell_next()
        return slot

    def _outage(self) -> bool:
        return self._failures >= OUTAGE_AFTER

    def release(self, slot: Slot, outcome: Outcome) -> None:
        """Take a slot back, and learn from what came of it."""
        with self._lock:
            self._in_flight -= 1
            now = self._clock.now_s()
            if outcome.verdict is Verdict.THROTTLED:
                self._throttled(slot, outcome, now)
            if outcome.verdict in _FAILED:
                self._failed(outcome, now)
            else:
                self._served(slot, now)
            if outcome.verdict is Verdict.DELIVERED and self._adaptive:
                self._proven = True
                self._concurrency.answered(slot, now)
            self._tell_next()

    def _throttled(self, slot: Slot, outcome: Outcome, now: float) -> None:
        """Pause for as long as the server asks, and slow down.

        The least that it can ask for is taken back when it has served what was sent later: it meant that request.
        """
        asked_s = outcome.asked_s or 0.0
        asks = asked_s > 0
        if asked_s > RETRY_AFTER_S_LEAST:
            self._paused_until = max(self._paused_until, now + asked_s)
        elif self._served_at > slot.at:
            asked_s = 0.0
        elif asked_s:
            self._hinted_until, self._hinted_of = now + asked_s, slot.at
        if self._adaptive and not self._outage() and self._rate.refused(slot, now, asked_s, asks=asks):
            self._next_at = now + self._rate.period_s

    def _failed(self, outcome: Outcome, now: float) -> None:
        self._failures += 1
        self._recent.append(outcome.verdict is Verdict.SERVER_ERROR)
        if self._outage():
            self._probed_at = now if self._failures == OUTAGE_AFTER else self._probed_at
            self._next_at = self._probed_at + max(self._interval_s, PROBE_PERIOD_S)
        elif self._adaptive and sum(self._recent) > ERROR_SHARE_MAX * RECENT:
            self._recent.clear()
            self._concurrency.shrink(ERROR_SHRINK, now)

    def _served(self, slot: Slot, now: float) -> None:
        if self._outage():
            self._next_at = now
            self._rate.pause_s = 0.0  # what was asked for then was not about the rate
            if self._adaptive:
                self._concurrency.shrink(0.5, now)
        self._failures = 0
        took_s = now - slot.at
        self._latency_s = took_s if self._latency_s == math.inf else 0.9 * self._latency_s + 0.1 * took_s
        self._recent.append(False)
        self._served_at = max(self._served_at, slot.at)
        if slot.at > self._hinted_of and self._hinted_until > now:
            self._hinted_until = now
            self._rate.pause_s = 0.0
