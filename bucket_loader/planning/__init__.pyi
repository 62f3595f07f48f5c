from . import (
    cursor as cursor,
    limits as limits,
    plan_file as plan_file,
    planner as planner,
)
from .mapping import (
    wire_timestamp as wire_timestamp,
)
from .plan_file import (
    REMOVED as REMOVED,
    Plan as Plan,
    PlannedStream as PlannedStream,
)
from .planner import (
    PlanRequest as PlanRequest,
)
