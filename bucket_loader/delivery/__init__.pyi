from .chunks import (
    reopened as reopened,
)
from .http.client import (
    Client as Client,
)
from .http.connection import (
    Meant as Meant,
)
from .http.transport import (
    route_of as route_of,
)
from .http.watchdog import (
    Watchdog as Watchdog,
)
from .http.webhook import (
    post_to_webhook as post_to_webhook,
)
from .journal import (
    LedgerJournal as LedgerJournal,
    rejections as rejections,
)
from .outside import (
    Outside as Outside,
)
from .place import (
    Place as Place,
)
from .sending import (
    Assignment as Assignment,
    deliver as deliver,
)
from .tally import (
    Tally as Tally,
)
