"""The feature definitions that GET /features answers with, and what makes one malformed.

Source: S1 and the types of NODE (a feature, its targeting and its config), S3 (the five kinds of filter).
"""

from collections import Counter
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from bucket_loader.model import FeatureKey, UsageError, json_mistake, rules

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


class OptInShown(Struct):
    """What end users are told of a feature that they may opt into."""

    name: str | None = None
    description: str | None = None


class Feature(Struct, rename="camel"):
    """A feature, as GET /features gives it; whether end users may opt into it is assumed to stand there too."""

    key: FeatureKey
    targeting: Targeting
    description: str | None = None
    link: str | None = None
    created_at: str | None = None
    config: Config | None = None
    opt_in_enabled: bool | UnsetType = UNSET
    opt_in: OptInShown | UnsetType | None = UNSET

    @property
    def filters(self) -> list[dict[str, Any]]:
        """The filter of each rule."""
        return [rule.filter for rule in self.targeting.rules]


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


class Defined(NamedTuple):
    """Definitions, as they are evaluated and as GET /features answers with them.

    Attributes:
        definitions: what evaluation needs of them.
        body: all that was sent, also members that nobody here knows, and what was filled in.
    """

    definitions: Definitions
    body: bytes


def read(document: bytes | dict[str, Any], *, version_min: int) -> Defined:
    """Check definitions, and fill in what may be left out: createdAt, the version, the key of each rollout.

    Args:
        document: the body of GET /features, as JSON or decoded.
        version_min: the flagStateVersion, unless the document has a later one.

    Raises:
        UsageError: the document is malformed, or nested too deeply to be written again.
    """
    try:
        sent = msgspec.json.decode(document) if isinstance(document, bytes) else document
        definitions = msgspec.convert(sent, Definitions)
        for index, feature in enumerate(definitions.features):
            _complete(feature, f"$.features[{index}]")
        counts = Counter(feature.key for feature in definitions.features)
        if repeated := sorted(key for key, count in counts.items() if count > 1):
            raise _malformed(f"Features defined twice: {', '.join(repeated)}")
        definitions.flag_state_version = max(definitions.flag_state_version or 0, version_min)
        return Defined(definitions, msgspec.json.encode({**_shown(definitions, sent), "success": True}))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(json_mistake(error)) from error


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
        raise _malformed(f"{place}.type: must be the type of a filter")
    try:
        msgspec.convert(node, FILTERS.get(kind, Any))
    except msgspec.ValidationError as error:
        raise _malformed(json_mistake(error, place)) from error
    if kind == "context" and node["operator"] in rules.ONE_VALUE and not node.get("values"):
        raise _malformed(f"{place}.values: must have a value to compare with")
    if kind == "rolloutPercentage":
        node.setdefault("key", feature_key)  # the hash is made of it, and documents leave it out
    for index, inner in enumerate(node["filters"] if kind == "group" else []):
        _check(inner, feature_key, f"{place}.filters[{index}]", depth + 1)
    if kind == "negation":
        _check(node["filter"], feature_key, f"{place}.filter", depth + 1)


def _malformed(message: str) -> UsageError:
    return UsageError(f"malformed features: {message}", hint="write them as GET /features gives them")


def _shown(known: Any, sent: Any) -> Any:  # noqa: ANN401  # structs, lists of them, and any JSON in them
    """Return a value with all members that it was sent with, and those that were filled in."""
    if isinstance(known, list):
        return [_shown(*pair) for pair in zip(known, sent, strict=True)]
    if not isinstance(known, Struct):
        return known
    fields = zip(known.__struct_encode_fields__, known.__struct_fields__, strict=True)
    values = {name: getattr(known, field) for name, field in fields}
    filled = {name: _shown(value, sent.get(name)) for name, value in values.items() if value is not UNSET}
    members = {**sent, **filled}
    if members.get("config", known) is None:
        del members["config"]  # optional, never null
    return members
