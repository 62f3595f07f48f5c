"""`init`: look at a source and write a first pipeline file, with every guess marked as one.

    where it is (place) -> what it holds (evidence) -> what that means (stream, a value) -> a trial -> lines

A guess that the sample refutes is not made. Where something stands in the way the text is made all the same, and the
problem is marked in it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bucket_loader.model import KINDS, BucketLoaderError, SourceUnavailableError, UsageError, counted, written_whole
from bucket_loader.runs.init.dbt import DbtName, dbt_places
from bucket_loader.runs.init.evidence import SAMPLE_ROWS, Sample, sample_of
from bucket_loader.runs.init.guess import scalar
from bucket_loader.runs.init.guessed import GuessedStream, Limit, Said
from bucket_loader.runs.init.lines import body_lines, head_lines, stream_lines
from bucket_loader.runs.init.place import Place, looked_into
from bucket_loader.runs.init.places import Places, named_apart, places_of
from bucket_loader.runs.init.questions import Ask, Conversation
from bucket_loader.runs.init.trial import Trial, tried
from bucket_loader.sources import NothingFoundError

_ORDER: Final = list(KINDS.values())  # users come before what they do
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
    source: str | DbtName,
    *,
    record: str | None = None,
    name: str | None = None,
    file: Path | None = None,
    ask: Ask | None = None,
) -> First:
    """Look at a source and return a first pipeline file.

    Args:
        source: a path, or the URL of a database; each export of a folder, table and sheet is looked at. Or a model.
        record: what a row is; guessed where it is None.
        name: of the pipeline; from the source where it is None.
        file: where it will be written, which its paths are relative to; the working directory where it is None.
        ask: asks a person what is in doubt; None where there is nobody.

    Raises:
        UsageError: nothing says what kind of source it is.
        SourceError: there is no such source, or it cannot be reached.
    """
    base = None if file is None else file.absolute().parent
    places = places_of(source, base) if isinstance(source, str) else dbt_places(source, base)
    name = name or places.label
    conversation = Conversation(ask, is_short=len(places.members) > 1)
    looked = [_look(place, record, conversation) for place in named_apart(places.members)]
    usable = [one for one in looked if one.problem is None or len(looked) == 1]
    left = [f"{one.place.label} ({one.extent}): {_left(one)}" for one in looked if one.problem and len(looked) > 1]
    if not usable or not usable[0].streams:
        error = looked[0].problem if len(looked) == 1 else None
        return _stub(looked[0].place, name, error or _nothing(places, left))
    usable.sort(key=lambda one: _ORDER.index(one.streams[0].kind))
    notes = [*places.notes, *(note for one in usable for note in one.notes)]
    if left:
        notes += ["Without a stream:", *(f"  {sentence}" for sentence in left)]
    share = max(one.trial.share for one in usable)
    problem = usable[0].problem if len(usable) == 1 else None
    return First(_text(places.shown, name, notes, _written(usable), limits_for(Trial(share=share))), problem)


@dataclass(frozen=True)
class _Looked:
    """A source that was looked at.

    Attributes:
        place: where it is.
        streams: what was guessed of it.
        sample: what was seen; None where nothing could be.
        trial: what came of trying it.
        instead: why nothing was guessed.
    """

    place: Place
    streams: Sequence[GuessedStream] = ()
    sample: Sample | None = None
    trial: Trial = field(default_factory=Trial)
    instead: BucketLoaderError | None = None

    @property
    def problem(self) -> BucketLoaderError | None:
        """What stands in the way of a run."""
        return self.instead or self.trial.problem

    @property
    def extent(self) -> str:
        """How much there is, as far as one knows."""
        if self.sample is None:
            return self.place.extent or "not read"
        rows = counted(self.sample.rows, "row")
        seen = rows if self.sample.rows < SAMPLE_ROWS else self.place.extent or f"{rows} or more"
        return f"{seen}, {counted(len({column.name for column in self.sample.columns}), 'column')}"

    @property
    def notes(self) -> list[str]:
        """What a person should know."""
        return [*(self.sample.notes if self.sample is not None else ()), *_seen(self.trial)]


def _look(place: Place, record: str | None, conversation: Conversation) -> _Looked:
    """Look at a source: guess, and try what was guessed.

    Raises:
        SourceError: there is no such source, or it cannot be reached.
    """
    try:
        place = looked_into(place)
        sample = sample_of(place.model)
    except (NothingFoundError, SourceUnavailableError):
        raise
    except BucketLoaderError as error:
        return _Looked(place, instead=error)
    streams, instead = conversation.guessed(sample, place.label, Said(record))
    if not streams:
        hint = "say what a row is with --record, or leave it out: Bucket has users, companies, events and feedback"
        return _Looked(
            place,
            sample=sample,
            instead=UsageError(f"no record of Bucket is made from {place.shown}: {instead}", hint=hint),
        )
    return _Looked(place, streams, sample, _tried(place, streams))


def _left(one: _Looked) -> str:
    return (
        one.problem.message.removeprefix(f"no record of Bucket is made from {one.place.shown}: ") if one.problem else ""
    )


def _nothing(places: Places, left: Sequence[str]) -> UsageError:
    listed = "".join(f"\n  {sentence}" for sentence in left)
    return UsageError(
        f"nothing in {places.shown} looks like users, companies, events or feedback:{listed}",
        hint="name one of them, and say what its rows are with --record",
    )


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


def _tried(place: Place, streams: Sequence[GuessedStream]) -> Trial:
    for stream in streams:
        if stream.missing:
            what = " and ".join(stream.missing)
            return Trial(UsageError(
                f"no column says what `{what}` of {stream.kind.a_name} is",
                hint="write it into the file, or join it to the rows first; no id is made up",
            ))  # fmt: skip
    sources, lines = _spelt(place, streams, place.line_looked_at)
    return tried("\n".join(body_lines("first", [], ["sources:", *sources] if sources else [], lines)), place.variables)


def _written(looked: Sequence[_Looked]) -> tuple[list[str], list[str]]:
    """Return the lines of the sources, and those of the streams."""
    if len(looked) == 1:
        sources, streams = _spelt(looked[0].place, looked[0].streams, looked[0].place.line)
    else:
        both = [_spelt(one.place, one.streams, _with_extent(one), is_named=True) for one in looked]
        sources, streams = ([line for lines in part for line in lines] for part in zip(*both, strict=True))
    return ["sources:", *sources] if sources else [], streams


def _with_extent(one: _Looked) -> str:
    """Return the words of a source, and how much is there."""
    line = one.place.line
    return f"{line}{'; ' if '  # ' in line else '  # '}{one.extent}"


def _spelt(
    place: Place, streams: Sequence[GuessedStream], line: str, *, is_named: bool = False
) -> tuple[list[str], list[str]]:
    """Return the lines of a source, and those of its streams: the source of several streams has a name."""
    if len(streams) == 1 and not is_named:
        return [], list(stream_lines(streams[0], line, place.described))
    source = scalar(place.label)
    return [f"  {source}: {line}"], [
        text for stream in streams for text in stream_lines(stream, source, place.described)
    ]


def _text(
    shown: str, name: str, notes: Sequence[str], written: tuple[Sequence[str], Sequence[str]], limits: Sequence[Limit]
) -> str:
    sources, streams = written
    return "\n".join([*head_lines(shown, notes), *body_lines(name, limits, sources, streams)]) + "\n"


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
    return First(_text(place.shown, name, list(_problem(error)), ([], stream), []), error)
