from . import (
    json_lines as json_lines,
)
from .events import (
    ChunkHeld as ChunkHeld,
    ChunkRetried as ChunkRetried,
    ChunksUnknown as ChunksUnknown,
    Event as Event,
    Tell as Tell,
)
from .json_lines import (
    JsonReporter as JsonReporter,
    Output as Output,
)
from .prometheus import (
    LastRun as LastRun,
    Textfile as Textfile,
    together as together,
)
from .terminal import (
    stderr_console as stderr_console,
)
from .text import (
    COLUMNS as COLUMNS,
    Reporter as Reporter,
    Resumed as Resumed,
    Summary as Summary,
)
