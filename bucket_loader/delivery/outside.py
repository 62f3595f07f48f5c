"""What of the world outside a run depends on, as one thing that can be replaced: how it sends, and what time it is."""

from collections.abc import Callable
from dataclasses import dataclass

from bucket_loader.config import Destination
from bucket_loader.delivery.http.transport import HttpTransport
from bucket_loader.delivery.transport import Transport
from bucket_loader.model import SYSTEM, Clock


@dataclass(frozen=True)
class Outside:
    """The outside of a run.

    Attributes:
        transport: makes what sends to a destination, for one delivery.
        clock: time, threads and chance.
    """

    transport: Callable[[Destination], Transport] = HttpTransport
    clock: Clock = SYSTEM
