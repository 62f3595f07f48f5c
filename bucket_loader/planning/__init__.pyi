from . import (
    cursor as cursor,
    limits as limits,
    plan_file as plan_file,
    planner as planner,
)
from .plan_file import (
    REMOVED as REMOVED,
    Plan as Plan,
    PlannedStream as PlannedStream,
)
from .planner import (
    PlanRequest as PlanRequest,
)
