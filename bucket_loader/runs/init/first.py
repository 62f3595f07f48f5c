"""`init`: look at a source and write a first pipeline file, with every guess marked as one.

    where it is (place) -> what it holds (evidence) -> guesses (roles, times, values) -> lines (stream) -> a trial

A guess that the sample refutes is not made. Where something stands in the way the file is written all the same, and
the problem is marked in it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bucket_loader.model import KINDS, BucketLoaderError, SourceUnavailableError
from bucket_loader.runs.init.evidence import SAMPLE_ROWS, Sample, sample_of
from bucket_loader.runs.init.guess import scalar
from bucket_loader.runs.init.place import Place, looked_into, place_of
from bucket_loader.runs.init.roles import kind_of
from bucket_loader.runs.init.stream import stream_lines
from bucket_loader.runs.init.trial import Trial, tried
from bucket_loader.sources import NothingFoundError


@dataclass(frozen=True)
class First:
    """A first pipeline file.

    Attributes:
        text: what the file holds.
        problem: what stands in the way of a run; it is marked in the text.
    """

    text: str
    problem: BucketLoaderError | None = None


def first_pipeline(source: str, *, record: str | None, name: str | None) -> First:
    """Look at a source and return a first pipeline file.

    Raises:
        UsageError: nothing says what kind of source it is.
        SourceError: there is no such source, or it cannot be reached.
    """
    place = place_of(source)
    name = name or place.label
    try:
        place = looked_into(place)
        sample = sample_of(place.model)
    except (NothingFoundError, SourceUnavailableError):
        raise
    except BucketLoaderError as error:
        return First("\n".join([*_head(place), *_problem(error), *_without_sample(place, name, record)]) + "\n", error)
    kind = KINDS[record] if record is not None else kind_of(sample.columns)
    written = list(stream_lines(place.label, place.line, kind, sample.columns))
    looked_at = stream_lines(place.label, place.line_looked_at, kind, sample.columns)
    trial = tried("\n".join(_body(name, list(looked_at))), place.variables)
    head = [*_head(place), *_seen(sample, trial)]
    return First("\n".join([*head, *_body(name, written)]) + "\n", trial.problem)


def _head(place: Place) -> Iterator[str]:
    rows = f"{SAMPLE_ROWS:,} rows at the most"
    yield f"# A first pipeline for {_plain(place.shown)}, written by looking at its first {rows}."
    yield "# Lines marked `guess` are guesses: look at each. Then, in this order:"
    yield "#   bucket-loader check FILE       are the columns and types as this file says?"
    yield "#   bucket-loader rehearse FILE    the whole run, into a local Bucket"
    yield "#   bucket-loader run FILE         for real; BUCKET_SECRET_KEY holds the key"


def _body(name: str, stream: list[str]) -> Iterator[str]:
    yield f"name: {scalar(name)}"
    yield "destination:"
    yield "  base_url: ${BUCKET_BASE_URL:-https://front.bucket.co}"
    yield "  key: ${BUCKET_SECRET_KEY}"
    yield "arrays: keep  # lists are sent whole"
    yield "streams:"
    yield from stream


def _seen(sample: Sample, trial: Trial) -> Iterator[str]:
    """Return what a person should know of the source and of how the file fits it."""
    yield from (f"# {_plain(note)}" for note in sample.notes)
    if trial.problem is not None:
        yield from _problem(trial.problem)
    if trial.rejected:
        yield f"# look: some of its first {SAMPLE_ROWS:,} rows are rejected; `bucket-loader check FILE` says more:"
        yield from (f"#   {_plain(sentence)}" for sentence in trial.rejected)


def _problem(error: BucketLoaderError) -> Iterator[str]:
    yield "# problem: it cannot be loaded as it is written here:"
    yield f"#   {_plain(error.message)}"
    if error.hint:
        yield f"#   hint: {_plain(error.hint)}"


def _without_sample(place: Place, name: str, record: str | None) -> Iterator[str]:
    """Return a body for a source whose rows could not be looked at."""
    kind = KINDS[record or "user"]
    stream = [
        f"  - name: {scalar(place.label)}",
        f"    record: {kind.name}" + ("" if record else "  # guess: its rows could not be looked at"),
        f"    source: {place.line}",
        "    fields:",
        f"      {kind.subject if kind.ids else 'userId'}: id  # guess: its columns could not be looked at",
    ]
    yield from _body(name, stream)


def _plain(text: str) -> str:
    """Return a text that can stand in a comment: on one line, and of printable signs."""
    return re.sub(r"\s+", " ", "".join(sign if sign.isprintable() else " " for sign in text))
