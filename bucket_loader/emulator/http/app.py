"""What the emulator serves, as a table of contents."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from bucket_loader.emulator.answers import refusal
from bucket_loader.emulator.environments import Environments
from bucket_loader.emulator.http import management
from bucket_loader.emulator.http.calls import Call, Endpoint, Target
from bucket_loader.emulator.http.control import PREFIX, control
from bucket_loader.emulator.http.door import Door, kept_here
from bucket_loader.emulator.http.endpoints import Evaluate, Forget, ListFeatures, OptIntoFlag, Refuse, Write
from bucket_loader.emulator.http.origins import PREFLIGHT, readable
from bucket_loader.emulator.http.streams import Stream
from bucket_loader.emulator.store.effects import BULK
from bucket_loader.model import KINDS

API: Final[dict[str, dict[str, Endpoint]]] = {
    **{kind.path: {"POST": Write(kind.wire, kind.answer_id)} for kind in KINDS.values()},
    "/bulk": {"POST": Write(BULK)},
    "/features": {"GET": ListFeatures()},
    "/features/enabled": {"GET": Evaluate(only_enabled=True)},
    "/features/evaluated": {"GET": Evaluate(only_enabled=False)},
    "/flags/opt-in": {"POST": OptIntoFlag()},
    "/sse/server": {"GET": Stream(secret_only=True)},
    "/sse/client": {"GET": Stream(secret_only=False)},
    # Only SDKs call these; no document names them.
    "/feedback/prompting-init": {"POST": Forget()},
    "/feedback/prompt-events": {"POST": Forget()},
}
_NOT_LEGACY: Final = frozenset({"/bulk", "/features", "/flags/opt-in", "/sse/server", "/sse/client"})
# The legacy APIs have the key as the first segment of the path. Source: S2, S4; TRK (the features).
LEGACY: Final[dict[str, dict[str, Endpoint]]] = {
    "/flags/evaluate": {"GET": Evaluate(only_enabled=True)},
    **{path: methods for path, methods in API.items() if path not in _NOT_LEGACY},
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
    for path, methods in (API | LEGACY).items()
}
PAGE_ONLY: Final = Refuse(
    refusal(405, "UNKNOWN_ERROR", "Here is only the page", headers=((b"allow", b"GET, HEAD, OPTIONS"),))
)
_KEY_CHARACTERS_MIN: Final = 23  # all SDKs of NODE refuse a shorter one


def build(environments: Environments, allow_hosts: Iterable[str] = ()) -> ASGIApp:
    """Make the app: the API, and the prefix that the real one lacks."""
    inside, door = control(environments), Door(allow_hosts)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        with contextlib.suppress(asyncio.CancelledError):  # the end of the emulator: the connection is cut already
            looks_inside = path.startswith(PREFIX) or (path == "/" and method in {"GET", "HEAD"})
            if (refused := door.refuse(scope, inside=looks_inside)) is not None:
                await refused.send(send)
            elif looks_inside:
                await inside(scope, receive, kept_here(send))
            elif method == "OPTIONS":
                await PREFLIGHT.send(readable(scope, send))
            else:
                await Call(environments, _target(scope), scope, receive, readable(scope, send)).serve()

    return app


def _target(scope: Scope) -> Target:
    path, method = scope["path"], scope["method"]
    methods = API.get(path)
    if methods is not None:
        return Target(methods.get(method) or WRONG_METHOD[path], path)
    if path.startswith(management.PREFIX):
        return management.target(scope["raw_path"], method)
    if path == "/":
        return Target(PAGE_ONLY, path)
    key, slash, rest = path[1:].partition("/")
    methods = LEGACY.get(slash + rest)
    if methods is not None:
        return Target(methods.get(method) or WRONG_METHOD["/" + rest], "/{key}/" + rest, key.encode())
    return Target(NOT_FOUND, "/{key}/" + rest if len(key) >= _KEY_CHARACTERS_MIN else path)
