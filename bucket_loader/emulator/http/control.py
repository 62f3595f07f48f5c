"""The prefix that the real API lacks: looking inside, and ordering what should happen. It needs no key."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeAlias, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from bucket_loader.emulator.answers import Answer, refusal
from bucket_loader.emulator.emulator import Emulator
from bucket_loader.emulator.http import openapi
from bucket_loader.emulator.http.calls import BODY_BYTES_MAX, DISCARDED_BYTES_MAX
from bucket_loader.emulator.inspector import page, queries, views
from bucket_loader.emulator.store import wire
from bucket_loader.model import UsageError

PREFIX: Final = "/_emulator"
_PIECE_BYTES: Final = 262_144  # of the journal: large enough to be quick, small enough to let calls in between


def control(emulator: Emulator) -> Starlette:
    """Make the app behind the prefix, and the page that looks through it."""
    routes = [Route("/", page.show, methods=["GET"])]
    routes += [
        Route(PREFIX + path, _endpoint(emulator, methods), methods=list(methods)) for path, methods in CONTROL.items()
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _refuse})


Perform: TypeAlias = Callable[[Emulator, Request], Awaitable[Response]]


def _endpoint(emulator: Emulator, methods: dict[str, Perform]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            method = "GET" if request.method == "HEAD" else request.method
            return await methods[method](emulator, request)
        except _RefusedError as refused:
            return _sent(refused.answer)

    return endpoint


class _RefusedError(Exception):
    """The call is not one that can be answered."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.error)
        self.answer = answer


async def _state(emulator: Emulator, _: Request) -> Response:
    return _json(emulator.counts())


async def _journal(emulator: Emulator, _: Request) -> Response:
    return StreamingResponse(_journal_pieces(emulator), media_type="application/x-ndjson")


async def _journal_pieces(emulator: Emulator) -> AsyncIterator[bytes]:
    piece = bytearray()
    for entry in emulator.journal.entries():
        piece += b"".join(entry.lines())
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
            await asyncio.sleep(0)  # calls come first
    yield bytes(piece)


async def _requests(emulator: Emulator, request: Request) -> Response:
    latest = emulator.log.latest(_number(request, "limit", 100), only_refused=_is_true(request, "refused"))
    return _json(views.Requests([views.RequestView.of(noted) for noted in latest]))


async def _user(emulator: Emulator, request: Request) -> Response:
    user = emulator.store.users.get(request.path_params["id"])
    return _json(views.UserView.of(_known(user, "user")))


async def _company(emulator: Emulator, request: Request) -> Response:
    company = emulator.store.companies.get(request.path_params["id"])
    limit = _number(request, "limit", 0) or None
    return _json(views.CompanyView.of(_known(company, "company"), limit))


async def _search(emulator: Emulator, request: Request) -> Response:
    text, limit = _text(request, "text"), _number(request, "limit", 20, least=1, most=LIMIT_MAX)
    return _json(await queries.search(emulator, text, _number(request, "after", 0), limit))


async def _timeline(emulator: Emulator, request: Request) -> Response:
    place = _CURSOR.fullmatch(request.query_params.get("after", "0.0"))
    if place is None:
        raise _wrong_query("after: Expected the `next` of the answer before")
    limit = _number(request, "limit", 50, least=1, most=LIMIT_MAX)
    after = (int(place[1]), int(place[2]))
    return _json(await queries.timeline(emulator, _kind(request), _text(request, "id"), after, limit))


async def _features(emulator: Emulator, _: Request) -> Response:
    return Response(emulator.features_body, media_type="application/json")


async def _holders(emulator: Emulator, request: Request) -> Response:
    key = _text(request, "feature")
    feature = next((known for known in emulator.definitions.features if known.key == key), None)
    after, limit = _number(request, "after", 0), _number(request, "limit", 50, most=LIMIT_MAX)
    return _json(await queries.holders(emulator, _known(feature, "feature"), _kind(request), after, limit))


