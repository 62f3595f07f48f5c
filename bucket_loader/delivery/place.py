"""Where a run sends to, as a person calls it; and whether that is this machine."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from bucket_loader.config import Destination
from bucket_loader.model import OtherPlaceError, PatienceError


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

    def is_an_emulator(self) -> OtherPlaceError:
        """Return what a run ends with whose memory is of what is no emulator, and which finds one in its place."""
        return OtherPlaceError(
            f"what is remembered was delivered to what is no emulator, and now an emulator answers at {self.name}; it "
            "took nothing",
            hint="bring back what was there before; or give the emulator its own memory with `--state FOLDER`; or, "
            "to have all sent to it, forget what is remembered with `bucket-loader forget PIPELINE`",
        )

    def is_no_emulator(self) -> OtherPlaceError:
        """Return what a run ends with whose memory is of an emulator, and which finds something else in its place."""
        return OtherPlaceError(
            f"what is remembered was delivered to an emulator, and what answers at {self.name} is none",
            hint="start the emulator again; or give what is there its own memory with `--state FOLDER`; or, to have "
            "all sent to it, forget what is remembered with `bucket-loader forget PIPELINE`",
        )
