"""What the emulator serves, as a table of contents."""

import asyncio
import contextlib
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from bucket_loader.emulator.answers import NO_CONTENT, refusal
from bucket_loader.emulator.calls import Call, Endpoint
from bucket_loader.emulator.control import PREFIX, control
from bucket_loader.emulator.emulator import Emulator
from bucket_loader.emulator.endpoints import ListFeatures, Refuse, Write

API: Final[dict[str, dict[str, Endpoint]]] = {
    "/user": {"POST": Write("user")},
    "/company": {"POST": Write("company")},
    "/event": {"POST": Write("event")},
    "/feedback": {"POST": Write("feedback")},
    "/bulk": {"POST": Write("bulk")},
    "/features/events": {"POST": Write("feature-flag-event")},
    "/features": {"GET": ListFeatures()},
}

NOT_FOUND: Final = Refuse(refusal(404, "UNKNOWN_ERROR", "There is no such endpoint"))
WRONG_METHOD: Final = {
    path: Refuse(
        refusal(
            405,
            "UNKNOWN_ERROR",
            "This endpoint has no such method",
            headers=((b"allow", ", ".join([*methods, "OPTIONS"]).encode()),),
        )
    )
    for path, methods in API.items()
}


def build(emulator: Emulator) -> ASGIApp:
    """Make the app: the API, and the prefix that the real one lacks."""
    inside = control(emulator)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        with contextlib.suppress(asyncio.CancelledError):  # the end of the emulator: the connection is cut already
            if path.startswith(PREFIX):
                await inside(scope, receive, send)
            elif method == "OPTIONS":
                await NO_CONTENT.send(send)
            else:
                await Call(emulator, _endpoint(path, method), scope, receive, send).serve()

    return app


def _endpoint(path: str, method: str) -> Endpoint:
    methods = API.get(path)
    if methods is None:
        return NOT_FOUND
    return methods.get(method) or WRONG_METHOD[path]
