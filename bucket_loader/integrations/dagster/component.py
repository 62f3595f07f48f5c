"""The component: a pipeline file in a `defs.yaml`, and what `dg scaffold` writes for a new one."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import dagster as dg
from dagster.components.component_scaffolding import scaffold_component
from dagster.components.resolved.core_models import (
    DailyPartitionsDefinitionModel,
    HourlyPartitionsDefinitionModel,
    OpSpec,
    TimeWindowPartitionsDefinitionModel,
    WeeklyPartitionsDefinitionModel,
    resolve_partitions_def,
)
from pydantic import BaseModel, Field

from bucket_loader.integrations.dagster.assets import bucket_assets
from bucket_loader.integrations.dagster.resource import BucketLoaderResource
from bucket_loader.integrations.dagster.specs import named

_FIRST: Final = "pipeline.yaml"
_FIRST_TEXT: Final = """\
# A first pipeline: put your export in place of accounts.csv, or your warehouse; then
# `bucket-loader check pipeline.yaml` says what does not fit, and sends nothing.
name: {name}
destination:
  base_url: ${{BUCKET_BASE_URL:-https://front.bucket.co}}
  key: ${{BUCKET_SECRET_KEY}}
  environment: ${{BUCKET_ENVIRONMENT:-production}}
streams:
  - name: {name}
    record: company
    source: {{type: csv, path: accounts.csv}}
    fields:
      companyId: id
      attributes: "*"
"""


class PipelineScaffoldParams(BaseModel):
    """What `dg scaffold` takes."""

    pipeline: str | None = Field(default=None, description="A pipeline file that is there already.")


class PipelineScaffolder(dg.Scaffolder):  # type: ignore[misc]  # Dagster lives in an environment of its own
    """Writes the `defs.yaml` of a pipeline file; and a first pipeline file, where none was named."""

    @classmethod
    def get_scaffold_params(cls) -> type[PipelineScaffoldParams]:
        """Return what it takes."""
        return PipelineScaffoldParams

    def scaffold(self, request: Any) -> None:  # noqa: ANN401  # Dagster's own
        """Write them."""
        given = request.params.pipeline
        if given is None:
            name = request.target_path.name
            (request.target_path / _FIRST).write_text(_FIRST_TEXT.format(name=name), "utf-8")
            scaffold_component(request, {"pipeline": _FIRST})
            return
        root = request.project_root or Path.cwd()
        path = Path(os.path.relpath(given, root)).as_posix()
        scaffold_component(request, {"pipeline": f"{{{{ context.project_root }}}}/{path}"})


@dg.scaffold_with(PipelineScaffolder)
class BucketPipelineComponent(dg.Component, dg.Model, dg.Resolvable):  # type: ignore[misc]
    """Loads a pipeline file of bucket-loader into Bucket: an asset for each stream, with its checks."""

    pipeline: str = Field(description="The pipeline file; its path starts from the folder of defs.yaml.")
    deps: list[str] | dict[str, list[str]] = Field(
        default=[], description="Upstream assets of all streams, or those of each stream by its name."
    )
    partitions_def: Annotated[
        Any,
        dg.Resolver(
            resolve_partitions_def,
            model_field_type=HourlyPartitionsDefinitionModel
            | DailyPartitionsDefinitionModel
            | WeeklyPartitionsDefinitionModel
            | TimeWindowPartitionsDefinitionModel
            | None,
        ),
    ] = Field(default=None, description="Partitions of time; each of them is the interval of a run.")
    fail_on_rejected: bool | int | str = Field(
        default=True, description='Whether rejected rows fail the step, or how many may be, or what share: "1%".'
    )
    audit: bool = Field(default=True, description="Whether each asset has the check audit.")
    key_prefix: str | list[str] = Field(default="bucket", description="What the keys of the assets begin with.")
    resource: str | None = Field(
        default=None, description="The key of a BucketLoaderResource; the environment says it all by default."
    )
    op: OpSpec | None = Field(default=None, description="The step's name, tags, pool and backfill policy.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the assets of the pipeline file."""
        op = self.op or OpSpec()

        @bucket_assets(
            pipeline=context.path / self.pipeline,
            deps=self._deps(),
            partitions_def=self.partitions_def,
            backfill_policy=op.backfill_policy,
            audit=self.audit,
            key_prefix=self.key_prefix,
            name=op.name or f"bucket_{named(context.path.name)}",
            pool=op.pool,
            op_tags=op.tags,
            required_resource_keys=set() if self.resource is None else {self.resource},
        )
        def load(context: dg.AssetExecutionContext) -> Iterator[Any]:
            bucket = BucketLoaderResource() if self.resource is None else getattr(context.resources, self.resource)
            yield from bucket.load(context, fail_on_rejected=self.fail_on_rejected)

        return dg.Definitions(assets=[load])

    def _deps(self) -> list[Any] | dict[str, list[Any]]:
        """Return the upstream keys, which YAML spells with slashes."""
        if isinstance(self.deps, dict):
            return {stream: [dg.AssetKey.from_user_string(key) for key in keys] for stream, keys in self.deps.items()}
        return [dg.AssetKey.from_user_string(key) for key in self.deps]
