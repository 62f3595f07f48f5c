from . import (
    cursor as cursor,
    limits as limits,
    plan_file as plan_file,
    planner as planner,
)
from .manifest import (
    PlannedStream as PlannedStream,
)
from .plan_file import (
    REMOVED as REMOVED,
    Plan as Plan,
)
from .request import (
    PlanRequest as PlanRequest,
)
