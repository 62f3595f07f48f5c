"""What can be asked behind the prefix, path by path, in the words of OpenAPI."""

from typing import Final

from bucket_loader.emulator.http import asked
from bucket_loader.emulator.http.described import (
    ANY_KEY,
    CONTEXT_GIVEN,
    COUNT,
    FIELD_BY_FIELD,
    FREE_OBJECT,
    KIND,
    LIMIT,
    REFUSALS,
    TEXT,
    TIME,
    Schema,
    answers,
    body_of,
    content,
    in_path,
    in_query,
    look,
    ref,
)
from bucket_loader.emulator.inspector import lines, page, tables

_LIMITED: Final = in_query("limit", "The most to give.", LIMIT)
_AFTER: Final = in_query("after", "The `next` of the look before.", COUNT)
_PLACE: Final = in_query(
    "after", "The `next` of the look before.", {"type": "string", "pattern": r"^[0-9]{1,15}\.[0-9]{1,15}$"}
)
_TABLE: Final = in_path("table", "Which one.", {"enum": list(tables.TABLES)})
_HOLDING: Final = in_query("text", "What a cell of each row has to hold, whatever the case.", {"type": "string"})
_KEY: Final = in_path("key", "The key of a feature; whatever it holds, percent-encoded.", {**TEXT, "maxLength": 255})
_ID: Final = in_path("id", "The id; whatever it holds, percent-encoded.", TEXT)

