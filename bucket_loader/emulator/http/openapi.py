"""Describes everything that the emulator serves, as OpenAPI 3.1.

The shapes are those that requests are read with and answers are made from (`contract`, `features`, `fault_order`,
`views`); what is written here beside them is what their types do not say.
"""

import functools
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

from bucket_loader.emulator.evaluation import features
from bucket_loader.emulator.faults import order as fault_order
from bucket_loader.emulator.inspector import views
from bucket_loader.emulator.store import wire
from bucket_loader.model import ERROR_CODES, FEATURE_EVENT, KINDS, LENIENT, Kind, rules

Schema: TypeAlias = dict[str, Any]

# --- answers that are put together elsewhere, from no type ---------------------------------------------------------


class Success(Struct):
    """The call was applied."""

    success: Literal[True]


class FeedbackTaken(Struct, rename="camel"):
    """The feedback was applied; its id amends it later."""

    success: Literal[True]
    feedback_id: str


class Mistake(Struct, forbid_unknown_fields=True):
    """One thing that is wrong: `[17].userId: Expected ...` names the item and the field."""

    message: str


class Error(Struct, rename="camel", forbid_unknown_fields=True):
    """Why a call was refused."""

    code: ERROR_CODES
    message: str
    validation_errors: list[Mistake]


class Refusal(Struct, forbid_unknown_fields=True):
    """The call was refused, and nothing of it applied."""

    success: Literal[False]
    error: Error


class DefinitionsShown(features.Definitions, rename="camel", kw_only=True):
    """Every feature, with its rules and variants."""

    success: Literal[True]


class EvaluatedConfig(Struct, rename="camel"):
    """The variant of a feature's config; `key` and `name` are the same."""

    key: str | None
    name: str | None
    version: int
    default: bool
    payload: Any
    rule_evaluation_results: list[bool]
    missing_context_fields: list[str]


class EvaluatedFeature(Struct, rename="camel"):
    """A feature for one context; `value` and `version` are what the first clients read."""

    key: str
    is_enabled: bool
    targeting_version: int
    rule_evaluation_results: list[bool]
    missing_context_fields: list[str]
    value: bool
    version: int
    config: EvaluatedConfig | UnsetType = UNSET


class Flag(Struct):
    """A feature, as the legacy API names it."""

    key: str
    value: bool
    version: int


class Evaluated(Struct, rename="camel"):
    """Features for one context, by key; `flags` is there in the legacy API."""

    success: Literal[True]
    features: dict[str, EvaluatedFeature]
    remote_context_used: bool
    flag_state_version: int
    flags: dict[str, Flag] | UnsetType = UNSET


_RECORDS: Final[tuple[type[Struct], ...]] = (*LENIENT.values(), wire.PromptEvent, wire.ChannelStatusEvent)
_STRUCTS: Final[tuple[type[Struct], ...]] = (
    *_RECORDS, features.Definitions, fault_order.Order,
    Success, FeedbackTaken, Refusal, DefinitionsShown, Evaluated, views.Done, views.State, views.Requests,
    views.UserView, views.CompanyView, views.Timeline, views.Search, views.Holders, fault_order.FaultsView,
)  # fmt: skip

# --- the parts of an operation -------------------------------------------------------------------------------------

_REFUSALS: Final = {
    400: "The body, the query or the content type is wrong",
    401: "The key is missing or not known",
    403: "The key is right, and not for this endpoint",
    404: "There is no such thing",
    413: "The body is too large",
}
_FREE_OBJECT: Final[Schema] = {"type": "object"}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(schema: Schema, media_type: str = "application/json") -> Schema:
    return {"content": {media_type: {"schema": schema}}}


def _answers(success: Schema, *refusals: int, media_type: str = "application/json") -> Schema:
    answers: Schema = {"200": {"description": "Done", **_content(success, media_type)}}
    for status in refusals:
        answers[str(status)] = {"description": _REFUSALS[status], **_content(_ref("Refusal"))}
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
_ANY_KEY: Final[list[Schema]] = [{"bearer": []}, {"publishableKey": []}]
_SECRET_KEY: Final[list[Schema]] = [{"bearer": []}]


def _write(summary: str, body: Schema, answer: str = "Success") -> Schema:
    return {"summary": summary, "security": _ANY_KEY, **_body(body), **_answers(_ref(answer), 400, 401, 413)}


def _evaluate(summary: str) -> Schema:
    parameters = [
        _query("key", "Only this feature.", {"type": "string", "minLength": 1, "maxLength": 255}),
        _query("context.user.id", "The user; stored attributes are filled in.", {"type": "string"}),
        _query("context.company.id", "The company; stored attributes are filled in.", {"type": "string"}),
    ]
    described = "Any other field is given the same way: `context.company.plan=pro`."
    answers = _answers(_ref("Evaluated"), 400, 401)
    return {
        "summary": summary,
        "description": described,
        "security": _ANY_KEY,
        "parameters": parameters,
        **answers,
    }


