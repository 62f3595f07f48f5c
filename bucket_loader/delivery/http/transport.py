"""The transport of a run: HTTP to a destination. Nothing is retried, and nothing is read from the environment."""

from collections.abc import Sequence
from typing import cast

from bucket_loader.config import Destination
from bucket_loader.delivery.http.client import Client, answered
from bucket_loader.delivery.http.connection import PATH_KEY, Meant, Route
from bucket_loader.delivery.http.watchdog import Watchdog
from bucket_loader.delivery.transport import Connection
from bucket_loader.model import Verdict


class HttpTransport:
    """Makes the clients of one run: they share what is known of the host, and a watchdog."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._watchdog = Watchdog()
        self._meant = Meant() if destination.is_here else None

    def means(self, emulator: str | None) -> None:
        """Say which emulator all that follows is for; nothing where there can be none."""
        if self._meant is not None:
            self._meant.emulator = emulator

    def connection(self, endpoint: str) -> Client:
        """Return a new client of an endpoint."""
        return Client(route_of(self._destination, endpoint, self._meant), self._watchdog)

    def answered(self, connections: Sequence[Connection], wait_s: float | None) -> Sequence[Connection]:
        """Return those whose `end` will not wait; wait for one, at most so many seconds, with None for ever."""
        return answered(cast("Sequence[Client]", connections), wait_s)

    def reads(self) -> bool:
        """Whether the host answers a read; the legacy APIs have none."""
        if self._destination.api != "front":
            return False
        client = self.connection("/features")
        try:
            outcome, _ = client.get(route_of(self._destination, "/features").url)
        finally:
            client.close()
        return outcome.verdict is Verdict.DELIVERED

    def close(self) -> None:
        """End the watchdog."""
        self._watchdog.stop()


def route_of(destination: Destination, endpoint: str, meant: Meant | None = None) -> Route:
    """Return the way to an endpoint of a destination; in the legacy APIs the key goes before it.

    Args:
        destination: where.
        endpoint: what is asked there.
        meant: which emulator that is; None where answers are not looked at for that.
    """
    in_path = destination.api != "front"
    return Route(
        url=f"{destination.base_url}{PATH_KEY if in_path else ''}{endpoint}",
        key=destination.key.get_secret_value(),
        key_in_path=in_path,
        timeout_s=destination.timeout,
        proxy=destination.proxy,
        ca_bundle=str(destination.ca_bundle) if destination.ca_bundle else None,
        meant=meant,
    )