CONTROL: Final[dict[str, Schema]] = {
    "/state": {"get": look("How much there is", ref("State"))},
    "/journal": {
        "get": {
            "summary": "Every item accepted, in order, one JSON object a line: `{request, type, item}`",
            "security": [],
            "parameters": [
                in_query("after", "Only items of requests with a greater number.", COUNT),
                in_query("type", "Only items of this type.", {"enum": list(lines.TYPES)}),
                in_query("wait", f"How long to wait for the first, {asked.WAIT_S_MAX}s at most.", TIME),
            ],
            **answers({"type": "string"}, 400, media_type="application/x-ndjson"),
        }
    },
    "/requests": {
        "get": look(
            "The latest calls and their verdicts, newest first; 1,000 are kept",
            ref("Requests"),
            in_query("limit", "The most to give.", COUNT),
            in_query("refused", "Only the refused; of these 1,000 are kept as well.", {"type": "boolean"}),
            refusals=(400,),
        )
    },
    "/requests/{number}": {
        "get": look(
            "One of the latest calls: its headers without the key, its body and its answer, as far as they are kept",
            ref("RequestWhole"),
            in_path("number", "Its number.", COUNT),
            refusals=(404,),
        )
    },
    "/tables/{table}": {
        "get": look(
            "Rows of a table: text by column",
            ref("Rows"),
            _TABLE,
            _HOLDING,
            _PLACE,
            _LIMITED,
            refusals=(400, 404),
        )
    },
    "/tables/{table}/csv": {
        "get": {
            "summary": "A whole table as CSV",
            "security": [],
            "parameters": [_TABLE, _HOLDING],
            **answers({"type": "string"}, 404, media_type="text/csv"),
        }
    },
    "/rejected": {
        "get": look(
            "The latest rows that the loader itself rejected, as far as it has said so, and how many there are",
            ref("Letters"),
            in_query("limit", "The most to give; 0 to learn only how many there are.", COUNT),
            refusals=(400,),
        ),
        "put": {
            "summary": "Say what the loader itself rejected, in place of what was said before",
            "security": [],
            **body_of(ref("Letters")),
            **answers(ref("Done"), 400, 413),
        },
    },
    "/users/{id}": {"get": look("A user", ref("UserView"), _ID, refusals=(404,))},
    "/companies/{id}": {
        "get": look(
            "A company",
            ref("CompanyView"),
            _ID,
            in_query("limit", "The most users to name; all by default.", COUNT),
            refusals=(400, 404),
        )
    },
    "/search": {
        "get": look(
            "Users and companies, by id or by anything in their attributes",
            ref("Search"),
            in_query("text", "What to look for.", TEXT, required=True),
            _AFTER,
            _LIMITED,
            refusals=(400,),
        )
    },
    "/timeline": {
        "get": look(
            "What arrived for a user or company, in order",
            ref("Timeline"),
            in_query("kind", "Which of the two.", KIND, required=True),
            in_query("id", "Its id.", TEXT, required=True),
            _PLACE,
            _LIMITED,
            refusals=(400,),
        )
    },
    "/origins": {
        "get": look(
            "Which record last set each attribute of a user or company",
            ref("Origins"),
            in_query("kind", "Which of the two.", KIND, required=True),
            in_query("id", "Its id.", TEXT, required=True),
            _AFTER,
            refusals=(400,),
        )
    },
    "/features": {
        "get": look("The definitions, without a key", ref("DefinitionsShown")),
        "put": {
            "summary": "Replace all definitions",
            "security": [],
            **body_of(ref("Definitions")),
            **answers(ref("Done"), 400, 413),
        },
    },
    "/features/{key}": {
        "put": {
            "summary": "Override one feature: on or off for everybody, or with a whole definition",
            "security": [],
            "parameters": [_KEY],
            **body_of({"anyOf": [ref("Forced"), ref("Definition")]}),
            **answers(ref("Done"), 400, 413),
        },
        "delete": look("Lift an override", ref("Done"), _KEY, refusals=(404,)),
    },
    "/overrides": {"get": look("The overrides, as definitions", ref("Overrides"))},
    "/holders": {
        "get": look(
            "Who has a feature",
            ref("Holders"),
            in_query("feature", "Its key.", TEXT, required=True),
            in_query("kind", "Users or companies.", KIND, required=True),
            _AFTER,
            in_query("limit", "The most to name; 0 to count only.", {**LIMIT, "minimum": 0}),
            refusals=(400, 404),
        )
    },
    "/counts": {"get": look("How many have each feature; asked again, it counts on", ref("Counts"))},
    "/faults": {
        "get": look("The faults that are ordered now", ref("FaultsView")),
        "put": {
            "summary": "Order what should go wrong, in place of what was ordered before",
            "security": [],
            **body_of(ref("Order")),
            **answers(ref("Done"), 400, 413),
        },
    },
    "/snapshot": {
        "get": look(
            "All that is held: definitions, overrides, faults, the log, and every accepted call", ref("Snapshot")
        ),
        "put": {
            "summary": "Restore a snapshot, in place of all that is held",
            "security": [],
            **body_of(ref("Snapshot")),
            **answers(ref("Done"), 400, 413),
        },
    },
    "/reset": {"post": look("Be as at the very first start", ref("Done"))},
}
ALL: Final[dict[str, Schema]] = {
    "/environments": {
        "get": look("All environments, with their keys", ref("EnvironmentsView")),
        "post": {
            "summary": "Make an environment: a pair of keys with a store of its own",
            "security": [],
            "requestBody": {"required": False, **content(ref("Wanted"))},
            **answers(ref("Known"), 400, 409, 413),
        },
    },
    "/environments/{name}": {
        "delete": {
            "summary": "Take an environment away, with all that it holds; `main` stays",
            "security": [],
            "parameters": [in_path("name", "Its name.", TEXT)],
            **answers(ref("Done"), 404, 409),
        }
    },
    "/explanations": {
        "get": {
            **look(
                "Why each feature is on or off for a context: its rules, their conditions, and the values they met",
                ref("Explanations"),
                in_query("environment", "Which one; by default that of the key, if there is one, or `main`.", TEXT),
                CONTEXT_GIVEN,
                refusals=(400, 404),
            ),
            "description": FIELD_BY_FIELD,
        }
    },
    "/identity": {
        "get": {
            **look(
                "Which emulator this is: another after each start without `--data`, reset or restore", ref("Identity")
            ),
            **answers(ref("Identity"), 401),
            "security": [{}, *ANY_KEY],
        }
    },
    "/openapi.json": {"get": look("This description", FREE_OBJECT)},
    "/page/{name}": {
        "get": {
            "summary": "A part of the page",
            "security": [],
            "parameters": [in_path("name", "The file.", {"enum": list(page.FILES)})],
            "responses": {
                "200": {
                    "description": "The file",
                    "content": {kind: {"schema": {"type": "string"}} for kind in page.FILES.values()},
                },
                "404": {"description": REFUSALS[404], **content(ref("Refusal"))},
            },
        }
    },
}


def of_one(operation: Schema) -> Schema:
    """Return an operation of the control API for the environment that its path names."""
    name = in_path("environment", "The name of the environment.", TEXT)
    unknown = {"404": {"description": REFUSALS[404], **content(ref("Refusal"))}}
    parameters = [name, *operation.get("parameters", [])]
    return {**operation, "parameters": parameters, "responses": {**operation["responses"], **unknown}}


PAGE: Final[Schema] = {
    "get": {
        "summary": "What is in here, for people",
        "security": [],
        **answers({"type": "string"}, media_type="text/html"),
    }
}
