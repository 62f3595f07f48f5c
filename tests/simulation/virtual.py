"""A world of its own: threads that take turns, a clock that jumps, and a death at any step; every turn follows a seed.

`threading` and `queue` stand in for the modules of those names: only one task runs at a time, which one is drawn from
the seed, and time moves when all of them wait. A run that fails fails again from the same seed.
"""

import heapq
import queue as real_queue
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Self

from greenlet import GreenletExit, getcurrent, greenlet

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
STEPS_MAX = 200_000
SWITCH_SHARE = 0.5  # of the points at which another task may go on


class ViolationError(AssertionError):
    """The promise was broken."""


class Task:
    """A thread of the world.

    Attributes:
        process: whose thread it is, where several processes play; one of the network's is nobody's.
        commits, sends: whether it is where a process is not frozen: that would be another world than the real one.
    """

    def __init__(self, world: "World", target: Callable[[], object], process: object) -> None:
        self.world = world
        self.process = process
        self.commits = self.sends = False
        self.sent_by = process
        self.glet = greenlet(self._run)
        self.target = target
        self.waits = 0  # how often it has begun to wait; a timer of an earlier wait is void
        self.waiting = False
        self.woken = False
        self.ended = False
        self.result: object = None
        self.joining: list[Task] = []

    def _run(self) -> None:
        try:
            self.result = self.target()
        except GreenletExit:
            pass
        finally:
            self.ended = True
            for task in self.joining:
                self.world.wake(task)


class World:
    """Runs tasks, one at a time, in an order that the seed decides."""

    def __init__(self, rng: Random, now: float = 0.0, dies_at: int | None = None) -> None:
        self.rng = rng
        self.now = now
        self.points = 0
        self.dies_at = dies_at
        self.died = False
        self.violation: str | None = None
        self._ready: list[Task] = []
        self._timers: list[tuple[float, int, int, Task]] = []
        self._tasks: list[Task] = []
        self._current: Task | None = None
        self._steps = 0
        self._torn_down = False
        self.still: set[object] = set()  # processes that are frozen, or dead

    # --- what runs it --------------------------------------------------------------------------------------------

    def run(self, main: Callable[[], object]) -> object:
        """Run until `main` ends; gives what it returned, or None when the world died.

        Raises:
            ViolationError: a check failed, or the tasks wait for each other, or nothing ever ends.
        """
        first = self.spawn(main)
        try:
            while not first.ended:
                self._step()
                if self.violation:
                    raise ViolationError(self.violation)
                if self.died:
                    return None
            return first.result
        finally:
            self._tear_down()

    def _step(self) -> None:
        self._steps += 1
        if self._steps > STEPS_MAX:
            raise ViolationError("it does not end")
        task = self._next()
        self._current = task
        task.glet.switch()

    def _next(self) -> Task:
        while not self._can_go():
            if not self._timers:
                raise ViolationError("every thread waits for another")
            when, _, waits, task = heapq.heappop(self._timers)
            if task.waiting and task.waits == waits:
                self.now = max(self.now, when)
                task.waiting, task.woken = False, False
                self._ready.append(task)
        chosen = self.rng.randrange(len(self._ready))
        while self._ready[chosen].process in self.still:
            chosen = self.rng.randrange(len(self._ready))
        self._ready[chosen], self._ready[-1] = self._ready[-1], self._ready[chosen]
        return self._ready.pop()

    def _can_go(self) -> bool:
        if not self.still:
            return bool(self._ready)
        return any(task.process not in self.still for task in self._ready)

    def tasks_of(self, process: object) -> list[Task]:
        """Return a process's threads that have not ended."""
        return [task for task in self._tasks if task.process is process and not task.ended]

    def _tear_down(self) -> None:
        """End what is left of a dead world: nothing that it still does counts."""
        self._torn_down = True
        for task in self._tasks:
            for _ in range(5):
                if task.glet.dead or not task.glet:
                    break
                with suppress(BaseException):  # its last words, after its death
                    task.glet.throw(GreenletExit)

    # --- what tasks call -----------------------------------------------------------------------------------------

    def spawn(self, target: Callable[[], object], process: object = "mine") -> Task:
        """Begin a task, of this process or of another."""
        mine = self._current.process if self._current is not None else None
        task = Task(self, target, mine if process == "mine" else process)
        task.glet.parent = getcurrent() if not self._tasks else self._tasks[0].glet.parent
        self._tasks.append(task)
        self._ready.append(task)
        return task

    def point(self) -> None:
        """Mark a place where the process may be killed, and where another task may go on."""
        self.points += 1
        if self.points == self.dies_at:
            self.died = True
            self._leave()
        if self.rng.random() < SWITCH_SHARE:
            self.pause()

    def pause(self) -> None:
        """Let another task go on."""
        if self._torn_down:
            return
        self._ready.append(self._task())
        self._leave()

    def wait(self, seconds: float | None) -> bool:
        """Wait to be woken; False when the time is over first."""
        task = self._task()
        task.waiting = True
        task.waits += 1
        if seconds is not None:
            heapq.heappush(self._timers, (self.now + max(seconds, 0.0), self.rng.getrandbits(30), task.waits, task))
        self._leave()
        return task.woken

    def wake(self, task: Task) -> None:
        """Let a waiting task go on."""
        if task.waiting:
            task.waiting, task.woken = False, True
            self._ready.append(task)

    def sleep(self, seconds: float) -> None:
        """Let time go by."""
        self.wait(seconds)

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Do something at a time."""

        def later() -> None:
            self.sleep(when - self.now)
            do()

        self.spawn(later)

    def require(self, holds: object, otherwise: str) -> None:
        """End everything when a check fails: nothing may catch this."""
        if not holds and not self._torn_down:
            self.violation = self.violation or otherwise
            self._leave()

    def current(self) -> Task:
        """Return the task that runs."""
        return self._task()

    def _task(self) -> Task:
        assert self._current is not None
        return self._current

    def _leave(self) -> None:
        if self._torn_down:
            raise GreenletExit
        self._tasks[0].glet.parent.switch()

    # --- stand-ins for modules -----------------------------------------------------------------------------------

    def threading(self) -> SimpleNamespace:
        """Return what stands in for `threading`."""
        return SimpleNamespace(
            Thread=lambda **options: Thread(self, options["target"]),
            Lock=lambda: Lock(self),
            Event=lambda: Event(self),
            Condition=lambda lock=None: Condition(self, lock),
        )

    def queue(self) -> SimpleNamespace:
        """Return what stands in for `queue`."""
        return SimpleNamespace(Queue=lambda size=0: Queue(self, size), Full=real_queue.Full, Empty=real_queue.Empty)


class Clock:
    """Time, threads and chance of a world, for a run to be handed."""

    look_s = 10.0  # a thread that looks often costs turns, and shows nothing more

    def __init__(self, world: World) -> None:
        self.threading, self.queue, self.random = world.threading(), world.queue(), world.rng
        self._world = world

    def now_s(self) -> float:
        """Return the world's time."""
        return self._world.now

    def utc(self) -> datetime:
        """Return the world's date and time."""
        return BEGINNING + timedelta(seconds=self._world.now)


