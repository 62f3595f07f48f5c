"""The prefix that the real API lacks: looking inside, and ordering what should happen. It needs no key."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from bucket_loader.emulator.answers import Answer, refusal
from bucket_loader.emulator.emulator import BODY_BYTES_MAX, Emulator
from bucket_loader.emulator.store import Company, Seen, User
from bucket_loader.errors import UsageError

PREFIX: Final = "/_emulator"
_PIECE_BYTES: Final = 262_144  # of the journal: large enough to be quick, small enough to let calls in between
_REQUESTS_SHOWN: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def control(emulator: Emulator) -> Starlette:
    """Make the app behind the prefix."""
    does = _Control(emulator)
    routes = [
        Route("/state", does.state, methods=["GET"]),
        Route("/journal", does.journal, methods=["GET"]),
        Route("/requests", does.requests, methods=["GET"]),
        Route("/users/{id:path}", does.user, methods=["GET"]),
        Route("/companies/{id:path}", does.company, methods=["GET"]),
        Route("/features", does.put_features, methods=["PUT"]),
        Route("/faults", does.put_faults, methods=["PUT"]),
        Route("/reset", does.reset, methods=["POST"]),
    ]
    prefixed = [Route(PREFIX + route.path, route.endpoint, methods=list(route.methods or ())) for route in routes]
    return Starlette(routes=prefixed, exception_handlers={HTTPException: _refuse})


class _Control:
    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def state(self, _: Request) -> Response:
        store, log = self._emulator.store, self._emulator.log
        return _json(
            {
                "users": len(store.users),
                "companies": len(store.companies),
                "events": store.events,
                "feedback": store.feedback,
                "feature_events": store.feature_events,
                "unassociated_events": store.unassociated_events,
                "requests": log.requests,
                "refused": log.refused,
            }
        )

    async def journal(self, _: Request) -> Response:
        return StreamingResponse(self._journal_pieces(), media_type="application/x-ndjson")

    async def _journal_pieces(self) -> AsyncIterator[bytes]:
        piece = bytearray()
        for entry in self._emulator.journal.entries():
            piece += b"".join(entry.lines())
            if len(piece) >= _PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
                await asyncio.sleep(0)  # calls come first
        yield bytes(piece)

    async def requests(self, request: Request) -> Response:
        limit = request.query_params.get("limit", str(_REQUESTS_SHOWN))
        if not (limit.isascii() and limit.isdecimal()):
            return _sent(refusal(400, "QUERY_VALIDATION_FAILED", "limit: Expected a number"))
        shown = [
            {**msgspec.structs.asdict(noted), "at": _time(noted.at_ms)}
            for noted in self._emulator.log.latest(int(limit))
        ]
        for one in shown:
            del one["at_ms"]
        return _json({"requests": shown})

    async def user(self, request: Request) -> Response:
        user = self._emulator.store.users.get(request.path_params["id"])
        return _unknown("user") if user is None else _json(_user(user))

    async def company(self, request: Request) -> Response:
        company = self._emulator.store.companies.get(request.path_params["id"])
        return _unknown("company") if company is None else _json(_company(company))

    async def put_features(self, request: Request) -> Response:
        try:
            self._emulator.define(await _body(request))
        except UsageError as error:
            return _sent(refusal(400, "BODY_VALIDATION_FAILED", "Malformed features", mistakes=[error.message]))
        return _json({"success": True})

    async def put_faults(self, request: Request) -> Response:
        try:
            self._emulator.arm(await _body(request))
        except UsageError as error:
            return _sent(refusal(400, "BODY_VALIDATION_FAILED", "Malformed faults", mistakes=[error.message]))
        return _json({"success": True})

    async def reset(self, _: Request) -> Response:
        self._emulator.reset()
        return _json({"success": True})


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES_MAX:
            raise HTTPException(413, "The body is too large")
    return bytes(body)


def _user(user: User) -> dict[str, Any]:
    return {
        "userId": user.id,
        "attributes": msgspec.Raw(user.attributes),
        "companies": user.companies,
        "defaultCompany": user.default_company,
        **_seen(user),
    }


def _company(company: Company) -> dict[str, Any]:
    return {
        "companyId": company.id,
        "attributes": msgspec.Raw(company.attributes),
        "users": list(company.users),
        **_seen(company),
    }


def _seen(seen: Seen) -> dict[str, Any]:
    return {"firstSeen": _time(seen.first_ms), "lastSeen": _time(seen.last_ms), "events": seen.events}


def _time(moment_ms: float | None) -> str | None:
    """Write a time as every example of the API does: UTC, with milliseconds."""
    if moment_ms is None:
        return None
    moment = _EPOCH + timedelta(milliseconds=round(moment_ms))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(document: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json")


def _unknown(what: str) -> Response:
    return _sent(refusal(404, "UNKNOWN_ERROR", f"There is no such {what}"))


def _sent(answer: Answer) -> Response:
    return Response(answer.body, answer.status, media_type="application/json")


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # narrows the type
    response = _sent(refusal(error.status_code, "UNKNOWN_ERROR", error.detail))
    response.headers.update(error.headers or {})
    return response
