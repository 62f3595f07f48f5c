"""Which pages may read the answers of the API: every page, also one that sends credentials.

Source: BROW (`credentials: "include"` of its options, the headers that it sends), NODE (`Cache-Control` on a stream).
"""

from typing import Final

from starlette.types import Message, Scope, Send

from bucket_loader.emulator.answers import VARIES, Answer

# Browsers preflight every POST of the SDKs. Other event sources than the browser's own ask for the headers of a stream.
_HEADERS: Final = (
    "authorization",
    "bucket-sdk-version",
    "cache-control",
    "content-type",
    "last-event-id",
    "reflag-sdk-version",
)
PREFLIGHT: Final = Answer(
    204,
    b"",
    (
        VARIES,
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-allow-headers", ", ".join(_HEADERS).encode()),
        (b"access-control-max-age", b"86400"),  # seconds
    ),
)


def readable(scope: Scope, send: Send) -> Send:
    """Return a `send` whose answers the page that calls may read; for a program, `send` itself.

    A browser that sends credentials takes no `*` for an answer: it wants its page's own origin.
    """
    for name, value in scope["headers"]:
        if name == b"origin":
            return _named(send, value)
    return send


def _named(send: Send, origin: bytes) -> Send:
    allowed = ((b"access-control-allow-origin", origin), (b"access-control-allow-credentials", b"true"))

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *allowed]}
        await send(message)

    return sending
