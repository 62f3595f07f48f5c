"""A model of dbt as a source: what the manifest and the profile say is handed to the source of its database."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bucket_loader.config import DbtSource, Require, SqlSource
from bucket_loader.model import Reading, SourceError
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.databases.sql import Database
from bucket_loader.sources.dbt.artifacts import Manifest, Node, read_artifact
from bucket_loader.sources.dbt.connection import Connection, connection_of
from bucket_loader.sources.dbt.manifest import node_of
from bucket_loader.sources.dbt.profiles import target_of
from bucket_loader.sources.files.local import LocalFile, named

_TARGET: Final = "target"  # the folder that dbt writes into


@dataclass(frozen=True)
class DbtFiles:
    """Where dbt's files lie, as a source says it."""

    spec: DbtSource
    context: SourceContext

    @property
    def project(self) -> Path:
        """The folder that dbt runs in: where its manifest is alone, the one above the manifest's."""
        base = self.context.base.absolute()
        if self.spec.project is not None:
            return base / Path(self.spec.project).expanduser()
        return (base / (self.spec.manifest or "")).parent.parent

    @property
    def manifest(self) -> LocalFile:
        """Its manifest.json."""
        return self._file(self.spec.manifest, self.project / _TARGET / "manifest.json")

    def node(self) -> Node:
        """Return what the manifest says of the model.

        Raises:
            SourceError: there is no such manifest, or no such model.
        """
        return node_of(read_artifact(self.manifest, Manifest), self.spec)

    def run_results(self, require: Require) -> LocalFile:
        """Return what came of dbt's last call: the file that `require:` names, else the one beside the manifest."""
        return self._file(require.run_results, self.manifest.path.parent / "run_results.json")

    def _file(self, written: str | None, usual: Path) -> LocalFile:
        """Return a file that is written: from the pipeline file's folder, or where there is none, from the project."""
        if written is None:
            return named(usual, self.context)
        path = self.context.base.absolute() / Path(written).expanduser()
        in_project = self.project / written
        return named(in_project if in_project.is_file() and not path.is_file() else path, self.context)


class DbtModel:
    """A model, seed or snapshot of dbt, read by the source of its database."""

    def __init__(self, spec: DbtSource, context: SourceContext) -> None:
        in_sql, relation = sql_of(spec, context)
        self._database = Database(in_sql, context, relation)

    def fingerprint(self) -> str:
        """Identify the database's content, the query and its parameters."""
        return self._database.fingerprint()

    def read(self) -> Reading:
        """Run the query, and stream its rows."""
        return self._database.read()


def sql_of(spec: DbtSource, context: SourceContext) -> tuple[SqlSource, str]:
    """Return a model as the `sql` source has it, and the relation as the database spells it.

    Raises:
        SourceError: dbt has no such model, or its profile does not say how to connect.
    """
    files = DbtFiles(spec, context)
    relation = files.node().relation_name or ""  # `node_of` refuses one without
    query, connection = spec.query_of(relation), _connection(spec, files)
    words: dict[str, Any] = {"table": spec.model} if query is None else {"query": query}
    words |= {"url": connection.url, "user": connection.user, "password": connection.password}
    try:
        made = SqlSource.model_validate({"type": "sql", "statement_timeout": spec.statement_timeout, **words})
    except ValueError:
        raise SourceError(
            "the query of the model uses a parameter that is not bound", hint="look at its `:name`s"
        ) from None
    return made, relation


def _connection(spec: DbtSource, files: DbtFiles) -> Connection:
    if spec.url is None:
        return connection_of(target_of(spec.profile, spec.target, files.project))
    user, password = (None if one is None else one.get_secret_value() for one in (spec.user, spec.password))
    return Connection(spec.url.get_secret_value(), user, password)
