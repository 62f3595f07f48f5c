"""What can be asked of the management API, path by path, in the words of OpenAPI."""

import re
from typing import Final

from bucket_loader.emulator.http.described import Schema, ref
from bucket_loader.emulator.management import flags

_REFUSALS: Final = {
    400: "The body, the query or the content type is wrong, or it cannot be done",
    401: "The key is missing or not known",
    403: "The key is not the secret one",
    404: "There is no such thing",
}
_NEEDED: Final = ("NewFlag", "FlagUpdates")  # of the other bodies all members may be left out, and so may they
_TEXT: Final[Schema] = {"type": "string", "minLength": 1}
_IDS: Final = {
    "appId": "The app of the key.",
    "envId": "The environment of the key.",
    "flagId": "A flag's id, which is not its key.",
    "userId": "A user's id; whatever it holds, percent-encoded.",
    "companyId": "A company's id; whatever it holds, percent-encoded.",
}


def _content(schema: str) -> Schema:
    return {"content": {"application/json": {"schema": ref(schema)}}}


def _call(summary: str, answer: str, *, body: str | None = None, query: tuple[Schema, ...] = ()) -> Schema:
    """Return an operation; the names in its path are added to what the query takes."""
    described: Schema = {
        "summary": summary,
        "security": [{"bearer": []}],
        "parameters": list(query),
        "responses": {
            "200": {"description": "Done", **_content(answer)},
            **{str(status): {"description": why, **_content("ManagementRefusal")} for status, why in _REFUSALS.items()},
            "413": {"description": "The body is too large", **_content("Refusal")},
        },
    }
    if body is not None:
        described["requestBody"] = {"required": body in _NEEDED, **_content(body)}
    return described


def _query(name: str, description: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema, "required": required}


def _with_ids(path: str, methods: Schema) -> Schema:
    ids = [
        {"name": name, "in": "path", "description": _IDS[name], "schema": _TEXT, "required": True}
        for name in re.findall(r"{(\w+)}", path)
    ]
    return {
        method: {**described, "parameters": [*ids, *described["parameters"]]} for method, described in methods.items()
    }


_LISTED: Final = (
    _query("envId", "The environment of the key.", _TEXT, required=True),
    _query("sortBy", "What they are sorted by.", {"enum": list(flags.SORTED_BY)}),
    _query("sortOrder", "In which order.", {"enum": list(flags.SORT_ORDERS)}),
    _query("includeRemoteConfigs", "`true` or `1`: with their variants.", {"type": "string"}),
)
_APP: Final = "/api/apps/{appId}"
_USER: Final = f"{_APP}/envs/{{envId}}/users/{{userId}}"
_COMPANY: Final = f"{_APP}/envs/{{envId}}/companies/{{companyId}}"
_CALLS: Final[dict[str, Schema]] = {
    "/api/apps": {"get": _call("The app of the key", "Apps")},
    f"{_APP}/flags": {
        "get": _call("All flags", "Flags"),
        "post": _call("Make a flag, off for everybody", "FlagChanged", body="NewFlag"),
    },
    f"{_APP}/flags/{{flagId}}": {"patch": _call("Change a flag's name or marks", "FlagChanged", body="FlagChange")},
    _USER: {
        "put": _call("Create or update a user", "Entity", body="EntityChange"),
        "delete": _call("Delete a user", "Deleted"),
    },
    f"{_USER}/flags": {
        "get": _call("All flags, each on or off for a user", "EntityFlags"),
        "patch": _call("Turn flags on for a user by name, or end that", "EntityFlagsChanged", body="FlagUpdates"),
    },
    _COMPANY: {
        "put": _call("Create or update a company", "Entity", body="EntityChange"),
        "delete": _call("Delete a company, and the users that are in no other", "Deleted", body="CompanyDeletion"),
    },
    f"{_COMPANY}/flags": {
        "get": _call("All flags, each on or off for a company", "EntityFlags"),
        "patch": _call("Turn flags on for a company by name, or end that", "EntityFlagsChanged", body="FlagUpdates"),
    },
    "/api/bootstrap": {"get": _call("What the command line begins with", "Bootstrap")},
    f"{_APP}/features": {
        "get": _call("All flags, for the command line", "FlagsListed", query=_LISTED),
        "post": _call("Make a flag, for the command line", "FlagMade", body="NewFlag"),
    },
}
MANAGEMENT: Final = {path: _with_ids(path, methods) for path, methods in _CALLS.items()}
