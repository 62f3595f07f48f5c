"""Reads the context that a query carries: as `contextJson`, or field by field as `context.company.plan=pro`.

Source: DOC' (contextJson and its rules), S1 and S3 (the older form).
"""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec

from bucket_loader.emulator.store import wire
from bucket_loader.emulator.store.store import id_text
from bucket_loader.model import Context, Edition, flatten, json_mistake

Query: TypeAlias = Sequence[tuple[str, str]]

CONTEXT_JSON: Final = "contextJson"
CONTEXT_JSON_BYTES_MAX: Final = 16_384  # before URL encoding
ROOTS: Final = ("user", "company", "other")
WITH_ID: Final = ("user", "company")
_OLDER: Final = "context"
_PREFIX: Final = "context."
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class WrongContextError(Exception):
    """A context that the API refuses; its text says where, and why."""


def read(query: Query, edition: Edition) -> Context:
    """Return the context of a query, flat.

    Raises:
        WrongContextError: `contextJson` is malformed, breaks a rule, or does not stand alone.
    """
    given = [text for name, text in query if name == CONTEXT_JSON]
    if not given:
        return {name.removeprefix(_PREFIX): text for name, text in query if name.startswith(_PREFIX)}
    if len(given) > 1:
        raise _wrong("given more than once")
    beside = next((name for name, _ in query if name == _OLDER or name.startswith(_PREFIX)), None)
    if beside is not None:
        raise _wrong(f"given beside `{beside}`: the context has to come in one form")
    return flatten(_checked(_decoded(given[0])), edition)


def _decoded(text: str) -> dict[str, Any]:
    body = text.encode()
    if len(body) > CONTEXT_JSON_BYTES_MAX:
        raise _wrong(f"larger than {CONTEXT_JSON_BYTES_MAX} bytes before URL encoding: {len(body)}")
    if wire.is_deep(body):
        raise _wrong("nested too deeply")
    try:
        return _decode(wire.with_whole_texts(body))
    except msgspec.DecodeError as error:
        raise _wrong(f"not a JSON object: {json_mistake(error)}") from error


def _checked(context: dict[str, Any]) -> dict[str, Any]:
    """Hold a context against the rules; return it with ids as text."""
    for root, fields in context.items():
        if root not in ROOTS:
            raise _wrong(f"not one of {', '.join(ROOTS)}", root)
        if not isinstance(fields, dict):
            raise _wrong("must be an object", root)
        if root in WITH_ID and "id" in fields:
            fields["id"] = _id(fields["id"], f"{root}.id")
        for name, value in fields.items():
            for inner_name, inner in value.items() if isinstance(value, dict) else ():
                if isinstance(inner, dict):
                    raise _wrong("an object inside an object of an attribute", f"{root}.{name}.{inner_name}")
    return context


def _id(value: object, place: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _wrong("must be a text or a number", place)
    return id_text(value)


def _wrong(what: str, place: str = "") -> WrongContextError:
    return WrongContextError(f"{CONTEXT_JSON}{place and '.'}{place}: {what}")
