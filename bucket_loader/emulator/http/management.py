"""The management API: which call goes where, who may make it, and how it is refused. Source: MSDK, CLI."""

import re
from dataclasses import dataclass
from typing import ClassVar, Final
from urllib.parse import parse_qsl, unquote

import msgspec

from bucket_loader.emulator.answers import JSON_TYPE, Answer, raw_success, refusal
from bucket_loader.emulator.http.calls import Call, Endpoint, Target
from bucket_loader.emulator.http.endpoints import Refuse
from bucket_loader.emulator.management import apps, flags, shapes
from bucket_loader.emulator.management.asking import Action, Asked, RefusedError, app_id, env_id, invalid, missing
from bucket_loader.emulator.management.entities import Entities
from bucket_loader.model import COMPANY, USER

PREFIX: Final = "/api/"
_APP: Final = "/api/apps/{appId}"


def _of(entities: Entities) -> dict[str, dict[str, Action]]:
    one = f"{_APP}/envs/{{envId}}/{entities.kind.plural}/{{{entities.kind.subject}}}"
    return {
        one: {"PUT": entities.put, "DELETE": entities.delete},
        f"{one}/flags": {"GET": entities.list_flags, "PATCH": entities.change_flags},
    }


MANAGEMENT: Final[dict[str, dict[str, Action]]] = {
    "/api/apps": {"GET": apps.list_apps},
    f"{_APP}/flags": {"GET": flags.list_flags, "POST": flags.create_flag},
    f"{_APP}/flags/{{flagId}}": {"PATCH": flags.change_flag},
    **_of(Entities(USER, "delete-user", shapes.UserDeletion)),
    **_of(Entities(COMPANY, "delete-company", shapes.CompanyDeletion)),
    # Only the command line calls these; no document names them.
    "/api/bootstrap": {"GET": apps.bootstrap},
    f"{_APP}/features": {"GET": flags.list_features, "POST": flags.create_feature},
}
_PLACES: Final = [(re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)), path) for path in MANAGEMENT]


@dataclass(frozen=True)
class Look(Endpoint):
    """A call that reads.

    Attributes:
        action: what is done.
        ids: what the path names.
    """

    action: Action
    ids: dict[str, str]

    def perform(self, call: Call) -> Answer:
        """Do what the call asks, if it may."""
        try:
            return raw_success(msgspec.json.encode(self.action(self._asked(call))))
        except RefusedError as refused:
            return _refusal(refused)

    def _asked(self, call: Call) -> Asked:
        environment = call.environment
        _check_key(call)
        if call.body and call.content_type.partition(b";")[0].strip().lower() != JSON_TYPE:
            raise invalid("Content-Type", f"must be {JSON_TYPE.decode()}")
        for name, what, known in (("appId", "app", app_id), ("envId", "environment", env_id)):
            if self.ids.get(name, known(environment)) != known(environment):
                raise missing(what)
        query = dict(parse_qsl(call.query.decode("latin-1"), keep_blank_values=True))
        return Asked(environment, call.number, self.ids, query, call.body)


class Change(Look):
    """A call that writes."""

    is_write: ClassVar[bool] = True


def target(raw_path: bytes, method: str) -> Target:
    """Return where a call goes; a name in its path may hold anything, percent-encoded."""
    text = raw_path.decode("latin-1")
    for place, path in _PLACES:
        found = place.fullmatch(text)
        if found is not None:
            ids = {name: unquote(value) for name, value in found.groupdict().items()}
            action = MANAGEMENT[path].get(method)
            if action is None:
                return Target(_WRONG_METHOD[path], path)
            return Target(Look(action, ids) if method == "GET" else Change(action, ids), path)
    return Target(_NOT_FOUND, text)


def _check_key(call: Call) -> None:
    if call.rank == "unknown":
        raise RefusedError(401, "unauthenticated", "The key is missing or not known")
    if call.rank != "secret":
        raise RefusedError(403, "unauthorized", "The management API needs the secret key, in the Authorization header")


def _refusal(refused: RefusedError, *headers: tuple[bytes, bytes]) -> Answer:
    issues = refused.refusal.issues or {}
    mistakes = [f"{field}: {mistake}" for field, mistakes in issues.items() for mistake in mistakes]
    answer = refusal(refused.status, "UNKNOWN_ERROR", str(refused), mistakes=mistakes, headers=headers)
    return msgspec.structs.replace(answer, body=msgspec.json.encode(refused.refusal))


_NOT_FOUND: Final = Refuse(_refusal(missing("endpoint")))
_WRONG_METHOD: Final = {
    path: Refuse(
        _refusal(
            RefusedError(405, "not_possible", "This endpoint has no such method"),
            (b"allow", ", ".join([*methods, "OPTIONS"]).encode()),
        )
    )
    for path, methods in MANAGEMENT.items()
}
