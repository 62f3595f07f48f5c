"""Why features are on or off: for the page, and for the loader that asks with its key."""

import time

from starlette.requests import Request
from starlette.responses import Response

from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.environments import Environments
from bucket_loader.emulator.evaluation import contexts, evaluated
from bucket_loader.emulator.http import asked
from bucket_loader.emulator.inspector import views


async def explanations(environments: Environments, request: Request) -> Response:
    """Hold all features against a context, as GET /features/evaluated does, and answer with why each is on or off."""
    environment = _asked_about(environments, request)
    try:
        sent = contexts.read(request.query_params.multi_items(), environment.edition)
    except contexts.WrongContextError as error:
        raise asked.wrong_query(str(error)) from error
    store, edition, now_ms = environment.store, environment.edition, time.time() * 1000
    fields = {**evaluated.remembered(store, sent, edition), **sent}
    found = [
        evaluated.explained(feature, fields, now_ms, edition, store.opt_ins)
        for feature in environment.definitions.features
    ]
    return asked.as_json(views.Explanations(explanations=found))


def _asked_about(environments: Environments, request: Request) -> Environment:
    """Return the environment that the query names; else the one whose key the call carries; else `main`."""
    name = request.query_params.get("environment")
    if name is not None:
        return asked.known(environments.get(name), "environment")
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    token = key.strip().encode() if scheme.lower() == "bearer" else b""
    return environments.by_secret.get(token) or environments.by_publishable.get(token) or environments.main
