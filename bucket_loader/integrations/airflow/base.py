"""What all operators have: a pipeline file, the variables that it refers to, a job that drains, and how a task ends."""

import os
from collections import ChainMap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from bucket_loader.integrations.airflow.hook import BucketHook
from bucket_loader.integrations.airflow.versions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
)
from bucket_loader.integrations.tasks import STATE, Ending, ending_of
from bucket_loader.model import BucketLoaderError

if TYPE_CHECKING:
    from bucket_loader.config import Pipeline
    from bucket_loader.reporting import Summary
    from bucket_loader.runs import Job, RunOptions

_DONE: Final = 0
_EMPTY: Final = 99


class PipelineOperator(BaseOperator):  # type: ignore[misc]  # Airflow lives in environments of its own
    """Do something with a pipeline file; `_do` is what.

    Args:
        pipeline: the path of the pipeline file.
        bucket_conn_id: a connection of type `bucket`, for BUCKET_BASE_URL, BUCKET_SECRET_KEY and BUCKET_ENVIRONMENT.
        variables: what `${VAR}` in the pipeline file refers to, before the connection and the worker's environment.
        state: where the memory of runs lies: what `--state` takes, one or several; else BUCKET_LOADER_STATE, else
            beside the pipeline file.
        run_options: more options, as `load()` takes them.
    """

    template_fields: Sequence[str] = ("pipeline", "variables", "state")
    ui_color = "#e4f0e8"

    def __init__(
        self,
        *,
        pipeline: str | Path,
        bucket_conn_id: str = BucketHook.default_conn_name,
        variables: Mapping[str, str] | None = None,
        state: str | Sequence[str] | None = None,
        run_options: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401  # Airflow's own
    ) -> None:
        super().__init__(**kwargs)
        self.pipeline = pipeline
        self.bucket_conn_id = bucket_conn_id
        self.variables = variables
        self.state = state
        self.run_options = run_options
        self._job: Job | None = None

    def execute(self, context: Mapping[str, Any]) -> Any:  # noqa: ANN401  # what a task tells Airflow
        """Do it, and end the task as that ended."""
        try:
            return self._do(context)
        except BucketLoaderError as error:
            raise _failed(ending_of(error)) from None
        finally:
            self._job = None

    def on_kill(self) -> None:
        """Drain: what is in flight is waited for and remembered, nothing else is sent."""
        if self._job is not None:
            self._job.drain()

    def _do(self, context: Mapping[str, Any]) -> Any:  # noqa: ANN401  # as of `execute`
        raise NotImplementedError

    def _read(self) -> "tuple[Pipeline, str | Sequence[str] | None]":
        """Return the pipeline, and where its state lies where that is said."""
        from bucket_loader.config import load_pipeline
        from bucket_loader.runs import places_in

        given = {name: str(value) for name, value in (self.variables or {}).items()}
        variables = ChainMap(given, BucketHook(self.bucket_conn_id).variables(), cast("dict[str, str]", os.environ))
        pipeline = load_pipeline(Path(self.pipeline), variables=variables)
        return pipeline, self.state or places_in(variables.get(STATE) or "") or None

    def _make_job(self, pipeline: "Pipeline", options: "RunOptions") -> "Job":
        """Return the job that `on_kill` drains from now on; it tells the task's log."""
        from bucket_loader.reporting import in_log
        from bucket_loader.runs import make_job

        file, listener = Path(self.pipeline), in_log(lambda line: self.log.info("%s", line))
        self._job = make_job(pipeline, options, listener, file=file)
        return self._job

    def _ended(self, context: Mapping[str, Any], summary: "Summary") -> dict[str, Any]:
        """Tell the log and Airflow how a run ended, also where the task fails or is skipped by it."""
        from bucket_loader.reporting import RunEnded

        if self._job is not None:
            self._job.listener.tell(RunEnded(summary, raised=True))
        found = summary.as_json()
        if summary.exit_code == _DONE:
            return found
        context["ti"].xcom_push(key="return_value", value=found)
        if summary.exit_code == _EMPTY:
            raise cast("Exception", AirflowSkipException("there was nothing to do"))
        raise _failed(ending_of(summary))


def named_streams(given: Sequence[str] | None) -> tuple[str, ...]:
    """Return the streams that a task names; one may be a text."""
    return (given,) if isinstance(given, str) else tuple(given or ())


def _failed(ending: Ending) -> Exception:
    """Return the exception that fails a task: for good, or to be tried again."""
    failed = AirflowException if ending.retry else AirflowFailException
    return cast("Exception", failed(ending.text))
