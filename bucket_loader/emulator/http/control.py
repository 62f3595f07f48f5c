"""The prefix that the real API lacks: looking inside, and ordering what should happen. It needs no key."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route

from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.environments import MAIN, Environments
from bucket_loader.emulator.http import asked, explaining, identity, looks, openapi, registry, snapshots
from bucket_loader.emulator.inspector import lines, page, views
from bucket_loader.emulator.store.letters import LETTERS_MAX, Letters

PREFIX: Final = "/_emulator"


def control(environments: Environments) -> Starlette:
    """Make the app behind the prefix, and the page that looks through it."""
    of_all = [Route(path, _of_all(environments, methods), methods=list(methods)) for path, methods in ALL.items()]
    of_one = [Route(path, _of_one(environments, methods), methods=list(methods)) for path, methods in CONTROL.items()]
    routes = [
        Route("/", page.show, methods=["GET"]),
        Mount(f"{PREFIX}/environments/{{environment}}", routes=of_one),
        Mount(PREFIX, routes=[*of_all, *of_one]),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: asked.refuse, asked.RefusedError: asked.refuse})


Answering: TypeAlias = Callable[[Request], Awaitable[Response]]
Perform: TypeAlias = Callable[[Environment, Request], Awaitable[Response]]


def _of_one(environments: Environments, methods: dict[str, Perform]) -> Answering:
    """Make what answers about one environment: the one that the path names, or `main`."""

    async def answer(request: Request) -> Response:
        environment = environments.get(request.path_params.get("environment", MAIN))
        return await methods[_method(request)](asked.known(environment, "environment"), request)

    return answer


def _of_all(environments: Environments, methods: dict[str, registry.Perform]) -> Answering:
    async def answer(request: Request) -> Response:
        return await methods[_method(request)](environments, request)

    return answer


def _method(request: Request) -> str:
    return "GET" if request.method == "HEAD" else request.method


async def _state(environment: Environment, _: Request) -> Response:
    return asked.as_json(environment.counts())


async def _journal(environment: Environment, request: Request) -> Response:
    wanted = lines.Wanted(asked.number(request, "after", 0), asked.one_of(request, "type", lines.TYPES))
    pieces = lines.pieces(environment, wanted, asked.seconds(request, "wait", most=asked.WAIT_S_MAX))
    return StreamingResponse(pieces, media_type="application/x-ndjson")


async def _requests(environment: Environment, request: Request) -> Response:
    latest = environment.log.latest(asked.number(request, "limit", 100), only_refused=asked.is_true(request, "refused"))
    return asked.as_json(views.Requests([views.RequestView.of(noted) for noted in latest]))


async def _user(environment: Environment, request: Request) -> Response:
    user = environment.store.users.get(request.path_params["id"])
    return asked.as_json(views.UserView.of(asked.known(user, "user")))


async def _company(environment: Environment, request: Request) -> Response:
    company = environment.store.companies.get(request.path_params["id"])
    limit = asked.number(request, "limit", 0) or None
    return asked.as_json(views.CompanyView.of(asked.known(company, "company"), limit))


async def _features(environment: Environment, _: Request) -> Response:
    return Response(environment.features_body, media_type="application/json")


async def _put_features(environment: Environment, request: Request) -> Response:
    with asked.well_formed("features"):
        environment.define(await asked.body(request))
    return asked.as_json(views.Done())


async def _overrides(environment: Environment, _: Request) -> Response:
    version = environment.definitions.flag_state_version or 0
    return asked.as_json(views.Overrides(version, list(environment.overrides.values())))


async def _override(environment: Environment, request: Request) -> Response:
    with asked.well_formed("override"):
        environment.override(request.path_params["key"], await asked.body(request))
    return asked.as_json(views.Done())


async def _lift(environment: Environment, request: Request) -> Response:
    key = request.path_params["key"]
    asked.known(environment.overrides.get(key), "override")
    environment.lift(key)
    return asked.as_json(views.Done())


async def _rejected(environment: Environment, request: Request) -> Response:
    letters, limit = environment.letters(), asked.number(request, "limit", LETTERS_MAX)
    return asked.as_json(Letters(letters.rejected[:limit], letters.total))


async def _put_rejected(environment: Environment, request: Request) -> Response:
    try:
        environment.put_letters(msgspec.json.decode(await asked.large_body(request), type=Letters))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise asked.wrong_body("Malformed rejected rows", str(error)) from error
    return asked.as_json(views.Done())


async def _faults(environment: Environment, _: Request) -> Response:
    return asked.as_json(environment.faults.shown())


async def _put_faults(environment: Environment, request: Request) -> Response:
    with asked.well_formed("faults"):
        environment.arm(await asked.body(request))
    return asked.as_json(views.Done())


async def _reset(environment: Environment, _: Request) -> Response:
    environment.reset()
    return asked.as_json(views.Done())


async def _openapi(_: Environments, __: Request) -> Response:
    return Response(openapi.document(), media_type="application/json")


# What stands behind the prefix, and is described in `openapi`: first what is about none or all of the environments,
# then what is about one.
ALL: Final[dict[str, dict[str, registry.Perform]]] = {
    "/environments": {"GET": registry.listed, "POST": registry.make},
    "/environments/{name}": {"DELETE": registry.remove},
    "/explanations": {"GET": explaining.explanations},
    "/identity": {"GET": identity.tell},
    "/openapi.json": {"GET": _openapi},
    "/page/{name}": {"GET": page.asset},
}
CONTROL: Final[dict[str, dict[str, Perform]]] = {
    "/state": {"GET": _state},
    "/journal": {"GET": _journal},
    "/requests": {"GET": _requests},
    "/users/{id:path}": {"GET": _user},
    "/companies/{id:path}": {"GET": _company},
    "/requests/{number}": {"GET": looks.request},
    "/tables/{table}": {"GET": looks.table},
    "/tables/{table}/csv": {"GET": looks.table_as_csv},
    "/rejected": {"GET": _rejected, "PUT": _put_rejected},
    "/search": {"GET": looks.search},
    "/timeline": {"GET": looks.timeline},
    "/origins": {"GET": looks.origins},
    "/features": {"GET": _features, "PUT": _put_features},
    "/features/{key:path}": {"PUT": _override, "DELETE": _lift},
    "/overrides": {"GET": _overrides},
    "/holders": {"GET": looks.holders},
    "/counts": {"GET": looks.counts},
    "/faults": {"GET": _faults, "PUT": _put_faults},
    "/snapshot": {"GET": snapshots.save, "PUT": snapshots.restore},
    "/reset": {"POST": _reset},
}
