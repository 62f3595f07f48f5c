"""What is told while a plan is made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bucket_loader.model import PLANNED, Counts, counted


@dataclass(frozen=True, slots=True)
class RowsRead:
    """So many rows of a stream were read so far, and so many of them rejected."""

    stream: str
    rows: int
    rejected: int

    @property
    def text(self) -> str:
        """The line that a person reads."""
        rejected = f", {self.rejected:,} rejected" if self.rejected else ""
        return f"planning {self.stream}: {counted(self.rows, 'row')} read{rejected}"


@dataclass(frozen=True, slots=True)
class PlanningEnded:
    """The reading is over, whether it went well or not."""


# What planning counts besides the rows that were read: what is told last is what a person has to look at.
_OTHERS: Final = tuple(count.name for count in reversed(PLANNED) if count.name != "read")


@dataclass(frozen=True, slots=True)
class StreamPlanned:
    """What a plan holds of a stream, and would send: `counts.pending`."""

    stream: str
    kind: str
    mode: str
    counts: Counts

    @property
    def text(self) -> str:
        """The line that a person reads."""
        parts = [f"{counted(self.counts.read, 'row')} read", f"{counted(self.counts.pending, 'record')} to send"]
        parts += [f"{getattr(self.counts, name):,} {name}" for name in _OTHERS if getattr(self.counts, name)]
        return f"{self.stream} ({self.kind}, {self.mode}): {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class RecordShown:
    """A record, for whoever asked to see it: it is row data, and belongs into no log."""

    record: str


@dataclass(frozen=True, slots=True)
class PlanRejected:
    """Planning rejected rows; the file holds them."""

    file: Path
