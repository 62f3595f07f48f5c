"""What Dagster knows of a pipeline file before it runs: an asset for each stream, its upstream keys and its checks."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import dagster as dg

from bucket_loader.config import look_at_pipeline
from bucket_loader.integrations.dagster.upstream import dbt_keys
from bucket_loader.model import BucketLoaderError

if TYPE_CHECKING:
    from bucket_loader.config import Pipeline, Stream

# What a spec says of its stream: the step that loads it reads it there.
FILE: Final = "bucket/pipeline"
STREAM: Final = "bucket/stream"

REJECTED: Final = "rejected"
AUDIT: Final = "audit"
_SAYS: Final = {
    REJECTED: "No more rows are rejected than the load allows.",
    AUDIT: "The run's plan and its ledger prove where every row went.",
}


@dataclass(frozen=True)
class Specs:
    """A pipeline file as Dagster knows it.

    Attributes:
        name: the pipeline's name, as Dagster spells names.
        assets: one for each stream.
        checks: those of all assets.
    """

    name: str
    assets: list[Any]
    checks: list[Any]


def specs_of(
    file: Path, deps: Mapping[str, Sequence[Any]] | Sequence[Any], key_prefix: str | Sequence[str], *, audit: bool
) -> Specs:
    """Return the assets of a pipeline file.

    Args:
        file: the pipeline file.
        deps: upstream assets of all streams, or those of each by its name.
        key_prefix: what keys begin with.
        audit: whether each asset has the check `audit`.

    Raises:
        DagsterInvalidDefinitionError: the file is not there, has mistakes, or has no stream that `deps` name.
    """
    try:
        pipeline = look_at_pipeline(file)
        upstream = {stream.name: [*dbt_keys(pipeline, stream, file.parent)] for stream in pipeline.streams}
    except BucketLoaderError as error:
        raise dg.DagsterInvalidDefinitionError(str(error)) from None
    _require_streams(pipeline, deps)
    prefix = [key_prefix] if isinstance(key_prefix, str) else [*key_prefix]
    assets = []
    for stream in pipeline.streams:
        given = deps.get(stream.name, ()) if isinstance(deps, Mapping) else deps
        assets.append(_asset(file, pipeline, stream, [*upstream[stream.name], *given], prefix))
    names = (REJECTED, AUDIT) if audit else (REJECTED,)
    checks = [dg.AssetCheckSpec(name, asset=asset.key, description=_SAYS[name]) for asset in assets for name in names]
    return Specs(f"bucket_{named(pipeline.name)}", assets, checks)


def named(text: str) -> str:
    """Return a text as a name of Dagster's: letters, digits and `_`."""
    return re.sub(r"\W", "_", text, flags=re.ASCII)


def _require_streams(pipeline: "Pipeline", deps: Mapping[str, Sequence[Any]] | Sequence[Any]) -> None:
    names = [stream.name for stream in pipeline.streams]
    for name in deps if isinstance(deps, Mapping) else ():
        if name not in names:
            raise dg.DagsterInvalidDefinitionError(
                f"deps name the stream {name!r}, and pipeline {pipeline.name!r} has: {', '.join(names)}"
            )


def _asset(file: Path, pipeline: "Pipeline", stream: "Stream", deps: Sequence[Any], prefix: Sequence[str]) -> Any:  # noqa: ANN401
    """Return the asset of a stream: an AssetSpec."""
    owner = pipeline.owner.email if pipeline.owner is not None else None
    return dg.AssetSpec(
        key=[*prefix, stream.record, stream.name.replace(" ", "_")],
        deps=deps,
        description=pipeline.description or f"{stream.record} records of pipeline {pipeline.name!r}",
        metadata={FILE: dg.MetadataValue.path(str(file)), STREAM: stream.name},
        owners=[owner] if owner else [],
        kinds={"bucket"},
    )


def streams_of(assets: Any) -> tuple[Path, dict[Any, str]]:  # noqa: ANN401  # an AssetsDefinition
    """Return the pipeline file of a definition, and the stream of each of its keys.

    Raises:
        DagsterInvariantViolationError: it was not made by `bucket_assets`.
    """
    known = {spec.key: spec.metadata for spec in assets.specs if FILE in spec.metadata}
    if not known:
        raise dg.DagsterInvariantViolationError("these assets have no pipeline file: make them with @bucket_assets")
    file = next(iter(known.values()))[FILE]
    return Path(getattr(file, "path", file)), {key: cast("str", said[STREAM]) for key, said in known.items()}
