"""What past runs came to: those of a pipeline, one of them, or the last of every pipeline of a folder."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any, Final

from bucket_loader.config import load_pipeline, pipeline_files
from bucket_loader.model import COUNTS, BucketLoaderError, Counts, UsageError, counted, read_time, wire_timestamp
from bucket_loader.planning import cursor
from bucket_loader.reporting import (
    COLUMNS,
    Listener,
    Note,
    PastRun,
    RunShown,
    RunsListed,
    StuckChunk,
    stuck_words,
)
from bucket_loader.runs.job import Job, RunOptions, make_job
from bucket_loader.runs.lifecycle import find_run
from bucket_loader.runs.waiting import UNFINISHED, stuck_chunks
from bucket_loader.state import RunRow, State, look_at_state

Found = dict[str, Any]
"""What `--json` prints."""

_ALWAYS: Final = {count.name for count in COUNTS if count.shown == "always"}
_NAMED: Final = 5  # chunks


def past_runs(job: Job, *, last: int, run_name: str | None = None) -> Found:
    """Return past runs, newest first, or the one that is named (DESIGN section 5).

    Raises:
        UsageError: no run is named so.
    """
    state = look_at_state(job.pipeline, job.state_place)
    if state is None:
        if run_name is not None:
            raise UsageError(
                f"there is no run {run_name}", hint="there is no state yet; `bucket-loader run PIPELINE` makes it"
            )
        return {"runs": [], "cursors": {}, "old_dead_letters": 0}
    with closing(state):
        rows = state.ledger.newest(last) if run_name is None else [find_run(state, run_name)]
        marks = {stream: cursor.shown(mark) for stream, mark in state.ledger.cursors().items()}
        stay = state.ledger.letters_that_stay()
        return {"runs": [run_as_json(state, row) for row in rows], "cursors": marks, "old_dead_letters": stay}


def last_runs(folder: Path, options: RunOptions, listener: Listener) -> Found:
    """Return the last run of every pipeline file of a folder; of a file with mistakes, what is wrong with it."""
    return {"pipelines": [_last_run(file, options, listener) for file in pipeline_files(folder)]}


def _last_run(file: Path, options: RunOptions, listener: Listener) -> Found:
    found: Found = {"file": file.name, "pipeline": None, "last": None, "error": None}
    try:
        pipeline = load_pipeline(file, destination={"key": "pub_not-needed"}, tells=False)
        found["pipeline"] = pipeline.name
        runs = past_runs(make_job(pipeline, options, listener, file=file, has_key=False), last=1)["runs"]
    except BucketLoaderError as error:
        return found | {"error": error.message}
    return found | {"last": runs[0] if runs else None}


def run_as_json(state: State, row: RunRow) -> Found:
    """Return all that is known of a run."""
    counts = state.ledger.counts(row.run)
    unknown = [
        {"chunk": chunk.members, "stream": name, "records": chunk.records, "attempts": chunk.attempts}
        for position, name in enumerate(counts)
        for chunk in state.ledger.chunks(row.run, position, "intent", "held")
    ]
    return {
        "run": row.run,
        "status": row.status,
        "as_of": row.as_of,
        "interval": [row.interval_start, row.interval_end] if row.interval_start else None,
        "created_at": row.created_at,
        "ended_at": row.ended_at,
        "exit_code": row.exit_code,
        "requests": row.requests,
        "retries": row.retries,
        "streams": {name: asdict(found) for name, found in counts.items()},
        "unknown": unknown,
        "senders": _senders(state, row, list(counts)),
        "stuck": [asdict(one) for one in stuck_chunks(state.ledger, row.run)] if row.status in UNFINISHED else [],
        "dead_letters": state.letters_place(row.run),
    }


def _senders(state: State, row: RunRow, names: list[str]) -> list[Found]:
    """Return who sends a run that several processes send, and what each has in hand."""
    if row.status not in UNFINISHED:
        return []
    return [
        {
            "sender": one.sender,
            "host": one.host,
            "pid": one.pid,
            "stream": None if one.stream is None else names[one.stream],
            "part": one.part,
            "since": _wire(one.taken),
            "heard_at": _wire(one.heard),
            "requests_per_second": one.share or None,
            "told_requests_per_second": one.rate,
        }
        for one in state.ledger.senders(row.run)
        if one.ended is None
    ]


def _wire(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else wire_timestamp(datetime.fromtimestamp(milliseconds / 1_000, UTC))


# --- for a person --------------------------------------------------------------------------------------------------


def tell_status(listener: Listener, found: Found) -> None:
    """Show past runs, one a line."""
    if not found["runs"]:
        listener.tell(Note("no run yet"))
        return
    listener.tell(RunsListed("run", tuple(_past(run["run"], run) for run in found["runs"])))
    for stream, mark in found["cursors"].items():
        listener.tell(Note(f"{stream} was read up to {mark}"))
    if count := found["old_dead_letters"]:
        stay = "stays: replay it, or remove it" if count == 1 else "stay: replay them, or remove them"
        listener.tell(
            Note(f"the dead letters of {counted(count, 'old run')} {stay} with `bucket-loader prune PIPELINE`")
        )
    for run in found["runs"]:
        if run["stuck"]:
            listener.tell(Note(f"run {run['run']}: {_stuck(run)}"))
        elif run["status"] in UNFINISHED:
            listener.tell(Note(f"run {run['run']} is unfinished: {next_step(run)}"))


def tell_pipelines(listener: Listener, found: Found) -> None:
    """Show the last run of each pipeline, one a line."""
    if not found["pipelines"]:
        listener.tell(
            Note("there is no pipeline file in this folder; `bucket-loader init SOURCE -o FILE` writes a first one")
        )
        return
    runs = (_past_of_pipeline(one) for one in found["pipelines"])
    listener.tell(RunsListed("pipeline", tuple(runs)))
    for one in found["pipelines"]:
        if one["error"] is not None:
            listener.tell(Note(f"`bucket-loader check {one['file']}` says why it cannot be read"))


def tell_run(listener: Listener, found: Found) -> None:
    """Show all that is known of a run."""
    (run,) = found["runs"]
    all_counts = [(name, Counts(**counts)) for name, counts in run["streams"].items()]
    shown = [name for name in COLUMNS if name in _ALWAYS or any(getattr(counts, name) for _, counts in all_counts)]
    listener.tell(
        RunShown(
            past=_past(run["run"], run),
            facts=tuple(_facts(run)),
            header=("stream", *shown),
            rows=tuple((name, *(f"{getattr(counts, each):,}" for each in shown)) for name, counts in all_counts),
            next_step=next_step(run),
        )
    )


def _past(name: str, run: Found) -> PastRun:
    counts = sum((Counts(**found) for found in run["streams"].values()), Counts())
    began = read_time(run["created_at"])
    seconds = (read_time(run["ended_at"]) - began).total_seconds() if run["ended_at"] else None
    return PastRun(name, run["status"], began, seconds, counts.delivered, counts.rejected, counts.pending)


def _past_of_pipeline(one: Found) -> PastRun:
    if one["last"] is not None:
        return _past(one["file"], one["last"])
    return PastRun(one["file"], "never run" if one["error"] is None else "cannot be read")


def _facts(run: Found) -> Iterator[tuple[str, str]]:
    yield "as of", run["as_of"]
    if run["interval"]:
        yield "interval", " to ".join(run["interval"])
    retried = f", {counted(run['retries'], 'retry', 'retries')}" if run["retries"] else ""
    yield "sent in", f"{counted(run['requests'], 'request')}{retried}"
    for one in run["unknown"][:_NAMED]:
        yield "unknown", f"{one['stream']} {one['chunk']}: {counted(one['records'], 'record')} got no answer"
    if more := run["unknown"][_NAMED:]:
        yield "unknown", f"and {counted(len(more), 'more chunk')}: `--json` names them"
    for one in run["senders"]:
        yield "sender", _sender(one)
    if len(told := {one["told_requests_per_second"] for one in run["senders"]}) > 1:
        yield "rate", _rate(told)
    if run["stuck"]:
        yield "stuck", _stuck(run)
    if run["dead_letters"]:
        yield "rejected", str(run["dead_letters"])


def _sender(one: Found) -> str:
    has = "waits" if one["part"] is None else f"has part {one['part']} of {one['stream']} since {one['since']}"
    share = "" if one["requests_per_second"] is None else f", {one['requests_per_second']:g} requests a second"
    return f"{one['host']}, process {one['pid']}, {has}; heard of at {one['heard_at']}{share}"


def _rate(told: set[float | None]) -> str:
    rates = sorted(one for one in told if one is not None)
    were_told = ", ".join([*(f"{one:g}" for one in rates), *(["none"] if None in told else [])])
    return (
        f"senders were told different requests_per_second ({were_told}); all together keep to the least, {rates[0]:g}"
    )


def _stuck(run: Found) -> str:
    return stuck_words([StuckChunk(**one) for one in run["stuck"]])


def next_step(run: Found) -> str:
    """Return what a person does next about a run; empty where that is nothing."""
    if run["status"] in UNFINISHED:
        held = (
            f"`bucket-loader release PIPELINE {run['run']}` decides about what is unknown, " if run["unknown"] else ""
        )
        abandon = f"`bucket-loader abandon PIPELINE {run['run']}`"
        return f"`bucket-loader run PIPELINE` continues it, {held}{abandon} closes it"
    return (
        f"mend the rows or `fields:`, then `bucket-loader replay {quote(str(run['dead_letters']))} --remap`"
        if (run["dead_letters"])
        else ""
    )
