"""Saving an environment, and restoring it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.http import asked
from bucket_loader.emulator.inspector import views
from bucket_loader.emulator.snapshot import SavedCall, Snapshot

_PIECE_BYTES: Final = 262_144  # large enough to be quick, small enough to let calls in between


async def save(environment: Environment, _: Request) -> Response:
    """Answer with all that the environment holds now; what comes while it is sent is not in it."""
    return StreamingResponse(pieces(environment), media_type="application/json")


async def restore(environment: Environment, request: Request) -> Response:
    """Let the environment be as a snapshot says, instead of all that is there."""
    with asked.well_formed("snapshot"):
        environment.restore(Snapshot.read(await asked.large_body(request)))
    return asked.as_json(views.Done())


async def pieces(environment: Environment) -> AsyncIterator[bytes]:
    """Yield the document; the calls are its last member.

    A reset meanwhile takes the rest of them away. The document breaks off then, so that nobody takes it for the whole.
    """
    calls, store = environment.journal.entries(), environment.store
    piece = bytearray(msgspec.json.encode(environment.settings())[:-1] + b',"calls":[')
    comma = b""
    for entry in calls:
        call = SavedCall(entry.request, views.time_text(entry.at_ms), entry.type, msgspec.Raw(entry.body))
        piece += comma + msgspec.json.encode(call)
        comma = b","
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
            await asyncio.sleep(0)
    if environment.store is store:
        yield bytes(piece) + b"]}"
