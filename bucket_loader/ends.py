"""The ends of a run that a person decides: abandon what is unfinished, prune what is old."""

import time

from bucket_loader import plan
from bucket_loader.errors import StateError, UsageError
from bucket_loader.records import Counts
from bucket_loader.run import Job, now, opened
from bucket_loader.settling import settle


def abandon(job: Job, run_name: str) -> dict[str, Counts]:
    """Close an unfinished run: unsent rows return to the next plan, unknowns stay claimed."""
    with opened(job) as state:
        rows = [row for row in state.ledger.runs() if row.run == run_name]
        if not rows:
            raise UsageError(f"there is no run {run_name}", hint="`bucket-loader status` lists them")
        if rows[0].status not in {"running", "unfinished"}:
            raise UsageError(f"run {run_name} has ended ({rows[0].status})", hint="only an unfinished run is abandoned")
        try:
            settle(state, plan.read(state.plans / run_name, verify=False))
        except StateError:
            job.reporter.say(
                "its plan is lost: what it delivered is not remembered, and the next plan may send it again"
            )
        state.ledger.end_run(run_name, "abandoned", exit_code=75, ended_at=now())
        return state.ledger.counts(run_name)


def prune(job: Job, older_than_s: float) -> dict[str, int]:
    """Remove plans and dead letters that are old and settled."""
    with opened(job) as state:
        unfinished = {row.run for row in state.ledger.runs("running", "unfinished")}
        bound = time.time() - older_than_s
        folders = [path for path in state.plans.glob("*") if path.is_dir()]
        files = list((state.root / "dead_letters").glob("*.jsonl"))
        old_plans = [path for path in folders if path.name not in unfinished and path.stat().st_mtime < bound]
        old_letters = [path for path in files if path.stem not in unfinished and path.stat().st_mtime < bound]
        for path in old_plans:
            plan.remove(path)
        for path in old_letters:
            path.unlink()
    return {"plans": len(old_plans), "dead_letters": len(old_letters)}
