"""The ends of a run that a person decides: abandon what is unfinished, prune what is old."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bucket_loader.model import Counts, StateError, StateUnavailableError, StoppedError, UsageError, wire_timestamp
from bucket_loader.planning import plan_file
from bucket_loader.reporting import Note
from bucket_loader.runs.job import Job, opened
from bucket_loader.runs.settle import settle_run
from bucket_loader.state import RunRow, State

LATEST: Final = "latest"
_NAMED: Final = 5  # runs


def abandon_run(job: Job, named: str) -> tuple[str, dict[str, Counts]]:
    """Close an unfinished run: unsent rows return to the next plan, unknowns stay claimed.

    Args:
        job: what is asked.
        named: the run, as `find_run` takes it.

    Returns:
        Its name, and where its rows are.
    """
    ended_at = wire_timestamp(job.outside.clock.utc())
    with opened(job) as state:
        row = find_run(state, named)
        run_name = row.run
        if row.status not in {"running", "unfinished"}:
            raise UsageError(f"run {run_name} has ended ({row.status})", hint="only an unfinished run is abandoned")
        try:
            planned = plan_file.read(state.plan_folder(run_name), verify=False)
            # A death from here on must not let it be resumed over what is settled.
            state.ledger.end_run(run_name, "running", exit_code=StoppedError.exit_code, ended_at=ended_at)
            settle_run(state, planned, abandoned=True)
        except StateUnavailableError:
            raise  # not lost, out of reach: closing the run now would forget what it sent
        except StateError:
            sent = sum(counts.delivered + counts.unknown for counts in state.ledger.counts(run_name).values())
            job.listener.tell(
                Note(
                    f"its plan is lost, and with it which records were sent: {sent:,} of them are not remembered, "
                    "and the next plan sends them again"
                )
            )
        state.ledger.end_run(run_name, "abandoned", exit_code=75, ended_at=ended_at)
        return run_name, state.ledger.counts(run_name)


def find_run(state: State, run_name: str) -> RunRow:
    """Find a run by its name, by a beginning that no other has, or the newest as `latest`.

    Raises:
        UsageError: there is none, or more than one.
    """
    ledger = state.ledger
    if (exact := ledger.run(run_name)) is not None:
        return exact
    found = ledger.newest(1) if run_name == LATEST else ledger.begun_with(run_name, _NAMED + 1)
    if not found:
        raise UsageError(f"there is no run {run_name}", hint="`bucket-loader status PIPELINE` lists them")
    if len(found) > 1:
        named = ", ".join(row.run for row in found[:_NAMED]) + ", ..." * (len(found) > _NAMED)
        raise UsageError(f"more than one run begins with {run_name}", hint=f"write more of it: {named}")
    return found[0]


def prune_state(job: Job, older_than_s: float) -> dict[str, int]:
    """Remove plans and dead letters that are old and settled, from the disk and from the store."""
    with opened(job) as state:
        ledger = state.ledger
        unfinished = {row.run for row in (*ledger.runs("running", "unfinished"), *ledger.runs_that_hold())}
        bound = job.outside.clock.utc().timestamp() - older_than_s
        layout = state.layout
        plans = _ages(state, layout.plans, (path for path in layout.plans.glob("*") if path.is_dir()))
        letters = _ages(state, layout.dead_letters, layout.all_letters())
        old_plans, old_letters = (
            [run for run, age in ages.items() if run not in unfinished and age < bound] for ages in (plans, letters)
        )
        for run in old_plans:
            state.remove_plan(run)
            plan_file.remove(state.plans / run)
        for run in old_letters:
            state.remove_letters(run)
            state.ledger.forget_letters(run)
        checked = _remove_checked(layout.checked, bound)
        try:
            state.ledger.database.shrink()
        except StateUnavailableError as error:
            job.listener.tell(Note(f"the ledger keeps its size: {error.message}"))
    return {"plans": len(old_plans), "dead_letters": len(old_letters) + checked}


def _remove_checked(file: Path, bound: float) -> int:
    """Remove the rows that the last check rejected, if they are old; return how many files that were."""
    is_old = file.exists() and file.stat().st_mtime < bound
    if is_old:
        file.unlink()
    return int(is_old)


def _ages(state: State, folder: Path, paths: Iterable[Path]) -> dict[str, float]:
    """Return when what is in a folder was written last, by run; here or in the store."""
    found = {path.stem: path.stat().st_mtime for path in paths}
    for one in state.files.listed(state.layout.name(folder)):
        run = one.name.split("/")[1]
        found[run] = max(found.get(run, 0.0), one.written_s)
    return found
