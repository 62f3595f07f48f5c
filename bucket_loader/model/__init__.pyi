from . import (
    contract as contract,
)
from .another_python import (
    PYTHON as PYTHON,
    as_imported_here as as_imported_here,
    how_it_ended as how_it_ended,
)
from .arrays import (
    Numbers as Numbers,
    as_numpy as as_numpy,
    bool_array as bool_array,
    give_memory_back as give_memory_back,
    hash_array as hash_array,
    int64_array as int64_array,
    number_array as number_array,
    ordinals_from as ordinals_from,
    repeated_text as repeated_text,
    text_array as text_array,
    zeros as zeros,
)
from .attempts import (
    ATTEMPT_LETTERS as ATTEMPT_LETTERS,
    ATTEMPTS_FIRST as ATTEMPTS_FIRST,
    ATTEMPTS_LAST as ATTEMPTS_LAST,
    NO_ANSWER as NO_ANSWER,
    UNRECORDED as UNRECORDED,
    Attempt as Attempt,
    count_statuses as count_statuses,
    keep_attempt as keep_attempt,
    read_attempts as read_attempts,
    spell_attempts as spell_attempts,
)
from .chunks import (
    Chunk as Chunk,
    Joined as Joined,
    ranges as ranges,
    read_ranges as read_ranges,
)
from .clock import (
    SYSTEM as SYSTEM,
    Clock as Clock,
    now_s as now_s,
)
from .contract import (
    ERROR_CODES as ERROR_CODES,
    LENIENT as LENIENT,
    Api as Api,
    ArrayForm as ArrayForm,
    FeatureKey as FeatureKey,
    FieldForm as FieldForm,
    FieldRule as FieldRule,
    LenientId as LenientId,
)
from .counts import (
    COUNTS as COUNTS,
    PLANNED as PLANNED,
    SENT as SENT,
    Count as Count,
    Counts as Counts,
)
from .course import (
    JUDGED_AFTER_S as JUDGED_AFTER_S,
    NEW as NEW,
    Again as Again,
    ChunkHistory as ChunkHistory,
    Delivered as Delivered,
    Held as Held,
    Left as Left,
    Policy as Policy,
    Rejected as Rejected,
    Served as Served,
    SetAside as SetAside,
    Split as Split,
    Step as Step,
)
from .emulated import (
    ANOTHER_EMULATOR as ANOTHER_EMULATOR,
    EMULATOR_HEADER as EMULATOR_HEADER,
    NO_EMULATOR as NO_EMULATOR,
    is_loopback as is_loopback,
    read_emulator as read_emulator,
)
from .errors import (
    AuditError as AuditError,
    BucketLoaderError as BucketLoaderError,
    ConfigError as ConfigError,
    DestinationError as DestinationError,
    EmulatorGoneError as EmulatorGoneError,
    InterruptedRunError as InterruptedRunError,
    KeyRefusedError as KeyRefusedError,
    LedgerDamagedError as LedgerDamagedError,
    LimitError as LimitError,
    MisroutedError as MisroutedError,
    Mistake as Mistake,
    OtherPlaceError as OtherPlaceError,
    PatienceError as PatienceError,
    RejectedRowsError as RejectedRowsError,
    SourceError as SourceError,
    SourceUnavailableError as SourceUnavailableError,
    StateError as StateError,
    StateLockedError as StateLockedError,
    StateUnavailableError as StateUnavailableError,
    Stop as Stop,
    StoppedError as StoppedError,
    SystemicRejectionError as SystemicRejectionError,
    ThreadsError as ThreadsError,
    UpstreamError as UpstreamError,
    UsageError as UsageError,
    WorkerLostError as WorkerLostError,
)
from .evaluation import (
    dates as dates,
    javascript as javascript,
    rules as rules,
)
from .evaluation.explained import (
    Condition as Condition,
    ExplainedRule as ExplainedRule,
    Explanation as Explanation,
    because as because,
    deduce as deduce,
    explain as explain,
)
from .evaluation.rules import (
    ASKS_FOR_ABSENCE as ASKS_FOR_ABSENCE,
    EDITIONS as EDITIONS,
    ONE_VALUE as ONE_VALUE,
    Context as Context,
    Edition as Edition,
    Evaluation as Evaluation,
    EvaluationError as EvaluationError,
    FieldValue as FieldValue,
    Filter as Filter,
    evaluate as evaluate,
    field_of as field_of,
    flatten as flatten,
    fulfils as fulfils,
    inner_filters as inner_filters,
)
from .evaluation.words import (
    in_words as in_words,
)
from .files import (
    DISK as DISK,
    Disk as Disk,
    file_digest as file_digest,
    folder_of_user as folder_of_user,
    make_folder as make_folder,
    require_utf8 as require_utf8,
    shown_path as shown_path,
    sync as sync,
    written_whole as written_whole,
)
from .forms import (
    form_of as form_of,
    in_form as in_form,
)
from .isolation import (
    cut as cut,
    named_in as named_in,
)
from .json_words import (
    json_mistake as json_mistake,
)
from .kinds import (
    COMPANY as COMPANY,
    EVENT as EVENT,
    FEATURE_EVENT as FEATURE_EVENT,
    FEEDBACK as FEEDBACK,
    KINDS as KINDS,
    USER as USER,
    Kind as Kind,
    RecordKind as RecordKind,
)
from .nearness import (
    did_you_mean as did_you_mean,
    nearest as nearest,
    nearest_few as nearest_few,
)
from .outcomes import (
    Outcome as Outcome,
    Verdict as Verdict,
)
from .prefetch import (
    prefetched as prefetched,
    side_by_side as side_by_side,
)
from .reasons import REASONS as REASONS, Code as Code, Meaning as Meaning
from .rows import (
    BATCH_BYTES_MAX as BATCH_BYTES_MAX,
    ROWS_MAX as ROWS_MAX,
    SLICE_ROWS as SLICE_ROWS,
    ArrivingFiles as ArrivingFiles,
    FindableRows as FindableRows,
    InputBatch as InputBatch,
    LoadedFile as LoadedFile,
    Locate as Locate,
    Origin as Origin,
    Reading as Reading,
    ReadItems as ReadItems,
    Reason as Reason,
    Rejection as Rejection,
    Slice as Slice,
    SlicedRows as SlicedRows,
    Source as Source,
    Stage as Stage,
    row_as_json as row_as_json,
    sliced as sliced,
)
from .sql_text import (
    identifier as identifier,
    literal as literal,
)
from .sql_words import (
    sql_mistake as sql_mistake,
)
from .syncs import (
    SYNCS as SYNCS,
    Sync as Sync,
    SyncMode as SyncMode,
)
from .times import (
    in_utc as in_utc,
    read_time as read_time,
    spoken_time as spoken_time,
    wire_ms as wire_ms,
    wire_now as wire_now,
    wire_of_ms as wire_of_ms,
    wire_timestamp as wire_timestamp,
)
from .waits import (
    Cause as Cause,
    Wait as Wait,
)
from .words import (
    counted as counted,
    spoken as spoken,
)
