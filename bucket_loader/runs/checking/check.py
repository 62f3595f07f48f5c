"""The check of a pipeline: its file, its sources, what is doubtful in their rows, and the host and the key."""

from contextlib import closing, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from bucket_loader.model import RejectedRowsError, StateError, StateUnavailableError
from bucket_loader.planning import Plan, PlannedStream
from bucket_loader.reporting import Note, RecordShown, StreamPlanned
from bucket_loader.runs.arrays import as_delivered
from bucket_loader.runs.checking.doubts import LIMIT, Looked, doubts_of
from bucket_loader.runs.checking.host import try_key
from bucket_loader.runs.checking.sample import Sample, planned_sample
from bucket_loader.runs.emulated import gone_in
from bucket_loader.runs.inspect import counts_of
from bucket_loader.runs.job import Job
from bucket_loader.runs.room import require_room
from bucket_loader.state import REJECTED, keep_checked, look_at_state

NOT_ASKED: Final = "was not asked: the variable of its key is not set"


def check_job(job: Job, *, whole: bool = False) -> dict[str, Any]:
    """Look at the sources through the mapping, then at the host and the key. Sends nothing, and remembers nothing.

    Args:
        job: what is checked; without a key the host is not asked.
        whole: whether all rows are looked at, not a sample of them.

    Raises:
        BucketLoaderError: the first thing that stands in the way of a run.
    """
    sample = Sample(job.pipeline, limit=job.options.limit, whole=whole)
    with planned_sample(as_delivered(job), sample) as planned:
        streams = counts_of(planned)
        doubts = doubts_of(Looked(job, planned, sample))
        for stream in planned.manifest.streams:
            _tell_stream(job, planned, stream, sample)
            for doubt in (one for one in doubts if one.stream == stream.name):
                job.listener.tell(doubt)
        if not doubts:
            job.listener.tell(Note("nothing is in doubt"))
        rejected = _kept(job, planned)
    _tell_room(job)
    answer = try_key(job.pipeline.destination) if job.has_key else NOT_ASKED
    job.listener.tell(Note(f"{job.pipeline.destination.base_url} {answer}"))
    _tell_emulator(job)
    return {
        "pipeline": planned.manifest.pipeline,
        "streams": {stream: asdict(counts) for stream, counts in streams.items()},
        "looked_at": {stream: sample.text(stream, counts.read) for stream, counts in streams.items()},
        "doubts": [doubt.as_json() for doubt in doubts],
        "warnings": [doubt.sentence for doubt in doubts],
        "rejected": None if rejected is None else str(rejected),
        "destination": answer,
        "exit_code": RejectedRowsError.exit_code if any(doubt.name == LIMIT for doubt in doubts) else 0,
    }


def _tell_stream(job: Job, planned: Plan, stream: PlannedStream, sample: Sample) -> None:
    """Say what was looked at of a stream, and show its first record."""
    job.listener.tell(StreamPlanned(stream.name, stream.kind, stream.mode, stream.counts))
    if not sample.is_whole(stream.name):
        seen = sample.text(stream.name, stream.counts.read)
        job.listener.tell(Note(f"  looked at {seen}; `--all` looks at every row"))
    for row in planned.rows(stream, range(min(1, stream.records)), ["record"]):
        job.listener.tell(RecordShown(row["record"]))


def _kept(job: Job, planned: Plan) -> Path | None:
    """Keep the rows that were rejected, and say where; None where there is no such file in the end."""
    try:
        kept = keep_checked(job.pipeline, job.state_place, planned.folder / REJECTED)
    except OSError as error:
        job.listener.tell(Note(f"the rejected rows cannot be kept: {error.strerror or error}"))
        return None
    if kept is not None:
        job.listener.tell(Note(f"the rejected rows are in {kept}"))
    return kept


def _tell_emulator(job: Job) -> None:
    """Say whether what is remembered is of an emulator that is gone: the next run begins anew then."""
    with suppress(StateError):  # what is wrong with the state was said
        state = look_at_state(job.pipeline, job.state_place) if job.has_key else None
        if state is not None:
            with closing(state):
                if (gone := gone_in(job.pipeline.destination, state)) is not None:
                    job.listener.tell(Note(f"warning: {gone}"))


def _tell_room(job: Job) -> None:
    """Say how much room on its disk a run needs, as far as that is known.

    Raises:
        StateUnavailableError: there is not even the least of it.
    """
    try:
        state = look_at_state(job.pipeline, job.state_place)
    except StateUnavailableError:
        raise
    except StateError as error:
        job.listener.tell(Note(f"how much room a run needs is not known: {error.message}"))
        return
    with nullcontext() if state is None else closing(state):
        require_room(job, state, job.outside.clock.utc(), looks=True)