class Thread:
    """As `threading.Thread`."""

    def __init__(self, world: World, target: Callable[[], object]) -> None:
        self._world, self._target, self._task = world, target, None

    def start(self) -> None:
        """Begin."""
        self._task = self._world.spawn(self._target)

    def join(self) -> None:
        """Wait for its end."""
        while not self._task.ended:
            self._task.joining.append(self._world.current())
            self._world.wait(None)


class Lock:
    """As `threading.Lock`."""

    def __init__(self, world: World) -> None:
        self._world, self._held = world, False
        self._waiting: deque[Task] = deque()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self, *, blocking: bool = True) -> bool:
        """Take it."""
        if self._held and not blocking:
            return False
        if self._world.rng.random() < SWITCH_SHARE:
            self._world.pause()
        while self._held:
            self._waiting.append(self._world.current())
            self._world.wait(None)
        self._held = True
        return True

    def release(self) -> None:
        """Return it back."""
        self._held = False
        if self._waiting:
            self._world.wake(self._waiting.popleft())


class Condition:
    """As `threading.Condition`."""

    def __init__(self, world: World, lock: Lock | None) -> None:
        self._world, self._lock = world, lock or Lock(world)
        self._waiting: list[Task] = []

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Give the lock back until notified."""
        task = self._world.current()
        self._waiting.append(task)
        self._lock.release()
        woken = self._world.wait(timeout)
        if task in self._waiting:
            self._waiting.remove(task)
        self._lock.acquire()
        return woken

    def notify(self, n: int = 1) -> None:
        """Wake some."""
        for task in self._waiting[:n]:
            self._waiting.remove(task)
            self._world.wake(task)

    def notify_all(self) -> None:
        """Wake all."""
        self.notify(len(self._waiting))


class Event:
    """As `threading.Event`."""

    def __init__(self, world: World) -> None:
        self._world, self._set = world, False
        self._waiting: list[Task] = []

    def is_set(self) -> bool:
        """Whether it is."""
        return self._set

    def set(self) -> None:
        """Set it."""
        self._set = True
        for task in self._waiting:
            self._world.wake(task)
        self._waiting.clear()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set."""
        if not self._set:
            task = self._world.current()
            self._waiting.append(task)
            self._world.wait(timeout)
            if task in self._waiting:
                self._waiting.remove(task)
        return self._set


class Queue:
    """As `queue.Queue`, for one that puts and one that gets."""

    def __init__(self, world: World, size: int) -> None:
        self._size, self._items = size, deque()
        self._changed = Condition(world, None)

    def put(self, item: object, timeout: float | None = None) -> None:
        """Put, or say that it is full."""
        with self._changed:
            if len(self._items) >= self._size and not self._changed.wait(timeout):
                raise real_queue.Full
            self._items.append(item)
            self._changed.notify_all()

    def get(self, timeout: float | None = None) -> object:
        """Get, or say that it is empty."""
        with self._changed:
            if not self._items and not self._changed.wait(timeout):
                raise real_queue.Empty
            item = self._items.popleft()
            self._changed.notify_all()
            return item
