"""uvicorn's HTTP protocol, with the transport within reach, refusals in JSON, and limits on what is not a body.

uvicorn bounds neither the head of a request nor the time it may take: one client could fill the memory with headers,
or hold thousands of connections with half a request each.
"""

import asyncio
import contextlib
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from bucket_loader.emulator.answers import Answer, refusal

# The key in scope["extensions"]. ASGI has no way to close a connection without an answer, and several faults do; nor
# does it stop what streams to a caller who has left.
CONNECTION: Final = "bucket_loader"

HEAD_BYTES_MAX: Final = 65_536  # of what a request has beside its body: its line, headers, chunk sizes, trailers
REQUEST_S_MAX: Final = 60.0  # from the first byte of a request to its last
_LINGER_S_MAX: Final = 2.0  # for a refused client to read why; closing at once would reset the connection instead

_NOT_HTTP: Final = refusal(400, "UNKNOWN_ERROR", "The request is not valid HTTP")
_HEAD_TOO_LARGE: Final = refusal(
    431, "UNKNOWN_ERROR", f"The head of the request is larger than about {HEAD_BYTES_MAX} bytes"
)
_BROKEN_OFF: Final = refusal(400, "UNKNOWN_ERROR", "The request ends before it is whole")
_TOO_SLOW: Final = refusal(408, "UNKNOWN_ERROR", f"The request took longer than {REQUEST_S_MAX:g} seconds to arrive")
_REASONS: Final = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


class EmulatorProtocol(HttpToolsProtocol):
    """Hands itself to the app, and refuses what is not a request before the app sees it.

    Attributes:
        stream: what streams to this connection; it ends with it.
    """

    stream: "asyncio.Task[None] | None" = None

    _deadline: asyncio.TimerHandle | None = None
    _is_arriving = False  # a request has begun, and has not ended
    _has_got_on = False  # what came last was body, or the end of something
    _head_bytes = 0
    _refused: Answer | None = None
    _is_lingering = False

    def data_received(self, data: bytes) -> None:
        """Take in what came, as long as it may still become a request."""
        if self._refused is not None:
            return
        self._has_got_on = False
        super().data_received(data)
        self._head_bytes = 0 if self._has_got_on else self._head_bytes + len(data)
        if self._is_arriving and self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_S_MAX, self._too_slow)
        if self._head_bytes > HEAD_BYTES_MAX:
            self._refuse(_HEAD_TOO_LARGE)

    def eof_received(self) -> bool | None:  # type: ignore[override]  # uvicorn's gives nothing, and so closes
        """Answer a caller who has no more to say, and may still listen: what it sent may have been applied."""
        if self._is_lingering or self.stream is not None:  # who listens to a stream does not stop sending before
            return None
        call = self._latest
        if call is not None and self._is_answering():
            call.keep_alive = False
            return True
        if self._is_arriving:
            self._refuse(_BROKEN_OFF)
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline with the connection, and stop what streams to it."""
        self._unset_deadline()
        super().connection_lost(exc)
        if self.stream is not None:
            self.stream.cancel()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._is_arriving = True
        self.scope["extensions"] = {CONNECTION: {"connection": self}}

    def on_headers_complete(self) -> None:
        """Begin the body."""
        self._has_got_on = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._has_got_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._has_got_on = True
        self._is_arriving = False
        self._unset_deadline()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on after an answer; with the refusal of what came behind it, if there is one."""
        super().on_response_complete()
        if self._refused is not None and not self._is_answering():
            self._say_refused(self._refused)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # the parser's words help nobody
        """Refuse what is not HTTP, in the API's envelope."""
        self._refuse(_NOT_HTTP)

    def _refuse(self, answer: Answer) -> None:
        """Refuse what came last, after the answers to what came whole before it."""
        if self._refused is None:
            self._refused = answer
            self._unset_deadline()
            if not self._is_answering():
                self._say_refused(answer)

    def _say_refused(self, answer: Answer) -> None:
        if self._is_lingering or self.transport.is_closing():
            return
        self._is_lingering = True
        if (call := self._latest) is not None:
            call.disconnected = True  # its body broke off: its caller is as good as gone
            call.message_event.set()
        head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(head % (answer.status, _REASONS[answer.status], len(answer.body)) + answer.body)
        with contextlib.suppress(OSError):  # it may be closed at the other end already
            self.transport.write_eof()
        self.flow.resume_reading()  # what still comes is thrown away
        self.loop.call_later(_LINGER_S_MAX, self.transport.close)

    @property
    def _latest(self) -> RequestResponseCycle | None:
        """Return the call that began last, if one has; those before it are answered first."""
        return self.cycle

    def _is_answering(self) -> bool:
        """Whether a call that came whole still waits for its answer."""
        call = self._latest
        return call is not None and not call.response_complete and not call.more_body

    def _too_slow(self) -> None:
        self._deadline = None
        call = self._latest
        if call is not None and call.more_body and call.response_started:
            self.transport.abort()  # answered already, and still sending
        else:
            self._refuse(_TOO_SLOW)

    def _unset_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
