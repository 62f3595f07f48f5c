"""A rehearsal: a whole run against a private emulator, with a state that is thrown away."""

import json
import secrets
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bucket_loader.config import Limits, Pipeline, load_pipeline
from bucket_loader.emulator import running
from bucket_loader.model import KINDS, ArrayForm, ConfigError, Edition
from bucket_loader.reporting import Listener, Note, Summary
from bucket_loader.runs.arrays import as_delivered
from bucket_loader.runs.fixtures import require_fixtures
from bucket_loader.runs.job import Job, RunOptions, make_job
from bucket_loader.runs.run import run_job


@dataclass(frozen=True)
class Asked:
    """What is asked of a rehearsal, beside what is asked of any run.

    Attributes:
        fixtures: files that stand for sources, by the source's or the stream's name.
        faults: what goes wrong, as the emulator takes it.
        evaluation: as of when the emulator keeps lists and evaluates rules.
    """

    fixtures: Mapping[str, Path] = field(default_factory=dict)
    faults: Any = None  # JSON
    evaluation: Edition = "2026"


NOTHING_MORE: Final = Asked()
_ANY_HOST: Final = "http://127.0.0.1"  # until the emulator has one


@dataclass(frozen=True)
class Rehearsed:
    """A rehearsal that took place: its job, and the emulator that still runs."""

    job: Job
    url: str
    secret_key: str


@contextmanager
def rehearsed(
    file: Path, options: RunOptions, listener: Listener, asked: Asked = NOTHING_MORE
) -> Iterator[tuple[Rehearsed, Summary]]:
    """Run a pipeline into an emulator of its own; the emulator stays up for as long as the `with` lasts."""
    secret, publishable = (f"{kind}_rehearsal_{secrets.token_hex(12)}" for kind in ("sec", "pub"))
    pipeline = _pipeline(file, options, listener, asked, publishable)
    emulator = running(secret_key=secret, publishable_key=publishable, faults=asked.faults, evaluation=asked.evaluation)
    with TemporaryDirectory(prefix="bucket_loader-") as folder, emulator as endpoint:
        destination = pipeline.destination.model_copy(update={"base_url": endpoint.url})
        pipeline = pipeline.model_copy(update={"destination": destination})
        job = make_job(pipeline, replace(options, state=Path(folder)), listener, file=file)
        yield Rehearsed(job, endpoint.url, secret), run_job(job)


def _pipeline(file: Path, options: RunOptions, listener: Listener, asked: Asked, key: str) -> Pipeline:
    """Return the pipeline as it is rehearsed, still without the emulator's address.

    Its key is the publishable one: both may write, and only this one may stand in a path (`api: front-legacy`).
    """
    destination = {"base_url": _ANY_HOST, "key": key, "proxy": None, "ca_bundle": None}
    pipeline = load_pipeline(file, destination=destination, fixtures=asked.fixtures or None)
    if not asked.fixtures:
        return pipeline.model_copy(update={"arrays": _arrays(file, options, listener)})
    require_fixtures(pipeline, options.streams)
    return pipeline.model_copy(update={"limits": Limits()})  # shares of a few rows, chosen for being hard, say nothing


def _arrays(file: Path, options: RunOptions, listener: Listener) -> ArrayForm | None:
    """Return how lists are sent by the file, or by the real state where there is one."""
    try:
        pipeline = load_pipeline(file, destination={"key": "pub_not-needed"})
    except ConfigError:  # its real host is not named here
        pipeline = load_pipeline(file, destination={"base_url": "https://front.bucket.co", "key": "pub_not-needed"})
        return pipeline.arrays
    return as_delivered(make_job(pipeline, options, listener, file=file)).pipeline.arrays


def tell_rehearsed(found: Rehearsed) -> None:
    """Show what is now in the emulator."""
    state = emulator_state(found.url)
    lines = ["", "now in Bucket (the emulator):"]
    for name in (kind.plural for kind in KINDS.values()):
        if state.get(name):
            extra = f" ({state['unassociated_events']:,} of users without a company)" if name == "events" else ""
            lines.append(f"    {state[name]:,} {name.replace('_', ' ')}{extra if state['unassociated_events'] else ''}")
    for line in lines:
        found.job.listener.tell(Note(line))


def emulator_state(url: str) -> dict[str, Any]:
    """Read what an emulator holds."""
    with urllib.request.urlopen(f"{url}/_emulator/state") as answer:  # noqa: S310  # our own emulator, on loopback
        found: dict[str, Any] = json.load(answer)
    return found


def wait_for_a_person(found: Rehearsed) -> None:
    """Leave the emulator running until a person ends it."""
    found.job.listener.tell(Note(f"the emulator stays at {found.url} (key {found.secret_key}); Ctrl-C ends it"))
    try:
        __import__("threading").Event().wait()
    except KeyboardInterrupt:
        found.job.listener.tell(Note(""))
