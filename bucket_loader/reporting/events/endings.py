"""What a command ends with."""

from dataclasses import dataclass

from bucket_loader.model import BucketLoaderError
from bucket_loader.reporting.events.assertions import AssertionsEnded
from bucket_loader.reporting.summary import Summary


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run ended.

    Attributes:
        summary: how.
        thrown_away: whether its files are gone when the command ends: it was a rehearsal.
        raised: whether its error is raised as well, and so told by whoever catches it.
    """

    summary: Summary
    thrown_away: bool = False
    raised: bool = False

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        return self.summary.exit_code


@dataclass(frozen=True, slots=True)
class WindowsEnded:
    """A backfill ended.

    Attributes:
        summaries: how each of its runs ended.
        skipped: how many windows were loaded before.
        exit_code: what the command ends with.
    """

    summaries: tuple[Summary, ...]
    skipped: int
    exit_code: int


@dataclass(frozen=True, slots=True)
class CommandFailed:
    """A command ended with an error, and has no summary."""

    error: BucketLoaderError

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        return self.error.exit_code


@dataclass(frozen=True, slots=True)
class CommandCrashed:
    """A command ended with a bug. The error's message may quote a row."""

    error: BaseException
    exit_code: int = 1


@dataclass(frozen=True, slots=True)
class CommandInterrupted:
    """A command was interrupted before a run listened to signals, or after."""

    exit_code: int


Ending = RunEnded | WindowsEnded | AssertionsEnded | CommandFailed | CommandCrashed | CommandInterrupted
"""What a command ends with, and its exit code."""
