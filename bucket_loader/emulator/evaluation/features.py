"""The feature definitions that GET /features answers with, and what makes one malformed.

Source: S1 and the types of NODE (a feature, its targeting and its config), S3 (the five kinds of filter).
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from bucket_loader.model import FeatureKey, UsageError, rules

_DEPTH_MAX: Final = 100  # of filters in each other: far beyond any rule that people write


class Rule(Struct):
    """One rule of a targeting."""

    filter: dict[str, Any]


class Targeting(Struct):
    """The rules that turn a feature on."""

    version: Annotated[int, Meta(ge=0)]
    rules: list[Rule]


class Variant(Struct):
    """One value of a feature's config, and who gets it."""

    key: str
    filter: dict[str, Any]
    payload: Any = None


class Config(Struct):
    """The variants of a feature's config."""

    version: Annotated[int, Meta(ge=0)]
    variants: list[Variant]


class Feature(Struct, rename="camel"):
    """A feature, as GET /features gives it."""

    key: FeatureKey
    targeting: Targeting
    description: str | None = None
    link: str | None = None
    created_at: str | None = None
    config: Config | None = None


class Definitions(Struct, rename="camel"):
    """The body of GET /features, and of PUT /_emulator/features."""

    features: list[Feature]
    # @reflag/node-sdk from 1.5 ignores the definitions without it.
    flag_state_version: Annotated[int, Meta(ge=0)] | None = None


class GroupFilter(Struct, tag_field="type", tag="group"):
    """Filters, all or any of which must hold; an operator other than `and` acts as `or`."""

    operator: str
    filters: list[dict[str, Any]]


class NegationFilter(Struct, tag_field="type", tag="negation"):
    """A filter that must not hold."""

    filter: dict[str, Any]


class ContextFilter(Struct, tag_field="type", tag="context"):
    """A field of the context, and what it is held against."""

    field: str
    operator: str
    values: list[str] | None = None


class RolloutFilter(Struct, tag_field="type", tag="rolloutPercentage", rename="camel"):
    """A share of the values of a field, out of 100000."""

    partial_rollout_attribute: str
    partial_rollout_threshold: float
    key: str | None = None


class ConstantFilter(Struct, tag_field="type", tag="constant"):
    """Everyone, or nobody."""

    value: bool


FILTERS: Final[dict[str, type[Struct]]] = {
    "group": GroupFilter,
    "negation": NegationFilter,
    "context": ContextFilter,
    "rolloutPercentage": RolloutFilter,
    "constant": ConstantFilter,
}
NONE_YET: Final = Definitions(features=[], flag_state_version=0)


def read(document: bytes | dict[str, Any], *, version: int) -> Definitions:
    """Check definitions, and fill in what may be left out: createdAt, the version, the key of each rollout.

    Args:
        document: the body of GET /features, as JSON or decoded.
        version: the flagStateVersion to use when the document has none.

    Raises:
        UsageError: the document is malformed.
    """
    try:
        if isinstance(document, bytes):
            definitions = msgspec.json.decode(document, type=Definitions)
        else:
            definitions = msgspec.convert(document, Definitions)
        for index, feature in enumerate(definitions.features):
            _complete(feature, f"$.features[{index}]")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(str(error)) from error
    keys = [feature.key for feature in definitions.features]
    if repeated := sorted({key for key in keys if keys.count(key) > 1}):
        raise _malformed(f"Features defined twice: {', '.join(repeated)}")
    if definitions.flag_state_version is None:
        definitions.flag_state_version = version
    return definitions


def _complete(feature: Feature, place: str) -> None:
    if feature.created_at is None:
        feature.created_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for index, rule in enumerate(feature.targeting.rules):
        _check(rule.filter, feature.key, f"{place}.targeting.rules[{index}].filter")
    for index, variant in enumerate(feature.config.variants if feature.config else []):
        _check(variant.filter, feature.key, f"{place}.config.variants[{index}].filter")


def _check(node: dict[str, Any], feature_key: str, place: str, depth: int = 1) -> None:
    """Check a filter and those inside it; a type or operator nobody knows passes, since evaluation makes it false."""
    if depth > _DEPTH_MAX:
        raise _malformed(f"Filters nested more than {_DEPTH_MAX} deep")
    kind = node.get("type")
    if not isinstance(kind, str):
        raise _malformed(f"Expected the type of a filter - at `{place}.type`")
    try:
        msgspec.convert(node, FILTERS.get(kind, Any))
    except msgspec.ValidationError as error:
        raise _malformed(f"{error} - in `{place}`") from error
    if kind == "context" and node["operator"] in rules.ONE_VALUE and not node.get("values"):
        raise _malformed(f"Expected a value to compare with - at `{place}.values`")
    if kind == "rolloutPercentage":
        node.setdefault("key", feature_key)  # the hash is made of it, and documents leave it out
    for index, inner in enumerate(node["filters"] if kind == "group" else []):
        _check(inner, feature_key, f"{place}.filters[{index}]", depth + 1)
    if kind == "negation":
        _check(node["filter"], feature_key, f"{place}.filter", depth + 1)


def _malformed(message: str) -> UsageError:
    return UsageError(f"malformed features: {message}", hint="write them as GET /features gives them")


def encode(definitions: Definitions) -> bytes:
    """Return the body of GET /features.

    Raises:
        UsageError: a payload is nested too deeply to be written.
    """
    try:
        return msgspec.json.encode(
            {
                "success": True,
                "features": [_shown(feature) for feature in definitions.features],
                "flagStateVersion": definitions.flag_state_version,
            }
        )
    except RecursionError as error:
        raise _malformed("nested too deeply") from error


def _shown(feature: Feature) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(feature)
    if feature.config is None:
        del shown["config"]  # optional, never null
    return shown
