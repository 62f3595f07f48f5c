"""What is told while a command runs: one frozen value for each thing, which every listener renders in its own form."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol

from bucket_loader.model import PLANNED, BucketLoaderError, Counts
from bucket_loader.reporting.assertions import AssertionsEnded
from bucket_loader.reporting.summary import Summary

# --- chunks --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChunksUnknown:
    """A crash left chunks that were sent and whose answer nobody read: they are held, or sent again.

    Attributes:
        run: the run.
        stream: the name of the stream.
        chunks: the names of the chunks, in order.
        records: how many records are in them.
        held: whether they wait for a person; else they are sent again.
    """

    run: str
    stream: str
    chunks: tuple[str, ...]
    records: int
    held: bool

    @property
    def text(self) -> str:
        """The line that a person reads."""
        return (
            f"stream {self.stream}: {self.records} records were sent before the crash and their answer is unknown; "
            f"they are {'held' if self.held else 'sent again'}: chunks {' '.join(self.chunks)}"
        )


@dataclass(frozen=True, slots=True)
class ChunkRetried:
    """A chunk is about to be sent again.

    Attributes:
        run: the run.
        stream: the name of the stream.
        chunk: the name of the chunk.
        attempts: how many requests were made for it so far.
        answer: the status, or what went wrong where there was no answer.
        ambiguous: whether the attempt may have been applied, so that the next may apply it twice.
    """

    run: str
    stream: str
    chunk: str
    attempts: int
    answer: str
    ambiguous: bool

    @property
    def text(self) -> str:
        """The line that a person reads."""
        twice = "; it may be applied twice" if self.ambiguous else ""
        return f"stream {self.stream}: chunk {self.chunk} is sent again after {self.answer}{twice}"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A chunk stays with its run.

    Attributes:
        run: the run.
        stream: the name of the stream.
        chunk: the name of the chunk.
        answer: the status, or what went wrong where there was no answer.
    """

    run: str
    stream: str
    chunk: str
    answer: str


class ChunkHeld(_Kept):
    """A chunk had no certain answer, and waits for a person."""

    @property
    def text(self) -> str:
        """The line that a person reads."""
        return f"stream {self.stream}: chunk {self.chunk} is held: {self.answer}"


class ChunkSetAside(_Kept):
    """A chunk brings only server errors: others that do not name its users or companies go on."""

    @property
    def text(self) -> str:
        """The line that a person reads."""
        return f"stream {self.stream}: chunk {self.chunk} is set aside, and tried again after all others: {self.answer}"


# --- planning ------------------------------------------------------------------------------------------------------


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
        return f"planning {self.stream}: {self.rows:,} rows read{rejected}"


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
        parts = [f"{self.counts.read:,} rows read", f"{self.counts.pending:,} records to send"]
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


# --- delivery ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeliveryBegan:
    """The records of a run begin to be sent."""

    run: str


@dataclass(frozen=True, slots=True)
class DeliveryProgress:
    """How far a delivery is.

    Attributes:
        run: the run.
        stream: the stream that is sent now; empty before the first.
        records: how many the stream has.
        delivered, rejected: how many of them have come to an end.
        requests, retries: what this call has sent.
        state: what stands in the way, for example the last answer that was no success.
        per_second: records a second.
    """

    run: str
    stream: str
    records: int
    delivered: int
    rejected: int
    requests: int
    retries: int
    state: str
    per_second: float

    @property
    def done(self) -> int:
        """How many records have come to an end."""
        return self.delivered + self.rejected

    @property
    def text(self) -> str:
        """The line that a person reads."""
        return f"delivering {self.stream}: {self.done:,} of {self.records:,} records, {self.per_second:,.0f}/s"


@dataclass(frozen=True, slots=True)
class DeliveryEnded:
    """Nothing more of a run is sent by this call.

    Attributes:
        last: how far it came.
    """

    last: DeliveryProgress


# --- runs ----------------------------------------------------------------------------------------------------------


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


# --- the end of a command ------------------------------------------------------------------------------------------


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


# --- anything else -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ThreadCrashed:
    """A thread ended with a bug; the command goes on."""

    kind: type[BaseException]
    places: TracebackType | None


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something went wrong beside a run, which ends as it ends all the same."""

    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """A line that a person may want to read."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """What was asked for, in rows and columns; a quiet command prints it as well."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Ending = RunEnded | WindowsEnded | AssertionsEnded | CommandFailed | CommandCrashed | CommandInterrupted
"""What a command ends with, and its exit code."""

Event = (
    ChunksUnknown
    | ChunkRetried
    | ChunkHeld
    | ChunkSetAside
    | RowsRead
    | PlanningEnded
    | StreamPlanned
    | RecordShown
    | PlanRejected
    | DeliveryBegan
    | DeliveryProgress
    | DeliveryEnded
    | RunResumed
    | WindowEnded
    | Ending
    | ThreadCrashed
    | Complaint
    | Note
    | Table
)
"""All that is told."""

Tell = Callable[[Event], None]
"""Whoever has something to tell is given this."""


class Listener(Protocol):
    """Whoever is told."""

    @property
    def period_s(self) -> float | None:
        """How often it wants to hear how far a delivery is; None for never."""

    def tell(self, event: Event) -> None:
        """Take an event; any thread may tell one."""
