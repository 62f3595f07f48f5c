"""The plan of a run: made now from the sources, or made before and given; and what refuses a plan."""

import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Final

from bucket_loader.model import (
    SYNCS,
    StateError,
    StateUnavailableError,
    UsageError,
    make_folder,
    read_time,
    spoken,
    wire_timestamp,
)
from bucket_loader.planning import (
    COMPARED,
    Manifest,
    OnSpark,
    Plan,
    PlannedStream,
    PlanRequest,
    Processes,
    Sampling,
    gates,
    plan_file,
    planner,
)
from bucket_loader.reporting import Note, PlanningEnded
from bucket_loader.runs.arrays import form_of_lists, notes_on_lists
from bucket_loader.runs.job import Job, RunOptions
from bucket_loader.runs.room import newest_folders, require_room
from bucket_loader.runs.waiting import unfinished_run
from bucket_loader.sources import SparkTasks
from bucket_loader.state import MANIFEST, REJECTED, Ledger, State

_ATTEMPTS: Final = "attempts"  # what tasks of Spark write, in the folder of a plan that is being made
FRAME: Final = "frame"  # what the ledger notes of the DataFrame without a name that it remembers


def make_plan(job: Job, state: State, sample: Sampling | None = None) -> Plan:
    """Make a plan against a state's memory; sends nothing and remembers nothing."""
    options = job.options
    now = job.outside.clock.utc()
    folder = state.plans / new_run_name(state, now)
    read: list[str] = []  # told once the bars of progress are gone
    if (lost := state.lost()) is not None:
        raise lost  # nothing is left behind where others would take it for a damaged state
    require_room(job, state, now)
    with told_when_read(job), plan_written_to(folder), _engine(job, folder) as engine:
        planned = planner.make_plan(
            PlanRequest(
                pipeline=job.pipeline,
                base=job.base,
                folder=folder,
                run=folder.name,
                as_of=as_of(options, now),
                interval=options.interval,
                streams=options.streams,
                limit=options.limit,
                full=options.full,
                after=state.ledger.last_number(),
                memory=state.memory(),
                cursors=state.ledger.cursors(),
                loaded=state.ledger.loaded_files(),
                arrays=form_of_lists(job.pipeline, state.ledger),
                unfinished=unfinished_run(state.ledger),
                made_at=wire_timestamp(now),
                refusals=state.refusals(),
                retry=options.retry_refused,
                progress=job.progress,
                note=read.append,
                sample=sample,
                engine=engine,
            )
        )
        gates.require_fields(job.pipeline, planned.manifest, state.ledger.baselines())
    for note in chain(read, _notes(job, planned, state.ledger)):
        job.listener.tell(Note(note))
    return planned


def _engine(job: Job, folder: Path) -> Processes | OnSpark:
    """Return what makes the plan.

    Raises:
        UsageError: processes of this machine are asked for, and Spark.
    """
    if job.options.engine != "spark":
        return Processes(job.options.processes)
    if job.options.processes is not None:
        raise UsageError("`processes` are this machine's, and the plan is made on Spark", hint="give one of the two")
    return OnSpark(SparkTasks(folder.absolute() / _ATTEMPTS, job.require_not_stopped))


_LOOKED_AT: Final = 100  # folders of plans: there may be thousands
# What planning writes: a folder with anything else in it is somebody's own.
_OF_PLANNING: Final = re.compile(rf"\d\d[-.]|tmp|(sources|{_ATTEMPTS}|{re.escape(REJECTED)})$")


def _clear_unfinished(new: Path) -> None:
    """Remove what plans before a new one have left: their process was killed, and tasks of it may have run on."""
    for folder in islice(newest_folders(new.parent), _LOOKED_AT):  # each plan does it: what is older was looked at
        if (folder / MANIFEST).exists():
            for late in (folder / _ATTEMPTS, *folder.glob(COMPARED.format("*"))):
                shutil.rmtree(late, ignore_errors=True)
        elif folder != new and folder.is_dir() and all(_OF_PLANNING.match(one.name) for one in folder.iterdir()):
            shutil.rmtree(folder, ignore_errors=True)


def _notes(job: Job, planned: Plan, ledger: Ledger) -> Iterator[str]:
    """Say what there is to know of a plan beside its counts."""
    yield from planner.notes(planned.manifest)
    yield from notes_on_forms(planned, ledger)
    yield from notes_on_lists(planned.manifest, job.pipeline, ledger)
    yield from (f"warning: {text}" for text in gates.warnings(job.pipeline, planned.manifest, ledger.baselines()))


