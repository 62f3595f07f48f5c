"""The Dagster integration: assets of a pipeline's streams, a resource that loads them, and a component.

    from bucket_loader.integrations.dagster import BucketLoaderResource, bucket_assets

`dg` finds the component by the entry point `dagster_dg_cli.registry_modules`: it looks at the names that stand here, so
they are imported and not handed out late. None of it loads pandas, pyarrow or duckdb: a code server loads them all.
"""

from bucket_loader.integrations.dagster.assets import bucket_assets
from bucket_loader.integrations.dagster.component import BucketPipelineComponent
from bucket_loader.integrations.dagster.resource import BucketLoaderResource

__all__ = ["BucketLoaderResource", "BucketPipelineComponent", "bucket_assets"]
