"""What a pipeline requires of dbt before a model is read: that it was built, lately, and that its tests hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bucket_loader.config import DbtSource
from bucket_loader.model import SourceError, UpstreamError, counted, read_time, spoken
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.dbt.artifacts import Manifest, Node, Result, Results, read_artifact
from bucket_loader.sources.dbt.manifest import node_of
from bucket_loader.sources.dbt.source import DbtFiles

# `dbt compile` and `dbt docs generate` write the same file, and call each model a success that they have not built.
_BUILDING: Final = (None, "build", "run", "seed", "snapshot", "retry")
_BUILT: Final = "success"
_WARNS: Final = "warn"
_HOLDS: Final = ("pass", "success", _WARNS)


def require_built(spec: DbtSource, context: SourceContext, now: datetime) -> list[str]:
    """Hold a model against what its source requires of dbt; return what a person should know, a sentence each.

    Raises:
        UpstreamError: it was not built, not lately enough, or a test on it did not hold.
        SourceError: dbt's files cannot be read, or have no such model.
    """
    if spec.require is None:
        return []
    files = DbtFiles(spec, context)
    manifest, file = read_artifact(files.manifest, Manifest), files.run_results(spec.require)
    node = node_of(manifest, spec)
    case = _Case(node, file.name, read_artifact(file, Results))
    case.require_built()
    if spec.require.max_age is not None:
        case.require_young(spec.require.max_age, now)
    return list(case.required_tests(manifest))


@dataclass(frozen=True)
class _Case:
    """A model, and what came of a call of dbt.

    Attributes:
        node: the model.
        file: the name of the file that says so.
        results: what it says.
    """

    node: Node
    file: str
    results: Results

    def require_built(self) -> None:
        """Require that the call has built the model, with its rows.

        Raises:
            UpstreamError: it has not.
        """
        result, called = self._result(self.node), self.results.args
        if result is None or called.which not in _BUILDING:
            by = f", which was `dbt {called.which}`" if called.which else ""
            raise self._stopped(
                f"was not built by the last call of dbt{by}", "`dbt build` keeps models and tests in one file"
            )
        if called.empty:
            raise self._stopped("was built without rows", "and without `--empty`")
        if result.status != _BUILT:
            raise self._stopped(f"was not built: dbt's status of it is {result.status!r}", "dbt's log says why")

    def require_young(self, age_s_max: float, now: datetime) -> None:
        """Require that the model was built no longer ago than this.

        Raises:
            UpstreamError: it is older.
        """
        built = self._built_at()
        age_s = (now - built).total_seconds()
        if age_s > age_s_max:
            raise self._stopped(
                f"was built {spoken(age_s)} ago, and `max_age:` is {spoken(age_s_max)}", "or raise `max_age:`"
            )

    def required_tests(self, manifest: Manifest) -> Iterator[str]:
        """Return what there is to know of the tests on it.

        Raises:
            UpstreamError: one did not hold.
        """
        tests = manifest.tests_on(self.node)
        found = [(test, result) for test in tests if (result := self._result(test)) is not None]
        if failed := [pair for pair in found if pair[1].status not in _HOLDS]:
            listed = ", ".join(f"{test.name} ({_said(result)})" for test, result in failed)
            look = f"`dbt test --select {failed[0][0].name}` shows it"
            raise self._stopped(f"has tests that do not hold: {listed}", look)
        yield from (f"{self.node.shown}: {test.name} ({_said(one)})" for test, one in found if one.status == _WARNS)
        if tests and not found:
            yield f"{self.node.shown}: {self.file} has no result of a test on it; `dbt build` runs them too"

    def _built_at(self) -> datetime:
        result = self._result(self.node)
        ends = [span.completed_at for span in result.timing if span.completed_at] if result is not None else []
        text = max(ends, default=self.results.metadata.generated_at)
        try:
            return read_time(text)
        except ValueError:
            raise SourceError(f"{self.file} does not say when the model was built", hint="run `dbt build`") from None

    def _result(self, node: Node) -> Result | None:
        return next((one for one in self.results.results if one.unique_id == node.unique_id), None)

    def _stopped(self, what: str, more: str) -> UpstreamError:
        return UpstreamError(
            f"the {self.node.shown} of dbt {what} ({self.file}); nothing was read and nothing was sent",
            hint=f"run `dbt build --select {self.node.name}`, then this again; {more}",
        )


def _said(result: Result) -> str:
    return f"{result.status}, {counted(result.failures, 'failure')}" if result.failures else result.status
