"""When lineage is told: each stream starts with the call, and ends with it, as far as the call brought it.

call --begins--> START of each stream
state --unfinished runs--> what they had delivered before
call --ends, however it does--> COMPLETE, FAIL or ABORT of each stream, with what this call delivered
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

import pyarrow as pa

from bucket_loader.model import BucketLoaderError, Counts, InterruptedRunError, StateError, StoppedError
from bucket_loader.planning import plan_file
from bucket_loader.reporting import Stage, Summary
from bucket_loader.runs.job import Job
from bucket_loader.runs.lineage.gathering import NOT_ENDED, StreamCall, StreamEnd, calls_of, lineage_of, together
from bucket_loader.runs.waiting import UNFINISHED
from bucket_loader.state import MANIFEST, State

_BUG: Final = "a bug, or the end of the process"


@contextmanager
def lineage_sent(job: Job) -> Iterator[None]:
    """Wait a little, when all is done, until the lineage of what took place meanwhile is sent."""
    try:
        yield
    finally:
        if job.lineage is not None:
            job.lineage.close()


@contextmanager
def traced(job: Job, *, knows_streams: bool = True) -> Iterator["Trace"]:
    """Tell the lineage of the run that takes place meanwhile: its starts, and its ends, however it ends.

    Args:
        job: what is asked.
        knows_streams: whether the job says which streams it is for; the dead letters of a replay say it later.
    """
    trace = Trace(job, knows_streams=knows_streams)
    trace.begin()
    try:
        yield trace
    except BaseException as error:
        trace.fail(error)
        raise
    trace.end()


class Trace:
    """The lineage of one run, while it takes place."""

    def __init__(self, job: Job, *, knows_streams: bool) -> None:
        self._job = job
        self._began_at = job.outside.clock.utc()
        self._streams = {} if job.lineage is None else {one.stream.name: one for one in calls_of(job)}
        self._knows_streams = knows_streams
        self._before: dict[str, dict[str, Counts]] = {}  # what unfinished runs had come to
        self._ending: Summary | None = None
        self._runs: dict[str, dict[str, Counts]] = {}  # what each run of this call has come to
        self._columns: dict[str, list[str]] = {}  # of each stream's source

    def begin(self) -> None:
        """Tell that each stream starts."""
        if self._knows_streams:
            for one in self._streams.values():
                self._tell(one, "START")

    def found(self, state: State) -> None:
        """Note what unfinished runs have come to before."""
        if self._streams:
            self._before = {row.run: state.ledger.counts(row.run) for row in state.ledger.runs(*UNFINISHED)}

    def ended(self, state: State, summary: Summary, resumed: Mapping[str, Summary]) -> Summary:
        """Take a run's end, and return it; beside it those of the runs that were finished first."""
        if self._streams:
            self._ending, self._columns = summary, _columns(state, summary.run)
            self._runs = {one.run: one.streams for one in (*resumed.values(), summary)}
        return summary

    def end(self) -> None:
        """Tell how each stream ended."""
        summary = self._ending
        if summary is None:
            return
        for name, one in self._streams.items():
            if not self._knows_streams:
                if name not in summary.streams:
                    continue
                self._tell(one, "START")
            stage = _stage_of(summary, together(self._runs.values(), name))
            self._tell(one, stage, self._end_of(name), "" if stage == "COMPLETE" else _why(summary))

    def fail(self, error: BaseException) -> None:
        """Tell what ended every stream before it had a run; the text of a bug may hold a row."""
        stage: Stage = "ABORT" if isinstance(error, InterruptedRunError) else "FAIL"
        why = error.message if isinstance(error, BucketLoaderError) else f"{_BUG} ({type(error).__name__})"
        for one in self._streams.values() if self._knows_streams else ():
            self._tell(one, stage, error=why)

    def _end_of(self, name: str) -> StreamEnd:
        read = [run[name].read for key, run in self._runs.items() if name in run and key not in self._before]
        after = together(self._runs.values(), name) or Counts()
        before = together((self._before.get(run, {}) for run in self._runs), name) or Counts()
        return StreamEnd(self._columns.get(name, []), sum(read) if read else None, after.delivered - before.delivered)

    def _tell(self, one: StreamCall, stage: Stage, ended: StreamEnd = NOT_ENDED, error: str = "") -> None:
        if self._job.lineage is not None:
            at = self._began_at if stage == "START" else self._job.outside.clock.utc()
            self._job.lineage.tell(partial(lineage_of, one, stage, at, ended, error))


def _columns(state: State, run: str) -> dict[str, list[str]]:
    """Return the columns that the source of each stream of a plan had; nothing where the plan cannot be read."""
    try:
        folder = state.plan_folder(run)
        if not (folder / MANIFEST).exists():
            return {}
        planned = plan_file.read(folder, verify=False)
        return {one.name: _names(planned.records(one).schema) for one in planned.manifest.streams}
    except (StateError, OSError, pa.ArrowException):
        return {}


def _names(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema.field("row").type]


def _stage_of(summary: Summary, counts: Counts | None) -> Stage:
    """Return how a stream ended: it is complete when nothing of it is left, whatever became of others."""
    if isinstance(summary.error, StoppedError):
        return "FAIL"
    if counts is None or counts.pending:
        return "ABORT" if isinstance(summary.error, InterruptedRunError) else "FAIL"
    return "COMPLETE"


def _why(summary: Summary) -> str:
    return summary.error.message if summary.error is not None else f"the run is {summary.status}"
