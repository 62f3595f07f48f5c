"""One HTTP call of the API: reading it, answering it, cutting it.

This is plain ASGI, because the sink of every test should not be what slows it down.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import ClassVar, Final, NamedTuple

from starlette.types import Receive, Scope, Send

from bucket_loader.emulator.answers import Answer, refusal
from bucket_loader.emulator.environments import Environments
from bucket_loader.emulator.evaluation.features import Defined
from bucket_loader.emulator.faults.meeting import Drop
from bucket_loader.emulator.http.auth import identify
from bucket_loader.emulator.http.protocol import CONNECTION, EmulatorProtocol
from bucket_loader.emulator.store.exchanges import ANSWER_BYTES_KEPT, BODY_BYTES_KEPT, Exchange
from bucket_loader.emulator.store.requests_log import ERROR_CHARACTERS_MAX, Noted, wrong
from bucket_loader.model import ANOTHER_EMULATOR, EMULATOR_HEADER

# No limit is documented. This one is far above what any SDK sends, and keeps a runaway client from filling memory.
BODY_BYTES_MAX: Final = 8 * 1024 * 1024
TOO_LARGE: Final = refusal(413, "BODY_VALIDATION_FAILED", f"The body is larger than {BODY_BYTES_MAX} bytes")
ANOTHER: Final = refusal(
    ANOTHER_EMULATOR,
    "UNKNOWN_ERROR",
    "This was meant for another emulator: this one was started, reset or restored since",
)
_MEANT: Final = EMULATOR_HEADER.encode()
# More of a body that is too large is not waited for.
DISCARDED_BYTES_MAX: Final = 32 * BODY_BYTES_MAX


_NO_DROP: Final = Drop()


class Endpoint:
    """What one path does for one method.

    Attributes:
        is_write: whether it takes a body.
    """

    is_write: ClassVar[bool] = False

    def perform(self, call: "Call") -> Answer:
        """Do what the call asks, all of it or nothing."""
        raise NotImplementedError

    def perform_part(self, call: "Call") -> None:
        """Do half of what the call asks (for the fault `partial_400`); most have no half."""

    async def answer(self, call: "Call") -> None:
        """Answer a call that no fault has ended."""
        await call.reply(self.perform(call))


class Target(NamedTuple):
    """Where a call goes.

    Attributes:
        endpoint: what is there.
        path: how the log of requests names it, without a key.
        key: the one that stands in the path of the legacy APIs; None in the current one.
    """

    endpoint: Endpoint
    path: str
    key: bytes | None = None


class Call:
    """A call whose body has been read, and the ways to end it.

    Every way but `apply` ends the call, and is noted in the log of requests.
    """

    __slots__ = ("_connection", "_drop", "_endpoint", "_messages", "_receive", "_send", "authorization", "body",
                 "content_type", "environment", "fault", "headers", "is_stale", "is_write", "meant", "method", "number",
                 "path", "path_key", "query", "rank", "records")  # fmt: skip

    def __init__(self, environments: Environments, target: Target, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path = target.path
        self.path_key = target.key
        self.query: bytes = scope["query_string"]
        self.authorization = self.content_type = self.meant = b""
        self.headers = scope["headers"]
        for name, value in self.headers:
            if name == b"authorization":
                self.authorization = value
            elif name == b"content-type":
                self.content_type = value
            elif name == _MEANT:
                self.meant = value
        self.environment, self.rank = identify(environments, self)
        self.number = self.environment.log.number()
        self.body = b""
        self.fault: str | None = None
        self.is_stale = False
        self._drop = _NO_DROP
        self._messages = 0  # of a stream, since it is known when it is cut
        self.records: int | None = None  # accepted
        self._endpoint = target.endpoint
        self.is_write = target.endpoint.is_write
        self._connection: EmulatorProtocol = scope["extensions"][CONNECTION]["connection"]
        self._receive = receive
        self._send = send

    async def serve(self) -> None:
        """Read the body, let the faults have their way, and answer."""
        if self.is_write:
            body = await self._read()
            if body is None:
                return self._note(None)
            if len(body) > BODY_BYTES_MAX:
                return await self.reply(TOO_LARGE)
            self.body = body
        if self.meant and self.meant != self.environment.identity:
            return await self.reply(ANOTHER)
        if await self.environment.faults.meet(self):
            return None
        return await self._endpoint.answer(self)

    @property
    def defined(self) -> Defined:
        """The definitions that the call gets to see: those that hold, unless a fault says otherwise."""
        environment = self.environment
        return environment.earlier if self.is_stale else Defined(environment.definitions, environment.features_body)

    @property
    def _signed(self) -> tuple[tuple[bytes, bytes], ...]:
        """What an answer says of whose it is; nothing where nobody knows the key."""
        return () if self.rank == "unknown" else self.environment.signed

    def apply(self) -> Answer:
        """Do what the API does, and return its answer without sending it."""
        return self._endpoint.perform(self)

    def apply_part(self) -> None:
        """Do half of it."""
        self._endpoint.perform_part(self)

    async def reply(self, answer: Answer) -> None:
        """Send an answer."""
        self._note(answer)
        await answer.send(self._send, self._signed)

    async def reply_broken(self, answer: Answer) -> None:
        """Announce an answer in full, send half of it, and close."""
        self._note(answer)
        await self._begin(answer, length=len(answer.body))
        await self._more(answer.body[: len(answer.body) // 2])
        self._connection.transport.close()
        await self._gone()

    async def reply_slowly(self, answer: Answer, pause_s: float) -> None:
        """Send an answer one byte at a time."""
        self._note(answer)
        await self._begin(answer, length=len(answer.body))
        for place in range(len(answer.body)):
            await asyncio.sleep(pause_s)
            if self._connection.transport.is_closing():
                return await self._gone()
            last = place == len(answer.body) - 1
            await self._more(answer.body[place : place + 1], last=last)
        return None

    async def reply_forever(self, answer: Answer, filler: bytes, pause_s: float) -> None:
        """Send an answer, then filler, until the caller has enough."""
        self._note(answer)
        await self._begin(answer, length=None)
        await self._more(answer.body)
        while not self._connection.transport.is_closing():
            await self._more(filler)
            await asyncio.sleep(pause_s)
        await self._gone()

    async def stream(self, begun: Answer, pieces: AsyncIterator[bytes]) -> None:
        """Send an answer piece by piece, for as long as there are pieces and the caller listens."""
        self._note(begun)
        await self._begin(begun, length=None)
        connection, streams = self._connection, self.environment.streams
        connection.stream = asyncio.current_task()  # from now on it is cancelled when the connection closes
        if connection.transport.is_closing():
            return await self._gone()
        streams.add(self)
        try:
            self.drop(self._drop)
            async for piece in pieces:
                await self._more(piece)
                self._messages += not piece.startswith(b":")  # that is a comment
                if self._messages == self._drop.messages:
                    connection.transport.close()
        finally:
            streams.remove(self)
        connection.stream = None
        return await self._more(b"", last=True)

    def drop(self, when: Drop) -> None:
        """Have the stream cut, now or when it has begun; nothing for a call that is none."""
        self._drop, self._messages = when, 0
        if when.seconds is not None and self._connection.stream is not None:
            asyncio.get_running_loop().call_later(when.seconds, self._connection.transport.close)

    async def cut(self) -> None:
        """Close the connection without an answer."""
        self._note(None)
        self._connection.transport.abort()
        await self._gone()

    async def _read(self) -> bytes | None:
        """Read the body; None when the caller has left.

        Of one that is too large only the beginning is kept. The rest is read all the same, within reason: a caller who
        is still sending would not see the answer.
        """
        message = await self._receive()
        body: bytes = message.get("body", b"")
        if message["type"] == "http.request" and not message["more_body"]:
            return body
        parts, taken = bytearray(body), len(body)
        while message["type"] == "http.request" and message["more_body"] and taken <= DISCARDED_BYTES_MAX:
            message = await self._receive()
            body = message.get("body", b"")
            taken += len(body)
            if len(parts) <= BODY_BYTES_MAX:
                parts += body
        return None if message["type"] == "http.disconnect" else bytes(parts)

    async def _begin(self, answer: Answer, *, length: int | None) -> None:
        headers = [*answer.headers, *self._signed]
        if length is not None:
            headers.append((b"content-length", b"%d" % length))
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})

    async def _more(self, body: bytes, *, last: bool = False) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})

    async def _gone(self) -> None:
        """Wait until the server has seen that the connection is closed; it would answer 500 otherwise."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _note(self, answer: Answer | None) -> None:
        """Keep what became of this call; None when its connection was cut."""
        status = answer.status if answer is not None else None
        error = answer.error[:ERROR_CHARACTERS_MAX] if answer is not None and answer.error is not None else None
        mistakes = wrong(answer.mistakes, self.body) if answer is not None and answer.mistakes else []
        at_ms = time.time() * 1000
        self.environment.log.note(
            Noted(self.number, at_ms, self.method, self.path, status, error, self.fault, self.records, mistakes),
            self._exchange(answer),
        )

    def _exchange(self, answer: Answer | None) -> Exchange:
        """Return the call word by word."""
        said, headers = (b"", ()) if answer is None else (answer.body, answer.headers)
        return Exchange(
            self.query,
            self.headers,
            self.body[:BODY_BYTES_KEPT],
            len(self.body),
            headers,
            said[:ANSWER_BYTES_KEPT],
            len(said),
        )
