"""Where a run sends to, as a person calls it; and whether that is this machine."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from bucket_loader.config import Destination
from bucket_loader.model import PatienceError


@dataclass(frozen=True)
class Place:
    """Where a run sends to.

    Attributes:
        name: the host and its port.
        port: the port.
        is_here: whether nobody but this machine can listen there.
    """

    name: str
    port: int | None = None
    is_here: bool = False

    @classmethod
    def of(cls, destination: Destination) -> Self:
        """Return where a destination is; by way of a proxy nothing is here."""
        way = " by way of the proxy" if destination.proxy is not None else ""
        return cls(f"{destination.host}{way}", urlsplit(destination.base_url).port, destination.is_here)

    def nobody_listens(self) -> PatienceError:
        """Return what a run ends with that finds nobody here."""
        port = f" --port {self.port}" if self.port else ""
        return PatienceError(
            f"nothing listens at {self.name}",
            hint=f"start one: `bucket-loader emulator{port}`, and run this again; nothing was sent",
        )
