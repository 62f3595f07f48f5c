"""The operator: one run of a pipeline file as one Airflow task, with Airflow's interval, retries and log.

connection, variables, interval --> Job --run, in a thread--> summary --> XCom, and the task's end
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bucket_loader.integrations.airflow.base import PipelineOperator, named_streams
from bucket_loader.integrations.airflow.hook import BucketHook
from bucket_loader.integrations.airflow.intervals import Moment, interval_of, moments_of, no_interval, spelt
from bucket_loader.integrations.airflow.lineage import lineage_of_task
from bucket_loader.integrations.airflow.links import REPORT, ReportLink
from bucket_loader.integrations.airflow.versions import has_lineage
from bucket_loader.integrations.tasks import (
    Interval,
    allowed_rejected,
    options_of,
    require_report,
    run_beside,
    run_window,
    write_report,
)
from bucket_loader.model import BucketLoaderError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.providers.openlineage.extractors import OperatorLineage

    from bucket_loader.reporting import StreamLineage, Summary
    from bucket_loader.runs import Job, RunOptions


class BucketLoadOperator(PipelineOperator):
    """Run a pipeline file: finish what is unfinished, plan, deliver.

    Args:
        pipeline: the path of the pipeline file.
        bucket_conn_id: a connection of type `bucket`, for BUCKET_BASE_URL, BUCKET_SECRET_KEY and BUCKET_ENVIRONMENT.
        streams: only these streams.
        interval_start, interval_end: the interval; the data interval of the DAG run by default.
        variables: what `${VAR}` in the pipeline file refers to, before the connection and the worker's environment.
        state: where the memory of runs lies: what `--state` takes, one or several; else BUCKET_LOADER_STATE, else
            beside the pipeline file.
        fail_on_rejected: whether any rejected row fails the task; or how many may be rejected, or what share ("1%").
        skip_when_empty: whether the task is skipped when there was nothing to do.
        expect_state: refuse to start without the state of an earlier run.
        backfill: the interval is a window of history: only events and feedback, and only streams that use it.
        patience: how long an outage is waited out in the task, before Airflow's own retry.
        report: where the report of the run is written: a file that ends with .html. Its folder is made.
        report_url: the address under which people open that file: the link "Bucket report" beside the task.
        run_options: more of a run's options, as `load()` takes them: `accept_changes`, `full`, `key_rotated` ...
    """

    template_fields: Sequence[str] = (
        *PipelineOperator.template_fields, "streams", "interval_start", "interval_end", "report", "report_url",
    )  # fmt: skip
    operator_extra_links = (ReportLink(),)

    def __init__(  # noqa: PLR0913  # an operator's parameters are its face
        self,
        *,
        pipeline: str | Path,
        bucket_conn_id: str = BucketHook.default_conn_name,
        streams: Sequence[str] = (),
        interval_start: Moment = None,
        interval_end: Moment = None,
        variables: Mapping[str, str] | None = None,
        state: str | Sequence[str] | None = None,
        fail_on_rejected: bool | int | str = True,
        skip_when_empty: bool = False,
        expect_state: bool = False,
        backfill: bool = False,
        patience: str | None = None,
        report: str | Path | None = None,
        report_url: str | None = None,
        run_options: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401  # Airflow's own
    ) -> None:
        super().__init__(
            pipeline=pipeline, bucket_conn_id=bucket_conn_id, variables=variables, state=state, run_options=run_options,
            **kwargs,
        )  # fmt: skip
        self.streams = streams
        self.interval_start = interval_start
        self.interval_end = interval_end
        self.fail_on_rejected = fail_on_rejected
        self.skip_when_empty = skip_when_empty
        self.expect_state = expect_state
        self.backfill = backfill
        self.patience = patience
        self.report = report
        self.report_url = report_url
        self._lineage: Sequence[StreamLineage] = ()

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> "OperatorLineage | None":  # noqa: ANN401  # Airflow's
        """Return what the run read and wrote; Airflow's provider of OpenLineage asks, also when the task has failed."""
        return lineage_of_task(self._lineage) if self._lineage else None

    def _do(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Do the run; return its counts and paths."""
        job, interval = self._prepared(context)
        return self._ended(context, self._reported(context, job, interval))

    def _reported(self, context: Mapping[str, Any], job: "Job", interval: Interval | None) -> "Summary":
        """Do the run, and write its report where one is asked for."""
        if self.report is None:
            return self._run(job, interval)
        file = Path(self.report)
        require_report(file)
        ended: Summary | BucketLoaderError | None = None
        try:
            ended = self._run(job, interval)
        except BucketLoaderError as error:
            ended = error
            raise
        finally:
            if ended is not None and write_report(job, file, ended) and self.report_url:
                context["ti"].xcom_push(key=REPORT, value=self.report_url)
        return ended

    def _run(self, job: "Job", interval: Interval | None) -> "Summary":
        from bucket_loader.reporting import KeptLineage, LineageSender

        kept = KeptLineage()
        if job.options.lineage is None and has_lineage():
            job.lineage = LineageSender(lambda: kept, "Airflow", job.listener)
        try:
            return run_beside(job, lambda: self._load(job, interval))
        finally:
            self._lineage = kept.ended

    def _load(self, job: "Job", interval: Interval | None) -> "Summary":
        from bucket_loader.runs import run_job

        if not self.backfill:
            return run_job(job)
        if interval is None:
            raise no_interval("a backfill loads one interval")
        return run_window(job, interval)

    def _prepared(self, context: Mapping[str, Any]) -> "tuple[Job, Interval | None]":
        if self.report_url and self.report is None:
            raise UsageError("report_url is the address of a report, and none is written", hint="give report too")
        pipeline, state = self._read()
        streams = named_streams(self.streams)
        moments = moments_of(self.interval_start, self.interval_end, context)
        interval = interval_of(moments, pipeline, streams)
        self.log.info("%s to %s; interval: %s", self.pipeline, pipeline.destination.base_url, spelt(moments))
        return self._make_job(pipeline, self._options(streams, interval, moments[1], state)), interval

    def _options(
        self,
        streams: tuple[str, ...],
        interval: Interval | None,
        end: "datetime | None",
        state: str | Sequence[str] | None,
    ) -> "RunOptions":
        own: dict[str, Any] = {
            "interval": interval,
            "streams": streams,
            "state": state,
            "allow_rejected": allowed_rejected(self.fail_on_rejected),
            "expect_state": self.expect_state,
            "exit_99_when_empty": self.skip_when_empty,
            "patience": self.patience,
        }
        return options_of(own, self.run_options, "the operator", as_of=end)
