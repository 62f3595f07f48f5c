from .deliver import (
    Delivery as Delivery,
    route_of as route_of,
)
from .http.client import (
    Client as Client,
    Proof as Proof,
)
from .http.connection import (
    Watchdog as Watchdog,
)
from .worker import (
    refused as refused,
)
