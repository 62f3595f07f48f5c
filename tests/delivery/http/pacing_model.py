"""A model of a run against a server, in virtual time: the real pacer and the real retries, nothing waits.

Every worker is a greenlet. What would block (a condition, an event, a request) puts it to sleep on one virtual clock,
and the earliest to wake goes on: ten minutes pass in a second, and always in the same way.
"""

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

from greenlet import getcurrent, greenlet

from bucket_loader.delivery import course
from bucket_loader.delivery.http import pacing
from bucket_loader.delivery.http.retry import Backoff, Budget
from bucket_loader.delivery.service import Service
from bucket_loader.model.chunks import Chunk
from bucket_loader.model.outcomes import Outcome, Verdict

SERVED = Outcome(Verdict.DELIVERED, 200)
CHUNK = Chunk(0, (0, 1), (b"{}", b"{}"))


class World:
    """A clock, and who waits for which moment of it."""

    look_s = 0.5

    def __init__(self) -> None:
        self.now = 0.0
        self.threading = Threading(self)
        self.random = random.Random(11)  # noqa: S311  # no secret
        self.wakes = 0  # of those that waited for a condition
        self._hub = getcurrent()
        self._due: list[tuple[float, int, greenlet]] = []
        self._numbers = itertools.count()
        self._wakes: dict[greenlet, int] = {}

    def now_s(self) -> float:
        """Return the time."""
        return self.now

    def wake(self, sleeper: greenlet, at: float) -> None:
        """Let somebody go on at a moment, and at no other."""
        self._wakes[sleeper] = number = next(self._numbers)
        heapq.heappush(self._due, (at, number, sleeper))

    def sleep(self, seconds: float) -> None:
        """Let time pass for whoever calls."""
        self.wake(getcurrent(), self.now + seconds)
        self._hub.switch()

    def start(self, work: Callable[[], None]) -> None:
        """Begin work at this moment."""
        self.wake(greenlet(work, self._hub), self.now)

    def run(self, until: float) -> None:
        """Let everybody work until a moment."""
        while self._due and self._due[0][0] <= until:
            at, number, sleeper = heapq.heappop(self._due)
            if self._wakes.get(sleeper) == number:
                self.now = max(self.now, at)
                sleeper.switch()
        self.now = until


class Threading:
    """What stands in for the module `threading` while a model runs."""

    def __init__(self, world: World) -> None:
        self._world = world

    def Condition(self, _lock: object = None) -> "Condition":  # noqa: N802  # the name is threading's
        """Make a condition."""
        return Condition(self._world)

    def Lock(self) -> "Condition":  # noqa: N802
        """Make a lock: nobody is ever interrupted here, so it has nothing to do."""
        return Condition(self._world)

    def Event(self) -> "Event":  # noqa: N802
        """Make an event."""
        return Event(self._world)


class Condition:
    """A condition among greenlets."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: deque[greenlet] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait(self, timeout: float) -> bool:
        """Wait to be told, at most so long."""
        me = getcurrent()
        self._waiting.append(me)
        self._world.sleep(timeout)
        self._world.wakes += 1
        told = me not in self._waiting
        if not told:
            self._waiting.remove(me)
        return told

    def notify(self, n: int = 1) -> None:
        """Tell some of those that wait."""
        for _ in range(min(n, len(self._waiting))):
            self._world.wake(self._waiting.popleft(), self._world.now)

    def notify_all(self) -> None:
        """Tell all."""
        self.notify(len(self._waiting))


class Event:
    """An event among greenlets; whoever waits for it looks again when its time is over."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._set = False

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._set

    def set(self) -> None:
        """Let it happen."""
        self._set = True

    def wait(self, timeout: float) -> bool:
        """Let time pass."""
        self._world.sleep(timeout)
        return self._set


