"""The operator: one run of a pipeline file as one Airflow task, with Airflow's interval, retries and log.

connection, variables, interval --> Job --run, in a thread--> summary --> XCom, and the task's end
"""

import os
from collections import ChainMap
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from bucket_loader.integrations.airflow.hook import BucketHook
from bucket_loader.integrations.airflow.lineage import lineage_of_task
from bucket_loader.integrations.airflow.links import REPORT, ReportLink
from bucket_loader.integrations.airflow.versions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
    has_lineage,
)
from bucket_loader.integrations.tasks import (
    STATE,
    Ending,
    Interval,
    allowed_rejected,
    ending_of,
    options_of,
    require_report,
    run_beside,
    run_window,
    uses_interval,
    write_report,
)
from bucket_loader.model import BucketLoaderError, UsageError

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from bucket_loader.reporting import StreamLineage, Summary
    from bucket_loader.runs import Job, RunOptions

Moment = datetime | str | None

_DONE: Final = 0
_EMPTY: Final = 99


class BucketLoadOperator(BaseOperator):  # type: ignore[misc]  # Airflow lives in environments of its own
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
        "pipeline", "streams", "interval_start", "interval_end", "variables", "state", "report", "report_url",
    )  # fmt: skip
    operator_extra_links = (ReportLink(),)
    ui_color = "#e4f0e8"

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
        super().__init__(**kwargs)
        self.pipeline = pipeline
        self.bucket_conn_id = bucket_conn_id
        self.streams = streams
        self.interval_start = interval_start
        self.interval_end = interval_end
        self.variables = variables
        self.state = state
        self.fail_on_rejected = fail_on_rejected
        self.skip_when_empty = skip_when_empty
        self.expect_state = expect_state
        self.backfill = backfill
        self.patience = patience
        self.report = report
        self.report_url = report_url
        self.run_options = run_options
        self._job: Job | None = None
        self._lineage: Sequence[StreamLineage] = ()

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Do the run, and end the task as the run ended; return its counts and paths."""
        from bucket_loader.reporting import RunEnded

        try:
            job, interval = self._make_job(context)
            summary = self._reported(context, job, interval)
        except BucketLoaderError as error:
            raise _failed(ending_of(error)) from None
        job.listener.tell(RunEnded(summary, raised=True))
        found = summary.as_json()
        if summary.exit_code == _DONE:
            return found
        context["ti"].xcom_push(key="return_value", value=found)
        if summary.exit_code == _EMPTY:
            raise cast("Exception", AirflowSkipException("there was nothing to do"))
        raise _failed(ending_of(summary))

    def on_kill(self) -> None:
        """Drain: what is in flight is waited for and remembered, nothing else is sent."""
        if self._job is not None:
            self._job.stopped.set()

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> "OperatorLineage | None":  # noqa: ANN401  # Airflow's
        """Return what the run read and wrote; Airflow's provider of OpenLineage asks, also when the task has failed."""
        return lineage_of_task(self._lineage) if self._lineage else None

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
        self._job = job
        try:
            return run_beside(job, lambda: self._load(job, interval))
        finally:
            self._job, self._lineage = None, kept.ended

    def _load(self, job: "Job", interval: Interval | None) -> "Summary":
        from bucket_loader.runs import run_job

        if not self.backfill:
            return run_job(job)
        if interval is None:
            raise _no_interval("a backfill loads one interval")
        return run_window(job, interval)

    def _make_job(self, context: Mapping[str, Any]) -> "tuple[Job, Interval | None]":
        from bucket_loader.config import load_pipeline
        from bucket_loader.reporting import in_log
        from bucket_loader.runs import make_job, places_in

        given = {name: str(value) for name, value in (self.variables or {}).items()}
        variables = ChainMap(given, BucketHook(self.bucket_conn_id).variables(), cast("dict[str, str]", os.environ))
        if self.report_url and self.report is None:
            raise UsageError("report_url is the address of a report, and none is written", hint="give report too")
        file = Path(self.pipeline)
        pipeline = load_pipeline(file, variables=variables)
        streams = (self.streams,) if isinstance(self.streams, str) else tuple(self.streams or ())
        start, end = self._moments(context)
        interval = (start, end) if start is not None and end is not None and start < end else None
        if interval is None and uses_interval(pipeline, streams):
            raise _no_interval(f"{file.name} uses the interval")
        options = self._options(streams, interval, end, self.state or places_in(variables.get(STATE) or ""))
        shown = f"{start:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ}" if start and end else "none"
        self.log.info("%s to %s; interval: %s", file, pipeline.destination.base_url, shown)
        listener = in_log(lambda line: self.log.info("%s", line))
        return make_job(pipeline, options, listener, file=file), interval

    def _moments(self, context: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
        """Return the interval that was asked for, else the DAG run's; each end may be missing."""
        from bucket_loader.runs import read_interval

        interval = read_interval(_moment(self.interval_start), _moment(self.interval_end))
        if interval is not None:
            return interval
        return _moment(context.get("data_interval_start")), _moment(context.get("data_interval_end"))

    def _options(
        self,
        streams: tuple[str, ...],
        interval: Interval | None,
        end: datetime | None,
        state: str | Sequence[str] | None,
    ) -> "RunOptions":
        own: dict[str, Any] = {
            "interval": interval,
            "streams": streams,
            "state": state or None,
            "allow_rejected": allowed_rejected(self.fail_on_rejected),
            "expect_state": self.expect_state,
            "exit_99_when_empty": self.skip_when_empty,
            "patience": self.patience,
        }
        return options_of(own, self.run_options, "the operator", as_of=end)


# --- from Airflow's words to ours ----------------------------------------------------------------------------------


def _moment(given: Any) -> datetime | None:  # noqa: ANN401  # a datetime, of Airflow's or ours, or a template's text
    if not given:
        return None
    from bucket_loader.model import in_utc, read_time

    try:
        return in_utc(given) if isinstance(given, datetime) else read_time(str(given))
    except ValueError:
        raise UsageError(
            f"{str(given)!r} is no time", hint="write for example 2026-01-31, or {{ data_interval_start }}"
        ) from None


def _no_interval(why: str) -> UsageError:
    return UsageError(
        f"{why}, and this DAG run has none, or an empty one",
        hint="schedule the DAG with a data-interval timetable, such as CronDataIntervalTimetable (in Airflow 3 a plain "
        "cron or @daily gives an interval of length zero); or give interval_start and interval_end",
    )


# --- from our words to Airflow's -----------------------------------------------------------------------------------


def _failed(ending: Ending) -> Exception:
    """Return the exception that fails a task: for good, or to be tried again."""
    failed = AirflowException if ending.retry else AirflowFailException
    return cast("Exception", failed(ending.text))
