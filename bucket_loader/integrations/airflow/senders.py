"""A run that many tasks send: one plans it, and tells Airflow its name; mapped ones deliver it, each some parts.

BucketPlanOperator --the run's name--> BucketDeliverOperator, as often as one likes --> one more, which sees the end
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.integrations.airflow.base import PipelineOperator, named_streams
from bucket_loader.integrations.airflow.intervals import Moment, interval_of, moments_of, spelt
from bucket_loader.integrations.tasks import allowed_rejected, options_of, run_beside
from bucket_loader.model import UsageError

if TYPE_CHECKING:
    from bucket_loader.runs import RunOptions

_OF_BOTH: Final = frozenset(("accept_restored", "key_rotated", "patience", "wait_for_lock"))
_OF_PLANS: Final = _OF_BOTH | {"as_of", "engine", "full", "impact", "limit", "processes", "retry_refused"}
_OF_DELIVERY: Final = _OF_BOTH | {"accept_changes", "accept_flips", "accept_mapping", "allow_held"}


class BucketPlanOperator(PipelineOperator):
    """Plan a run for tasks that deliver it, and tell Airflow its name; what is unfinished is finished before.

    Args:
        pipeline: the path of the pipeline file.
        bucket_conn_id: a connection of type `bucket`, for BUCKET_BASE_URL, BUCKET_SECRET_KEY and BUCKET_ENVIRONMENT.
        streams: only these streams.
        interval_start, interval_end: the interval; the data interval of the DAG run by default.
        variables: what `${VAR}` in the pipeline file refers to, before the connection and the worker's environment.
        state: where the memory of runs lies: what `--state` takes, one or several; else BUCKET_LOADER_STATE. The ledger
            must be on PostgreSQL.
        expect_state: refuse to start without the state of an earlier run.
        run_options: more options of a plan, as `load()` takes them: `full`, `processes`, `engine` ...
    """

    template_fields: Sequence[str] = (
        *PipelineOperator.template_fields, "streams", "interval_start", "interval_end",
    )  # fmt: skip

    def __init__(
        self,
        *,
        streams: Sequence[str] = (),
        interval_start: Moment = None,
        interval_end: Moment = None,
        expect_state: bool = False,
        **kwargs: Any,  # noqa: ANN401  # of every operator
    ) -> None:
        super().__init__(**kwargs)
        self.streams = streams
        self.interval_start = interval_start
        self.interval_end = interval_end
        self.expect_state = expect_state

    def _do(self, context: Mapping[str, Any]) -> str:
        """Plan, and return the run's name."""
        from bucket_loader.runs import plan_for_senders, tell_plan, tell_stops

        pipeline, state = self._read()
        streams, moments = named_streams(self.streams), moments_of(self.interval_start, self.interval_end, context)
        interval = interval_of(moments, pipeline, streams)
        self.log.info("a plan of %s; interval: %s", self.pipeline, spelt(moments))
        own = {"streams": streams, "interval": interval, "state": state, "expect_state": self.expect_state}
        job = self._make_job(pipeline, _options(own, self.run_options, _OF_PLANS, as_of=moments[1]))
        made = run_beside(job, lambda: plan_for_senders(job))
        tell_plan(job.listener, made, show=0)
        tell_stops(job.listener, made)
        run = made.plan.manifest.run
        self.log.info("the plan is that of run %s", run)
        return run


class BucketDeliverOperator(PipelineOperator):
    """Send parts of a run beside other tasks that send it too, and end as the run ends, when it has.

    Args:
        pipeline: the path of the pipeline file.
        run_name: the run's name, as `BucketPlanOperator` tells it.
        bucket_conn_id: as of the plan.
        variables: as of the plan.
        state: as of the plan.
        fail_on_rejected: whether any rejected row fails the task; or how many may be rejected, or what share ("1%").
        run_options: more options of delivery, as `load()` takes them: `accept_changes`, `patience` ...
    """

    template_fields: Sequence[str] = (*PipelineOperator.template_fields, "run_name")

    def __init__(
        self,
        *,
        run_name: str,
        fail_on_rejected: bool | int | str = True,
        **kwargs: Any,  # noqa: ANN401  # of every operator
    ) -> None:
        super().__init__(**kwargs)
        self.run_name = run_name
        self.fail_on_rejected = fail_on_rejected

    def _do(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Send parts until the run has ended; return its counts and paths."""
        from bucket_loader.runs import deliver_job

        if not self.run_name:
            raise UsageError("no run is named", hint="a task of BucketPlanOperator names it: has that one failed?")
        pipeline, state = self._read()
        self.log.info("run %s of %s to %s", self.run_name, self.pipeline, pipeline.destination.base_url)
        own = {"state": state, "allow_rejected": allowed_rejected(self.fail_on_rejected)}
        job = self._make_job(pipeline, _options(own, self.run_options, _OF_DELIVERY))
        return self._ended(context, run_beside(job, lambda: deliver_job(job, self.run_name)))


def _options(
    own: Mapping[str, Any],
    given: Mapping[str, Any] | None,
    allowed: frozenset[str],
    **otherwise: Any,  # noqa: ANN401  # any option
) -> "RunOptions":
    """Return the options of one of the two; what is the other's is refused."""
    from bucket_loader.runs import OPTIONS

    elsewhere = dict.fromkeys(OPTIONS - allowed)
    return options_of({**elsewhere, **own}, given, "the operator, or of the other one", **otherwise)
