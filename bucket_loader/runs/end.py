"""How a run ends: what is finished is settled, and a status and an exit code say how it went."""

from dataclasses import replace
from typing import Final, NamedTuple

from bucket_loader.model import (
    BucketLoaderError,
    Counts,
    DestinationError,
    InterruptedRunError,
    OtherPlaceError,
    PatienceError,
    StateError,
    StateLockedError,
    StoppedError,
    wire_timestamp,
)
from bucket_loader.planning import Plan
from bucket_loader.reporting import RefusedRows, Resumed, Summary
from bucket_loader.runs.job import Job
from bucket_loader.runs.settle import settle_run
from bucket_loader.runs.waiting import UNFINISHED, held_chunks, only_waits, stuck_chunks, waiting_records
from bucket_loader.state import RunRow, RunStatus, State

EMPTY_EXIT_CODE: Final = 99
HELD_EXIT_CODE: Final = 6
SIGNALLED: Final = 128  # and above: a signal
_PARTS_UNFOLDED: Final = 16  # of a stream; 1,600,000 records: up to here the ledger has each chunk, until `keep:`
_WORST_FIRST: Final = (1, 2, 5, 4, 130, 143, 129, 75, 3, 0)


def end_run(job: Job, state: State, planned: Plan, error: BucketLoaderError | None) -> Summary:
    """Settle what is finished, and say how the run ended; of a state that was lost meanwhile only say it."""
    try:
        return _ended(job, state, planned, error)
    except StateError:
        if (lost := state.lost()) is None:
            raise
    return _ended_without_state(job, state, planned, lost)


def _ended(job: Job, state: State, planned: Plan, error: BucketLoaderError | None) -> Summary:
    run_name, ledger = planned.manifest.run, state.ledger
    ended_at = wire_timestamp(job.outside.clock.utc())
    streams = ledger.counts(run_name)
    left = sum(counts.pending for counts in streams.values())
    if left == 0 and isinstance(error, InterruptedRunError):
        error = None  # it had just finished
    closed = left == 0 or isinstance(error, StoppedError)
    only_waits = left == waiting_records(ledger, run_name)
    if isinstance(error, StoppedError):  # a death from here on must not let it be resumed over what is settled
        ledger.end_run(run_name, "running", exit_code=error.exit_code, ended_at=ended_at, error=error)
    if closed or (error is None and only_waits):
        settle_run(state, planned, stopped=isinstance(error, StoppedError))
    if isinstance(error, StoppedError):
        streams = _named(streams, planned)
    status, exit_code = _verdict(job, streams, error, left)
    kept: RunStatus = {"interrupted": "unfinished", "failed": "unfinished"}.get(status, status)  # type: ignore[assignment]
    ledger.end_run(run_name, kept, exit_code=exit_code, ended_at=ended_at, error=error)
    _fold_large(state, planned)
    return _summary(job, state, planned, _Ending(status, exit_code, streams, error))


def _fold_large(state: State, planned: Plan) -> None:
    """Fold what a large run has delivered as it was planned; does nothing while anything of the run is left."""
    for stream in planned.manifest.streams:
        if len(stream.parts) > _PARTS_UNFOLDED:
            parts = [part.sequences for part in stream.parts]
            state.ledger.fold_parts(planned.manifest.run, stream.position, parts)


def _named(streams: dict[str, Counts], planned: Plan) -> dict[str, Counts]:
    """Return the counts of a run that was stopped as a whole: the next plan sends what is in doubt, unless held."""
    held = {stream.name for stream in planned.manifest.streams if stream.on_unknown == "hold"}
    return {
        name: replace(counts, possibly_duplicated=counts.possibly_duplicated + counts.unknown * (name not in held))
        for name, counts in streams.items()
    }


def was_stopping(row: RunRow) -> bool:
    """Whether a run died while it was closed: it was stopped, and sends nothing more."""
    return row.status == "running" and row.exit_code == StoppedError.exit_code


def _ended_without_state(job: Job, state: State, planned: Plan, lost: StateError) -> Summary:
    """Say how a run ended that lost its state."""
    streams, status = state.ledger.counts(planned.manifest.run), "failed"
    if isinstance(lost, StateLockedError):  # who has it now sends again what was in flight here
        status = "unfinished"
        streams = {
            name: replace(counts, possibly_duplicated=counts.possibly_duplicated + counts.unknown)
            for name, counts in streams.items()
        }
    return _summary(job, state, planned, _Ending(status, lost.exit_code, streams, lost))


class _Ending(NamedTuple):
    """How a run ended, and where its rows are."""

    status: str
    exit_code: int
    streams: dict[str, Counts]
    error: BucketLoaderError | None


