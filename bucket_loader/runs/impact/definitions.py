"""The rules of features as GET /features gives them, from the API or from a file, and what makes them unusable here."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from bucket_loader.config import Destination
from bucket_loader.model import ONE_VALUE, Filter, UsageError, did_you_mean
from bucket_loader.runs.features import defined_features, shown

_DEPTH_MAX: Final = 100  # of filters in each other: far beyond any rule that people write
_OPT_IN: Final[Filter] = {"type": "opt-in"}


class _Rule(msgspec.Struct):
    filter: dict[str, Any]


class _Targeting(msgspec.Struct):
    rules: list[_Rule]
    version: float | None = None


class _Variant(msgspec.Struct):
    key: str
    filter: dict[str, Any]


class _Config(msgspec.Struct):
    variants: list[_Variant] = []
    version: float | None = None


class _Defined(msgspec.Struct, rename="camel"):
    key: str
    targeting: _Targeting
    config: _Config | None = None
    opt_in_enabled: bool | None = None


class _Context(msgspec.Struct):
    field: str
    operator: str
    values: list[str] | None = None


class _Rollout(msgspec.Struct, rename="camel"):
    partial_rollout_attribute: str
    partial_rollout_threshold: float
    key: str | None = None


class _Group(msgspec.Struct):
    operator: str
    filters: list[dict[str, Any]]


class _Negation(msgspec.Struct):
    filter: dict[str, Any]


class _Constant(msgspec.Struct):
    value: bool


_FILTERS: Final[Mapping[str, Any]] = {
    "context": _Context,
    "rolloutPercentage": _Rollout,
    "group": _Group,
    "negation": _Negation,
    "constant": _Constant,
}


@dataclass(frozen=True)
class Feature:
    """A feature, as far as who has it depends on it.

    Attributes:
        key: what it is called.
        version: of its rules, as the vendor counts them, and of its variants.
        digest: of its rules and variants.
        rules: whom it is on for; the last may stand for those who have opted in.
        variants: who gets which variant.
        names: what the variants are called.
    """

    key: str
    version: str
    digest: str
    rules: Sequence[Filter]
    variants: Sequence[Filter]
    names: Sequence[str]


def features_of(destination: Destination, file: Path | None, chosen: Sequence[str]) -> list[Feature]:
    """Return the features that are defined, by their keys; from a file where there is one, else from the API.

    Args:
        destination: who is asked.
        file: the answer of GET /features, or a list of features.
        chosen: only these; all when empty.

    Raises:
        BucketLoaderError: they cannot be had, or are not in Bucket's form, or one of the chosen is not there.
    """
    document = defined_features(destination) if file is None else _document(file)
    found = read_features(document, where=destination.base_url if file is None else str(file))
    keys = [feature.key for feature in found]
    for key in chosen:
        if key not in keys:
            raise UsageError(f"no feature is named {key!r}", hint=did_you_mean(key, keys, "`features list` names them"))
    return [feature for feature in found if not chosen or feature.key in chosen]


def _document(file: Path) -> Any:  # noqa: ANN401  # JSON of any shape
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise UsageError(
            f"cannot read {file}: {error.strerror}", hint="give a file that `GET /features` made"
        ) from None
    except (ValueError, RecursionError):
        raise UsageError(f"{file} is not JSON", hint="write the features as GET /features gives them") from None


def read_features(document: Any, *, where: str) -> list[Feature]:  # noqa: ANN401  # JSON of any shape
    """Return the features of a document, sorted by their keys.

    Raises:
        UsageError: it is not in Bucket's form.
    """
    listed = document.get("features") if isinstance(document, dict) else document
    try:
        defined = msgspec.convert(listed, list[_Defined])
        return sorted((_feature(one) for one in defined), key=lambda feature: feature.key)
    except (msgspec.ValidationError, KeyError) as error:
        raise UsageError(
            f"{where}: its features are not in Bucket's form: {error}", hint="write them as GET /features gives them"
        ) from None


def _feature(defined: _Defined) -> Feature:
    config = defined.config or _Config()
    rules = [_checked(rule.filter, defined.key) for rule in defined.targeting.rules]
    variants = [_checked(variant.filter, defined.key) for variant in config.variants]
    spelt = json.dumps([rules, variants, [one.key for one in config.variants], defined.opt_in_enabled], sort_keys=True)
    return Feature(
        key=defined.key,
        version=_version(defined.targeting.version, config.version),
        digest=hashlib.sha256(spelt.encode()).hexdigest(),
        rules=[*rules, *([_OPT_IN] if defined.opt_in_enabled else [])],
        variants=variants,
        names=[one.key for one in config.variants],
    )


def _version(*versions: float | None) -> str:
    return ".".join(f"{one:g}" for one in versions if one is not None)


def _checked(node: dict[str, Any], feature: str, depth: int = 1) -> Filter:
    """Return a filter that can be evaluated: each rollout has the key that its hash is made of."""
    if depth > _DEPTH_MAX:
        raise msgspec.ValidationError(f"filters nested more than {_DEPTH_MAX} deep, in {feature}")
    kind = str(node.get("type"))
    if kind not in _FILTERS:
        return {"type": kind}  # of a newer API, perhaps: nobody here knows whom it lets in
    msgspec.convert(node, _FILTERS[kind])
    if kind == "context" and node["operator"] in ONE_VALUE and not node.get("values"):
        raise msgspec.ValidationError(f"a filter of {feature} has no value to compare with")
    if kind == "rolloutPercentage":
        return {**node, "key": node.get("key") or feature}
    if kind == "group":
        return {**node, "filters": [_checked(inner, feature, depth + 1) for inner in node["filters"]]}
    return {**node, "filter": _checked(node["filter"], feature, depth + 1)} if kind == "negation" else node


def changed_since(before: Mapping[str, tuple[str, str]], now: Sequence[Feature]) -> Iterator[str]:
    """Say which features have other rules than they had, with both versions.

    Args:
        before: version and digest by the feature's key.
        now: the features as they are.
    """
    current = {feature.key: feature for feature in now}
    for key in sorted(before.keys() | current.keys()):
        if key not in current:
            yield f"{shown(key)} is not defined any more"
        elif key not in before:
            yield f"{shown(key)} is new"
        elif before[key][1] != current[key].digest:
            was, is_ = (version or "unknown" for version in (before[key][0], current[key].version))
            yield f"{shown(key)} had version {was}, and has version {is_} now"


def versions_of(features: Sequence[Feature]) -> dict[str, tuple[str, str]]:
    """Return version and digest of each feature, for `changed_since`."""
    return {feature.key: (feature.version, feature.digest) for feature in features}
