"""What can be asked of the emulator, path by path, in the words of OpenAPI: what the types of bodies do not say."""

from typing import Any, Final, TypeAlias

from bucket_loader.emulator.evaluation import contexts
from bucket_loader.emulator.http import asked
from bucket_loader.emulator.http.endpoints import WAIT_S_MAX
from bucket_loader.emulator.inspector import lines, page, views
from bucket_loader.emulator.store.effects import KNOWN_RECORDS, SHAPES, KnownRecord

Schema: TypeAlias = dict[str, Any]

_REFUSALS: Final = {
    400: "The body, the query or the content type is wrong",
    401: "The key is missing or not known",
    403: "The key is right, and not for this endpoint",
    404: "There is no such thing",
    409: "It cannot be so beside what is there already",
    413: "The body is too large",
}
_FREE_OBJECT: Final[Schema] = {"type": "object"}


def ref(name: str) -> Schema:
    """Return a reference to a schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def _content(schema: Schema, media_type: str = "application/json") -> Schema:
    return {"content": {media_type: {"schema": schema}}}


def _answers(success: Schema, *refusals: int, media_type: str = "application/json") -> Schema:
    answers: Schema = {"200": {"description": "Done", **_content(success, media_type)}}
    for status in refusals:
        answers[str(status)] = {"description": _REFUSALS[status], **_content(ref("Refusal"))}
    return {"responses": answers}


def _body(schema: Schema) -> Schema:
    return {"requestBody": {"required": True, **_content(schema)}}


def _query(name: str, description: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema, "required": required}


def _path(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "description": description, "schema": schema, "required": True}


_TEXT: Final[Schema] = {"type": "string", "minLength": 1}
_LIMIT: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 500}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}
_KIND: Final[Schema] = {"enum": list(views.SUBJECTS)}
_TIME: Final[Schema] = {"type": "string", "pattern": r"^([0-5]?[0-9](\.[0-9]{1,6})?s|[0-9]{1,4}ms)$"}
_ANY_KEY: Final[list[Schema]] = [{"bearer": []}, {"publishableKey": []}]
_SECRET_KEY: Final[list[Schema]] = [{"bearer": []}]


def _write(summary: str, body: Schema, answer: str = "Success") -> Schema:
    return {"summary": summary, "security": _ANY_KEY, **_body(body), **_answers(ref(answer), 400, 401, 413)}


_SINGLE: Final[Schema] = {"type": ["string", "number", "boolean", "null", "array"]}
_VALUE: Final[Schema] = {"anyOf": [_SINGLE, {"type": "object", "additionalProperties": _SINGLE}]}
_ATTRIBUTES: Final[Schema] = {"type": "object", "additionalProperties": _VALUE}
_NAMED: Final[Schema] = {**_ATTRIBUTES, "properties": {"id": {"type": ["string", "number"]}}}
_CONTEXT: Final[Schema] = {
    "type": "object",
    "properties": {root: _NAMED if root in contexts.WITH_ID else _ATTRIBUTES for root in contexts.ROOTS},
    "additionalProperties": False,
}


_CONTEXT_GIVEN: Final[Schema] = {
    "name": contexts.CONTEXT_JSON,
    "in": "query",
    "description": "Whom it is about; what is stored of the user and the company is filled in. "
    f"At most {contexts.CONTEXT_JSON_BYTES_MAX} bytes before URL encoding.",
    **_content(_CONTEXT),
}
_FIELD_BY_FIELD: Final = (
    f"A context of single values may be given field by field instead, and not beside `{contexts.CONTEXT_JSON}`: "
    "`context.company.id=42&context.company.plan=pro`."
)
_WAIT: Final = _query(
    "waitForVersion",
    f"A flagStateVersion: the answer comes when it is there, at the latest after {WAIT_S_MAX:g} seconds.",
    {"type": "string"},  # what is no number is not waited for
)


def _evaluate(summary: str) -> Schema:
    parameters = [
        _WAIT,
        _query("key", "Only this feature.", {"type": "string", "minLength": 1, "maxLength": 255}),
        _CONTEXT_GIVEN,
    ]
    return {
        "summary": summary,
        "description": _FIELD_BY_FIELD,
        "security": _ANY_KEY,
        "parameters": parameters,
        **_answers(ref("Evaluated"), 400, 401),
    }


_EVENT: Final[Schema] = {"type": "object", "required": ["data"], "properties": {"data": {"type": "string"}}}


def _stream(whom: str, keys: list[Schema], *refusals: int) -> Schema:
    return {
        "summary": f"The version of the definitions as server-sent events, now and after each change; {whom}",
        "security": keys,
        **_answers(_EVENT, *refusals, media_type="text/event-stream"),
    }


def _look(summary: str, answer: Schema, *parameters: Schema, refusals: tuple[int, ...] = ()) -> Schema:
    return {"summary": summary, "security": [], "parameters": list(parameters), **_answers(answer, *refusals)}


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
            "security": _SECRET_KEY,
            "parameters": [_WAIT],
            **_answers(ref("DefinitionsShown"), 401, 403),
        }
    },
    "/features/enabled": {"get": _evaluate("The features that are on for a context")},
    "/features/evaluated": {"get": _evaluate("All features, each on or off for a context")},
    "/flags/opt-in": {
        "post": {
            **_write("Opt a user or a company into a feature that has optInEnabled, or out of it", ref("OptIn")),
            **_answers(ref("OptedIn"), 400, 401, 404, 413),
        }
    },
    "/sse/server": {"get": _stream("for the secret key alone", _SECRET_KEY, 401, 403)},
    "/sse/client": {"get": _stream("for either key", _ANY_KEY, 401)},
    "/feedback/prompting-init": {"post": _write("Ask for surveys; there are none", _FREE_OBJECT)},
    "/feedback/prompt-events": {"post": _write("Tell what became of a survey", _FREE_OBJECT)},
}
LEGACY: Final = {path: methods for path, methods in API.items() if path not in _NOT_LEGACY} | {
    "/flags/evaluate": {"get": _evaluate("The flags that are on for a context")}
}


def legacy(operation: Schema) -> Schema:
    """Return an operation of the legacy API, with the key in its path instead of the header."""
    key = _path("key", "The publishable key.", {"type": "string", "pattern": "^[A-Za-z0-9-][A-Za-z0-9_-]*$"})
    return {**operation, "security": [], "parameters": [key, *operation.get("parameters", [])]}


_LIMITED: Final = _query("limit", "The most to give.", _LIMIT)
_AFTER: Final = _query("after", "The `next` of the look before.", _COUNT)
_KEY: Final = _path("key", "The key of a feature; whatever it holds, percent-encoded.", {**_TEXT, "maxLength": 255})
_ID: Final = _path("id", "The id; whatever it holds, percent-encoded.", _TEXT)

CONTROL: Final[dict[str, Schema]] = {
    "/state": {"get": _look("How much there is", ref("State"))},
    "/journal": {
        "get": {
            "summary": "Every item accepted, in order, one JSON object a line: `{request, type, item}`",
            "security": [],
            "parameters": [
                _query("after", "Only items of requests with a greater number.", _COUNT),
                _query("type", "Only items of this type.", {"enum": list(lines.TYPES)}),
                _query("wait", f"How long to wait for the first, {asked.WAIT_S_MAX}s at most.", _TIME),
            ],
            **_answers({"type": "string"}, 400, media_type="application/x-ndjson"),
        }
    },
    "/requests": {
        "get": _look(
            "The latest calls and their verdicts, newest first; 1,000 are kept",
            ref("Requests"),
            _query("limit", "The most to give.", _COUNT),
            _query("refused", "Only the refused; of these 1,000 are kept as well.", {"type": "boolean"}),
            refusals=(400,),
        )
    },
    "/users/{id}": {"get": _look("A user", ref("UserView"), _ID, refusals=(404,))},
    "/companies/{id}": {
        "get": _look(
            "A company",
            ref("CompanyView"),
            _ID,
            _query("limit", "The most users to name; all by default.", _COUNT),
            refusals=(400, 404),
        )
    },
    "/search": {
        "get": _look(
            "Users and companies, by id or by anything in their attributes",
            ref("Search"),
            _query("text", "What to look for.", _TEXT, required=True),
            _AFTER,
            _LIMITED,
            refusals=(400,),
        )
    },
    "/timeline": {
        "get": _look(
            "What arrived for a user or company, in order",
            ref("Timeline"),
            _query("kind", "Which of the two.", _KIND, required=True),
            _query("id", "Its id.", _TEXT, required=True),
            _query(
                "after", "The `next` of the look before.", {"type": "string", "pattern": r"^[0-9]{1,15}\.[0-9]{1,15}$"}
            ),
            _LIMITED,
            refusals=(400,),
        )
    },
    "/features": {
        "get": _look("The definitions, without a key", ref("DefinitionsShown")),
        "put": {
            "summary": "Replace all definitions",
            "security": [],
            **_body(ref("Definitions")),
            **_answers(ref("Done"), 400, 413),
        },
    },
    "/features/{key}": {
        "put": {
            "summary": "Override one feature: on or off for everybody, or with a whole definition",
            "security": [],
            "parameters": [_KEY],
            **_body({"anyOf": [ref("Forced"), ref("Definition")]}),
            **_answers(ref("Done"), 400, 413),
        },
        "delete": _look("Lift an override", ref("Done"), _KEY, refusals=(404,)),
    },
    "/overrides": {"get": _look("The overrides, as definitions", ref("Overrides"))},
    "/holders": {
        "get": _look(
            "Who has a feature",
            ref("Holders"),
            _query("feature", "Its key.", _TEXT, required=True),
            _query("kind", "Users or companies.", _KIND, required=True),
            _AFTER,
            _query("limit", "The most to name; 0 to count only.", {**_LIMIT, "minimum": 0}),
            refusals=(400, 404),
        )
    },
    "/faults": {
        "get": _look("The faults that are ordered now", ref("FaultsView")),
        "put": {
            "summary": "Order what should go wrong, in place of what was ordered before",
            "security": [],
            **_body(ref("Order")),
            **_answers(ref("Done"), 400, 413),
        },
    },
    "/snapshot": {
        "get": _look(
            "All that is held: definitions, overrides, faults, the log, and every accepted call", ref("Snapshot")
        ),
        "put": {
            "summary": "Restore a snapshot, in place of all that is held",
            "security": [],
            **_body(ref("Snapshot")),
            **_answers(ref("Done"), 400, 413),
        },
    },
    "/reset": {"post": _look("Be as at the very first start", ref("Done"))},
}
ALL: Final[dict[str, Schema]] = {
    "/environments": {
        "get": _look("All environments, with their keys", ref("EnvironmentsView")),
        "post": {
            "summary": "Make an environment: a pair of keys with a store of its own",
            "security": [],
            "requestBody": {"required": False, **_content(ref("Wanted"))},
            **_answers(ref("Known"), 400, 409, 413),
        },
    },
    "/environments/{name}": {
        "delete": {
            "summary": "Take an environment away, with all that it holds; `main` stays",
            "security": [],
            "parameters": [_path("name", "Its name.", _TEXT)],
            **_answers(ref("Done"), 404, 409),
        }
    },
    "/explanations": {
        "get": {
            **_look(
                "Why each feature is on or off for a context: its rules, their conditions, and the values they met",
                ref("Explanations"),
                _query("environment", "Which one; by default that of the key, if there is one, or `main`.", _TEXT),
                _CONTEXT_GIVEN,
                refusals=(400, 404),
            ),
            "description": _FIELD_BY_FIELD,
        }
    },
    "/identity": {
        "get": {
            **_look(
                "Which emulator this is: another after each start without `--data`, reset or restore", ref("Identity")
            ),
            **_answers(ref("Identity"), 401),
            "security": [{}, *_ANY_KEY],
        }
    },
    "/openapi.json": {"get": _look("This description", _FREE_OBJECT)},
    "/page/{name}": {
        "get": {
            "summary": "A part of the page",
            "security": [],
            "parameters": [_path("name", "The file.", {"enum": list(page.FILES)})],
            "responses": {
                "200": {
                    "description": "The file",
                    "content": {kind: {"schema": {"type": "string"}} for kind in page.FILES.values()},
                },
                "404": {"description": _REFUSALS[404], **_content(ref("Refusal"))},
            },
        }
    },
}


def of_one(operation: Schema) -> Schema:
    """Return an operation of the control API for the environment that its path names."""
    name = _path("environment", "The name of the environment.", _TEXT)
    unknown = {"404": {"description": _REFUSALS[404], **_content(ref("Refusal"))}}
    parameters = [name, *operation.get("parameters", [])]
    return {**operation, "parameters": parameters, "responses": {**operation["responses"], **unknown}}


PAGE: Final[Schema] = {
    "get": {
        "summary": "What is in here, for people",
        "security": [],
        **_answers({"type": "string"}, media_type="text/html"),
    }
}
