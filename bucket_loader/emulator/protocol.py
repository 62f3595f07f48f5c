"""uvicorn's HTTP protocol, with two things more: the transport within reach, and refusals in JSON."""

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bucket_loader.emulator.answers import refusal

# The key in scope["extensions"]. ASGI has no way to close a connection without an answer, and several faults do.
TRANSPORT: Final = "bucket_loader"

_NOT_HTTP: Final = refusal(400, "UNKNOWN_ERROR", "The request is not valid HTTP").body
_NOT_HTTP_HEAD: Final = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(_NOT_HTTP)
)


class EmulatorProtocol(HttpToolsProtocol):
    """Hands the transport to the app."""

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # the parser's words help nobody
        """Refuse what is not HTTP, in the API's envelope."""
        self.transport.write(_NOT_HTTP_HEAD + _NOT_HTTP)
        self.transport.close()
