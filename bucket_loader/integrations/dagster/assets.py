"""`@bucket_assets`: a pipeline file as one step of Dagster, with an asset for each of its streams."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import dagster as dg

from bucket_loader.integrations.dagster.specs import specs_of

RETRIES: Final = dg.RetryPolicy(max_retries=3, delay=60, backoff=dg.Backoff.EXPONENTIAL)
"""What follows an outage, a kill or a bug; what cannot get better is not retried."""


def bucket_assets(
    *,
    pipeline: str | Path,
    deps: Sequence[Any] | Mapping[str, Sequence[Any]] = (),
    partitions_def: Any = None,  # noqa: ANN401  # Dagster lives in an environment of its own
    audit: bool = True,
    key_prefix: str | Sequence[str] = "bucket",
    **step: Any,  # noqa: ANN401
) -> Callable[[Callable[..., Any]], Any]:
    """Make a function the step that loads a pipeline file.

        @bucket_assets(pipeline="pipelines/nightly.yaml")
        def nightly(context: dg.AssetExecutionContext, bucket: BucketLoaderResource):
            yield from bucket.load(context)

    Args:
        pipeline: the path of the pipeline file. A stream's asset is `bucket/<record>/<stream>`.
        deps: upstream assets of all streams, or those of each stream by its name; models of dbt that a stream reads are
            found in the file.
        partitions_def: partitions of time; each of them is the interval of a run.
        audit: whether each asset has the check `audit`.
        key_prefix: what keys begin with.
        step: what else `dg.multi_asset` takes: `name`, `group_name`, `backfill_policy`, `op_tags` ... The step has a
            `retry_policy` and a `pool` of the pipeline's name unless they are given.
    """
    if partitions_def is not None and not isinstance(partitions_def, dg.TimeWindowPartitionsDefinition):
        raise dg.DagsterInvalidDefinitionError(
            "a pipeline's partitions are of time: hourly, daily, weekly, monthly, or a TimeWindowPartitionsDefinition"
        )
    specs = specs_of(Path(pipeline).absolute(), deps, key_prefix, audit=audit)
    given = {"retry_policy": RETRIES, "pool": specs.name, "partitions_def": partitions_def, **step}

    def made(function: Callable[..., Any]) -> Any:  # noqa: ANN401
        named = {"name": function.__name__, **given}
        return dg.multi_asset(specs=specs.assets, check_specs=specs.checks, can_subset=True, **named)(function)

    return made
