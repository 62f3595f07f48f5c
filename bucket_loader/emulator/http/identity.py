"""Which emulator this is: asked by a loader before it believes what it remembers of one."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from bucket_loader.emulator.environments import Environments
from bucket_loader.emulator.http import asked
from bucket_loader.emulator.http.auth import UNKNOWN_KEY, identify
from bucket_loader.emulator.inspector import views


@dataclass
class _Given:
    """What a call says of who makes it; the keys of the legacy APIs, too, come in the header here."""

    authorization: bytes
    query: bytes
    path_key: bytes | None = None


async def tell(environments: Environments, request: Request) -> Response:
    """Return the identity of the environment whose key is given, or of `main` without one."""
    given = _Given(request.headers.get("authorization", "").encode("latin-1"), request.url.query.encode())
    environment, rank = identify(environments, given)
    if rank == "unknown" and (given.authorization or given.query):
        raise asked.RefusedError(UNKNOWN_KEY)
    answer = asked.as_json(views.Identity(environment.identity.decode()))
    answer.raw_headers.extend(environment.signed)
    return answer
