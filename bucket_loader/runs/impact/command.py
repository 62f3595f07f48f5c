"""The command `impact`: a plan is made, or taken, and its impact found. Sends nothing that is kept."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bucket_loader.model import Edition
from bucket_loader.planning import Plan
from bucket_loader.reporting import Impact
from bucket_loader.runs.impact.asking import ask
from bucket_loader.runs.impact.definitions import Feature, features_of
from bucket_loader.runs.impact.gates import stops_of
from bucket_loader.runs.impact.impact import Question, impact_of
from bucket_loader.runs.impact.looked import changed_since_looked, note_looked
from bucket_loader.runs.job import Job, opened
from bucket_loader.runs.plan import given_plan, make_plan
from bucket_loader.runs.signals import drained_on_signals
from bucket_loader.state import State


@dataclass(frozen=True)
class ImpactAsked:
    """What is asked of `impact`.

    Attributes:
        file: has the definitions; None where the API is asked for them.
        chosen: only these features; all when empty.
        edition: how the API evaluates them.
        is_whole: whether every context is listed in which something changes or is unknown.
        ask: how many predictions are held against what the API says now.
    """

    file: Path | None = None
    chosen: Sequence[str] = ()
    edition: Edition = "2026"
    is_whole: bool = False
    ask: int = 0


@contextmanager
def impact_job(job: Job, asked: ImpactAsked) -> Iterator[tuple[Plan, Impact]]:
    """Find the impact of a plan, which is kept for `run --plan`; its lists can be read within the `with`.

    Raises:
        BucketLoaderError: the definitions cannot be had, or there is no plan.
    """
    features = features_of(job.pipeline.destination, asked.file, asked.chosen)
    with opened(job) as state:
        if job.options.plan is None:
            with drained_on_signals(job):
                plan = make_plan(job, state)
        else:
            plan = given_plan(job, state, job.options.plan)
        with _found(job, state, plan, features, asked) as impact:
            yield plan, impact


@contextmanager
def _found(job: Job, state: State, plan: Plan, features: Sequence[Feature], asked: ImpactAsked) -> Iterator[Impact]:
    question = Question(
        features=features,
        edition=asked.edition,
        now_ms=job.outside.clock.utc().timestamp() * 1000,
        is_whole=asked.is_whole,
        samples=asked.ask,
    )
    notes = list(changed_since_looked(plan, features)) if not asked.chosen else []
    with impact_of(plan, job.pipeline, state, question) as found:
        if not asked.chosen:
            note_looked(plan, features, found.impact.line)
        notes += (f"a run would stop: {stop.text}" for stop in stops_of(job.pipeline, plan, found.impact))
        if asked.ask:
            notes += ask(job, found.predictions, is_after=False)
        yield replace(found.impact, notes=tuple(notes))
