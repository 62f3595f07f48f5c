"""A run, from end to end: finish what is unfinished, plan, deliver, settle, sum up.

state --unfinished runs--> deliver --> settle
pipeline --> PLAN --limits--> deliver --> settle --> summary
"""

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from bucket_loader.delivery import Delivery
from bucket_loader.model import (
    SYNCS,
    BucketLoaderError,
    Counts,
    DestinationError,
    InterruptedRunError,
    StateError,
    StateUnavailableError,
    StoppedError,
    UsageError,
    give_memory_back,
    make_folder,
    written_whole,
)
from bucket_loader.planning import Plan, PlanRequest, limits, plan_file, planner
from bucket_loader.reporting import Note, PlanningEnded, Resumed, RunResumed, Summary, watched
from bucket_loader.runs.job import Job, RunOptions, opened
from bucket_loader.runs.settle import settle_run
from bucket_loader.state import (
    REJECTED,
    DeadLetters,
    Ledger,
    NewStream,
    Replay,
    RunRow,
    RunStatus,
    State,
)

EMPTY_EXIT_CODE = 99
LETTERS_BYTES_AT_ONCE = 8 * 1024 * 1024


NewRun = Callable[[Job, State], Summary]
"""What follows when nothing is unfinished."""


def run_job(job: Job, new_run: NewRun | None = None) -> Summary:
    """Finish what is unfinished, plan, deliver, settle.

    Args:
        job: what is asked.
        new_run: plans and delivers in another way than from the pipeline's sources.

    Raises:
        BucketLoaderError: nothing could be sent: a mistake in the pipeline file, the sources or the state. What goes
            wrong once there is a run is in the summary instead.
    """
    began = time.monotonic()
    _require_streams(job)
    with _signals(job), opened(job) as state:
        resumed: list[Summary] = []
        for row in state.ledger.runs("running", "unfinished"):
            if not _nothing_but_held(state.ledger, row):
                resumed.append(_resume(job, state, row))
                if resumed[-1].error is not None:
                    return replace(resumed[-1], seconds=time.monotonic() - began)
        summary = (new_run or _run_new)(job, state)
        return _together(job, summary, resumed, time.monotonic() - began)


def make_plan(job: Job, state: State) -> Plan:
    """Make a plan against a state's memory; sends nothing and remembers nothing."""
    options = job.options
    name = new_run_name(datetime.now(UTC))
    folder = state.plans / name
    with told_when_read(job), plan_written_to(folder):
        planned = planner.make_plan(
            PlanRequest(
                pipeline=job.pipeline,
                base=job.base,
                folder=folder,
                run=name,
                as_of=_as_of(options),
                interval=options.interval,
                streams=options.streams,
                limit=options.limit,
                full=options.full,
                after=max((row.number for row in state.ledger.runs()), default=0),
                memory=state.memory(),
                cursors=state.ledger.cursors(),
                loaded=state.ledger.loaded_files(),
                progress=job.progress,
            )
        )
    for note in planner.notes(planned.manifest):
        job.listener.tell(Note(note))
    return planned


@contextmanager
def told_when_read(job: Job) -> Iterator[None]:
    """Let the listener know when the reading is over, however it ends."""
    try:
        yield
    finally:
        job.listener.tell(PlanningEnded())


@contextmanager
def plan_written_to(folder: Path) -> Iterator[None]:
    """Leave nothing of a plan that could not be finished.

    Raises:
        StateUnavailableError: the disk refuses.
    """
    try:
        yield
    except OSError as error:  # the sources word their own: this is the disk that the plan goes to
        shutil.rmtree(folder, ignore_errors=True)
        raise StateUnavailableError(
            f"the plan cannot be written to {folder.parent}: {error.strerror or error}",
            hint="make room on its disk, or give another with --state; nothing was sent",
        ) from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _run_new(job: Job, state: State) -> Summary:
    planned = make_plan(job, state) if job.options.plan is None else _given(job, state, job.options.plan)
    if not job.options.accept_mapping:
        _require_same_mapping(planned, state.ledger)
    begin(planned, state, job)
    try:
        limits.check(job.pipeline, planned.manifest, accept_changes=job.options.accept_changes)
    except StoppedError as error:
        return _end(job, state, planned, error)
    return deliver(job, state, planned)


