"""How a run begins: its dead letters so far and its plan are kept, then its rows stand in the ledger."""

from collections.abc import Sequence

from bucket_loader.model import make_folder, written_whole
from bucket_loader.planning import Plan
from bucket_loader.runs.arrays import note_form
from bucket_loader.runs.job import Job
from bucket_loader.runs.meanings import note_meanings
from bucket_loader.runs.plan import FRAME, frame_of, require_same_api
from bucket_loader.runs.waiting import superseded_by
from bucket_loader.state import REJECTED, NewStream, Replay, State

LETTERS_BYTES_AT_ONCE = 8 * 1024 * 1024


def begin_run(planned: Plan, state: State, job: Job, replays: Sequence[Replay] | None = None) -> None:
    """Make the run exist: its dead letters so far and its plan, wherever they are kept, then its rows in the ledger.

    What is replayed as recorded has the form of its day, and is no choice of today.
    """
    require_same_api(planned, job, "plan again; a replay needs --remap")
    if job.file is not None:
        state.ledger.note(pipeline_file=str(job.file.absolute()))
    if job.unnamed and any(stream.remembers for stream in planned.manifest.streams):
        state.ledger.note(**{FRAME: frame_of(planned)})
    if replays is None:
        note_form(planned.manifest, state.ledger)
        note_meanings(planned, job.pipeline, state.ledger)
    _keep_letters(planned, state)
    state.keep_plan(planned.manifest.run)
    manifest = planned.manifest
    state.ledger.add_run(
        manifest.run,
        as_of=manifest.as_of,
        interval=manifest.interval,
        plan_digest=planned.digest(),
        created_at=manifest.created_at,
        streams=[NewStream(one.position, one.name, one.mapping, one.counts) for one in manifest.streams],
        replays=replays or (),
        superseded=[] if replays else superseded_by(state, planned),
    )
    state.marks.write()


def _keep_letters(planned: Plan, state: State) -> None:
    """Keep what planning rejected; the file is whole under its name, or not there."""
    spooled, letters = planned.folder / REJECTED, state.dead_letters(planned.manifest.run)
    if spooled.exists() and not letters.exists():
        make_folder(letters.parent)
        keep = state.letters_kept(planned.manifest.run)
        with spooled.open("rb") as source, written_whole(letters) as file:
            while lines := source.readlines(LETTERS_BYTES_AT_ONCE):
                file.writelines(lines)
                keep(b"".join(lines))  # again after a death: readers drop repeats
