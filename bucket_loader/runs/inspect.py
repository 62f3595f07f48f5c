"""Looking without sending: what a plan would do, whether all is as the pipeline file says, what past runs came to."""

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bucket_loader.config import Destination
from bucket_loader.model import Api, Counts, StateError, StateUnavailableError, Verdict
from bucket_loader.planning import Plan, cursor
from bucket_loader.reporting import (
    COLUMNS,
    Listener,
    Note,
    PlanRejected,
    RecordShown,
    StreamPlanned,
    StuckChunk,
    Table,
    stuck_words,
)
from bucket_loader.runs import features
from bucket_loader.runs.arrays import as_delivered
from bucket_loader.runs.end import refused_rows
from bucket_loader.runs.job import Job, opened
from bucket_loader.runs.plan import make_plan
from bucket_loader.runs.restored import noticed_in
from bucket_loader.runs.room import require_room
from bucket_loader.runs.waiting import stuck_chunks
from bucket_loader.state import REJECTED, RunRow, State, look_at_state

CHECKED_ROWS: Final = 1_000
# A read that only the right key may do. S4 documents none for the tracking API: that one is of its SDK (TRK).
_PROOF: Final[dict[Api, str]] = {
    "front": "/features",
    "front-legacy": "/flags/evaluate",
    "tracking-legacy": "/features/enabled",
}
_NOT_THERE: Final = 404

# --- plan ----------------------------------------------------------------------------------------------------------


def plan_job(job: Job) -> tuple[Plan, dict[str, Counts]]:
    """Make a plan and keep it for `run --plan`; `limits:` are held against it."""
    with opened(job) as state:
        if (noticed := noticed_in(state)) is not None:
            job.listener.tell(Note(f"warning: {noticed}; `run` refuses it"))
        planned = make_plan(job, state)
    return planned, counts_of(planned)


def counts_of(planned: Plan) -> dict[str, Counts]:
    """Return where every row of a plan would go."""
    return {stream.name: stream.counts for stream in planned.manifest.streams}


def tell_plan(listener: Listener, planned: Plan, streams: dict[str, Counts], *, show: int) -> None:
    """Say what a plan would send, and show some of it."""
    for stream in planned.manifest.streams:
        listener.tell(StreamPlanned(stream.name, stream.kind, stream.mode, streams[stream.name]))
        for row in planned.rows(stream, range(min(show, stream.records)), ["record"]):
            listener.tell(RecordShown(row["record"]))
    for refused in refused_rows(planned, streams):
        listener.tell(Note(refused.text))
    rejected = planned.folder / REJECTED
    if rejected.exists():
        listener.tell(PlanRejected(rejected))


def plan_as_json(planned: Plan, streams: dict[str, Counts]) -> dict[str, Any]:
    """Return a plan's counts as `--json` prints them."""
    refused = [asdict(one) for one in refused_rows(planned, streams)]
    return {
        "run": planned.manifest.run,
        "pipeline": planned.manifest.pipeline,
        "as_of": planned.manifest.as_of,
        "plan": str(planned.folder.absolute()),
        "digest": planned.digest(),
        "streams": {name: asdict(counts) for name, counts in streams.items()},
    } | ({"refused_before": refused} if refused else {})


# --- check ---------------------------------------------------------------------------------------------------------


def check_job(job: Job) -> dict[str, Any]:
    """Look at the sources through the mapping, then at the host and the key. Sends and remembers nothing.

    Raises:
        BucketLoaderError: the first thing that stands in the way of a run.
    """
    limit = min(job.options.limit or CHECKED_ROWS, CHECKED_ROWS)
    with planned_sample(as_delivered(job), limit) as planned:
        streams = counts_of(planned)
        job.listener.tell(Note(f"the first {limit:,} rows of each stream:"))
        tell_plan(job.listener, planned, streams, show=1)
        found = plan_as_json(planned, streams)
        warnings = [*_personal(planned), *_unwritten(job, planned)]
    _tell_room(job)
    for warning in warnings:
        job.listener.tell(Note(f"warning: {warning}"))
    answer = try_key(job.pipeline.destination)
    job.listener.tell(Note(f"{job.pipeline.destination.base_url}: {answer}"))
    return {key: found[key] for key in ("pipeline", "streams")} | {"destination": answer, "warnings": warnings}


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


@contextmanager
def planned_sample(job: Job, limit: int) -> Iterator[Plan]:
    """Plan the first rows of each stream against no memory; nothing of it is left at the end."""
    with TemporaryDirectory(prefix="bucket_loader-") as folder:
        options = replace(job.options, state=Path(folder), limit=limit, expect_state=False)
        looking = replace(job, options=options)
        with opened(looking) as state:
            planned = make_plan(looking, state)
        yield planned


