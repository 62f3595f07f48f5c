"""What is upstream of a stream: the models of dbt that it reads, under the keys that dagster-dbt gives them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from bucket_loader.config import DbtSource, Pipeline, Stream


def dbt_keys(pipeline: "Pipeline", stream: "Stream", base: Path) -> Iterator[Any]:
    """Yield the keys of the models that a stream reads, those that its query reads included.

    Raises:
        SourceError: dbt's manifest is not there, or does not have the model.
    """
    from bucket_loader.config import DbtSource
    from bucket_loader.planning import sources_under

    yield from (_key(spec, base) for spec in sources_under(pipeline, stream) if isinstance(spec, DbtSource))


def _key(spec: "DbtSource", base: Path) -> Any:  # noqa: ANN401  # an AssetKey
    """Return a model's key as dagster-dbt makes it, unless one's own translator does it otherwise.

    Source: `default_asset_key_fn` of dagster-dbt 0.29.
    """
    from bucket_loader.sources import DbtFiles, SourceContext

    node = DbtFiles(spec, SourceContext(base)).node()
    if said := node.config.meta.get("dagster", {}).get("asset_key"):
        return dg.AssetKey(said)
    if node.version is not None:
        return dg.AssetKey([node.alias or node.name])
    return dg.AssetKey([node.name] if node.config.schema is None else [node.config.schema, node.name])
