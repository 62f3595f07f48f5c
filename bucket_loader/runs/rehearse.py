"""A rehearsal: a whole run against a private emulator, with a state that is thrown away."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bucket_loader.config import Assertions, Pipeline, UnknownFixtureError, load_pipeline
from bucket_loader.emulator import running
from bucket_loader.model import EVENT, KINDS, ArrayForm, ConfigError, Edition, Kind, read_time
from bucket_loader.reporting import AssertionsEnded, Event, Listener, Note, Summary
from bucket_loader.runs.arrays import as_delivered
from bucket_loader.runs.asserting.bucket import Bucket
from bucket_loader.runs.asserting.check import as_expected, check, definitions_of, fixtures_of
from bucket_loader.runs.fixtures import require_fixtures
from bucket_loader.runs.job import Job, RunOptions, make_job
from bucket_loader.runs.rejected import RejectedRows
from bucket_loader.runs.run import run_job


@dataclass(frozen=True)
class Asked:
    """What is asked of a rehearsal, beside what is asked of any run.

    Attributes:
        fixtures: files that stand for sources, by the source's or the stream's name.
        faults: what goes wrong, as the emulator takes it.
        evaluation: as of when the emulator keeps lists and evaluates rules.
        features: what is defined, as GET /features gives it.
        assertions: what must come of it; its fixtures and features are used where none are given here.
    """

    fixtures: Mapping[str, Path] = field(default_factory=dict)
    faults: Any = None  # JSON
    evaluation: Edition = "2026"
    features: Any = None  # JSON
    assertions: Assertions | None = None


NOTHING_MORE: Final = Asked()
_ANY_HOST: Final = "http://127.0.0.1"  # until the emulator has one
Made = Callable[[Mapping[str, Any]], Pipeline]
"""Makes a pipeline that stands in no file, with such a destination."""


@dataclass(frozen=True)
class Rehearsed:
    """A rehearsal that took place.

    Attributes:
        job: what was run.
        bucket: the emulator, which still runs.
        told: what there is to say of it, beside how the run ended.
        asserted: what came of the assertions; None where there are none, or the run did not finish.
    """

    job: Job
    bucket: Bucket
    told: list[Event]
    asserted: AssertionsEnded | None


@contextmanager
def rehearsed(
    of: Path | Made, options: RunOptions, listener: Listener, asked: Asked = NOTHING_MORE
) -> Iterator[tuple[Rehearsed, Summary]]:
    """Run a pipeline into an emulator of its own; the emulator stays up for as long as the `with` lasts.

    Args:
        of: the pipeline file, or what makes the pipeline of a program.
        options: what is asked of the run.
        listener: told what happens.
        asked: what is asked beside.
    """
    secret, publishable = (f"{kind}_rehearsal_{secrets.token_hex(12)}" for kind in ("sec", "pub"))
    emulator = running(secret_key=secret, publishable_key=publishable, faults=asked.faults, evaluation=asked.evaluation)
    with TemporaryDirectory(prefix="bucket_loader-") as folder:
        asked = with_assertions(asked, Path(folder))
        pipeline = _pipeline(of, options, listener, asked, publishable)
        with emulator as endpoint:
            bucket = Bucket(endpoint.url, secret)
            defined = [] if asked.features is None else bucket.define(asked.features)
            if asked.assertions is not None:
                asked.assertions.require_features(defined)
            destination = pipeline.destination.model_copy(update={"base_url": endpoint.url})
            pipeline = pipeline.without_impact().model_copy(update={"destination": destination, "notify": []})
            options = replace(options, state=Path(folder, "state"), as_of=_as_of(options, asked.assertions))
            job = make_job(pipeline, options, listener, file=of if isinstance(of, Path) else None)
            summary = run_job(job)
            bucket.put_rejected(RejectedRows(Path(folder, "state"))())
            yield _ended(job, bucket, asked.assertions, summary)


def with_assertions(asked: Asked, folder: Path) -> Asked:
    """Return what is asked, with what the assert file says of it; rows that stand in it are put into the folder.

    Raises:
        UsageError: it names a file that cannot be read, or features that nothing defines.
    """
    if asked.assertions is None:
        return asked
    fixtures = {**fixtures_of(asked.assertions, folder), **asked.fixtures}
    return replace(asked, fixtures=fixtures, features=definitions_of(asked.assertions, asked.features))


def _as_of(options: RunOptions, assertions: Assertions | None) -> datetime | None:
    """Return the run's time: what the command says, or the interval's end, goes before the assert file."""
    if assertions is None or assertions.expected.as_of is None or options.interval is not None:
        return options.as_of
    return options.as_of or read_time(assertions.expected.as_of)


def _ended(job: Job, bucket: Bucket, assertions: Assertions | None, summary: Summary) -> tuple[Rehearsed, Summary]:
    """Hold what came of a run against the assertions: they decide how the command ends, where the run finished."""
    told, asserted = list(_what_is_there(bucket, job, summary)), None
    if assertions is not None:
        asserted = check(assertions, bucket, summary)
        told.append(asserted or Note(f"{assertions.file}: not looked at, since the run did not finish"))
    if asserted is not None:
        summary = summary if asserted.failed else as_expected(summary)
        summary = replace(summary, exit_code=asserted.exit_code)
    return Rehearsed(job, bucket, told, asserted), summary


def _pipeline(of: Path | Made, options: RunOptions, listener: Listener, asked: Asked, key: str) -> Pipeline:
    """Return the pipeline as it is rehearsed, still without the emulator's address.

    Its key is the publishable one: both may write, and only this one may stand in a path (`api: front-legacy`).
    """
    destination = {"base_url": _ANY_HOST, "key": key, "proxy": None, "ca_bundle": None}
    if not isinstance(of, Path):
        return of(destination)
    try:
        pipeline = load_pipeline(of, destination=destination, fixtures=asked.fixtures or None, tells=False)
    except UnknownFixtureError as error:
        if asked.assertions is not None:
            asked.assertions.require_sources(error.known)
        raise
    if asked.assertions is not None:
        asked.assertions.require_streams([stream.name for stream in pipeline.streams])
    if not asked.fixtures:
        return pipeline.model_copy(update={"arrays": _arrays(of, options, listener)})
    require_fixtures(pipeline, options.streams)
    return pipeline.without_limits()  # shares of a few rows, chosen for being hard, say nothing


def _arrays(file: Path, options: RunOptions, listener: Listener) -> ArrayForm | None:
    """Return how lists are sent by the file, or by the real state where there is one."""
    try:
        pipeline = load_pipeline(file, destination={"key": "pub_not-needed"}, tells=False)
    except ConfigError:  # its real host is not named here
        pipeline = load_pipeline(
            file, destination={"base_url": "https://front.bucket.co", "key": "pub_not-needed"}, tells=False
        )
        return pipeline.arrays
    return as_delivered(make_job(pipeline, options, listener, file=file)).pipeline.arrays


def _what_is_there(bucket: Bucket, job: Job, summary: Summary) -> Iterator[Event]:
    """Say what is now in the emulator, and why that is not what was delivered."""
    counts = bucket.counts()
    yield from map(Note, ["", "now in Bucket (the emulator):"])
    for kind in KINDS.values():
        if there := counts.get(kind.plural):
            why = _why(kind, there - _delivered(kind, job, summary), counts)
            yield Note(f"    {there:,} {kind.plural.replace('_', ' ')}{why}")


def _delivered(kind: Kind, job: Job, summary: Summary) -> int:
    """Return how many records of a kind were delivered."""
    streams = [stream.name for stream in job.pipeline.streams if stream.kind is kind]
    return sum(summary.streams[name].delivered for name in streams if name in summary.streams)


def _why(kind: Kind, more: int, counts: Mapping[str, int]) -> str:
    """Return what there is to say of a count that is not the summary's, or hides something."""
    if kind.ordered and more > 0:
        return f", {more:,} more than were delivered: other records name them"
    lone = counts["unassociated_events"] if kind is EVENT else 0
    return f", {lone:,} of users who are in no company" if lone else ""


def wait_for_a_person(found: Rehearsed) -> None:
    """Leave the emulator running until a person ends it."""
    tell = found.job.listener.tell
    tell(Note(""))
    tell(Note(f"the emulator stays at {found.bucket.url} until Ctrl-C ends it"))
    tell(Note("    open the address in a browser to look around; its secret key is"))
    tell(Note(f"    {found.bucket.secret_key}"))
    try:
        __import__("threading").Event().wait()
    except KeyboardInterrupt:
        tell(Note(""))
