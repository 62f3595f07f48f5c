"""The questions of the page: most are looks into a large store, which end after a moment and can go on."""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.http import asked
from bucket_loader.emulator.inspector import counting, searching, tables, timelines, views

_CURSOR: Final = re.compile(r"([0-9]{1,15})\.([0-9]{1,15})", re.ASCII)


async def search(environment: Environment, request: Request) -> Response:
    """Find users and companies."""
    text, limit = asked.text(request, "text"), asked.number(request, "limit", 20, least=1, most=asked.LIMIT_MAX)
    return asked.as_json(await searching.search(environment, text, asked.number(request, "after", 0), limit))


async def timeline(environment: Environment, request: Request) -> Response:
    """Return what arrived for a user or company."""
    after, limit = _place(request), asked.number(request, "limit", 50, least=1, most=asked.LIMIT_MAX)
    kind, identifier = _kind(request), asked.text(request, "id")
    return asked.as_json(await timelines.timeline(environment, kind, identifier, after, limit))


async def origins(environment: Environment, request: Request) -> Response:
    """Return which record last set each attribute of a user or company."""
    kind, identifier = _kind(request), asked.text(request, "id")
    return asked.as_json(await timelines.origins(environment, kind, identifier, asked.number(request, "after", 0)))


async def holders(environment: Environment, request: Request) -> Response:
    """Return who has a feature."""
    key, kind = asked.text(request, "feature"), _kind(request)
    feature = next((known for known in environment.definitions.features if known.key == key), None)
    after, limit = asked.number(request, "after", 0), asked.number(request, "limit", 50, most=asked.LIMIT_MAX)
    return asked.as_json(await counting.holders(environment, asked.known(feature, "feature"), kind, after, limit))


async def counts(environment: Environment, _: Request) -> Response:
    """Return how many have each feature."""
    return asked.as_json(await counting.counts(environment))


async def table(environment: Environment, request: Request) -> Response:
    """Return rows of a table."""
    name, text = _table(request), request.query_params.get("text", "")
    limit = asked.number(request, "limit", 50, least=1, most=asked.LIMIT_MAX)
    return asked.as_json(await tables.rows(environment, name, text, tables.Place(*_place(request)), limit))


async def table_as_csv(environment: Environment, request: Request) -> Response:
    """Return a whole table as CSV, or the rows of it that hold a text."""
    name = _table(request)
    pieces = tables.as_csv(environment, name, request.query_params.get("text", ""))
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(pieces, media_type="text/csv", headers=headers)


async def request(environment: Environment, request: Request) -> Response:
    """Return one of the latest calls, word by word as far as it is kept."""
    number = asked.digits(request.path_params["number"])
    noted = asked.known(environment.log.find(number), "request; the latest 1,000 are kept")
    exchange = environment.log.exchanges.get(number)
    keys = (environment.keys.secret, environment.keys.publishable)
    return asked.as_json(views.RequestWhole.of(noted, exchange, keys))


def _place(request: Request) -> tuple[int, int]:
    place = _CURSOR.fullmatch(request.query_params.get("after", "0.0"))
    if place is None:
        raise asked.wrong_query("after: must be the `next` of the answer before")
    return int(place[1]), int(place[2])


def _kind(request: Request) -> views.Kind:
    kind = asked.one_of(request, "kind", views.SUBJECTS)
    if kind is None:
        raise asked.wrong_query("kind: must say which kind")
    return kind


def _table(request: Request) -> str:
    name: str = request.path_params["table"]
    return asked.known(name if name in tables.TABLES else None, "table")
