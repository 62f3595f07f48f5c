"""Predictions held against what the API answers: one request for each company, or user with a company."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bucket_loader.model import counted
from bucket_loader.reporting import Note
from bucket_loader.runs.features import evaluated_features, shown
from bucket_loader.runs.impact.samples import Answer, Prediction
from bucket_loader.runs.job import Job


def ask(job: Job, predictions: Sequence[Prediction], *, is_after: bool) -> list[str]:
    """Ask the API for some contexts; return what came of it, in words.

    Args:
        job: which API; how fast it may be asked.
        predictions: what it should answer.
        is_after: whether the plan has been sent.

    Raises:
        BucketLoaderError: the API cannot be asked.
    """
    contexts = defaultdict[tuple[str | None, str | None], list[Prediction]](list)
    for prediction in predictions:
        contexts[prediction.company, prediction.user].append(prediction)
    job.listener.tell(Note(f"asking {counted(len(contexts), 'evaluation')}; Bucket may count them as evaluations"))
    wait_s = 1 / (job.pipeline.destination.requests_per_second or 10)
    wrong = list[str]()
    for (company, user), some in contexts.items():
        pairs = (("company.id", company), ("user.id", user))
        context = {name: id_ for name, id_ in pairs if id_ is not None}
        answer = evaluated_features(job.pipeline.destination, context)["features"]
        wrong += _wrong(some, answer, is_after=is_after)
        job.stopped.wait(wait_s)
    when = "after the run" if is_after else "before the run"
    right = len(predictions) - len(wrong)
    told = [text if count == 1 else f"{text} ({count:,} times)" for text, count in Counter(wrong).items()]
    return [f"{right:,} of {counted(len(predictions), 'prediction')} are what Bucket answers {when}", *told]


def _wrong(predictions: Sequence[Prediction], answer: Mapping[str, Any], *, is_after: bool) -> Iterator[str]:
    """Yield what is not as predicted: for whom, where somebody asked for values, which no run does."""
    for one in predictions:
        expected = one.after if is_after else one.before
        found = _answer(answer.get(one.feature))
        if found is None or found.is_on != expected.is_on or not _is_same_variant(found, expected):
            ids = (("company", one.company), ("user", one.user))
            who = "" if is_after else "".join(f" {name} {id_}" for name, id_ in ids if id_ is not None)
            yield f"{shown(f'{one.feature}{who}')}: predicted {_spelt(expected)}, and Bucket says {_spelt(found)}"


def _answer(entry: Mapping[str, Any] | None) -> Answer | None:
    if entry is None:
        return None
    config = entry.get("config") or {}
    return Answer(bool(entry.get("isEnabled")), config.get("key") or config.get("name"))


def _is_same_variant(found: Answer, expected: Answer) -> bool:
    return not expected.is_on or not expected.knows_variant or found.variant == expected.variant


def _spelt(answer: Answer | None) -> str:
    if answer is None:
        return "nothing"
    variant = f" ({shown(answer.variant)})" if answer.variant and answer.is_on else ""
    return f"{'on' if answer.is_on else 'off'}{variant}"
