"""What a plan changes about features, where the pipeline file or the call asks for it with each plan and run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bucket_loader.model import BucketLoaderError, Stop
from bucket_loader.planning import Plan
from bucket_loader.reporting import Note, Summary
from bucket_loader.runs.impact.asking import ask
from bucket_loader.runs.impact.definitions import features_of
from bucket_loader.runs.impact.gates import names_of_no_feature, stops_of
from bucket_loader.runs.impact.impact import Question, impact_of
from bucket_loader.runs.impact.looked import changed_since_looked, note_looked
from bucket_loader.runs.impact.samples import Prediction
from bucket_loader.runs.job import Job
from bucket_loader.state import State

_ASKED: Final = 20  # predictions that are held against the API after a run


@dataclass(frozen=True)
class Standing:
    """What a plan changes.

    Attributes:
        line: all of it in a line; empty where nobody asked.
        stops: what is over a limit.
        predictions: some of the answers that the API should give.
    """

    line: str = ""
    stops: Sequence[Stop] = ()
    predictions: Sequence[Prediction] = ()

    def verify(self, job: Job, summary: Summary) -> None:
        """Hold predictions against the API, now that the plan was sent."""
        if self.predictions and summary.exit_code == 0:
            try:
                found = ask(job, self.predictions, is_after=True)
            except BucketLoaderError as error:  # all was sent: the run is not undone by a question
                found = [f"Bucket could not be asked: {error.message}"]
            for text in found:
                job.listener.tell(Note(f"impact: {text}"))


def standing_of(job: Job, state: State, plan: Plan) -> Standing:
    """Return what a plan changes; nothing where nobody asked.

    Raises:
        BucketLoaderError: the definitions cannot be had.
    """
    if not (job.pipeline.asks_for_impact or job.options.impact):
        return Standing()
    features = features_of(job.pipeline.destination, None, ())
    now_ms = job.outside.clock.utc().timestamp() * 1000
    question = Question(features, "2026", now_ms, samples=_ASKED if job.options.impact else 0)
    with impact_of(plan, job.pipeline, state, question) as found:
        impact = found.impact
        notes = [impact.line, *changed_since_looked(plan, features), *names_of_no_feature(job.pipeline, impact)]
        note_looked(plan, features, impact.line)
        for text in notes:
            job.listener.tell(Note(f"impact: {text}"))
        stops = [] if job.options.accept_flips else stops_of(job.pipeline, plan, impact)
        return Standing(impact.line, stops, found.predictions)
