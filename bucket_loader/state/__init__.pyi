from . import (
    dead_letters as dead_letters,
    snapshots as snapshots,
)
from .dead_letters import (
    DeadLetters as DeadLetters,
    Entry as Entry,
)
from .ledger import (
    ChunkRow as ChunkRow,
    ChunkState as ChunkState,
    Conclusion as Conclusion,
    Ledger as Ledger,
    NewStream as NewStream,
    Part as Part,
    Replay as Replay,
    RunRow as RunRow,
    RunStatus as RunStatus,
)
from .ledger.connecting import (
    Waiting as Waiting,
)
from .location import (
    Given as Given,
    StatePlace as StatePlace,
    read_place as read_place,
)
from .opening import (
    FOLDER as FOLDER,
    Wanted as Wanted,
    look_at_state as look_at_state,
    open_state as open_state,
)
from .state import (
    State as State,
)
