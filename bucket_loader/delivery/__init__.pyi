from .course import (
    next_step as next_step,
)
from .http.client import (
    Client as Client,
)
from .http.transport import (
    HttpTransport as HttpTransport,
    route_of as route_of,
)
from .http.watchdog import (
    Watchdog as Watchdog,
)
from .journal import (
    Journal as Journal,
    LedgerJournal as LedgerJournal,
    rejections as rejections,
)
from .outside import (
    Outside as Outside,
)
from .sending import (
    Assignment as Assignment,
    deliver as deliver,
)
from .tally import (
    Tally as Tally,
)
from .transport import (
    Transport as Transport,
)