def _resume(job: Job, state: State, row: RunRow) -> Summary:
    job.listener.tell(RunResumed(row.run, row.created_at))
    planned = plan_file.read(state.plan_folder(row.run), verify=True)
    if planned.digest() != row.plan_digest:
        raise StateError(f"the plan of run {row.run} is not the one that was begun", hint=f"`abandon {row.run}`")
    _require_same_api(planned, job, "`bucket-loader abandon` the run: what it has not sent returns to the next plan")
    state.fetch_letters(row.run)
    return deliver(job, state, planned)


def begin(planned: Plan, state: State, job: Job, replays: Sequence[Replay] = ()) -> None:
    """Make the run exist: its dead letters so far and its plan, wherever they are kept, then its rows in the ledger."""
    _require_same_api(planned, job, "plan again; a replay needs --remap")
    if job.file is not None:
        state.ledger.note(pipeline_file=str(job.file.absolute()))
    spooled, letters = planned.folder / REJECTED, state.dead_letters(planned.manifest.run)
    if spooled.exists() and not letters.exists():
        make_folder(letters.parent)
        keep = state.letters_kept(planned.manifest.run)
        with spooled.open("rb") as source, written_whole(letters) as file:
            while lines := source.readlines(LETTERS_BYTES_AT_ONCE):
                file.writelines(lines)
                keep(b"".join(lines))  # again after a death: readers drop repeats
    state.keep_plan(planned.manifest.run)
    manifest = planned.manifest
    state.ledger.add_run(
        manifest.run,
        as_of=manifest.as_of,
        interval=manifest.interval,
        plan_digest=planned.digest(),
        created_at=manifest.created_at,
        streams=[NewStream(one.position, one.name, one.mapping, one.counts) for one in manifest.streams],
        replays=replays,
    )


def deliver(job: Job, state: State, planned: Plan) -> Summary:
    """Send what a begun run still has to send, and say how it ended."""
    delivery = Delivery(
        plan=planned,
        ledger=state.ledger,
        letters=DeadLetters(state.dead_letters(planned.manifest.run), state.letters_kept(planned.manifest.run)),
        destination=job.pipeline.destination,
        clock=time.monotonic,
        stopped=job.stopped,
    )
    error: BucketLoaderError | None = None
    give_memory_back()
    try:
        with watched(job.listener, delivery.tally):
            delivery.deliver()
    except BucketLoaderError as failure:
        error = failure
    if error is None and job.stopped.is_set():
        error = InterruptedRunError(job.signal_number)
    tally = delivery.tally
    return replace(_end(job, state, planned, error), requests=tally.requests, retries=tally.retries)


def _end(job: Job, state: State, planned: Plan, error: BucketLoaderError | None) -> Summary:
    """Settle what is finished, and say how the run ended."""
    run_name, ledger = planned.manifest.run, state.ledger
    streams = ledger.counts(run_name)
    left = sum(counts.pending for counts in streams.values())
    if left == 0 and isinstance(error, InterruptedRunError):
        error = None  # it had just finished
    closed = left == 0 or isinstance(error, StoppedError)
    only_held = left == _held(ledger, run_name)
    if closed or (error is None and only_held):
        settle_run(state, planned)
    status, exit_code = _verdict(job, streams, error, left)
    kept: RunStatus = {"interrupted": "unfinished", "failed": "unfinished"}.get(status, status)  # type: ignore[assignment]
    ledger.end_run(run_name, kept, exit_code=exit_code, ended_at=now())
    letters = state.dead_letters(run_name)
    return Summary(
        run=run_name,
        pipeline=job.pipeline.name,
        status=status,
        exit_code=exit_code,
        as_of=planned.manifest.as_of,
        streams=streams,
        dead_letters=str(letters.absolute()) if letters.exists() else None,
        error=error,
    )


def _verdict(job: Job, streams: dict[str, Counts], error: BucketLoaderError | None, left: int) -> tuple[str, int]:
    """Give the status and the exit code: the first that applies of 1, 2, 5, 4, 130/143, 75, 3, 0."""
    if not all(counts.conserved() for counts in streams.values()):
        raise AssertionError(f"rows are not accounted for: {streams}")
    if isinstance(error, StoppedError):
        return "stopped", error.exit_code
    if isinstance(error, InterruptedRunError):
        return "interrupted", error.exit_code
    if isinstance(error, DestinationError):
        return "failed", error.exit_code
    if error is not None or left:
        return "unfinished", 75
    read = sum(counts.read for counts in streams.values())
    rejected = sum(counts.rejected for counts in streams.values())
    allowed = job.options.allow_rejected
    if rejected and not (allowed is not None and allowed.allows(rejected, read)):
        return "rejected", 3
    return "succeeded", 0


