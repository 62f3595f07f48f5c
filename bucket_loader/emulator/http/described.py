"""The pieces that the descriptions of operations are made of, in the words of OpenAPI."""

from typing import Any, Final, TypeAlias

from bucket_loader.emulator.evaluation import contexts
from bucket_loader.emulator.inspector import views

Schema: TypeAlias = dict[str, Any]

REFUSALS: Final = {
    400: "The body, the query or the content type is wrong",
    401: "The key is missing or not known",
    403: "The key is right, and not for this endpoint",
    404: "There is no such thing",
    409: "It cannot be so beside what is there already",
    413: "The body is too large",
}
FREE_OBJECT: Final[Schema] = {"type": "object"}


def ref(name: str) -> Schema:
    """Return a reference to a schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def content(schema: Schema, media_type: str = "application/json") -> Schema:
    """Describe what is sent or answered, of one media type."""
    return {"content": {media_type: {"schema": schema}}}


def answers(success: Schema, *refusals: int, media_type: str = "application/json") -> Schema:
    """Describe the answers of an operation: success, and the refusals with these statuses."""
    answers: Schema = {"200": {"description": "Done", **content(success, media_type)}}
    for status in refusals:
        answers[str(status)] = {"description": REFUSALS[status], **content(ref("Refusal"))}
    return {"responses": answers}


def body_of(schema: Schema) -> Schema:
    """Describe the body that an operation needs."""
    return {"requestBody": {"required": True, **content(schema)}}


def in_query(name: str, description: str, schema: Schema, *, required: bool = False) -> Schema:
    """Describe a parameter of the query."""
    return {"name": name, "in": "query", "description": description, "schema": schema, "required": required}


def in_path(name: str, description: str, schema: Schema) -> Schema:
    """Describe a parameter of the path."""
    return {"name": name, "in": "path", "description": description, "schema": schema, "required": True}


TEXT: Final[Schema] = {"type": "string", "minLength": 1}
LIMIT: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 500}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}
KIND: Final[Schema] = {"enum": list(views.SUBJECTS)}
TIME: Final[Schema] = {"type": "string", "pattern": r"^([0-5]?[0-9](\.[0-9]{1,6})?s|[0-9]{1,4}ms)$"}
ANY_KEY: Final[list[Schema]] = [{"bearer": []}, {"publishableKey": []}]
SECRET_KEY: Final[list[Schema]] = [{"bearer": []}]


def look(summary: str, answer: Schema, *parameters: Schema, refusals: tuple[int, ...] = ()) -> Schema:
    """Describe an operation that only looks, and needs no key."""
    return {"summary": summary, "security": [], "parameters": list(parameters), **answers(answer, *refusals)}


SINGLE: Final[Schema] = {"type": ["string", "number", "boolean", "null", "array"]}
VALUE: Final[Schema] = {"anyOf": [SINGLE, {"type": "object", "additionalProperties": SINGLE}]}
ATTRIBUTES: Final[Schema] = {"type": "object", "additionalProperties": VALUE}
NAMED: Final[Schema] = {**ATTRIBUTES, "properties": {"id": {"type": ["string", "number"]}}}
CONTEXT: Final[Schema] = {
    "type": "object",
    "properties": {root: NAMED if root in contexts.WITH_ID else ATTRIBUTES for root in contexts.ROOTS},
    "additionalProperties": False,
}


CONTEXT_GIVEN: Final[Schema] = {
    "name": contexts.CONTEXT_JSON,
    "in": "query",
    "description": "Whom it is about; what is stored of the user and the company is filled in. "
    f"At most {contexts.CONTEXT_JSON_BYTES_MAX} bytes before URL encoding.",
    **content(CONTEXT),
}
FIELD_BY_FIELD: Final = (
    f"A context of single values may be given field by field instead, and not beside `{contexts.CONTEXT_JSON}`: "
    "`context.company.id=42&context.company.plan=pro`."
)
