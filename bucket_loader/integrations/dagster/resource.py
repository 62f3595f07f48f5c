"""The resource: where pipelines load to and where their memory lies; and the load itself, as results of Dagster's."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from bucket_loader.integrations.dagster.loading import Asked, load


class BucketLoaderResource(dg.ConfigurableResource):  # type: ignore[misc]  # Dagster lives in an environment of its own
    """A connection to Bucket, and where the memory of runs lies. What is not said here, the environment says."""

    key: str | None = Field(
        default=None, description='BUCKET_SECRET_KEY of pipeline files; only as EnvVar("BUCKET_SECRET_KEY")'
    )
    base_url: str | None = Field(default=None, description="BUCKET_BASE_URL of pipeline files")
    environment: str | None = Field(
        default=None, description="BUCKET_ENVIRONMENT; staging and production remember apart from each other"
    )
    variables: dict[str, str] = Field(
        default={},
        description="what else ${VAR} refers to; an EnvVar where it is secret, since Dagster shows the others",
    )
    state: str | None = Field(
        default=None,
        description="where the memory lies: what BUCKET_LOADER_STATE takes; else that, else beside the file",
    )
    patience: str | None = Field(default=None, description="how long a step waits in an outage, before Dagster's retry")

    def load(
        self,
        context: dg.AssetExecutionContext,
        *,
        fail_on_rejected: bool | int | str = True,
        run_options: Mapping[str, Any] | None = None,
    ) -> Iterator[Any]:
        """Load the chosen streams of a step's pipeline; yield an asset's materialization and its checks for each.

        Args:
            context: the step's.
            fail_on_rejected: whether any rejected row fails the step; or how many may be rejected, or what share
                ("1%"). False leaves it to the check `rejected` to say so.
            run_options: more of a run's options, as `load()` takes them: `accept_changes`, `full`, `wait_for_lock` ...

        Raises:
            Failure: the run is not done; whether a retry can help is in it.
        """
        return load(context, Asked(self._variables(), self.state, self.patience, fail_on_rejected, run_options))

    def get_resource_definition(self) -> Any:  # noqa: ANN401
        """Return the definition; a key that stands in the code is refused, since Dagster's pages would show it."""
        if self.key is not None and not isinstance(self.key, dg.EnvVar):
            raise dg.DagsterInvalidDefinitionError(
                "the key is written in the code, and Dagster's pages would show it: "
                'write key=dg.EnvVar("BUCKET_SECRET_KEY"); then replace this key, it has been seen'
            )
        return super().get_resource_definition()

    def _variables(self) -> dict[str, str]:
        """Return what the resource says, as pipeline files refer to it."""
        said = {
            "BUCKET_SECRET_KEY": self.key, "BUCKET_BASE_URL": self.base_url, "BUCKET_ENVIRONMENT": self.environment
        }  # fmt: skip
        return self.variables | {name: value for name, value in said.items() if value}
