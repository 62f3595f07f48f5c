"""What passes while a run goes on: time, threads and chance, as one thing that is handed to whoever needs it.

A run has the system's. A rehearsal of all that can happen has one of its own, in which time jumps and threads take
turns, so that the same seed tells the same story.
"""

import queue
import random
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol


def _clock_with_suspend() -> int | None:
    """Return the system's clock that goes on while the machine sleeps; None where there is none."""
    name = "CLOCK_MONOTONIC" if sys.platform == "darwin" else "CLOCK_BOOTTIME"
    found: int | None = getattr(time, name, None)
    try:
        if found is not None:
            time.clock_gettime(found)
    except OSError:  # some sandboxes know the name alone
        return None
    return found


_WITH_SUSPEND: Final = _clock_with_suspend()


def now_s() -> float:
    """Return the time in seconds, from any beginning: it never goes back, and goes on while the machine sleeps."""
    return time.monotonic() if _WITH_SUSPEND is None else time.clock_gettime(_WITH_SUSPEND)


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
        """Return the time in seconds, from any beginning; it never goes back, and a machine's sleep counts."""

    def utc(self) -> datetime:
        """Return the date and the time in UTC, as the calendar has them; they may go back."""


@dataclass(eq=False)  # one is another, whatever they hold
class SystemClock:
    """The machine's own."""

    threading: Any = threading
    queue: Any = queue
    random: Any = random
    look_s: float = 0.5

    def now_s(self) -> float:
        """Return the seconds of the machine's clock, its sleep included."""
        return now_s()

    def utc(self) -> datetime:
        """Return the machine's date and time in UTC."""
        return datetime.now(UTC)


SYSTEM: Final[Clock] = SystemClock()
