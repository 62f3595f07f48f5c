"""A step: the chosen streams of a pipeline, for each chosen partition, as materializations, checks, or a failure.

context --> Job for each interval --run, in a thread--> summaries --> what Dagster shows
"""

import os
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import dagster as dg

from bucket_loader.integrations.dagster.results import (
    RUN,
    Audited,
    Loaded,
    audit_check,
    failure,
    rejected_before,
    results,
)
from bucket_loader.integrations.dagster.specs import AUDIT, REJECTED, streams_of
from bucket_loader.integrations.tasks import (
    STATE,
    Interval,
    allowed_rejected,
    ending_of,
    options_of,
    run_beside,
    run_window,
    uses_interval,
)
from bucket_loader.model import BucketLoaderError, UsageError

if TYPE_CHECKING:
    from bucket_loader.reporting import Summary
    from bucket_loader.runs import Job

# The runs of a backfill start together, and a state has one owner: they wait for each other.
_WAITS_FOR_LOCK: Final = "10m"
_IN_BACKFILL: Final = "dagster/backfill"
_FINISHED: Final = (0, 3)  # all delivered, or some rows rejected


@dataclass(frozen=True)
class Asked:
    """What is asked of a load.

    Attributes:
        variables: what `${VAR}` refers to, before the environment.
        state: what BUCKET_LOADER_STATE takes.
        patience: how long an outage is waited out.
        fail_on_rejected: whether rejected rows fail the step, or how many may be, or which share.
        run_options: more of a run's options.
    """

    variables: Mapping[str, str]
    state: str | None
    patience: str | None
    fail_on_rejected: bool | int | str
    run_options: Mapping[str, Any] | None


def load(context: dg.AssetExecutionContext, asked: Asked) -> Iterator[Any]:
    """Load, and yield what came of each chosen stream; only look, where nothing but checks is chosen.

    Raises:
        Failure: a run is not done.
    """
    try:
        file, streams = streams_of(context.assets_def)
        chosen = {streams[key]: key for key in context.selected_asset_keys if key in streams}
        if not chosen:
            yield from _last_checks(context, file, asked)
            return
        loaded = _loaded(context, file, asked, chosen)
    except BucketLoaderError as error:
        raise failure(ending_of(error)) from None
    unfinished = [summary for summary in loaded.summaries if summary.exit_code not in _FINISHED]
    if not unfinished:
        yield from results(context, loaded)
    for summary in (*unfinished, *loaded.summaries):
        if summary.exit_code:
            raise failure(ending_of(summary), summary)


def _loaded(context: dg.AssetExecutionContext, file: Path, asked: Asked, chosen: Mapping[str, Any]) -> Loaded:
    """Run interval after interval, until one cannot be finished."""
    runs: list[tuple[str | None, Summary]] = []
    audits: list[Audited] = []
    asks_audit = any(check.name == AUDIT for check in context.selected_asset_check_keys)
    for partition, interval in _parts(context):
        job = _job(context, file, asked, tuple(chosen), interval)
        if interval is None:
            _require_no_interval(job)
        summary = run_beside(job, partial(_run, context, job))
        runs.append((partition, summary))
        if summary.exit_code not in _FINISHED:
            break
        if asks_audit:
            audits.append(_audited(job, summary.run))
    return Loaded(chosen, runs, audits, allows_any=asked.fail_on_rejected is False)


def _last_checks(context: dg.AssetExecutionContext, file: Path, asked: Asked) -> Iterator[Any]:
    """Yield the chosen checks of what was last loaded."""
    for check in context.selected_asset_check_keys:
        event = context.instance.get_latest_materialization_event(check.asset_key)
        if event is None or RUN not in event.asset_materialization.metadata:
            yield dg.AssetCheckResult(
                asset_key=check.asset_key, check_name=check.name, passed=False, description="nothing was loaded yet"
            )
            continue
        metadata = event.asset_materialization.metadata
        if check.name == REJECTED:
            yield rejected_before(check.asset_key, metadata)
        else:
            job = _job(context, file, asked, (), None)
            yield audit_check(check.asset_key, [_audited(job, str(metadata[RUN].value))])


def _audited(job: "Job", run: str) -> Audited:
    """Return what the audit of a run finds; that it cannot be made is a finding, and does not undo a load."""
    from bucket_loader.runs import audit_run

    try:
        audit = audit_run(job, run)
    except BucketLoaderError as error:
        return Audited(run, [str(error)], {})
    return Audited(run, audit.findings, audit.as_json())


def _run(context: dg.AssetExecutionContext, job: "Job") -> "Summary":
    """Do one run; an old window must not overwrite what is true today, so a backfill is for events and feedback."""
    from bucket_loader.reporting import RunEnded
    from bucket_loader.runs import run_job

    interval = job.options.interval if _IN_BACKFILL in context.run.tags else None
    summary = run_job(job) if interval is None else run_window(job, interval)
    job.listener.tell(RunEnded(summary, raised=True))
    return summary


def _parts(context: dg.AssetExecutionContext) -> list[tuple[str | None, Interval | None]]:
    """Return each chosen partition and its interval, oldest first; neither, where there are no partitions."""
    if not context.has_partition_key and not context.has_partition_key_range:
        return [(None, None)]
    partitions = context.assets_def.partitions_def
    windows = {key: partitions.time_window_for_partition_key(key) for key in context.partition_keys}
    parts = [(key, (window.start, window.end)) for key, window in windows.items()]
    return [*sorted(parts, key=lambda part: part[1])]


def _job(
    context: dg.AssetExecutionContext, file: Path, asked: Asked, streams: tuple[str, ...], interval: Interval | None
) -> "Job":
    from bucket_loader.config import load_pipeline
    from bucket_loader.reporting import in_log
    from bucket_loader.runs import make_job, places_in

    variables = ChainMap(dict(asked.variables), cast("dict[str, str]", os.environ))
    pipeline = load_pipeline(file, variables=variables)
    own: dict[str, Any] = {
        "interval": interval,
        "streams": streams,
        "state": places_in(asked.state or variables.get(STATE) or "") or None,
        "allow_rejected": allowed_rejected(asked.fail_on_rejected),
        "exit_99_when_empty": False,
        "patience": asked.patience,
    }
    options = options_of(own, asked.run_options, "`bucket.load`", wait_for_lock=_WAITS_FOR_LOCK)
    return make_job(pipeline, options, in_log(context.log.info), file=file)


def _require_no_interval(job: "Job") -> None:
    if uses_interval(job.pipeline, job.options.streams):
        raise UsageError(
            f"pipeline {job.pipeline.name!r} uses the interval, and its assets have no partitions",
            hint="give @bucket_assets a `partitions_def` of time, such as dg.DailyPartitionsDefinition",
        )