def _look(summary: str, answer: Schema, *parameters: Schema, refusals: tuple[int, ...] = ()) -> Schema:
    return {"summary": summary, "security": [], "parameters": list(parameters), **_answers(answer, *refusals)}


def _with_type(name: str) -> Schema:
    """Return an item of /bulk: the record, which has to name its type there."""
    return {"allOf": [_ref(name), {"type": "object", "required": ["type"]}]}


_BULK: Final[Schema] = {
    "type": "array",
    "items": {"anyOf": [_with_type(record.__name__) for record in _RECORDS]},
}


def _taken_by(kind: Kind) -> Schema:
    """Return the body that the endpoint of a kind takes: a record, and of feature events a list of them too."""
    record = _ref(LENIENT[kind.name].__name__)
    return {"anyOf": [{"type": "array", "items": record}, record]} if kind is FEATURE_EVENT else record


_API: Final[dict[str, Schema]] = {
    **{
        kind.path: {"post": _write(kind.does, _taken_by(kind), "FeedbackTaken" if kind.answer_id else "Success")}
        for kind in KINDS.values()
    },
    "/bulk": {"post": _write("Send records of any type, all of them or none", _BULK)},
    "/features": {
        "get": {
            "summary": "The definitions of all features; for the secret key alone",
            "security": _SECRET_KEY,
            **_answers(_ref("DefinitionsShown"), 401, 403),
        }
    },
    "/features/enabled": {"get": _evaluate("The features that are on for a context")},
    "/features/evaluated": {"get": _evaluate("All features, each on or off for a context")},
    "/feedback/prompting-init": {"post": _write("Ask for surveys; there are none", _FREE_OBJECT)},
    "/feedback/prompt-events": {"post": _write("Tell what became of a survey", _FREE_OBJECT)},
}
_LEGACY: Final = {path: methods for path, methods in _API.items() if path not in {"/bulk", "/features"}} | {
    "/flags/evaluate": {"get": _evaluate("The flags that are on for a context")}
}


def _legacy(operation: Schema) -> Schema:
    key = _path("key", "The publishable key.", {"type": "string", "pattern": "^[A-Za-z0-9-][A-Za-z0-9_-]*$"})
    return {**operation, "security": [], "parameters": [key, *operation.get("parameters", [])]}


_LIMITED: Final = _query("limit", "The most to give.", _LIMIT)
_AFTER: Final = _query("after", "The `next` of the look before.", _COUNT)
_ID: Final = _path("id", "The id; whatever it holds, percent-encoded.", _TEXT)

_CONTROL: Final[dict[str, Schema]] = {
    "/state": {"get": _look("How much there is", _ref("State"))},
    "/journal": {
        "get": {
            "summary": "Every item accepted, in order, one JSON object a line: `{request, type, item}`",
            "security": [],
            **_answers({"type": "string"}, media_type="application/x-ndjson"),
        }
    },
    "/requests": {
        "get": _look(
            "The latest calls and their verdicts, newest first; 1,000 are kept",
            _ref("Requests"),
            _query("limit", "The most to give.", _COUNT),
            _query("refused", "Only the refused; of these 1,000 are kept as well.", {"type": "boolean"}),
            refusals=(400,),
        )
    },
    "/users/{id}": {"get": _look("A user", _ref("UserView"), _ID, refusals=(404,))},
    "/companies/{id}": {
        "get": _look(
            "A company",
            _ref("CompanyView"),
            _ID,
            _query("limit", "The most users to name; all by default.", _COUNT),
            refusals=(400, 404),
        )
    },
    "/search": {
        "get": _look(
            "Users and companies, by id or by anything in their attributes",
            _ref("Search"),
            _query("text", "What to look for.", _TEXT, required=True),
            _AFTER,
            _LIMITED,
            refusals=(400,),
        )
    },
    "/timeline": {
        "get": _look(
            "What arrived for a user or company, in order",
            _ref("Timeline"),
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
        "get": _look("The definitions, without a key", _ref("DefinitionsShown")),
        "put": {
            "summary": "Replace all definitions",
            "security": [],
            **_body(_ref("Definitions")),
            **_answers(_ref("Done"), 400, 413),
        },
    },
    "/holders": {
        "get": _look(
            "Who has a feature",
            _ref("Holders"),
            _query("feature", "Its key.", _TEXT, required=True),
            _query("kind", "Users or companies.", _KIND, required=True),
            _AFTER,
            _query("limit", "The most to name; 0 to count only.", {**_LIMIT, "minimum": 0}),
            refusals=(400, 404),
        )
    },
    "/faults": {
        "get": _look("The faults that are ordered now", _ref("FaultsView")),
        "put": {
            "summary": "Order what should go wrong, in place of what was ordered before",
            "security": [],
            **_body(_ref("Order")),
            **_answers(_ref("Done"), 400, 413),
        },
    },
    "/reset": {"post": _look("Be as at the very first start", _ref("Done"))},
    "/openapi.json": {"get": _look("This description", _FREE_OBJECT)},
    "/page/{name}": {
        "get": {
            "summary": "A part of the page",
            "security": [],
            "parameters": [_path("name", "The file.", {"enum": ["index.html", "page.css", "page.js", "icon.svg"]})],
            "responses": {
                "200": {
                    "description": "The file",
                    "content": {
                        kind: {"schema": {"type": "string"}}
                        for kind in ("text/html", "text/css", "text/javascript", "image/svg+xml")
                    },
                },
                "404": {"description": _REFUSALS[404], **_content(_ref("Refusal"))},
            },
        }
    },
}
_PAGE: Final[Schema] = {
    "get": {
        "summary": "What is in here, for people",
        "security": [],
        **_answers({"type": "string"}, media_type="text/html"),
    }
}
_ABOUT: Final = (
    "The Bucket API on this machine. Which behaviour is documented, observed or assumed is in docs/fidelity.md. "
    "Faults that are ordered (`PUT /_emulator/faults`) make the calls of the API answer otherwise than told here. "
    "OPTIONS is answered with 204 on every path of the API."
)


@functools.cache
def document() -> bytes:
    """Return the description, as JSON."""
    described = {
        "openapi": "3.1.0",
        "info": {"title": "Bucket emulator", "version": version("bucket-loader"), "description": _ABOUT},
        "paths": {
            "/": _tagged("control", _PAGE),
            **{path: _tagged("API", methods) for path, methods in _API.items()},
            **{f"/{{key}}{path}": _tagged("legacy API", methods, _legacy) for path, methods in _LEGACY.items()},
            **{f"/_emulator{path}": _tagged("control", methods) for path, methods in _CONTROL.items()},
        },
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "The secret or the publishable key."},
                "publishableKey": {"type": "apiKey", "in": "query", "name": "publishableKey"},
            },
        },
    }
    return msgspec.json.encode(described)