def _summary(job: Job, state: State, planned: Plan, ending: _Ending) -> Summary:
    letters = state.dead_letters(planned.manifest.run)
    return Summary(
        run=planned.manifest.run,
        pipeline=job.pipeline.name,
        as_of=planned.manifest.as_of,
        dead_letters=str(letters.absolute()) if letters.exists() else None,
        refused=refused_rows(planned, ending.streams),
        **ending._asdict(),
    )


_ENDED_WITH: Final[dict[int, type[BucketLoaderError]]] = {2: StateError, 4: StoppedError, 5: DestinationError}


def ended_before(job: Job, state: State, row: RunRow) -> Summary:
    """Return how a run ended that another process has ended, as the ledger knows it."""
    run, exit_code, streams = row.run, row.exit_code or 0, state.ledger.counts(row.run)
    error: BucketLoaderError | None = None
    if (why := state.ledger.why(run)) is not None:
        message, hint = why
        error = _ENDED_WITH.get(exit_code, PatienceError)(message, hint=hint)
    status = (
        "interrupted" if exit_code > SIGNALLED else "failed" if exit_code == DestinationError.exit_code else row.status
    )
    summary = Summary(
        run=run,
        pipeline=job.pipeline.name,
        status=status,
        exit_code=exit_code,
        as_of=row.as_of,
        streams=streams,
        dead_letters=state.letters_place(run),
        error=error,
    )
    return replace(summary, requests=row.requests, retries=row.retries)


def refused_rows(planned: Plan, streams: dict[str, Counts]) -> tuple[RefusedRows, ...]:
    """Return what is known of the rows of a plan that were refused before, by stream."""
    return tuple(
        RefusedRows(stream.name, stream.refused, streams[stream.name].refused_before, known.run, known.day)
        for stream in planned.manifest.streams
        if (known := stream.known_refused) is not None
    )


def _verdict(job: Job, streams: dict[str, Counts], error: BucketLoaderError | None, left: int) -> tuple[str, int]:
    """Return the status and the exit code: the first that applies of 1, 2, 5, 4, 130/143/129, 75, 3, 0."""
    if not all(counts.conserved() for counts in streams.values()):
        raise AssertionError(f"rows are not accounted for: {streams}")
    if isinstance(error, StoppedError):
        return "stopped", error.exit_code
    if isinstance(error, InterruptedRunError):
        return "interrupted", error.exit_code
    if isinstance(error, DestinationError | OtherPlaceError):
        return "failed", error.exit_code
    if error is not None or left:
        return "unfinished", 75
    read = sum(counts.read for counts in streams.values())
    rejected = sum(counts.rejected for counts in streams.values())
    allowed = job.options.allow_rejected
    if rejected and not (allowed is not None and allowed.allows(rejected, read)):
        return "rejected", 3
    return "succeeded", 0


def sum_up(job: Job, summary: Summary, resumed: list[Summary], seconds: float) -> Summary:
    """Join the new run's summary with those of the runs that were finished first."""
    worst = min((summary, *resumed), key=lambda one: _WORST_FIRST.index(one.exit_code))
    empty = not any(counts.delivered or counts.rejected or counts.pending for counts in summary.streams.values())
    status, exit_code = worst.status, worst.exit_code
    if job.options.exit_99_when_empty and exit_code == 0 and empty and not resumed:
        status, exit_code = "empty", EMPTY_EXIT_CODE
    return replace(
        summary,
        status=status,
        exit_code=exit_code,
        error=summary.error or worst.error,
        resumed=tuple(Resumed(one.run, one.streams, one.dead_letters) for one in resumed),
        requests=summary.requests + sum(one.requests for one in resumed),
        retries=summary.retries + sum(one.retries for one in resumed),
        seconds=seconds,
    )


def with_waiting(job: Job, state: State, summary: Summary) -> Summary:
    """Add what the state holds for a person or has set aside, of whatever run: while there is any, a run is not done.

    With `--allow-held` somebody has decided that what is held may be: then only the rest counts. A scheduler that knows
    exit codes alone asks for one of its own for that, since 75 means that running again may help.
    """
    ledger = state.ledger
    rows = ledger.runs(*UNFINISHED)
    held = tuple(one for row in rows for one in held_chunks(ledger, row.run))
    stuck = tuple(one for row in rows for one in stuck_chunks(ledger, row.run))
    if not held and not stuck:
        return summary
    waits = summary.error is None and all(only_waits(ledger, row) for row in rows)
    status, exit_code = summary.status, summary.exit_code
    if waits and not stuck and job.options.allow_held and status == "unfinished":
        status, exit_code = _verdict(job, summary.streams, None, 0)
    elif waits and (stuck or not job.options.allow_held):
        status, exit_code = "unfinished", PatienceError.exit_code
    waits = waits and exit_code == PatienceError.exit_code
    only_held = waits and not stuck
    if only_held and job.options.exit_6_when_held:
        exit_code = HELD_EXIT_CODE
    return replace(
        summary, status=status, exit_code=exit_code, held=held, stuck=stuck, only_waits=waits, only_held=only_held
    )
