"""The requests a second that a server admits, and the slots that are handed out at that rate."""

import math
from collections import deque
from dataclasses import dataclass, replace

from bucket_loader.delivery.http.chance import Chance


@dataclass(slots=True)
class Slot:
    """Leave to make one attempt.

    Attributes:
        at: when it was given.
        rate: requests a second that were paced at then; infinite when they were not.
    """

    at: float
    rate: float


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a look at refusals: so many requests, at so many times the rate that is looked at."""

    factor: float
    requests: int


DRAIN = Stage(2.0, 5)  # until a server has no requests left that it saved up to admit at once
TWICE = Stage(2.0, 20)
ONCE = Stage(1.0, 20)
HALF = Stage(0.5, 40)


@dataclass(frozen=True, slots=True)
class Look:
    """A look at how many are refused at another rate than the one that is gone on with.

    Attributes:
        rate: the one that is gone on with.
        stage: how it is looked at.
        began: when the stage began.
    """

    rate: float
    stage: Stage
    began: float = 0.0


class Rate:
    """The requests a second that a server admits, searched for between `good` and `bad`."""

    TRIAL_S = 1.0
    TRIAL_REQUESTS = 5
    TRIAL_REQUESTS_BY_CHANCE = 30  # where some are refused by chance, it takes more to see a limit
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
    # A limit refuses at least half of what comes at twice its rate; chance refuses no more of it than before. That is
    # looked at when a rate is refused that is far below others, or when rates that had held are refused repeatedly.
    NEAR, DOUBT_BELOW, FAR_BELOW = 0.85, 0.5, 0.15
    DOUBT_REFUSED, DOUBT_PASSED = 3, 3
    NO_CHANCE = 150  # requests that pass in a row where none is refused by chance
    LOOK_REFUSED, LOOK_SHARE = 8, 0.4  # so many refusals, and so large a share, are a limit
    REACHED = 1.7  # times the rate that have to be sent for that to say something
    SURE_S, SURE_FIRST_S = 20.0, 5.0  # how often chance is looked at anew

    def __init__(self) -> None:
        self.per_s = math.inf
        self._good, self._bad = 0.0, math.inf
        self._found = 0.0
        self._step, self._drop = self.STEP_FIRST, self.DROP_MOST
        self._ends = 0.0
        self._tried, self._refused = 0, 0
        self._refused_at, self._since_stall = -math.inf, 0
        self._cut_off = -math.inf  # what was sent before a cut could show says nothing of what came after
        self._holding = False
        self.pause_s = 0.0
        self._recent: deque[float] = deque(maxlen=32)
        self._chance = Chance()
        self._look: Look | None = None
        self._fell_from = 0.0  # the highest rate since so many passed in a row that none is refused by chance
        self._contradicted = 0  # refusals of what had held, since then
        self._contradicted_most = self.DOUBT_REFUSED  # more once a limit was found
        self._passed = 0  # requests since the latest refusal
        self._sure_until = 0.0

    @property
    def period_s(self) -> float:
        """Seconds from one request to the next."""
        return 1 / self.per_s

    def sent(self, now: float) -> None:
        """Count a request; a rate that was used for as long as its trial lasts has held."""
        self._tried += 1
        self._passed += 1
        self._since_stall += 1
        if self.per_s == math.inf:
            self._recent.append(now)
            if now >= self._ends and self._chance.share:
                self._chance.learn(self._refused, self._tried)
                self._try(math.inf, now)
        elif self._look is not None:
            self._look_on(self._look, now)
        elif now >= self._ends and self._tried >= self.per_s * self.TRIAL_S / 2:
            self._held(now)

    def _held(self, now: float) -> None:
        self._good, self._drop = self.per_s, self.DROP_FIRST
        if self._passed >= self.NO_CHANCE:
            self._fell_from, self._contradicted = 0.0, 0
        self._fell_from = max(self._fell_from, self.per_s)
        if self._holding:
            self._bad = math.inf
            if self._chance.share and now >= self._sure_until:
                self._look_at(Look(self._good, HALF), now)
                return
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
        self._found, self._holding, self._tried, self._refused = self._good, True, 0, 0
        self._step = self._good * (self.STEP_FIRST if found_again else self.STEP_UNSURE)
        hold_s = self.HOLD_S if found_again else self.TRIAL_S
        self._ends = now + min(max(hold_s, self.HOLD_PAUSES * self.pause_s), self.HOLD_S_MAX)

    def _try(self, rate: float, now: float) -> None:
        self.per_s = max(rate, self.LEAST)
        self._tried, self._refused, self._holding = 0, 0, False
        requests = self.TRIAL_REQUESTS_BY_CHANCE if self._chance.share else self.TRIAL_REQUESTS
        self._ends = now + max(self.TRIAL_S, requests / self.per_s)

    def refused(self, slot: Slot, now: float, pause_s: float, *, asks: bool) -> bool:
        """Learn from a 429: what was sent at this rate, or above, was too much; return whether that is new.

        Args:
            slot: what was refused.
            now: this moment.
            pause_s: how long nothing is sent for it.
            asks: whether it names a time; what is refused by chance does not.
        """
        self.pause_s = pause_s
        if slot.at < self._cut_off:
            return False  # sent before that was known
        self._refused, self._passed = self._refused + 1, 0
        if self._look is not None:
            self._refused += self.LOOK_REFUSED * asks  # a limit says when to come again
            return self._is_limit(self._look, slot, now)
        if not asks and self._chance.explains(self._refused, self._tried):
            return False
        if self.per_s == math.inf:
            self.per_s = self._measured(now)
            self._step = self.per_s / 2
            self._try(self.per_s, now)
            self._cut_off = now + (now - slot.at)
            return True
        rate = slot.rate
        if rate >= self._bad:
            return False  # met what still waited there
        if rate <= self._good and self._is_stall(now):
            return False
        if not asks and self._is_doubtful(rate):
            self._look_at(Look(rate, DRAIN), now)
        else:
            self._fall(rate, now)
            self._cut_off = now + (now - slot.at)
        return True

    def _fall(self, rate: float, now: float) -> None:
        self._bad = rate
        if not 0 < self._good < rate:
            self._good = rate * (1 - self._drop)
            self._drop = min(2 * self._drop, self.DROP_MOST)
        self._try(self._good, now)

    def _is_stall(self, now: float) -> bool:
        if self._drop > self.DROP_FIRST or self.per_s < self.STALLS_FROM:
            return False  # nothing has held yet, or a stall does not matter
        if now - self._refused_at < self.TOGETHER_S:
            return True
        often = self._since_stall < self.per_s * self.TRIAL_S
        self._refused_at, self._since_stall = now, 0
        return not often

    def _measured(self, now: float) -> float:
        return len(self._recent) / max(now - self._recent[0], 0.001)

    # --- refusals that are not about the rate ---

    def _is_doubtful(self, rate: float) -> bool:
        """Whether a refusal may be chance; a limit lets few pass between two, and refuses no rate that has held."""
        self._fell_from = max(self._fell_from, rate)
        self._contradicted += rate <= self._good
        most = self._contradicted_most if rate > self._fell_from * self.NEAR else self.DOUBT_REFUSED
        many = self._contradicted >= most or rate <= self._fell_from * self.DOUBT_BELOW
        passed = self._tried - self._refused >= self.DOUBT_PASSED or rate <= self._fell_from * self.FAR_BELOW
        return many and passed

    def _look_at(self, look: Look, now: float) -> None:
        self._try(look.rate * look.stage.factor, now)
        self._look, self._cut_off = replace(look, began=now), now

    def _look_on(self, look: Look, now: float) -> None:
        stage = look.stage
        if self._tried < stage.requests or now < self._ends:
            return
        refused, tried, self._look = self._refused, self._tried, None
        if stage is DRAIN:
            self._look_at(replace(look, stage=TWICE), now)
        elif stage is TWICE and tried < self.REACHED * look.rate * (now - look.began):
            self._know_limit(look, now)  # so many could not be sent, which says nothing
        elif stage is TWICE:
            self._look_at(replace(look, stage=ONCE), now)
        elif stage is ONCE:
            self._chance.suppose(max(refused, 1), tried)
            self._begin_anew(now)
        else:
            self._sure_until = now + self.SURE_S
            self._chance.learn(refused, tried)
            self._try(look.rate + self._step, now)

    def _begin_anew(self, now: float) -> None:
        self._good, self._bad, self._found, self._drop = 0.0, math.inf, 0.0, self.DROP_MOST
        self._fell_from, self._contradicted, self._contradicted_most = 0.0, 0, self.DOUBT_REFUSED
        self._recent.clear()
        self._sure_until, self._cut_off = now + self.SURE_FIRST_S, now
        self._try(math.inf, now)

    def _is_limit(self, look: Look, slot: Slot, now: float) -> bool:
        """Whether what is refused meanwhile shows a limit; then the search goes on below."""
        looks = look.stage is DRAIN or look.stage is TWICE
        if not looks or self._refused < max(self.LOOK_REFUSED, self.LOOK_SHARE * self._tried):
            return False
        self._know_limit(look, now)
        self._cut_off = now + (now - slot.at)
        return True

    def _know_limit(self, look: Look, now: float) -> None:
        self._look = None
        self._fell_from, self._contradicted = look.rate, 0
        self._contradicted_most *= 2
        self._fall(look.rate, now)
