"""What a fault sees: one call, the ways to end it, and what the fault remembers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

from bucket_loader.emulator.answers import Answer

Clock: TypeAlias = Callable[[], float]  # seconds, from any moment on, never back


class Drop(NamedTuple):
    """When a stream is cut: after so many seconds, or after so many messages, whichever comes first."""

    seconds: float | None = None
    messages: int | None = None


class Call(Protocol):
    """A call whose body has been read. Every way but `apply` and `apply_part` ends it.

    Attributes:
        method: of HTTP.
        path: as the log of requests names it.
        is_write: whether it brings records.
        body: what was sent.
        fault: the kind of fault that dealt with the call.
        is_stale: whether it gets to see the definitions before the last change.
    """

    method: str
    path: str
    is_write: bool
    body: bytes
    fault: str | None
    is_stale: bool

    def apply(self) -> Answer:
        """Do what the API does, and return its answer without sending it."""

    def apply_part(self) -> None:
        """Do half of it."""

    async def reply(self, answer: Answer) -> None:
        """Send an answer."""

    async def reply_broken(self, answer: Answer) -> None:
        """Announce an answer in full, send half of it, and close."""

    async def reply_slowly(self, answer: Answer, pause_s: float) -> None:
        """Send an answer one byte at a time."""

    async def reply_forever(self, answer: Answer, filler: bytes, pause_s: float) -> None:
        """Send an answer, then filler, until the caller has enough."""

    def drop(self, when: Drop) -> None:
        """Have the stream cut, now or when it has begun; nothing for a call that is none."""

    async def cut(self) -> None:
        """Close the connection without an answer."""


@dataclass
class Memory:
    """What one fault remembers since it was ordered; times are in seconds of its clock."""

    clock: Clock
    ordered_s: float = field(init=False)
    struck: int = 0
    tokens: float | None = None
    refilled_s: float = 0.0
    wait_s: float = 0.0

    def __post_init__(self) -> None:
        self.ordered_s = self.clock()

    @property
    def age_s(self) -> float:
        """How long ago the fault was ordered."""
        return self.clock() - self.ordered_s


class Meeting(NamedTuple):
    """One call, before one fault that may strike it."""

    call: Call
    memory: Memory
