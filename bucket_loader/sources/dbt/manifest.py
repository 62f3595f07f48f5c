"""dbt's manifest.json: which model, seed or snapshot a source names."""

from collections.abc import Sequence
from typing import Final

from bucket_loader.config import DbtSource
from bucket_loader.model import SourceError, did_you_mean
from bucket_loader.sources.dbt.artifacts import Manifest, Node, plain

_READ: Final = ("model", "seed", "snapshot")


def node_of(manifest: Manifest, spec: DbtSource) -> Node:
    """Return the model, seed or snapshot that a source names.

    Raises:
        SourceError: there is none, or several, or it has no relation.
    """
    name, version = spec.ref
    nodes = [one for one in manifest.nodes.values() if one.resource_type in _READ]
    found = [one for one in nodes if one.name == name]
    if spec.package is not None:
        found = _of_package(found, spec.package, name)
    if not found:
        raise _unknown(manifest, nodes, name)
    packages = sorted({one.package_name for one in found})
    if len(packages) > 1:
        raise SourceError(
            f"dbt has {name!r} in the packages {' and '.join(packages)}",
            hint=f"say which: `package: {packages[0]}`",
        )
    return _with_relation(_of_version(found, version))


def _of_package(found: Sequence[Node], package: str, name: str) -> list[Node]:
    packages = sorted({one.package_name for one in found})
    if found and package not in packages:
        meant = did_you_mean(package, packages, f"it is in {' and '.join(packages)}")
        raise SourceError(f"dbt has no {name!r} in the package {package!r}", hint=meant)
    return [one for one in found if one.package_name == package]


def _of_version(found: Sequence[Node], version: str | None) -> Node:
    """Return the version that is asked for, or the latest, as `ref` does."""
    if len(found) == 1 and version is None:
        return found[0]
    wanted = [one for one in found if plain(one.version) == (version or plain(one.latest_version))]
    if not wanted:
        known = ", ".join(sorted(plain(one.version) for one in found if one.version is not None)) or "none"
        raise SourceError(f"dbt has no version {version} of {found[0].name!r}", hint=f"versions: {known}")
    return wanted[0]


def _with_relation(node: Node) -> Node:
    if node.config.materialized == "ephemeral" or not node.relation_name:
        raise SourceError(
            f"the {node.shown} is ephemeral: dbt makes no table or view of it",
            hint="read a model that selects from it, or set `materialized: view`",
        )
    return node


def _unknown(manifest: Manifest, nodes: Sequence[Node], name: str) -> SourceError:
    of_sources = [one for one in manifest.sources.values() if name in {one.name, f"{one.source_name}.{one.name}"}]
    if of_sources:
        return SourceError(
            f"{name!r} is a source of dbt, which dbt does not build",
            hint="read it with `type: sql` and its `table:`, or name a model that selects from it",
        )
    if any(one.name == name for versions in manifest.disabled.values() for one in versions):
        return SourceError(f"the model {name!r} of dbt is disabled", hint="set `enabled: true`, and run `dbt parse`")
    known = sorted({one.name for one in nodes})
    listed = f"it has {', '.join(known[:20])}" if known else "the manifest has none"
    return SourceError(
        f"dbt has no model, seed or snapshot {name!r}",
        hint=did_you_mean(name, known, f"{listed}; `dbt parse` writes the manifest anew"),
    )
