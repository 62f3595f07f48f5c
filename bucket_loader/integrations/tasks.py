"""A run as one task of an orchestrator: what all of them do alike.

job --run, in a thread--> summary --> how the task ends
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bucket_loader.model import BucketLoaderError, UsageError

if TYPE_CHECKING:
    from bucket_loader.config import Pipeline
    from bucket_loader.reporting import Summary
    from bucket_loader.runs import Job, RunOptions

Interval = tuple[datetime, datetime]
Done = TypeVar("Done")

STATE: Final = "BUCKET_LOADER_STATE"
_NO_RETRY: Final = frozenset([2, 3, 4, 5])  # the same again would end the same (DESIGN section 5)


# --- from an orchestrator's words to ours --------------------------------------------------------------------------


def options_of(
    own: Mapping[str, Any],
    run_options: Mapping[str, Any] | None,
    owner: str,
    **otherwise: Any,  # noqa: ANN401  # any option
) -> "RunOptions":
    """Return the options of a task's run.

    Args:
        own: those that the task has parameters for.
        run_options: more of them.
        owner: what has the parameters, for messages.
        otherwise: what holds where `run_options` do not say it.

    Raises:
        UsageError: `run_options` has an option that is none, or that is a parameter.
    """
    from bucket_loader.runs import OPTIONS, read_options

    more = dict(run_options or {})
    known = OPTIONS - own.keys()
    if unknown := more.keys() - known:
        raise UsageError(
            f"run_options has {', '.join(sorted(unknown))}, which is no option there",
            hint=f"it takes {', '.join(sorted(known))}; the others are parameters of {owner}",
        )
    return read_options({**otherwise, **more, **own}, _spelt)


def _spelt(name: str, *value: object) -> str:
    """Return an option as a task spells it."""
    from bucket_loader.runs import spelt_in_python

    return spelt_in_python("fail_on_rejected" if name == "allow_rejected" else name, *value)


def allowed_rejected(fail_on_rejected: bool | int | str) -> int | str | None:  # noqa: FBT001  # a task's own word
    """Return what `fail_on_rejected` means: no row, all of them, or so many."""
    if isinstance(fail_on_rejected, bool):
        return None if fail_on_rejected else "100%"
    return fail_on_rejected


def uses_interval(pipeline: "Pipeline", streams: tuple[str, ...]) -> bool:
    """Whether the chosen streams read by the interval; a query's named sources all count."""
    from bucket_loader.config import QuerySource, interval_is_used

    chosen = [pipeline.source_of(stream) for stream in pipeline.streams if not streams or stream.name in streams]
    named = pipeline.sources.values() if any(isinstance(spec, QuerySource) for spec in chosen) else ()
    return any(interval_is_used(spec) for spec in (*chosen, *named))


# --- the run -------------------------------------------------------------------------------------------------------


def run_beside(job: "Job", load: Callable[[], Done]) -> Done:
    """Run beside the main thread, which an orchestrator interrupts wherever it is; then the run drains.

    Its lineage goes where the job, or else OpenLineage's own variables say, unless the orchestrator tells it.
    """
    from bucket_loader.reporting import lineage_listener

    if job.lineage is None:
        job.lineage = lineage_listener(job.options.lineage, job.listener)
    with ThreadPoolExecutor(1, thread_name_prefix="bucket-loader") as pool:
        try:
            return pool.submit(load).result()
        except BaseException:
            job.drain()
            raise


def run_window(job: "Job", interval: Interval) -> "Summary":
    """Load one window of history, also when it was loaded before: only events and feedback."""
    from bucket_loader.runs import run_windows

    start, end = interval
    return run_windows(job, start, end, f"{(end - start).total_seconds():f}s", again=True).done[0][1]


def require_report(file: Path) -> None:
    """Make the folder of a report, and refuse a file that none can be written to, before anything is sent.

    Raises:
        UsageError: it is none.
    """
    from bucket_loader.runs import require_report_file

    with suppress(OSError):  # the folder that is not there is named then
        file.parent.mkdir(parents=True, exist_ok=True)
    require_report_file(file)


def write_report(job: "Job", file: Path, ended: "Summary | BucketLoaderError") -> bool:
    """Write the report of a task's run, or of what kept it from being one; say so when that cannot be done."""
    from bucket_loader.reporting import Complaint, Note
    from bucket_loader.runs import ReportAsked, report_of

    named = "PIPELINE" if job.file is None else quote(str(job.file))
    if isinstance(ended, BucketLoaderError):
        asked = ReportAsked(None, is_after=True, error=ended, named=named)
    else:
        asked = ReportAsked(ended.run, is_after=True, error=ended.error, named=named)
    try:
        report_of(job, asked).save(file)
    except (OSError, BucketLoaderError) as refused:
        why = getattr(refused, "strerror", None) or str(refused)
        job.listener.tell(Complaint(f"the report cannot be written to {file}: {why}"))
        return False
    job.listener.tell(Note(f"the report: {file}"))
    return True


# --- how the task ends ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ending:
    """How a task ends whose run is not done: in words, and whether the same again can help."""

    text: str
    retry: bool


def ending_of(ended: "Summary | BucketLoaderError") -> Ending:
    """Return how a task ends, by its run's summary, or by the error that kept it from being one."""
    if isinstance(ended, BucketLoaderError):
        return _ending(ended.exit_code, f"failed: {ended}", helps=True)
    told = f"{ended.status}: {ended.error}" if ended.error is not None else ended.status
    if ended.only_held:
        told = f"{told}: records are held until somebody releases or drops them"
    return _ending(ended.exit_code, told, helps=not ended.only_held)


def _ending(exit_code: int, told: str, *, helps: bool) -> Ending:
    retry = helps and exit_code not in _NO_RETRY
    becomes = "a retry continues" if retry else "not retried"
    return Ending(f"bucket-loader: {told} (exit {exit_code}; {becomes})", retry)
