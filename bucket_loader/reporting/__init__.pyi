from .commands import (
    Commands as Commands,
)
from .diff.markdown import (
    markdown as markdown,
)
from .diff.members import (
    json_pieces as json_pieces,
)
from .diff.page import (
    diff_page as diff_page,
)
from .diff.text import (
    print_diff as print_diff,
)
from .diff.values import (
    Diff as Diff,
    RecordDiff as RecordDiff,
    StreamDiff as StreamDiff,
    short_name as short_name,
)
from .events import (
    AssertionFailed as AssertionFailed,
    AssertionsEnded as AssertionsEnded,
    ChunkHeld as ChunkHeld,
    ChunkRetried as ChunkRetried,
    ChunkSetAside as ChunkSetAside,
    ChunksUnknown as ChunksUnknown,
    CommandCrashed as CommandCrashed,
    CommandFailed as CommandFailed,
    CommandInterrupted as CommandInterrupted,
    Complaint as Complaint,
    Doubt as Doubt,
    Event as Event,
    Lines as Lines,
    Listener as Listener,
    Note as Note,
    NotTold as NotTold,
    PastRun as PastRun,
    PlanningEnded as PlanningEnded,
    PlanRejected as PlanRejected,
    QueryResult as QueryResult,
    RecordShown as RecordShown,
    RowsRead as RowsRead,
    RunEnded as RunEnded,
    RunResumed as RunResumed,
    RunShown as RunShown,
    RunsListed as RunsListed,
    StreamPlanned as StreamPlanned,
    Table as Table,
    Tell as Tell,
    Trend as Trend,
    WaitEnded as WaitEnded,
    Waits as Waits,
    WindowEnded as WindowEnded,
    WindowsEnded as WindowsEnded,
)
from .impact.markdown import (
    impact_markdown as impact_markdown,
)
from .impact.members import (
    impact_csv as impact_csv,
    impact_json as impact_json,
)
from .impact.page import (
    impact_page as impact_page,
)
from .impact.text import (
    print_impact as print_impact,
)
from .impact.value import (
    Becomes as Becomes,
    Impact as Impact,
)
from .life.page import (
    page_of as page_of,
)
from .life.telling import (
    tell_life as tell_life,
)
from .life.told import (
    Appearance as Appearance,
    Attempt as Attempt,
    Chunk as Chunk,
    Compared as Compared,
    Difference as Difference,
    Fate as Fate,
    Field as Field,
    Letter as Letter,
    Life as Life,
    Now as Now,
    NowRow as NowRow,
    Remembered as Remembered,
    RunOf as RunOf,
)
from .lineage.facets import (
    inputs_of as inputs_of,
    outputs_of as outputs_of,
)
from .lineage.sender import (
    KeptLineage as KeptLineage,
    LineageSender as LineageSender,
    lineage_listener as lineage_listener,
)
from .lineage.value import (
    FieldLineage as FieldLineage,
    How as How,
    LineageListener as LineageListener,
    Stage as Stage,
    StreamLineage as StreamLineage,
)
from .notice import (
    notice_of as notice_of,
)
from .output import (
    Output as Output,
    asked_for as asked_for,
)
from .progress import (
    watched as watched,
)
from .redaction import (
    Secrets as Secrets,
)
from .report.document import (
    Document as Document,
)
from .report.page import (
    report_page as report_page,
)
from .report.value import (
    CLASSES as CLASSES,
    Changes as Changes,
    Column as Column,
    Ending as Ending,
    Flow as Flow,
    Moment as Moment,
    Mood as Mood,
    NamedChunk as NamedChunk,
    NamedChunks as NamedChunks,
    Rejection as Rejection,
    Rejections as Rejections,
    Report as Report,
    Rows as Rows,
    Stamp as Stamp,
    Traffic as Traffic,
)
from .summary import (
    COLUMNS as COLUMNS,
    HeldChunk as HeldChunk,
    RefusedRows as RefusedRows,
    Resumed as Resumed,
    StuckChunk as StuckChunk,
    Summary as Summary,
    counts_frame as counts_frame,
    stuck_words as stuck_words,
    summary_html as summary_html,
)
from .text import (
    in_log as in_log,
    on_stderr as on_stderr,
)