async def _put_features(emulator: Emulator, request: Request) -> Response:
    try:
        emulator.define(await _body(request))
    except UsageError as error:
        return _sent(refusal(400, "BODY_VALIDATION_FAILED", "Malformed features", mistakes=[error.message]))
    return _json(views.Done())


async def _faults(emulator: Emulator, _: Request) -> Response:
    return _json(emulator.faults.shown())


async def _put_faults(emulator: Emulator, request: Request) -> Response:
    try:
        emulator.arm(await _body(request))
    except UsageError as error:
        return _sent(refusal(400, "BODY_VALIDATION_FAILED", "Malformed faults", mistakes=[error.message]))
    return _json(views.Done())


async def _reset(emulator: Emulator, _: Request) -> Response:
    emulator.reset()
    return _json(views.Done())


async def _openapi(_: Emulator, __: Request) -> Response:
    return Response(openapi.document(), media_type="application/json")


# What stands behind the prefix, and is described in `openapi`.
CONTROL: Final[dict[str, dict[str, Perform]]] = {
    "/state": {"GET": _state},
    "/journal": {"GET": _journal},
    "/requests": {"GET": _requests},
    "/users/{id:path}": {"GET": _user},
    "/companies/{id:path}": {"GET": _company},
    "/search": {"GET": _search},
    "/timeline": {"GET": _timeline},
    "/features": {"GET": _features, "PUT": _put_features},
    "/holders": {"GET": _holders},
    "/faults": {"GET": _faults, "PUT": _put_faults},
    "/reset": {"POST": _reset},
    "/openapi.json": {"GET": _openapi},
    "/page/{name}": {"GET": page.asset},
}


# --- reading what was asked ----------------------------------------------------------------------------------------

_CURSOR: Final = re.compile(r"([0-9]{1,15})\.([0-9]{1,15})", re.ASCII)
LIMIT_MAX: Final = 500
_DIGITS_MAX: Final = 15
_T = TypeVar("_T")


def _wrong_query(message: str) -> _RefusedError:
    return _RefusedError(refusal(400, "QUERY_VALIDATION_FAILED", message))


def _number(request: Request, name: str, default: int, *, least: int = 0, most: int = 10**15 - 1) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX and least <= int(text) <= most):
        raise _wrong_query(f"{name}: Expected a number from {least} to {most}")
    return int(text)


def _is_true(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "false")
    if text not in {"true", "false"}:
        raise _wrong_query(f"{name}: Expected true or false")
    return text == "true"


def _text(request: Request, name: str) -> str:
    text = request.query_params.get(name, "")
    if not text:
        raise _wrong_query(f"{name}: Expected a text")
    return text


def _kind(request: Request) -> views.Kind:
    kind = request.query_params.get("kind")
    if kind not in views.SUBJECTS:
        raise _wrong_query(f"kind: Expected {' or '.join(views.SUBJECTS)}")
    return kind


def _known(one: _T | None, what: str) -> _T:
    if one is None:
        raise _RefusedError(refusal(404, "UNKNOWN_ERROR", f"There is no such {what}"))
    return one


async def _body(request: Request) -> bytes:
    body, taken = bytearray(), 0
    try:
        async for piece in request.stream():
            taken += len(piece)
            if len(body) <= BODY_BYTES_MAX:
                body += piece
            if taken > DISCARDED_BYTES_MAX:
                break
    except ClientDisconnect:  # nobody hears the answer
        raise HTTPException(400, "The body ends before it is whole") from None
    if len(body) > BODY_BYTES_MAX:
        raise HTTPException(413, f"The body is larger than {BODY_BYTES_MAX} bytes")
    if wire.is_deep(bytes(body)):
        raise HTTPException(400, "The body is nested too deeply")
    return bytes(body)


def _json(document: msgspec.Struct | dict[str, int]) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json")


def _sent(answer: Answer) -> Response:
    return Response(answer.body, answer.status, media_type="application/json")


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # narrows the type
    response = _sent(refusal(error.status_code, "UNKNOWN_ERROR", error.detail))
    response.headers.update(error.headers or {})
    return response
