"""The limits on features: how many may change, and how many answers may be unknown, before a run sends anything."""

from collections.abc import Iterator
from typing import Final

from bucket_loader.config import Pipeline
from bucket_loader.model import COMPANY, Stop
from bucket_loader.planning import Plan
from bucket_loader.reporting import Becomes, Impact

_HINT: Final = (
    "`bucket-loader impact PIPELINE` shows for whom; if that is right, "
    "`bucket-loader run PIPELINE --accept-flips` sends it"
)


def stops_of(pipeline: Pipeline, plan: Plan, impact: Impact) -> list[Stop]:
    """Return what is over a limit; `--accept-changes` lifts none of it."""
    found = [("flips", text) for text in _flips(pipeline, plan, impact)]
    found += [("unknown", text) for text in _unknown(pipeline, impact)]
    return [Stop("", gate, text, _HINT, lifted=False) for gate, text in found]


def _flips(pipeline: Pipeline, plan: Plan, impact: Impact) -> Iterator[str]:
    """Yield the features that change too often; a share is one of all that are known, touched or not."""
    known = max((_known(plan, stream.name) for stream in pipeline.streams if stream.kind is COMPANY), default=0)
    for key, becomes in impact.features.items():
        limit, whole = pipeline.limits.of_feature(key), max(known, becomes.looked_at)
        if limit is not None and not limit.allows(becomes.flips, whole):
            name = key if key in (pipeline.limits.flips or {}) else "*"
            yield (
                f"feature {key!r} {_spelt(becomes)}, of {whole:,}, more than `limits: {{flips: {{{name!r}: {limit}}}}}`"
            )


def _known(plan: Plan, stream: str) -> int:
    """Return how many records a stream has sent, or sends now."""
    planned = next((one for one in plan.manifest.streams if one.name == stream), None)
    return 0 if planned is None else planned.known + max(0, planned.records - planned.changed)


def _spelt(becomes: Becomes) -> str:
    words = (("turns on", becomes.on), ("turns off", becomes.off), ("gets another variant", becomes.variant))
    return ", ".join(f"{word} for {count:,}" for word, count in words if count)


def _unknown(pipeline: Pipeline, impact: Impact) -> Iterator[str]:
    limit = pipeline.limits.unknown
    unknown = sum(becomes.unknown for becomes in impact.features.values())
    whole = sum(becomes.looked_at for becomes in impact.features.values())
    if limit is not None and not limit.allows(unknown, whole):
        yield f"{unknown:,} of {whole:,} answers of features are unknown, more than `limits: {{unknown: {limit}}}`"


def names_of_no_feature(pipeline: Pipeline, impact: Impact) -> Iterator[str]:
    """Say which features have a limit and are not defined."""
    for key in sorted(set(pipeline.limits.flips or {}) - {"*", *impact.features}):
        yield f"`limits: flips` names {key!r}, and no feature is called so"
