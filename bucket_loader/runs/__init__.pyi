from . import (
    audit as audit,
    backfill as backfill,
    features as features,
    init as init,
    inspect as inspect,
    lifecycle as lifecycle,
    receipts as receipts,
    rehearse as rehearse,
    replay as replay,
)
from .inspect import (
    try_key as try_key,
)
from .load import (
    load as load,
)
from .run import (
    Job as Job,
    RunOptions as RunOptions,
    run as run,
)
