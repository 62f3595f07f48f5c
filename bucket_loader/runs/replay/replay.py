"""Replay: a dead-letter file again, as a run of its own: as recorded, or through today's mapping (`--remap`).

    letters --not taken up before--> plan of those records --not overtaken--> PLAN --> deliver, as any other run

The file says which rows; the plan that rejected them says what was recorded. A letter is taken up once: the run that
does is noted with it. What a later run has delivered under the same key is left alone.
"""

from pathlib import Path

from bucket_loader.model import StateError
from bucket_loader.reporting import Summary
from bucket_loader.runs.begin import begin_run
from bucket_loader.runs.deliver import deliver_run
from bucket_loader.runs.job import Job
from bucket_loader.runs.plan import new_run_name, plan_written_to
from bucket_loader.runs.replay.letters import Letters, brought, read_letters
from bucket_loader.runs.replay.recorded import recorded_plan
from bucket_loader.runs.replay.remapped import remapped_plan
from bucket_loader.runs.replay.replaying import Replaying
from bucket_loader.runs.run import run_job
from bucket_loader.state import RunRow, State


def replay_file(job: Job, file: Path, *, remap: bool) -> Summary:
    """Take up a file's dead letters again; what is rejected once more goes to the new run's own file.

    Raises:
        BucketLoaderError: nothing was sent: the file is no dead-letter file of this state, or its plan is gone.
    """
    letters = read_letters(brought(job, file))

    def new_run(job: Job, state: State) -> Summary:
        replaying = Replaying(
            job, state, letters, _run_of(state, letters), new_run_name(state, job.outside.clock.utc())
        )
        if not any(replaying.fresh(stream) for stream in letters.streams()):
            return replaying.nothing_to_do()
        with plan_written_to(replaying.folder):
            planned, replays = (remapped_plan if remap else recorded_plan)(replaying)
        begin_run(planned, state, job, replays)
        return deliver_run(job, state, planned)

    return run_job(job, new_run)


def _run_of(state: State, letters: Letters) -> RunRow:
    row = state.ledger.run(letters.run)
    if row is None:
        raise StateError(
            f"{letters.file} is of run {letters.run}, which this state does not know",
            hint="give the pipeline file and the --state that it was run with",
        )
    return row
