from . import (
    cursor as cursor,
    gates as gates,
    plan_file as plan_file,
    planner as planner,
    refused as refused,
    room as room,
)
from .change import (
    NOTHING as NOTHING,
    Change as Change,
    What as What,
)
from .effects import (
    Effects as Effects,
    changes as changes,
    effects_of as effects_of,
)
from .engine.on_spark import (
    OnSpark as OnSpark,
)
from .engine.processes import (
    Processes as Processes,
)
from .manifest import (
    Manifest as Manifest,
    Part as Part,
    PlannedStream as PlannedStream,
)
from .mapping.apply import (
    Mapped as Mapped,
    Mapping as Mapping,
)
from .mapping.nested.lists import (
    dropped_part as dropped_part,
)
from .mapping.origins import (
    Origin as Origin,
    Origins as Origins,
    origins_of as origins_of,
)
from .mapping.paths import (
    beginnings as beginnings,
)
from .names import (
    Names as Names,
    names_of as names_of,
    pruned as pruned,
    values_in as values_in,
    way_of as way_of,
)
from .plan_file import (
    REMOVED as REMOVED,
    Piece as Piece,
    Plan as Plan,
)
from .reading import (
    sources_under as sources_under,
)
from .request import (
    PlanRequest as PlanRequest,
    Sampling as Sampling,
)
from .room import (
    Before as Before,
    Between as Between,
)
from .stream_files import (
    COMPARED as COMPARED,
)
