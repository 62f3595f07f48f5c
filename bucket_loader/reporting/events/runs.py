"""What is told of runs besides the one that was asked for: earlier ones, and those of a backfill."""

from dataclasses import dataclass
from datetime import datetime

from bucket_loader.reporting.summary import Summary


@dataclass(frozen=True, slots=True)
class RunResumed:
    """A run that was begun earlier is finished first."""

    run: str
    begun_at: str

    @property
    def text(self) -> str:
        """The line that a person reads."""
        return f"finishing run {self.run}, begun {self.begun_at}"


@dataclass(frozen=True, slots=True)
class WindowEnded:
    """One of the many runs of a backfill ended.

    Attributes:
        number: which window it loaded, from 1.
        windows: how many there are.
        start, end: where the window begins and ends.
        summary: how it ended.
    """

    number: int
    windows: int
    start: datetime
    end: datetime
    summary: Summary

    @property
    def text(self) -> str:
        """The line that a person reads."""
        delivered = sum(counts.delivered for counts in self.summary.streams.values())
        return (
            f"window {self.number} of {self.windows}, {self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M}: "
            f"{self.summary.status}, {delivered:,} delivered (run {self.summary.run})"
        )


@dataclass(frozen=True, slots=True)
class NotTold:
    """Somebody could not be told how a run ended, which changes nothing about the run.

    Attributes:
        host: its host; the rest of its address is a secret.
        why: what became of the last attempt.
        ended_well: whether it would have been told of a success.
        whom: what it is.
    """

    host: str
    why: str
    ended_well: bool
    whom: str = "the webhook"

    @property
    def text(self) -> str:
        """The line that a person reads."""
        return f"{self.whom} at {self.host} was not told how this ended: {self.why}"