# The API's documents ask that ids and attributes hold no personal data. Source: S1, S2.
_PERSONAL_NAME: Final = re.compile(
    r"e[-_]?mail|phone|mobile|birth|\bdob\b|passport|\bssn\b|social_?security|street|postal|zip_?code|iban|card_?number|"
    r"(first|last|full|given|family|sur)_?name|ip_?addr",
    re.IGNORECASE,
)
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LOOKED_AT: Final = 200  # records of each stream
_LISTS_NAMED: Final = 3


def _personal(planned: Plan) -> Iterator[str]:
    """Name the ids and attributes that look like personal data, by their names or their values; never a value."""
    for stream in planned.manifest.streams:
        names: dict[str, None] = {}
        for row in planned.rows(stream, range(min(_LOOKED_AT, stream.records)), ["record"]):
            record = json.loads(row["record"])
            values = {name: record.get(name) for name in ("userId", "companyId")} | record.get("attributes", {})
            for name, value in values.items():
                is_address = isinstance(value, str) and _EMAIL.fullmatch(value)
                if is_address or (name not in {"userId", "companyId"} and _PERSONAL_NAME.search(name)):
                    names[name] = None
        for name in names:
            yield f"{stream.name}: {name!r} looks like personal data; leave it out, or send `hash: hmac` of it"


def _unwritten(job: Job, planned: Plan) -> Iterator[str]:
    """Ask for `arrays:` where lists occur and it is not written."""
    if job.pipeline.arrays is not None or job.pipeline.destination.api != "front":
        return
    for stream in planned.manifest.streams:
        if stream.lists:
            named = ", ".join(map(repr, list(stream.lists)[:_LISTS_NAMED]))
            yield (
                f"{stream.name}: lists occur (in {named}), and the file does not say how they are sent; write "
                f"`arrays: {planned.manifest.arrays}` at its top, as they are now"
            )


def try_key(destination: Destination) -> str:
    """Prove host and key with a read.

    Raises:
        KeyRefusedError, MisroutedError, PatienceError: what a run would end with.
    """
    endpoint = _PROOF[destination.api]
    outcome, answer = features.get(destination, endpoint)
    if outcome.verdict is Verdict.DELIVERED:
        defined = f"; {len(json.loads(answer).get('features', []))} features are defined"
        return f"answers, and takes the key{defined if destination.api == 'front' else ''}"
    if destination.api == "tracking-legacy" and outcome.status == _NOT_THERE and _is_refusal(answer):
        return "answers as Bucket does; it has no read, so only the first record can prove the key"
    raise features.refused(outcome, destination, endpoint)


def _is_refusal(answer: bytes) -> bool:
    try:
        found = json.loads(answer)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("success") is False


# --- past runs -----------------------------------------------------------------------------------------------------


def past_runs(job: Job, *, last: int) -> dict[str, Any]:
    """Return past runs, newest first (DESIGN section 5)."""
    state = look_at_state(job.pipeline, job.state_place)
    if state is None:
        return {"runs": [], "cursors": {}, "old_dead_letters": 0}
    with closing(state):
        rows = state.ledger.newest(last)
        marks = {stream: cursor.shown(mark) for stream, mark in state.ledger.cursors().items()}
        stay = state.ledger.letters_that_stay()
        return {"runs": [_run_as_json(state, row) for row in rows], "cursors": marks, "old_dead_letters": stay}


def _run_as_json(state: State, row: RunRow) -> dict[str, Any]:
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
        "stuck": [asdict(one) for one in stuck_chunks(state.ledger, row.run)],
        "dead_letters": state.letters_place(row.run),
    }


def tell_status(listener: Listener, found: dict[str, Any]) -> None:
    """Show past runs as a table."""
    if not found["runs"]:
        listener.tell(Note("no run yet"))
        return
    rows: list[tuple[str, ...]] = []
    for run in found["runs"]:
        for number, (stream, counts) in enumerate(run["streams"].items()):
            head = (run["run"], run["status"]) if number == 0 else ("", "")
            numbers = (f"{counts[name]:,}" for name in COLUMNS)
            rows.append((*head, stream, *numbers))
    listener.tell(Table(("run", "status", "stream", *COLUMNS), tuple(rows)))
    for stream, mark in found["cursors"].items():
        listener.tell(Note(f"{stream} was read up to {mark}"))
    if count := found["old_dead_letters"]:
        listener.tell(Note(f"the dead letters of {count:,} old runs stay: replay them, or remove them with `prune`"))
    for run in found["runs"]:
        if run["stuck"]:
            listener.tell(Note(f"run {run['run']}: {stuck_words([StuckChunk(**one) for one in run['stuck']])}"))
        elif run["status"] in {"running", "unfinished"}:
            listener.tell(Note(f"run {run['run']} is unfinished: `run` continues it, `abandon` closes it"))
