"""Push: streams of server-sent events that tell the version of the definitions. Source: NODE, BROW (`sse/...`)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from bucket_loader.emulator.answers import VARIES, Answer
from bucket_loader.emulator.evaluation.versions import Versions
from bucket_loader.emulator.http import auth
from bucket_loader.emulator.http.calls import Call, Endpoint

HEARTBEAT_S: Final = 15.0  # of silence: what stands between may close a connection that is silent for half a minute
HEARTBEAT: Final = b": \n\n"
_HEADERS: Final = ((b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache"), VARIES)


@dataclass(frozen=True)
class Stream(Endpoint):
    """GET: the version, at once and after each change, for as long as the caller listens.

    Attributes:
        secret_only: whether the publishable key does not open it.
    """

    secret_only: bool

    def perform(self, call: Call) -> Answer:
        """Return how a stream begins."""
        refused = auth.refuse(call.rank, secret_only=self.secret_only)
        return refused or Answer(200, message(call.environment.versions.current), _HEADERS)

    async def answer(self, call: Call) -> None:
        """Stream, or refuse."""
        begun = self.perform(call)
        if begun.error is not None:
            await call.reply(begun)
        else:
            await call.stream(begun, updates(call.environment.versions))


def message(version: int) -> bytes:
    """Return what is sent of a version."""
    return b'data: {"name":"flags-updated","data":"{\\"flagStateVersion\\":%d}"}\n\n' % version


async def updates(versions: Versions, heartbeat_s: float = HEARTBEAT_S) -> AsyncIterator[bytes]:
    """Yield the version now, and after each change; a comment where there is none for a while.

    Who is slow in reading misses versions between, and hears the latest: nothing is kept for anybody.
    """
    said = 0
    while not versions.is_over:
        if versions.current > said:
            said = versions.current
            yield message(said)
        else:
            await versions.reach(said + 1, heartbeat_s)
            if versions.current == said and not versions.is_over:
                yield HEARTBEAT
