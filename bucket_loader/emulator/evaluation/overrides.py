"""Overrides: definitions that stand in front of others for a while, such as a feature that is on for everybody.

They are definitions like all others, with rules that are constant. So clients that evaluate by themselves see them.
"""

from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from bucket_loader.model import UsageError, json_mistake

# The body of GET /features, and one feature in it; decoded.
Document: TypeAlias = dict[str, Any]
Definition: TypeAlias = dict[str, Any]

_NEW: Final[Definition] = {"targeting": {"version": 0, "rules": []}}


class ForcedConfig(Struct, forbid_unknown_fields=True):
    """The config that everybody gets."""

    key: str
    payload: Any = None


class Forced(Struct, rename="camel", forbid_unknown_fields=True):
    """A feature that is on, or off, for everybody."""

    is_enabled: bool
    config: ForcedConfig | None = None


def read(body: bytes, key: str, document: Document) -> Definition:
    """Return the definition that an override asks for.

    Args:
        body: a `Forced`, or a whole definition.
        key: of the feature.
        document: all definitions; what is forced keeps what it does not change of its own.

    Raises:
        UsageError: it is neither; whether a whole definition is right is not looked at.
    """
    try:
        sent = msgspec.json.decode(body, type=dict[str, Any])
        if "targeting" not in sent:
            return _forced(msgspec.convert(sent, Forced), key, document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"malformed override: {json_mistake(error)}", hint='an example: {"isEnabled": true}'
        ) from error
    if sent.get("key", key) != key:
        raise UsageError("malformed override: the key is not that of the path", hint="leave it out")
    return {**sent, "key": key}


def _forced(asked: Forced, key: str, document: Document) -> Definition:
    known = next((one for one in document["features"] if one["key"] == key), _NEW)
    rule = {"filter": {"type": "constant", "value": asked.is_enabled}}
    forced = {**known, "key": key, "targeting": {"version": known["targeting"]["version"] + 1, "rules": [rule]}}
    if asked.config is not None:
        version = known.get("config", {"version": 0})["version"] + 1
        variant = {**msgspec.to_builtins(asked.config), "filter": {"type": "constant", "value": True}}
        forced["config"] = {"version": version, "variants": [variant]}
    return forced


def applied(document: Document, overrides: dict[str, Definition]) -> Document:
    """Return definitions with the overrides in the place of those with the same key; new ones come last.

    They have no version: that of the definitions without them is older.
    """
    rest = dict(overrides)
    features = [rest.pop(one["key"], one) for one in document["features"]]
    return {**document, "features": [*features, *rest.values()], "flagStateVersion": None}
