"""Listing, making and taking away environments."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from bucket_loader.emulator.answers import refusal
from bucket_loader.emulator.environments import Environments, Known, Wanted
from bucket_loader.emulator.http import asked
from bucket_loader.emulator.inspector import views
from bucket_loader.model import StateError, UsageError, json_mistake

Perform: TypeAlias = Callable[[Environments, Request], Awaitable[Response]]


async def listed(environments: Environments, _: Request) -> Response:
    """Return all environments, `main` first."""
    return asked.as_json(views.EnvironmentsView([Known.of(environment) for environment in environments]))


async def make(environments: Environments, request: Request) -> Response:
    """Make an environment; without a body, one with a name and keys that are made up."""
    try:
        wanted = msgspec.json.decode(await asked.body(request) or b"{}", type=Wanted)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise asked.wrong_body("Malformed environment", json_mistake(error, "body")) from error
    try:
        environment = environments.make(wanted)
    except UsageError as error:
        raise asked.RefusedError(refusal(409, "UNKNOWN_ERROR", f"{error.message}: {error.hint}")) from error
    except StateError as error:  # the disk's mistake, not the caller's
        raise asked.RefusedError(refusal(500, "UNKNOWN_ERROR", f"{error.message}: {error.hint}")) from error
    return asked.as_json(Known.of(environment))


async def remove(environments: Environments, request: Request) -> Response:
    """Take an environment away."""
    environment = asked.known(environments.get(request.path_params["name"]), "environment")
    if environment is environments.main:
        raise asked.RefusedError(refusal(409, "UNKNOWN_ERROR", "This environment stays: reset it"))
    environments.remove(environment)
    return asked.as_json(views.Done())
