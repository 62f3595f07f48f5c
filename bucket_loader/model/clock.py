"""What passes while a run goes on: time, threads and chance, as one thing that is handed to whoever needs it.

A run has the system's. A rehearsal of all that can happen has one of its own, in which time jumps and threads take
turns, so that the same seed tells the same story.
"""

import queue
import random
import threading
import time
from dataclasses import dataclass
from typing import Any, Final, Protocol


class Clock(Protocol):
    """Time, threads and chance.

    Attributes:
        threading: has `Thread`, `Lock`, `Event` and `Condition`, as the module of that name.
        queue: has `Queue`, `Full` and `Empty`, as the module of that name.
        random: has `random()`, from 0 to 1.
        look_s: how often, in seconds, who waits looks again: a signal stops a run without waking anybody.
    """

    threading: Any
    queue: Any
    random: Any
    look_s: float

    def now_s(self) -> float:
        """Return the time in seconds, from any beginning; it never goes back."""


@dataclass(eq=False)  # one is another, whatever they hold
class SystemClock:
    """The machine's own."""

    threading: Any = threading
    queue: Any = queue
    random: Any = random
    look_s: float = 0.5

    def now_s(self) -> float:
        """Return the seconds of the monotonic clock."""
        return time.monotonic()


SYSTEM: Final[Clock] = SystemClock()
