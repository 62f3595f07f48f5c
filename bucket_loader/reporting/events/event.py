"""All that is told, as one type; and who is told."""

from collections.abc import Callable
from typing import Protocol

from bucket_loader.reporting.events.chunks import ChunkHeld, ChunkRetried, ChunkSetAside, ChunksUnknown
from bucket_loader.reporting.events.delivery import DeliveryBegan, DeliveryEnded, DeliveryProgress, StreamDelivered
from bucket_loader.reporting.events.doubts import Doubt
from bucket_loader.reporting.events.endings import Ending
from bucket_loader.reporting.events.lines import Complaint, Lines, Note, QueryResult, Table, ThreadCrashed
from bucket_loader.reporting.events.past import RunShown, RunsListed
from bucket_loader.reporting.events.planning import PlanningEnded, PlanRejected, RecordShown, RowsRead, StreamPlanned
from bucket_loader.reporting.events.runs import NotTold, RunResumed, WindowEnded
from bucket_loader.reporting.events.waiting import WaitEnded, Waits

Moving = (
    RowsRead | PlanningEnded | DeliveryBegan | DeliveryProgress | StreamDelivered | DeliveryEnded | Waits | WaitEnded
)
"""What is told of something that goes on, so that only the latest is of interest."""

Remark = (
    ChunksUnknown
    | ChunkRetried
    | ChunkHeld
    | ChunkSetAside
    | StreamPlanned
    | Doubt
    | RunResumed
    | WindowEnded
    | NotTold
    | ThreadCrashed
    | Complaint
    | Note
)
"""What is told by itself, once."""

Answer = RecordShown | PlanRejected | RunsListed | RunShown | Lines | Table | QueryResult
"""What was asked for."""

Event = Moving | Remark | Answer | Ending
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
