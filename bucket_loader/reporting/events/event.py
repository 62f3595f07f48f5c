"""All that is told, as one type; and who is told."""

from collections.abc import Callable
from typing import Protocol

from bucket_loader.reporting.events.chunks import ChunkHeld, ChunkRetried, ChunkSetAside, ChunksUnknown
from bucket_loader.reporting.events.delivery import DeliveryBegan, DeliveryEnded, DeliveryProgress
from bucket_loader.reporting.events.endings import Ending
from bucket_loader.reporting.events.lines import Complaint, Note, Table, ThreadCrashed
from bucket_loader.reporting.events.planning import PlanningEnded, PlanRejected, RecordShown, RowsRead, StreamPlanned
from bucket_loader.reporting.events.runs import RunResumed, WindowEnded

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
