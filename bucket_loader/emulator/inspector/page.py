"""The page at `/`: what is in here, for people who look rather than read. It asks no other host."""

from collections.abc import Mapping
from importlib import resources
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from bucket_loader.emulator.environments import Environments

_KINDS: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_STATIC: Final = resources.files("bucket_loader.emulator.inspector").joinpath("static")
# The media type of each file.
FILES: Final = {file.name: _KINDS[PurePath(file.name).suffix] for file in _STATIC.iterdir()}
# What a record holds may look like HTML: nothing on the page may run but its own script, nor speak to another host.
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


async def show(_: Request) -> Response:
    """Return the page."""
    return _file("index.html")


async def asset(_: "Environments", request: Request) -> Response:
    """Return one of the files that the page is made of."""
    return _file(request.path_params["name"])


def _file(name: str) -> Response:
    if name not in FILES:
        raise HTTPException(404, "There is no such file")
    return Response(_STATIC.joinpath(name).read_bytes(), media_type=FILES[name], headers=_HEADERS)
