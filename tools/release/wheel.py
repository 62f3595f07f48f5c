"""Put into each wheel what does not lie in the package: the files of `bucket-loader demo`, and a bill of materials.

The demo's files are those of the checkout, which is why there is no second copy of them. An editable installation reads
them where they are. The image of the emulator is built without them.

The bill is `.dist-info/sboms/bucket-loader.cdx.json` (PEP 770, CycloneDX 1.7). The wheel holds our own files and
nothing else. What it needs is installed beside it: these packages stand in the bill as external, with the range of
versions that may be taken. The same sources make the same bytes: no time stands in it.
"""

import json
import re
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.requirements import Requirement

NAME = "bucket-loader.cdx.json"
DEMO = (
    "pipelines/quickstart.yaml",
    *(f"sample_data/{name}" for name in ("users.csv", "companies.parquet", "warehouse.db", "feedback.csv")),
)


class CustomBuildHook(BuildHookInterface):
    """What hatchling calls around the making of a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the bill, and say what is put into the wheel."""
        if version == "standard":
            there = [name for name in DEMO if Path(self.root, name).exists()]
            build_data["force_include"] |= {str(Path(self.root, name)): f"bucket_loader/demo/{name}" for name in there}
        self.folder = tempfile.mkdtemp(prefix="sbom-")
        file = Path(self.folder, NAME)
        file.write_text(json.dumps(bill(self.metadata), indent=2) + "\n", "utf-8")
        build_data["sbom_files"].append(str(file))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002  # the same
        """Remove what was written."""
        shutil.rmtree(self.folder)


def bill(metadata: Any) -> dict[str, Any]:  # hatchling's own
    """Return the bill of a project: itself, and what it needs without extras."""
    needed = [external(Requirement(line)) for line in metadata.core.dependencies]
    project = itself(metadata)
    body = {
        "metadata": {"component": project},
        "components": needed,
        "dependencies": [{"ref": project["bom-ref"], "dependsOn": [one["bom-ref"] for one in needed]}],
    }
    digest = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
    head = {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX", "specVersion": "1.7", "serialNumber": f"urn:uuid:{digest}", "version": 1,
    }  # fmt: skip
    return head | body


def itself(metadata: Any) -> dict[str, Any]:  # hatchling's own
    """Return the entry of the project."""
    purl = f"pkg:pypi/{metadata.name}@{metadata.version}"
    return {
        "type": "application", "bom-ref": purl, "name": metadata.name, "version": metadata.version, "purl": purl,
        "description": metadata.core.description,
        "licenses": [{"license": {"id": metadata.core.license_expression}}],
    }  # fmt: skip


def external(need: Requirement) -> dict[str, Any]:
    """Return the entry of a package that is installed beside it."""
    purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', need.name).lower()}"
    ranges = "|".join(f"{one.operator}{one.version}" for one in need.specifier)
    entry = {
        "type": "library", "bom-ref": purl, "name": need.name, "purl": purl, "isExternal": True,
        "versionRange": f"vers:pypi/{ranges}", "scope": "required",
    }  # fmt: skip
    only = [] if need.marker is None else [{"name": "python:marker", "value": str(need.marker)}]
    return entry | ({"properties": only} if only else {})
