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
from .sender import (
    Sender as Sender,
    error_of as error_of,
)
from .sending import (
    Assignment as Assignment,
    deliver as deliver,
    deliver_parts as deliver_parts,
)
from .tally import (
    StreamTally as StreamTally,
    Tally as Tally,
)
