"""What is told while a command waits: for an outage to end, for a rate limit, for a lock."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from bucket_loader.model import Wait, spoken


@dataclass(frozen=True, slots=True)
class Waits:
    """Something stands in the way, and is waited for; told again and again, as it is then.

    Attributes:
        wait: what it is.
        run, stream: what waits; empty before there is a run.
    """

    wait: Wait
    run: str = ""
    stream: str = ""

    @property
    def text(self) -> str:
        """The line that a person reads."""
        wait = self.wait
        return (
            f"waiting for {spoken(wait.waited_s)}: {wait.why}. {self._next}{self._given_up}{wait.hint} "
            "Ctrl-C ends it now; nothing is lost."
        )

    @property
    def _given_up(self) -> str:
        left_s = self.wait.left_s
        if math.isinf(left_s):
            return ""
        until = datetime.now().astimezone() + timedelta(seconds=left_s)
        return f"Given up at {until:%H:%M:%S}, in {spoken(left_s)}, with exit code 75. "

    @property
    def _next(self) -> str:
        wait = self.wait
        if not wait.tries:
            return ""
        when = "now" if wait.next_s is None else f"in {spoken(max(1.0, wait.next_s))}"
        return f"Try {wait.tries + 1:,} {when}. "


@dataclass(frozen=True, slots=True)
class WaitEnded:
    """What was waited for is there again, or is waited for no longer."""

    text = "waiting is over"
