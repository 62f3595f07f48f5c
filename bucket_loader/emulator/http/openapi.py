"""Describes everything that the emulator serves, as OpenAPI 3.1.

The shapes are those that requests are read with and answers are made from (`effects`, `features`, `order`, `views`,
`shapes`); `operations` has what can be asked, and what is written here is what the types of bodies do not say.
"""

import functools
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Final

import msgspec
from msgspec import Struct

from bucket_loader.emulator import environments, snapshot
from bucket_loader.emulator.evaluation import features, overrides
from bucket_loader.emulator.faults import order
from bucket_loader.emulator.http import control_operations as inside, management_operations, operations, shapes
from bucket_loader.emulator.http.described import Schema, ref
from bucket_loader.emulator.inspector import views
from bucket_loader.emulator.management import shapes as managed
from bucket_loader.emulator.store import effects, letters, wire
from bucket_loader.emulator.store.effects import KNOWN_RECORDS, SHAPES
from bucket_loader.model import rules

_STRUCTS: Final[tuple[type[Struct], ...]] = (
    *SHAPES, features.Definitions, order.Order,
    shapes.Success, shapes.FeedbackTaken, shapes.Refusal, shapes.DefinitionsShown, shapes.Evaluated, views.State,
    effects.OptIn, shapes.OptedIn,
    views.Done, views.Requests, views.UserView, views.CompanyView, views.Timeline, views.Search, views.Holders,
    views.Explanations, views.RequestWhole, views.Rows, views.Origins, views.Counts, letters.Letters,
    managed.Bootstrap, managed.Apps, managed.Flags, managed.NewFlag, managed.FlagChange, managed.FlagChanged,
    managed.FlagsListed, managed.FlagMade, managed.EntityChange, managed.Entity, managed.CompanyDeletion,
    managed.Deleted, managed.EntityFlags, managed.FlagUpdates, managed.EntityFlagsChanged, managed.ManagementRefusal,
    order.FaultsView, environments.Wanted, environments.Known, views.EnvironmentsView, views.Identity,
    views.Overrides,
    overrides.Forced, snapshot.Snapshot, *features.FILTERS.values(),
)  # fmt: skip
_BEHIND_THE_PREFIX: Final = {**inside.ALL, **inside.CONTROL}
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
            "/": _tagged("control", inside.PAGE),
            **{path: _tagged("API", methods) for path, methods in operations.API.items()},
            **{
                f"/{{key}}{path}": _tagged("legacy API", methods, operations.legacy)
                for path, methods in operations.LEGACY.items()
            },
            **{path: _tagged("management API", methods) for path, methods in management_operations.MANAGEMENT.items()},
            **{f"/_emulator{path}": _tagged("control", methods) for path, methods in _BEHIND_THE_PREFIX.items()},
            **{
                f"/_emulator/environments/{{environment}}{path}": _tagged("environment", methods, inside.of_one)
                for path, methods in inside.CONTROL.items()
            },
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


# Filters inside filters; a type that nobody knows is accepted too, and matches nobody.
_INNER_FILTERS: Final[dict[str, Schema]] = {
    "filter": ref("Filter"),
    "filters": {"type": "array", "items": ref("Filter")},
}


def _schemas() -> Schema:
    _, schemas = msgspec.json.schema_components(_STRUCTS, ref_template="#/components/schemas/{name}")
    shapes_sent: tuple[type[Struct], ...] = (*SHAPES, effects.OptIn)
    for shape in shapes_sent:
        schema = schemas[shape.__name__]
        schema["required"] = [name for name in schema["required"] if name != "type"]  # only /bulk asks for it
        if "timestamp" in schema["properties"]:
            schema["properties"]["timestamp"] = _TIMESTAMP
    for record in KNOWN_RECORDS:
        if record.needs_one_of:
            schema = schemas[record.shape.__name__]
            schema["anyOf"] = [_with_field(schema, name) for name in record.needs_one_of]
    known = [schemas[shape.__name__] for shape in features.FILTERS.values()]
    for schema in (schemas["Rule"], schemas["Variant"], *known):
        schema["properties"] |= {name: to for name, to in _INNER_FILTERS.items() if name in schema["properties"]}
    unknown = {"type": "string", "not": {"enum": list(features.FILTERS)}}
    other = {"type": "object", "required": ["type"], "properties": {"type": unknown}}
    # A feature as an override: its key stands in the path.
    schemas["Definition"] = {
        "type": "object",
        "required": ["targeting"],
        "properties": {**schemas["Feature"]["properties"]},
    }
    del schemas["Definition"]["properties"]["key"]
    schemas["Filter"] = {"anyOf": [*(ref(shape.__name__) for shape in features.FILTERS.values()), other]}
    schemas["ContextFilter"] |= {
        "if": {"properties": {"operator": {"enum": sorted(rules.ONE_VALUE)}}},
        "then": {"required": ["values"], "properties": {"values": {"type": "array", "minItems": 1}}},
    }
    return dict(_in_ecma_262(schemas))


def _with_field(schema: Schema, name: str) -> Schema:
    """Return what a record is that has this field: there, and not null."""
    kinds = (one["type"] for one in schema["properties"][name]["anyOf"] if one["type"] != "null")
    return {"required": [name], "properties": {name: {"type": next(kinds)}}}


def _in_ecma_262(node: Any) -> Any:  # noqa: ANN401  # any JSON
    """Write patterns as JSON Schema has them."""
    if isinstance(node, dict):
        return {name: _pattern(value) if name == "pattern" else _in_ecma_262(value) for name, value in node.items()}
    return [_in_ecma_262(value) for value in node] if isinstance(node, list) else node


def _pattern(python: str) -> str:
    """Write a pattern without what only Python knows: the ends of a text, and a dot that is any character."""
    return python.replace(r"\A", "^").replace(r"\Z", "$").replace("(?s:.", r"(?:[\s\S]")
