"""`init`: look at a source and write a first pipeline file, with every guess marked as one.

    where it is (place) -> what it holds (evidence) -> what that means (stream, a value) -> a trial -> lines

A guess that the sample refutes is not made. Where something stands in the way the text is made all the same, and the
problem is marked in it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bucket_loader.model import BucketLoaderError, SourceUnavailableError, UsageError, written_whole
from bucket_loader.runs.init.evidence import SAMPLE_ROWS, sample_of
from bucket_loader.runs.init.guess import scalar
from bucket_loader.runs.init.guessed import GuessedStream, Limit
from bucket_loader.runs.init.lines import body_lines, head_lines, stream_lines
from bucket_loader.runs.init.place import Place, looked_into, place_of
from bucket_loader.runs.init.stream import guessed_streams
from bucket_loader.runs.init.trial import Trial, tried
from bucket_loader.sources import NothingFoundError

_REJECTED_MAX: Final = 0.1
_CHANGED: Final = Limit("changed", "50%", "of what is remembered: a mapping mistake changes nearly all")


@dataclass(frozen=True)
class First:
    """A first pipeline file.

    Attributes:
        text: what the file holds.
        problem: what stands in the way of a run; it is marked in the text.
    """

    text: str
    problem: BucketLoaderError | None = None


def first_pipeline(
    source: str, *, record: str | None = None, name: str | None = None, file: Path | None = None
) -> First:
    """Look at a source and return a first pipeline file.

    Args:
        source: a path, or the URL of a database with its table.
        record: what a row is; guessed where it is None.
        name: of the pipeline; from the source where it is None.
        file: where it will be written, which its paths are relative to; the working directory where it is None.

    Raises:
        UsageError: nothing says what kind of source it is.
        SourceError: there is no such source, or it cannot be reached.
    """
    place = place_of(source, None if file is None else file.absolute().parent)
    name = name or place.label
    try:
        place = looked_into(place)
        sample = sample_of(place.model)
    except (NothingFoundError, SourceUnavailableError):
        raise
    except BucketLoaderError as error:
        return _stub(place, name, error)
    streams, instead = guessed_streams(sample, place.label, record)
    if not streams:
        hint = "say what a row is with --record, or leave it out: Bucket has users, companies, events and feedback"
        return _stub(place, name, UsageError(f"no record of Bucket is made from {place.shown}: {instead}", hint=hint))
    trial = _tried(place, name, streams)
    text = _text(place, name, [*sample.notes, *_seen(trial)], _written(place, streams), limits_for(trial))
    return First(text, trial.problem)


def write_first(first: First, file: Path, *, force: bool) -> None:
    """Write a first pipeline file, whole or not at all.

    Raises:
        UsageError: there is such a file, or it cannot be written.
    """
    if file.exists() and not force:
        raise UsageError(f"{file} is there already", hint="give another name, or --force to replace it")
    try:
        with written_whole(file) as opened:
            opened.write(first.text.encode())
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}", hint="is its folder there?") from None


def _tried(place: Place, name: str, streams: Sequence[GuessedStream]) -> Trial:
    for stream in streams:
        if stream.missing:
            what = " and ".join(stream.missing)
            return Trial(UsageError(
                f"no column says what `{what}` of {stream.kind.a_name} is",
                hint="write it into the file, or join it to the rows first; no id is made up",
            ))  # fmt: skip
    sources, lines = _spelt(place, streams, place.line_looked_at)
    return tried("\n".join(body_lines(name, [], sources, lines)), place.variables)


def _written(place: Place, streams: Sequence[GuessedStream]) -> tuple[list[str], list[str]]:
    return _spelt(place, streams, place.line)


def _spelt(place: Place, streams: Sequence[GuessedStream], line: str) -> tuple[list[str], list[str]]:
    """Return the lines of the sources, and those of the streams: a source of several streams has a name."""
    if len(streams) == 1:
        return [], list(stream_lines(streams[0], line))
    source = scalar(place.label)
    return ["sources:", f"  {source}: {line}"], [text for stream in streams for text in stream_lines(stream, source)]


def _text(
    place: Place, name: str, notes: Sequence[str], written: tuple[Sequence[str], Sequence[str]], limits: Sequence[Limit]
) -> str:
    sources, streams = written
    return "\n".join([*head_lines(place.shown, notes), *body_lines(name, limits, sources, streams)]) + "\n"


def limits_for(trial: Trial) -> Sequence[Limit]:
    """Return limits that stop a mistake, and not a first load of rows like those of the sample."""
    share = _REJECTED_MAX if trial.share * 2 <= _REJECTED_MAX else min(1.0, trial.share * 2)
    seen = f"; of the sample {trial.share:.1%} are" if trial.share else "; of the sample none is"
    rejected = Limit("rejected", f"{math.ceil(share * 100)}%", f"of the rows read are rejected{seen}")
    return [rejected, _CHANGED]


def _seen(trial: Trial) -> Iterator[str]:
    """Return what a person should know of how the file fits its source."""
    if trial.problem is not None:
        yield from _problem(trial.problem)
    if trial.rejected:
        yield f"look: some of its first {SAMPLE_ROWS:,} rows are rejected; `bucket-loader check FILE` says more:"
        yield from (f"  {sentence}" for sentence in trial.rejected)


def _problem(error: BucketLoaderError) -> Iterator[str]:
    yield "problem: it cannot be loaded as it is written here:"
    yield f"  {error.message}"
    if error.hint:
        yield f"  hint: {error.hint}"


def _stub(place: Place, name: str, error: BucketLoaderError) -> First:
    """Return a file for a source that nothing could be guessed of."""
    stream = [
        f"  - name: {scalar(place.label)}",
        "    record: user  # not looked at: write what a row is",
        f"    source: {place.line}",
        "    fields:",
        "      userId: id  # not looked at: write which column it is",
    ]
    return First(_text(place, name, list(_problem(error)), ([], stream), []), error)
