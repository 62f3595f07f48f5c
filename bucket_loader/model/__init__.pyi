from . import (
    contract as contract,
)
from .arrays import (
    Numbers as Numbers,
)
from .arrays import (
    as_numpy as as_numpy,
)
from .arrays import (
    bool_array as bool_array,
)
from .arrays import (
    give_memory_back as give_memory_back,
)
from .arrays import (
    int64_array as int64_array,
)
from .arrays import (
    ordinals_from as ordinals_from,
)
from .arrays import (
    repeated_text as repeated_text,
)
from .arrays import (
    zeros as zeros,
)
from .contract import (
    ERROR_CODES as ERROR_CODES,
)
from .contract import (
    LENIENT as LENIENT,
)
from .contract import (
    AcceptedCompany as AcceptedCompany,
)
from .contract import (
    AcceptedContext as AcceptedContext,
)
from .contract import (
    AcceptedEvent as AcceptedEvent,
)
from .contract import (
    AcceptedFeatureEvent as AcceptedFeatureEvent,
)
from .contract import (
    AcceptedFeedback as AcceptedFeedback,
)
from .contract import (
    AcceptedUser as AcceptedUser,
)
from .contract import (
    Api as Api,
)
from .contract import (
    FeatureKey as FeatureKey,
)
from .contract import (
    FieldRule as FieldRule,
)
from .contract import (
    LenientId as LenientId,
)
from .contract import (
    LenientTimestamp as LenientTimestamp,
)
from .contract import (
    RecordKind as RecordKind,
)
from .errors import (
    AuditError as AuditError,
)
from .errors import (
    BucketLoaderError as BucketLoaderError,
)
from .errors import (
    ConfigError as ConfigError,
)
from .errors import (
    DestinationError as DestinationError,
)
from .errors import (
    InterruptedRunError as InterruptedRunError,
)
from .errors import (
    KeyRefusedError as KeyRefusedError,
)
from .errors import (
    LedgerDamagedError as LedgerDamagedError,
)
from .errors import (
    LimitError as LimitError,
)
from .errors import (
    MisroutedError as MisroutedError,
)
from .errors import (
    Mistake as Mistake,
)
from .errors import (
    PatienceError as PatienceError,
)
from .errors import (
    RejectedRowsError as RejectedRowsError,
)
from .errors import (
    SourceError as SourceError,
)
from .errors import (
    SourceUnavailableError as SourceUnavailableError,
)
from .errors import (
    StateError as StateError,
)
from .errors import (
    StateLockedError as StateLockedError,
)
from .errors import (
    StateUnavailableError as StateUnavailableError,
)
from .errors import (
    StoppedError as StoppedError,
)
from .errors import (
    SystemicRejectionError as SystemicRejectionError,
)
from .errors import (
    UsageError as UsageError,
)
from .prefetch import (
    ahead as ahead,
)
from .records import (
    BATCH_BYTES_MAX as BATCH_BYTES_MAX,
)
from .records import (
    ROWS_MAX as ROWS_MAX,
)
from .records import (
    ArrivingFiles as ArrivingFiles,
)
from .records import (
    Chunk as Chunk,
)
from .records import (
    Counts as Counts,
)
from .records import (
    InputBatch as InputBatch,
)
from .records import (
    Joined as Joined,
)
from .records import (
    LoadedFile as LoadedFile,
)
from .records import (
    Origin as Origin,
)
from .records import (
    Outcome as Outcome,
)
from .records import (
    Reading as Reading,
)
from .records import (
    Reason as Reason,
)
from .records import (
    Rejection as Rejection,
)
from .records import (
    Source as Source,
)
from .records import (
    Stage as Stage,
)
from .records import (
    Verdict as Verdict,
)
from .records import (
    file_digest as file_digest,
)
from .records import (
    make_folder as make_folder,
)
from .records import (
    ranges as ranges,
)
from .records import (
    read_ranges as read_ranges,
)
from .records import (
    row_as_json as row_as_json,
)
from .records import (
    sync as sync,
)
