"""A backfill: history in windows, each a run of its own with its own receipt, so that it can stop and go on at will.

Only events and feedback: yesterday's window of users or companies would overwrite what is true today.
"""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from bucket_loader.config import Pipeline, Stream, duration_s
from bucket_loader.model import UsageError, counted, wire_timestamp
from bucket_loader.reporting import Note, Summary, WindowEnded
from bucket_loader.runs.job import Interval, Job, opened
from bucket_loader.runs.lineage.tracing import lineage_sent
from bucket_loader.runs.notify import Telling, telling
from bucket_loader.runs.reach import is_cut
from bucket_loader.runs.run import run_untold
from bucket_loader.runs.signals import drained_on_signals

WINDOWS_MAX: Final = 100_000
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
_SPANS: Final = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
_GOES_ON_AFTER: Final = (0, 3)  # all delivered, or some rows rejected


@dataclass
class Backfill:
    """A backfill that is under way.

    Attributes:
        job: the pipeline, and what is asked of each of its runs.
        windows: the windows, oldest first.
        again: whether windows that were loaded before are read again.
        done: each window's run that this call made.
        skipped: windows that were loaded before.
    """

    job: Job
    windows: list[Interval]
    again: bool
    done: list[tuple[Interval, Summary]]
    skipped: int = 0

    @property
    def exit_code(self) -> int:
        """The last run's when it ended the backfill, else the worst."""
        codes = [summary.exit_code for _, summary in self.done]
        return codes[-1] if codes and codes[-1] not in _GOES_ON_AFTER else max(codes, default=0)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "pipeline": self.job.pipeline.name,
            "exit_code": self.exit_code,
            "skipped": self.skipped,
            "windows": [
                {"from": wire_timestamp(start), "to": wire_timestamp(end), **summary.as_json()}
                for (start, end), summary in self.done
            ],
        }


def run_windows(job: Job, start: datetime, end: datetime, every: str, *, again: bool = False) -> Backfill:
    """Load window after window; stops at the first that cannot be finished.

    Raises:
        UsageError: the windows make no sense, or a stream cannot be loaded in windows.
        BucketLoaderError: as `run` raises.
    """
    streams = _streams(job.pipeline, job.options.streams)
    job = replace(job, options=replace(job.options, streams=tuple(stream.name for stream in streams)))
    found = Backfill(job, list(windows(start, end, every)), again, [])
    with drained_on_signals(job), lineage_sent(job), telling(job) as told:
        _load(found, told)
    if found.skipped:
        job.listener.tell(Note(f"{counted(found.skipped, 'window')} loaded before; --again reads them once more"))
    return found


def _load(found: Backfill, told: Telling) -> None:
    job = found.job
    loaded = set() if found.again else _loaded(job)
    for number, window in enumerate(found.windows, 1):
        if tuple(map(wire_timestamp, window)) in loaded:
            found.skipped += 1
            continue
        summary = run_untold(replace(job, options=replace(job.options, interval=window)), told)
        found.done.append((window, summary))
        job.listener.tell(WindowEnded(number, len(found.windows), *window, summary))
        if summary.exit_code not in _GOES_ON_AFTER and not summary.only_waits:
            break


def windows(start: datetime, end: datetime, every: str) -> Iterator[Interval]:
    """Cut a stretch of time; the last window ends where the stretch does.

    Raises:
        UsageError: it is empty, or there would be too many windows.
    """
    if start >= end:
        raise UsageError("the backfill is empty: --to is not after --from", hint="give --from the earlier time")
    number, before = 0, start
    while before < end:
        number += 1
        if number > WINDOWS_MAX:
            raise UsageError(f"more than {WINDOWS_MAX:,} windows", hint="take longer ones with --every")
        after = min(_step(start, every, number), end)
        yield before, after
        before = after


def _step(start: datetime, every: str, number: int) -> datetime:
    """Return the n-th boundary. Counted from the start, so that a 31st comes back after a short month."""
    if every in _MONTHS:
        years, month = divmod(start.month - 1 + _MONTHS[every] * number, 12)
        year = start.year + years
        return start.replace(year=year, month=month + 1, day=min(start.day, calendar.monthrange(year, month + 1)[1]))
    if every in _SPANS:
        return start + _SPANS[every] * number
    try:
        seconds = duration_s(every)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        words = ", ".join([*_SPANS, *_MONTHS])
        raise UsageError(f"--every {every} is no window", hint=f"write {words}, or a duration such as 6h")
    return start + timedelta(seconds=seconds) * number


def _streams(pipeline: Pipeline, named: tuple[str, ...]) -> list[Stream]:
    """Return the streams that a backfill loads: the named ones, or all that can be.

    Raises:
        UsageError: one cannot be, or none is there.
    """
    chosen = [stream for stream in pipeline.ordered_streams() if not named or stream.name in named]
    if named and (ordered := [stream for stream in chosen if stream.ordered]):
        raise UsageError(
            f"stream {ordered[0].name!r} loads {ordered[0].record} records: an old window would overwrite what is "
            "true today",
            hint="a backfill is for events and feedback; `run` loads the others",
        )
    chosen = [stream for stream in chosen if not stream.ordered]
    if not chosen:
        raise UsageError(
            f"pipeline {pipeline.name!r} has no stream of events or feedback",
            hint="there is nothing to load in windows",
        )
    for stream in chosen:
        if not is_cut(pipeline, stream):
            raise UsageError(
                f"stream {stream.name!r} does not use the interval, so that every window would read everything",
                hint="use :interval_start and :interval_end in its query, or {interval_start:%Y-%m-%d} in its path",
            )
    return chosen


def _loaded(job: Job) -> set[tuple[str, str]]:
    """Return the intervals of earlier runs that loaded all of the streams and left nothing."""
    with opened(job) as state:
        return {
            (row.interval_start, row.interval_end)
            for row in state.ledger.runs("succeeded", "rejected")
            if not any(state.ledger.is_forgotten(row.number, stream) for stream in job.options.streams)
            and row.interval_start is not None
            and row.interval_end is not None
            and set(job.options.streams) <= state.ledger.counts(row.run).keys()
        }
