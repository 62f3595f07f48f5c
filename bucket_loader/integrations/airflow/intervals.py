"""The interval that a task loads: the one that it was given, else the one of its DAG run."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bucket_loader.integrations.tasks import Interval, uses_interval
from bucket_loader.model import UsageError

if TYPE_CHECKING:
    from bucket_loader.config import Pipeline

Moment = datetime | str | None
Moments = tuple[datetime | None, datetime | None]


def moments_of(start: Moment, end: Moment, context: Mapping[str, Any]) -> Moments:
    """Return the interval that was asked for, else the DAG run's; each end may be missing."""
    from bucket_loader.runs import read_interval

    given = read_interval(_moment(start), _moment(end))
    return given or (_moment(context.get("data_interval_start")), _moment(context.get("data_interval_end")))


def interval_of(moments: Moments, pipeline: "Pipeline", streams: tuple[str, ...]) -> Interval | None:
    """Return the interval between two moments; None where there is none, and the streams do not read by it.

    Raises:
        UsageError: there is none, and they do.
    """
    start, end = moments
    if start is not None and end is not None and start < end:
        return start, end
    if uses_interval(pipeline, streams):
        raise no_interval("the pipeline file uses the interval")
    return None


def spelt(moments: Moments) -> str:
    """Return an interval for a log."""
    start, end = moments
    return f"{start:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ}" if start and end else "none"


def no_interval(why: str) -> UsageError:
    """Return what to raise where an interval is needed."""
    return UsageError(
        f"{why}, and this DAG run has none, or an empty one",
        hint="schedule the DAG with a data-interval timetable, such as CronDataIntervalTimetable (in Airflow 3 a plain "
        "cron or @daily gives an interval of length zero); or give interval_start and interval_end",
    )


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
