"""What can be asked of the emulator, path by path, in the words of OpenAPI: what the types of bodies do not say."""

from typing import Final

from bucket_loader.emulator.http.described import (
    ANY_KEY,
    CONTEXT_GIVEN,
    FIELD_BY_FIELD,
    FREE_OBJECT,
    SECRET_KEY,
    Schema,
    answers,
    body_of,
    in_path,
    in_query,
    ref,
)
from bucket_loader.emulator.http.endpoints import WAIT_S_MAX
from bucket_loader.emulator.store.effects import KNOWN_RECORDS, SHAPES, KnownRecord


def _write(summary: str, body: Schema, answer: str = "Success") -> Schema:
    return {"summary": summary, "security": ANY_KEY, **body_of(body), **answers(ref(answer), 400, 401, 413)}


_WAIT: Final = in_query(
    "waitForVersion",
    f"A flagStateVersion: the answer comes when it is there, at the latest after {WAIT_S_MAX:g} seconds.",
    {"type": "string"},  # what is no number is not waited for
)


def _evaluate(summary: str) -> Schema:
    parameters = [
        _WAIT,
        in_query("key", "Only this feature.", {"type": "string", "minLength": 1, "maxLength": 255}),
        CONTEXT_GIVEN,
    ]
    return {
        "summary": summary,
        "description": FIELD_BY_FIELD,
        "security": ANY_KEY,
        "parameters": parameters,
        **answers(ref("Evaluated"), 400, 401),
    }


_EVENT: Final[Schema] = {"type": "object", "required": ["data"], "properties": {"data": {"type": "string"}}}


def _stream(whom: str, keys: list[Schema], *refusals: int) -> Schema:
    return {
        "summary": f"The version of the definitions as server-sent events, now and after each change; {whom}",
        "security": keys,
        **answers(_EVENT, *refusals, media_type="text/event-stream"),
    }


def _with_type(name: str) -> Schema:
    """Return an item of /bulk: the record, which has to name its type there."""
    return {"allOf": [ref(name), {"type": "object", "required": ["type"]}]}


def _one_kind(record: KnownRecord) -> Schema:
    """Return what the endpoint of one kind takes and answers: a record, or also a list of them."""
    one = ref(record.shape.__name__)
    body: Schema = {"anyOf": [{"type": "array", "items": one}, one]} if record.takes_list else one
    return {"post": _write(record.kind.does, body, "FeedbackTaken" if record.kind.answer_id else "Success")}


_BULK: Final[Schema] = {
    "type": "array",
    "items": {"anyOf": [_with_type(shape.__name__) for shape in SHAPES]},
}

_NOT_LEGACY: Final = frozenset({"/bulk", "/features", "/flags/opt-in", "/sse/server", "/sse/client"})

API: Final[dict[str, Schema]] = {
    **{record.kind.path: _one_kind(record) for record in KNOWN_RECORDS},
    "/bulk": {"post": _write("Send records of any type, all of them or none", _BULK)},
    "/features": {
        "get": {
            "summary": "The definitions of all features; for the secret key alone",
            "security": SECRET_KEY,
            "parameters": [_WAIT],
            **answers(ref("DefinitionsShown"), 401, 403),
        }
    },
    "/features/enabled": {"get": _evaluate("The features that are on for a context")},
    "/features/evaluated": {"get": _evaluate("All features, each on or off for a context")},
    "/flags/opt-in": {
        "post": {
            **_write("Opt a user or a company into a feature that has optInEnabled, or out of it", ref("OptIn")),
            **answers(ref("OptedIn"), 400, 401, 404, 413),
        }
    },
    "/sse/server": {"get": _stream("for the secret key alone", SECRET_KEY, 401, 403)},
    "/sse/client": {"get": _stream("for either key", ANY_KEY, 401)},
    "/feedback/prompting-init": {"post": _write("Ask for surveys; there are none", FREE_OBJECT)},
    "/feedback/prompt-events": {"post": _write("Tell what became of a survey", FREE_OBJECT)},
}
LEGACY: Final = {path: methods for path, methods in API.items() if path not in _NOT_LEGACY} | {
    "/flags/evaluate": {"get": _evaluate("The flags that are on for a context")}
}


def legacy(operation: Schema) -> Schema:
    """Return an operation of the legacy API, with the key in its path instead of the header."""
    key = in_path("key", "The publishable key.", {"type": "string", "pattern": "^[A-Za-z0-9-][A-Za-z0-9_-]*$"})
    return {**operation, "security": [], "parameters": [key, *operation.get("parameters", [])]}
