"""What is told while a command waits: for an outage to end, for a rate limit, for a lock."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bucket_loader.model import Wait, counted, spoken


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
        until = datetime.now().astimezone() + timedelta(seconds=wait.left_s)
        ends = f"until {until:%H:%M:%S}, for {spoken(wait.left_s)} more, then exit code 75"
        return f"waiting: {wait.why}; {self._tried}{ends}. {wait.hint}"

    @property
    def _tried(self) -> str:
        wait = self.wait
        if not wait.tries:
            return ""
        following = "trying now" if wait.next_s is None else f"next try in {spoken(max(1.0, wait.next_s))}"
        return f"{counted(wait.tries, 'try', 'tries')} in {spoken(wait.waited_s)}, {following}; "


@dataclass(frozen=True, slots=True)
class WaitEnded:
    """What was waited for is there again, or is waited for no longer."""

    text = "waiting is over"
