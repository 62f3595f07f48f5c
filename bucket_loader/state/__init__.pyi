from . import (
    dead_letters as dead_letters,
    refusals as refusals,
    snapshots as snapshots,
)
from .checked import (
    keep_checked as keep_checked,
)
from .dead_letters import (
    DeadLetters as DeadLetters,
    Entry as Entry,
)
from .duck import (
    own_database as own_database,
)
from .layout import (
    MANIFEST as MANIFEST,
    REJECTED as REJECTED,
    StateLayout as StateLayout,
    merged_file as merged_file,
    records_file as records_file,
    refusals_file as refusals_file,
    snapshot_file as snapshot_file,
    waiting_file as waiting_file,
)
from .ledger import (
    EMULATOR as EMULATOR,
    Ambiguous as Ambiguous,
    Behind as Behind,
    ChunkRow as ChunkRow,
    ChunkState as ChunkState,
    Concluded as Concluded,
    Flag as Flag,
    Intent as Intent,
    Ledger as Ledger,
    Meets as Meets,
    NewPart as NewPart,
    NewStream as NewStream,
    Replay as Replay,
    RunRow as RunRow,
    RunStatus as RunStatus,
    SenderRow as SenderRow,
    SnapshotFile as SnapshotFile,
    SplitInto as SplitInto,
    Want as Want,
)
from .ledger.connecting import (
    LEASE_S as LEASE_S,
    Waiting as Waiting,
)
from .ledger.folding import (
    FoldDigest as FoldDigest,
)
from .ledger.looking import (
    look_at_file as look_at_file,
)
from .location import (
    Given as Given,
    StatePlace as StatePlace,
    read_place as read_place,
)
from .marks import (
    Mark as Mark,
)
from .opening import (
    FOLDER as FOLDER,
    Wanted as Wanted,
    look_at_state as look_at_state,
    one_process_alone as one_process_alone,
    open_beside as open_beside,
    open_state as open_state,
    require_key as require_key,
)
from .records import (
    Records as Records,
    opened as opened,
)
from .state import (
    State as State,
)
