"""What dbt writes into its folder `target`, as far as it matters here: manifest.json and run_results.json."""

import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from bucket_loader.model import SourceError
from bucket_loader.sources.files.local import LocalFile, open_file

VERSION_MIN: Final = 12  # of the manifest's schema: dbt 1.8
_TESTS: Final = ("test", "unit_test")


class Metadata(msgspec.Struct, frozen=True):
    """What an artifact says of itself."""

    dbt_schema_version: str = ""
    dbt_version: str = ""
    generated_at: str = ""


class _Head(msgspec.Struct, frozen=True):
    """The part that all artifacts of all versions share."""

    metadata: Metadata = Metadata()


class Settings(msgspec.Struct, frozen=True):
    """What is configured of a node."""

    materialized: str | None = None
    schema: str | None = None
    meta: dict[str, Any] = {}


class Described(msgspec.Struct, frozen=True):
    """A column, as a person has described it."""

    name: str
    description: str | None = ""


class DependsOn(msgspec.Struct, frozen=True):
    """What a node reads."""

    nodes: list[str] = []


class Node(msgspec.Struct, frozen=True):
    """A model, a seed, a snapshot, a test, or something else that dbt knows."""

    unique_id: str
    name: str
    resource_type: str
    package_name: str = ""
    alias: str | None = None
    relation_name: str | None = None
    config: Settings = Settings()
    version: str | float | None = None
    latest_version: str | float | None = None
    description: str | None = ""
    columns: dict[str, Described] = {}
    depends_on: DependsOn = DependsOn()
    attached_node: str | None = None
    source_name: str = ""

    @property
    def shown(self) -> str:
        """What to call it in a message."""
        version = "" if self.version is None else f".v{plain(self.version)}"
        return f"{self.resource_type} {self.name}{version}"


class Manifest(msgspec.Struct, frozen=True):
    """What of a manifest matters here."""

    metadata: Metadata = Metadata()
    nodes: dict[str, Node] = {}
    sources: dict[str, Node] = {}
    unit_tests: dict[str, Node] = {}
    disabled: dict[str, list[Node]] = {}

    def tests_on(self, node: Node) -> Sequence[Node]:
        """Return the tests on a node: those attached to it, and those of SQL or rows that read it."""
        tests = [one for one in (*self.nodes.values(), *self.unit_tests.values()) if one.resource_type in _TESTS]
        return [
            one for one in tests
            if one.attached_node == node.unique_id
            or (one.attached_node is None and node.unique_id in one.depends_on.nodes)
        ]  # fmt: skip


class Span(msgspec.Struct, frozen=True):
    """A part of the time that a node took."""

    completed_at: str | None = None


class Result(msgspec.Struct, frozen=True):
    """What came of one node in a call of dbt."""

    unique_id: str
    status: str
    failures: int | None = None
    timing: list[Span] = []


class Arguments(msgspec.Struct, frozen=True):
    """What dbt was called with: its command, and whether it made tables without rows."""

    which: str | None = None
    empty: bool | None = False


class Results(msgspec.Struct, frozen=True):
    """A run_results.json: what came of each node in one call of dbt."""

    metadata: Metadata = Metadata()
    args: Arguments = Arguments()
    results: list[Result] = []


Artifact = TypeVar("Artifact", Manifest, Results)


def read_artifact(file: LocalFile, kind: type[Artifact]) -> Artifact:
    """Read a file that dbt writes into its `target` folder.

    Raises:
        SourceError: there is none, it is another file, or of a dbt that is too old.
    """
    if not file.path.is_file():
        raise SourceError(f"there is no {file.name}", hint="`dbt build` writes it, into its folder `target`")
    try:
        with open_file(file) as stream:
            text = stream.read()
        _require_known(file, msgspec.json.decode(text, type=_Head).metadata, kind)
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise SourceError(
            f"{file.name} is not what dbt writes", hint="is dbt writing it just now? then run again"
        ) from None


def _require_known(file: LocalFile, metadata: Metadata, kind: type[Artifact]) -> None:
    """Refuse another file, and a manifest of a dbt that is too old: what it looks like inside is not known."""
    what = "manifest" if kind is Manifest else "run-results"
    match = re.search(rf"/{what}/v(\d+)", metadata.dbt_schema_version)
    if match is None:
        raise SourceError(f"{file.name} is no {what} of dbt", hint="`metadata.dbt_schema_version` says what a file is")
    if kind is Manifest and int(match[1]) < VERSION_MIN:
        by = f", of dbt {metadata.dbt_version}" if metadata.dbt_version else ""
        raise SourceError(
            f"{file.name} has schema v{match[1]}{by}; v{VERSION_MIN} and newer are read",
            hint="dbt 1.8 and newer write it: upgrade dbt, and run `dbt parse` again",
        )


def plain(version: str | float | None) -> str:
    """Return a version as a person writes it."""
    return f"{version:g}" if isinstance(version, float) else str(version)
