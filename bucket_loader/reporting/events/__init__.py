"""What is told while a command runs: one frozen value for each thing, which every listener renders in its own form."""

from bucket_loader.reporting.events.assertions import (
    AssertionFailed as AssertionFailed,
    AssertionsEnded as AssertionsEnded,
)
from bucket_loader.reporting.events.chunks import (
    ChunkHeld as ChunkHeld,
    ChunkRetried as ChunkRetried,
    ChunkSetAside as ChunkSetAside,
    ChunksUnknown as ChunksUnknown,
)
from bucket_loader.reporting.events.delivery import (
    DeliveryBegan as DeliveryBegan,
    DeliveryEnded as DeliveryEnded,
    DeliveryProgress as DeliveryProgress,
    StreamDelivered as StreamDelivered,
)
from bucket_loader.reporting.events.doubts import Doubt as Doubt
from bucket_loader.reporting.events.endings import (
    CommandCrashed as CommandCrashed,
    CommandFailed as CommandFailed,
    CommandInterrupted as CommandInterrupted,
    Ending as Ending,
    RunEnded as RunEnded,
    WindowsEnded as WindowsEnded,
)
from bucket_loader.reporting.events.event import (
    Answer as Answer,
    Event as Event,
    Listener as Listener,
    Moving as Moving,
    Remark as Remark,
    Tell as Tell,
)
from bucket_loader.reporting.events.lines import (
    Complaint as Complaint,
    Lines as Lines,
    Note as Note,
    QueryResult as QueryResult,
    Table as Table,
    ThreadCrashed as ThreadCrashed,
)
from bucket_loader.reporting.events.past import (
    PastRun as PastRun,
    RunShown as RunShown,
    RunsListed as RunsListed,
    Trend as Trend,
)
from bucket_loader.reporting.events.planning import (
    PlanningEnded as PlanningEnded,
    PlanRejected as PlanRejected,
    RecordShown as RecordShown,
    RowsRead as RowsRead,
    StreamPlanned as StreamPlanned,
)
from bucket_loader.reporting.events.runs import (
    NotTold as NotTold,
    RunResumed as RunResumed,
    WindowEnded as WindowEnded,
)
from bucket_loader.reporting.events.waiting import WaitEnded as WaitEnded, Waits as Waits