# --- servers -----------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """What a server does with a request: each part can be exchanged.

    Attributes:
        latency: gives seconds until the answer.
        limit: gives the requests a second that are admitted at a moment; None for no limit.
        burst: requests that may come at once.
        asks: the least Retry-After of a 429, in seconds; None when it carries none.
        errors: the share of requests that are answered with 500.
        by_chance: the share of requests that are answered with 429 whatever the rate.
        trouble: gives the answer and its seconds during an outage, None at other times.
        workers: requests that are worked on at once, when more wait in a queue.
        looks_at: gives when a request that comes at a moment is first looked at.
    """

    latency: Callable[[], float] = lambda: 0.08
    limit: Callable[[float], float] | None = None
    burst: float = 5.0
    asks: float | None = None
    errors: float = 0.0
    by_chance: float = 0.0
    trouble: Callable[[float], tuple[Outcome, float] | None] = lambda _now: None
    workers: int | None = None
    looks_at: Callable[[float], float] = lambda now: now

    def __post_init__(self) -> None:
        self.chance = random.Random(7)  # noqa: S311  # no secret
        self._tokens, self._filled = self.burst, 0.0
        self._free = [0.0] * (self.workers or 0)

    def answer(self, now: float) -> tuple[Outcome, float]:
        """Return an answer, and the seconds that it takes."""
        if (troubled := self.trouble(now)) is not None:
            return troubled
        seen = self.looks_at(now)
        latency = self.latency() + seen - now
        if self.by_chance and self.chance.random() < self.by_chance:
            return Outcome(Verdict.THROTTLED, 429, retry_after_s=self.asks), latency
        if self.limit is not None and (wait_s := self._refuses(seen, self.limit(now))) > 0:
            asked = None if self.asks is None else max(self.asks, float(math.ceil(wait_s)))
            return Outcome(Verdict.THROTTLED, 429, retry_after_s=asked), latency
        if self.chance.random() < self.errors:
            return Outcome(Verdict.SERVER_ERROR, 500), latency
        if self._free:
            begins = max(now, heapq.heappop(self._free))
            heapq.heappush(self._free, begins + latency)
            return SERVED, begins + latency - now
        return SERVED, latency

    def _refuses(self, now: float, per_s: float) -> float:
        self._tokens = min(self.burst, self._tokens + (now - self._filled) * per_s)
        self._filled = now
        if self._tokens >= 1 - 1e-9:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / per_s


# --- a run -------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """A run without end against a server; what came of it is kept by moment."""

    world: World
    server: Server
    pacer: pacing.Pacer
    service: Service
    budget: Budget
    stopped: Any
    sent: list[float] = field(default_factory=list)
    answers: list[tuple[float, Verdict]] = field(default_factory=list)
    limits: list[tuple[float, float]] = field(default_factory=list)
    gave_up: list[float] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    def work(self) -> None:
        """Be a worker: bring one chunk after another home."""
        policy = course.Policy(backoff_s=Backoff())
        while not self.stopped.is_set():
            step = self._bring_home(course.ChunkHistory(), policy)
            if not isinstance(step, course.Delivered):
                self.gave_up += [] if self.stopped.is_set() else [self.world.now]
                return

    def _bring_home(self, history: course.ChunkHistory, policy: course.Policy) -> course.Step:
        self.budget.earn()
        while True:
            outcome = self.attempt()
            self.service.note(outcome, first=not history.attempts, suspected=False)
            served = replace(self.service.served(outcome, when_sent=10**9, last=False), may_set_aside=False)
            step, history = course.next_step(CHUNK, history, outcome, served, policy)
            if not isinstance(step, course.Again):
                return step
            wait_s = step.wait_s + step.spread_s * self.world.random.random()
            self.stopped.wait(wait_s if outcome.verdict is Verdict.THROTTLED else max(wait_s, self.budget.spend()))

    def attempt(self) -> Outcome:
        """Make one attempt, as a worker of a delivery does."""
        slot = self.pacer.acquire()
        if slot is None:
            return Outcome(Verdict.NOT_SENT)
        self.sent.append(self.world.now)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        outcome, seconds = self.server.answer(self.world.now)
        self.world.sleep(seconds)
        self.in_flight -= 1
        self.pacer.release(slot, outcome)
        self.answers.append((self.world.now, outcome.verdict))
        self.limits.append((self.world.now, self.pacer._concurrency.limit))
        return outcome

    def per_s(self, begin: float, end: float) -> float:
        """Return how many requests a second were served between two moments."""
        return self._count(begin, end, Verdict.DELIVERED) / (end - begin)

    def share(self, verdict: Verdict, begin: float, end: float) -> float:
        """Return the share of a verdict among the answers between two moments."""
        return self._count(begin, end, verdict) / max(1, self._count(begin, end, *Verdict))

    def requests(self, begin: float, end: float) -> int:
        """Count what was sent between two moments."""
        return sum(begin <= at < end for at in self.sent)

    def limit(self, begin: float, end: float) -> tuple[float, float]:
        """Return the least and the most of the limit between two moments."""
        found = [limit for at, limit in self.limits if begin <= at < end]
        return min(found), max(found)

    def mean_limit(self, begin: float, end: float) -> float:
        """Return the mean of the limit, over the answers between two moments."""
        found = [limit for at, limit in self.limits if begin <= at < end]
        return sum(found) / len(found)

    def _count(self, begin: float, end: float, *verdicts: Verdict) -> int:
        return sum(begin <= at < end and verdict in verdicts for at, verdict in self.answers)


def run(
    server: Server,
    seconds: float,
    *,
    concurrency: int | None = None,
    requests_per_second: float | None = None,
    patience_s: float = 1800.0,
) -> Run:
    """Load a server for so many virtual seconds."""
    world = World()
    found = _loading(world, server, concurrency, requests_per_second, patience_s)
    _go(world, seconds, found)
    return found


def run_several(server: Server, seconds: float, senders: int) -> list[Run]:
    """Load a server for so many virtual seconds by several senders, none of which knows of another."""
    world = World()
    found = [_loading(world, server, None, None, 1800.0) for _ in range(senders)]
    _go(world, seconds, *found)
    return found


def _loading(
    world: World, server: Server, concurrency: int | None, requests_per_second: float | None, patience_s: float
) -> Run:
    stopped: Any = Event(world)
    pacer = pacing.Pacer(concurrency=concurrency, requests_per_second=requests_per_second, stopped=stopped, clock=world)
    found = Run(world, server, pacer, Service(patience_s, world, stopped), Budget(patience_s, world), stopped)
    for _ in range(pacer.workers):
        world.start(found.work)
    return found


def _go(world: World, seconds: float, *runs: Run) -> None:
    world.run(seconds)
    for one in runs:
        one.stopped.set()
    world.run(seconds + 600)


def lognormal(median_s: float, sigma: float) -> Callable[[], float]:
    """Return latencies that vary much, and sometimes very much."""
    chance = random.Random(3)  # noqa: S311  # no secret
    return lambda: median_s * math.exp(chance.gauss(0.0, sigma))


def stalls(every_s: float, longest_s: float) -> Callable[[float], float]:
    """Return when a machine looks at what comes that now and then does nothing for a while."""
    chance = random.Random(9)  # noqa: S311  # no secret
    pause = {"from": 0.0, "to": 0.0}

    def looks_at(now: float) -> float:
        while pause["to"] < now:
            pause["from"] = pause["to"] + chance.expovariate(1 / every_s)
            pause["to"] = pause["from"] + chance.uniform(0.0, longest_s)
        return pause["to"] if pause["from"] <= now else now

    return looks_at