@contextmanager
def told_when_read(job: Job) -> Iterator[None]:
    """Let the listener know when the reading is over, however it ends."""
    try:
        yield
    finally:
        job.listener.tell(PlanningEnded())


@contextmanager
def plan_written_to(folder: Path) -> Iterator[None]:
    """Make the folder of a new plan, and leave nothing of a plan that could not be finished.

    Raises:
        StateUnavailableError: the disk refuses, or there is such a folder: then that one stays as it is.
    """
    with _explained(folder):
        _clear_unfinished(folder)
        make_folder(folder.parent)
        folder.mkdir(mode=0o700)
        try:
            yield
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Word what the disk says; the sources word their own: this is the disk that the plan goes to."""
    try:
        yield
    except OSError as error:
        raise StateUnavailableError(
            f"the plan cannot be written to {folder.parent}: {error.strerror or error}",
            hint="make room on its disk, or give another with --state; nothing was sent",
        ) from None


def given_plan(job: Job, state: State, folder: Path) -> Plan:
    """Return a plan that was made before.

    Raises:
        StateError: it is not of this state, was sent, is too old, or another run has delivered since.
    """
    planned = plan_file.read(folder, verify=True)
    manifest = planned.manifest
    if folder.resolve().parent != state.plans.resolve() or manifest.pipeline != job.pipeline.name:
        raise StateError(
            f"{folder} is not a plan of this state ({state.plans})",
            hint="`bucket-loader plan PIPELINE` makes another; run that one",
        )
    if state.ledger.run(manifest.run) is not None:
        raise StateError(
            f"the plan {manifest.run} was run already",
            hint=f"`bucket-loader status PIPELINE {manifest.run}` shows how it ended",
        )
    if state.ledger.last_number() > manifest.after:
        raise _overtaken(manifest, state.ledger)
    if manifest.unfinished is not None:
        raise _beside_another(manifest, manifest.unfinished)
    age_s = (job.outside.clock.utc() - read_time(manifest.created_at)).total_seconds()
    if job.options.max_age is not None and age_s > job.options.max_age:
        allowed = spoken(job.options.max_age)
        raise StateError(
            f"the plan {manifest.run} was made {spoken(age_s)} ago, and may be at most {allowed} old",
            hint="`bucket-loader plan PIPELINE` makes another; look at it, and run that one",
        )
    return planned


def _overtaken(manifest: Manifest, ledger: Ledger) -> StateError:
    """Return the error of a plan after which something else was delivered or forgotten."""
    run = ledger.overtaking(manifest.after, manifest.created_at)
    what = "what was remembered was forgotten" if run is None else f"run {run.run} came"
    look = "" if run is None else f"; `bucket-loader status PIPELINE {run.run}` shows what came of that run"
    return StateError(
        f"the plan {manifest.run} is out of date: {what} after it was made",
        hint=f"`bucket-loader plan PIPELINE` makes another; look at it, and run that one{look}",
    )


def _beside_another(manifest: Manifest, unfinished: str) -> StateError:
    """Return the error of a plan with rows that another run has sent since, or may send."""
    return StateError(
        f"the plan {manifest.run} is out of date: run {unfinished} was unfinished when it was made, and what that run "
        "had yet to send is in the plan too",
        hint="once that run is finished, `bucket-loader plan PIPELINE` makes another; look at it, and run that one",
    )


def require_same_frame(planned: Plan, ledger: Ledger) -> None:
    """Refuse a DataFrame without a name where another one without a name has left memory.

    Raises:
        UsageError: there is such memory: rows of this one could match it.
    """
    known = ledger.meta(FRAME)
    for stream in planned.manifest.streams:
        there = known is not None or stream.name in ledger.parts()
        if SYNCS[stream.mode].remembers and there and known != frame_of(planned):
            raise UsageError(
                f"another DataFrame without a name was loaded before, and with sync={stream.mode!r} what it has "
                "delivered is remembered: rows of this one could count as known",
                hint=f"give name='accounts', always the same one for the same data; name={stream.name!r} goes on with "
                "what is remembered; sync='full' remembers nothing",
            )


def frame_of(planned: Plan) -> str:
    """Identify the DataFrame of a plan: its values, and what is made of them."""
    mappings = [stream.mapping for stream in planned.manifest.streams]
    return hashlib.sha256(repr((sorted(planned.manifest.sources.items()), mappings)).encode()).hexdigest()


def require_same_mapping(planned: Plan, ledger: Ledger) -> None:
    """Refuse a mapping that is not the one that a stream's memory was made with, where rows are sent once.

    Without `key:` the content is the identity, so all rows would be sent again; so they would where the form of a value
    in `key:` has changed. With it, rows whose key is known would
    not be sent, although they are now mapped to other records; a frame or file of other data looks just so.

    Raises:
        StateError: it has changed.
    """
    for stream in planned.manifest.streams:
        known = ledger.last_mapping(stream.name)
        if not SYNCS[stream.mode].once or known in {None, stream.mapping}:
            continue
        if stream.keyed and ledger.meta(_accepted(stream)) == stream.mapping:
            continue
        form = stream.reformed.get(known or "")
        if stream.keyed and stream.counts.unchanged and form is None and known != stream.otherwise:
            raise _keys_known(stream)
        if stream.records and (not stream.keyed or (form is not None and stream.is_rekeyed)):
            raise _changed_lists(stream) if known == stream.otherwise else _changed_mapping(stream, form)


def accept_mapping(planned: Plan, ledger: Ledger) -> None:
    """Note that what is known by its key stays as it was sent: a run without new rows leaves nothing to tell it by."""
    for stream in planned.manifest.streams:
        if stream.keyed and ledger.last_mapping(stream.name) not in {None, stream.mapping}:
            ledger.note(**{_accepted(stream): stream.mapping})


def _accepted(stream: PlannedStream) -> str:
    return f"accepted mapping of {stream.name}"


def _keys_known(stream: PlannedStream) -> StateError:
    return StateError(
        f"stream {stream.name!r}: the mapping has changed, and the keys of {stream.counts.unchanged:,} rows were sent "
        "with the earlier one: those rows would not be sent",
        hint="for other data give another `name:`; or undo the change; or go on with --accept-mapping: what is known "
        "by its key stays as it was sent",
    )


def _changed_mapping(stream: PlannedStream, form: str | None) -> StateError:
    sent = f"{stream.records:,} would be sent"
    if form is None:
        return StateError(
            f"stream {stream.name!r}: the mapping has changed, and without `key:` that makes every row new: {sent}",
            hint="undo the change; or give the stream a `key:`; or send them all with --accept-mapping",
        )
    return StateError(
        f"stream {stream.name!r}: this version of bucket-loader sends some of its values in another form ({form}), and "
        f"{'in `key:`' if stream.keyed else 'without `key:`'} that makes rows new that were delivered: {sent}",
        hint="`bucket-loader plan PIPELINE --show 5` shows them; "
        "`bucket-loader run PIPELINE --accept-mapping` sends them",
    )


def _changed_lists(stream: PlannedStream) -> StateError:
    return StateError(
        f"stream {stream.name!r}: `arrays:` has changed, and without `key:` that makes every row new: "
        f"{stream.records:,} would be sent",
        hint="undo the change; or give the stream a `key:`; or send them all with --accept-mapping",
    )


def notes_on_forms(planned: Plan, ledger: Ledger) -> Iterator[str]:
    """Say which known records go out once more since a form of values has changed."""
    for stream in planned.manifest.streams:
        form = stream.reformed.get(ledger.last_mapping(stream.name) or "") if stream.changed else None
        if form is not None:
            yield (
                f"{stream.name}: {stream.changed:,} of {stream.known:,} known records go out once more: this version "
                f"of bucket-loader sends some of their values in another form ({form})"
            )


def require_same_api(planned: Plan, job: Job, otherwise: str) -> None:
    """Refuse to send a plan through another API than its records are spelt for.

    Raises:
        StateError: it is for another one.
    """
    now_, then = job.pipeline.destination.api, planned.manifest.api
    if now_ != then:
        raise StateError(
            f"the plan {planned.manifest.run} is for `api: {then}`, and the pipeline now says `api: {now_}`",
            hint=f"write `api: {then}` again, with its key; or {otherwise}",
        )


def as_of(options: RunOptions, now: datetime) -> datetime:
    """Return the time of a run that begins now, unless another is asked for."""
    moment = options.as_of or (options.interval[1] if options.interval else now)
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)


def new_run_name(state: State, now: datetime) -> str:
    """Return the name of a run that begins now: the time, or the next millisecond that has no run yet.

    Names sort as runs do, unless the clock goes back. A clock that stands gives several runs one time.
    """
    while state.has_heard_of(name := f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}Z"):
        now += timedelta(milliseconds=1)
    return name
