"""What dbt writes, made by hand: a manifest, and the results of a call."""

from bucket_loader.config import DbtSource
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.registry import open_source

SCHEMAS = "https://schemas.getdbt.com/dbt"


def node(name, kind="model", package="shop", **words):
    """Return a node of a manifest, with its unique id."""
    version = f".v{words['version']}" if "version" in words else ""
    given = {"relation_name": f'"warehouse"."main"."{name}"', "config": {"materialized": "table"}, "columns": {}}
    return {"unique_id": f"{kind}.{package}.{name}{version}", "name": name, "resource_type": kind,
            "package_name": package, **given, **words}  # fmt: skip


def manifest_of(*nodes, version=12, **parts):
    """Return a manifest of these nodes."""
    metadata = {"dbt_schema_version": f"{SCHEMAS}/manifest/v{version}.json", "dbt_version": "1.7.0"}
    return {"metadata": metadata, "nodes": {one["unique_id"]: one for one in nodes}, **parts}


def results_of(statuses, *, at="2026-01-31T03:00:00Z", **arguments):
    """Return the results of a call of dbt, by the unique ids of nodes."""
    metadata = {"dbt_schema_version": f"{SCHEMAS}/run-results/v6.json", "generated_at": at}
    results = [{"unique_id": one, "status": status, "timing": [], "failures": 2 if status in {"fail", "warn"} else None}
               for one, status in statuses.items()]  # fmt: skip
    return {"metadata": metadata, "args": {"which": "build", **arguments}, "results": results}


def dbt_source(base, **words):
    """Return the source of a model."""
    return open_source(DbtSource(type="dbt", **words), SourceContext(base))