def _together(job: Job, summary: Summary, resumed: list[Summary], seconds: float) -> Summary:
    """Join the new run's summary with those of the runs that were finished first."""
    worst = summary
    for one in resumed:
        if one.exit_code and not summary.exit_code:
            worst = one
    empty = not any(counts.delivered or counts.rejected or counts.pending for counts in summary.streams.values())
    status, exit_code = worst.status, worst.exit_code
    if job.options.exit_99_when_empty and exit_code == 0 and empty and not resumed:
        status, exit_code = "empty", EMPTY_EXIT_CODE
    return replace(
        summary,
        status=status,
        exit_code=exit_code,
        resumed=tuple(Resumed(one.run, one.streams, one.dead_letters) for one in resumed),
        requests=summary.requests + sum(one.requests for one in resumed),
        retries=summary.retries + sum(one.retries for one in resumed),
        seconds=seconds,
    )


# --- small questions -----------------------------------------------------------------------------------------------


def _held(ledger: Ledger, run_name: str) -> int:
    positions = range(len(ledger.counts(run_name)))
    return sum(row.records for position in positions for row in ledger.chunks(run_name, position, "held"))


def _nothing_but_held(ledger: Ledger, row: RunRow) -> bool:
    """Tell whether all that an unfinished run still has waits for a person: later runs need not wait for that."""
    left, held = sum(counts.pending for counts in ledger.counts(row.run).values()), _held(ledger, row.run)
    return held > 0 and left == held and not ledger.unsettled(row.run)


def _require_streams(job: Job) -> None:
    names = [stream.name for stream in job.pipeline.streams]
    unknown = [name for name in job.options.streams if name not in names]
    if unknown:
        raise UsageError(f"no stream is named {unknown[0]!r}", hint=f"the pipeline has: {', '.join(names)}")


def _require_same_mapping(planned: Plan, ledger: Ledger) -> None:
    """Refuse to send history again because its mapping changed: without `key:` the content is the identity."""
    for stream in planned.manifest.streams:
        known = ledger.last_mapping(stream.name)
        if SYNCS[stream.mode].once and not stream.keyed and known not in {None, stream.mapping} and stream.records:
            raise StateError(
                f"stream {stream.name!r}: the mapping has changed, and without `key:` that makes every row new: "
                f"{stream.records:,} would be sent",
                hint="undo the change; or give the stream a `key:`; or send them all with --accept-mapping",
            )


def _require_same_api(planned: Plan, job: Job, otherwise: str) -> None:
    """Refuse to send a plan through another API than its records are spelt for."""
    now_, then = job.pipeline.destination.api, planned.manifest.api
    if now_ != then:
        raise StateError(
            f"the plan {planned.manifest.run} is for `api: {then}`, and the pipeline now says `api: {now_}`",
            hint=f"write `api: {then}` again, with its key; or {otherwise}",
        )


def _given(job: Job, state: State, folder: Path) -> Plan:
    """Take a plan made before.

    Raises:
        StateError: it is not of this state, was sent, or a later run has delivered since.
    """
    planned = plan_file.read(folder, verify=True)
    manifest = planned.manifest
    if folder.resolve().parent != state.plans.resolve() or manifest.pipeline != job.pipeline.name:
        raise StateError(f"{folder} is not a plan of this state ({state.plans})", hint="plan again, then run that plan")
    runs = state.ledger.runs()
    if any(row.run == manifest.run for row in runs):
        raise StateError(f"the plan {manifest.run} was run already", hint="`bucket-loader status` shows how it ended")
    if any(row.number > manifest.after for row in runs):
        raise StateError(
            f"the plan {manifest.run} is out of date: another run came after it", hint="plan again, then run that plan"
        )
    return planned


def _as_of(options: RunOptions) -> datetime:
    moment = options.as_of or (options.interval[1] if options.interval else datetime.now(UTC))
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)


def new_run_name(now: datetime) -> str:
    """Name a run by its moment, so that names sort as runs do."""
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}Z"


def now() -> str:
    """Spell this moment for the ledger."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- the run's surroundings ----------------------------------------------------------------------------------------


@contextmanager
def _signals(job: Job) -> Iterator[None]:
    """Drain on SIGINT and SIGTERM; a second one ends the process at once, which the ledger survives as well."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def drain(number: int, _frame: FrameType | None) -> None:
        if job.stopped.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        job.signal_number = number
        job.stopped.set()

    before = {number: signal.signal(number, drain) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