def _tagged(tag: str, methods: Schema, change: Callable[[Schema], Schema] = dict) -> Schema:
    return {method: {"tags": [tag], **change(operation)} for method, operation in methods.items()}


# --- what types do not say -----------------------------------------------------------------------------------------

_TIMESTAMP: Final[Schema] = {
    "anyOf": [
        {"type": "number", "minimum": wire.MS_MIN, "maximum": wire.MS_MAX},
        {"type": "string", "format": "date-time"},
        {"type": "null"},
    ],
    "description": "Milliseconds since the epoch, or ISO-8601 with its offset; now when it is absent.",
}
_SCORE_OR_COMMENT: Final[Schema] = {
    "anyOf": [
        {"required": ["score"], "properties": {"score": {"type": "number"}}},
        {"required": ["comment"], "properties": {"comment": {"type": "string"}}},
    ]
}


# Filters inside filters; a type that nobody knows is accepted too, and matches nobody.
_INNER_FILTERS: Final[dict[str, Schema]] = {
    "filter": _ref("Filter"),
    "filters": {"type": "array", "items": _ref("Filter")},
}


def _schemas() -> Schema:
    _, schemas = msgspec.json.schema_components(
        (*_STRUCTS, *features.FILTERS.values()), ref_template="#/components/schemas/{name}"
    )
    for record in _RECORDS:
        schema = schemas[record.__name__]
        schema["required"] = [name for name in schema["required"] if name != "type"]  # only /bulk asks for it
        if "timestamp" in schema["properties"]:
            schema["properties"]["timestamp"] = _TIMESTAMP
    schemas["AcceptedFeedback"] |= _SCORE_OR_COMMENT
    known = [schemas[shape.__name__] for shape in features.FILTERS.values()]
    for schema in (schemas["Rule"], schemas["Variant"], *known):
        schema["properties"] |= {name: to for name, to in _INNER_FILTERS.items() if name in schema["properties"]}
    unknown = {"type": "string", "not": {"enum": list(features.FILTERS)}}
    other = {"type": "object", "required": ["type"], "properties": {"type": unknown}}
    schemas["Filter"] = {"anyOf": [*(_ref(shape.__name__) for shape in features.FILTERS.values()), other]}
    schemas["ContextFilter"] |= {
        "if": {"properties": {"operator": {"enum": sorted(rules.ONE_VALUE)}}},
        "then": {"required": ["values"], "properties": {"values": {"type": "array", "minItems": 1}}},
    }
    return dict(_in_ecma_262(schemas))


def _in_ecma_262(node: Any) -> Any:  # noqa: ANN401  # any JSON
    """Write patterns as JSON Schema has them."""
    if isinstance(node, dict):
        return {name: _pattern(value) if name == "pattern" else _in_ecma_262(value) for name, value in node.items()}
    return [_in_ecma_262(value) for value in node] if isinstance(node, list) else node


def _pattern(python: str) -> str:
    """Write a pattern without what only Python knows: the ends of a text, and a dot that is any character."""
    return python.replace(r"\A", "^").replace(r"\Z", "$").replace("(?s:.", r"(?:[\s\S]")
