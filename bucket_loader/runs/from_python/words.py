"""The words that the Python doors share, and the job that is made of them."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypedDict, TypeVar

from bucket_loader.config import Pipeline, lacks_key, load_pipeline, pipeline_from
from bucket_loader.model import Edition, UsageError
from bucket_loader.reporting import Listener, lineage_listener, on_stderr
from bucket_loader.runs.job import OPTIONS, Interval, Job, RunOptions, make_job, read_options
from bucket_loader.sources import frame_of, is_spark_frame

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_UNNAMED: Final = "dataframe"
_OF_A_PIPELINE: Final = ("arrays", "hash_key", "keep", "limits", "notify", "on_truncation")
_ORDER: Final = "order_by"
_BASE_URL: Final = "BUCKET_BASE_URL"
_KEY: Final = "BUCKET_SECRET_KEY"

Door = TypeVar("Door", bound=Callable[..., Any])


class ArrowStream(Protocol):
    """A table of any library that hands its rows over as Arrow: polars, DuckDB, Ibis, cuDF ..."""

    def __arrow_c_stream__(self, requested_schema: object = None, /) -> object:
        """Return the stream."""


class Interchanged(Protocol):
    """A DataFrame of any library that speaks the DataFrame interchange protocol."""

    def __dataframe__(self, *, nan_as_null: bool = False, allow_copy: bool = True) -> object:
        """Return the DataFrame."""


class SparkFrame(Protocol):
    """A DataFrame of Spark, or of Spark Connect."""

    def mapInArrow(self, func: Any, schema: Any, /) -> Any:  # noqa: ANN401, N802  # as Spark names it
        """Map its batches."""


Table: TypeAlias = "pd.DataFrame | pa.Table | ArrowStream | Interchanged | SparkFrame"


class StreamWords(TypedDict, total=False):
    """What a DataFrame's stream is: the words of a stream in the pipeline file, and of the file's top."""

    record: str
    fields: Mapping[str, Any]
    key: Sequence[str]
    where: str
    sync: str
    nulls: str
    active: bool
    timezone: str
    dst: str
    on_unknown: str
    on_removed: Mapping[str, Any]
    arrays: str
    hash_key: str
    keep: str
    limits: Mapping[str, Any]
    notify: "Mapping[str, Any] | Sequence[Mapping[str, Any]]"
    on_truncation: str
    order_by: Sequence[str]


class PlanWords(StreamWords, total=False):
    """What a plan may be asked: see `RunOptions`."""

    as_of: datetime
    interval: Interval
    streams: Sequence[str]
    limit: int
    full: bool
    retry_refused: bool
    processes: int
    state: "str | Path | Sequence[str]"
    wait_for_lock: "float | str"
    expect_state: bool
    key_rotated: bool
    engine: str


class CheckWords(PlanWords, total=False):
    """What a check may be asked beside."""

    whole: bool


class RunWords(PlanWords, total=False):
    """What a run may be asked: see `RunOptions`."""

    accept_changes: bool
    accept_flips: bool
    accept_mapping: bool
    accept_restored: bool
    allow_held: bool
    allow_rejected: "int | str"
    exit_6_when_held: bool
    exit_99_when_empty: bool
    impact: bool
    lineage: str
    senders: int
    plan: Path
    max_age: "float | str"
    patience: "float | str"


class RehearsalWords(RunWords, total=False):
    """What a rehearsal may be asked beside."""

    fixtures: "Mapping[str, str | Path]"
    features: Any
    faults: Any
    evaluation: Edition


@dataclass(frozen=True)
class Given:
    """What a caller gave: a pipeline, what is asked of it, and who is told.

    Attributes:
        what: the path of a pipeline file, or a table.
        destination: where to, in place of the file's own.
        name: of a table's pipeline.
        options: what is asked of a run.
        stream: words of a table's stream and of its pipeline.
        listener: who is told.
    """

    what: "str | Path | Any"
    destination: Mapping[str, Any]
    name: str | None
    options: RunOptions
    stream: Mapping[str, Any]
    listener: Listener

    @property
    def file(self) -> Path | None:
        """The pipeline file; None for a table."""
        return Path(self.what) if isinstance(self.what, (str, Path)) else None

    @property
    def unnamed(self) -> bool:
        """Whether it is a table that was given no name: its memory is for this one alone."""
        return self.file is None and self.name is None

    @property
    def has_key(self) -> bool:
        """Whether somebody says the key."""
        if "key" in self.destination:
            return True
        return bool(os.environ.get(_KEY)) if self.file is None else not lacks_key(self.file)

    def pipeline(self, destination: Mapping[str, Any] | None = None, *, tells: bool = False) -> Pipeline:
        """Return the pipeline; values of `destination` stand in place of all others.

        Raises:
            BucketLoaderError: a mistake in the file or the words.
        """
        given = {**self.destination, **(destination or {})}
        if self.file is not None:
            return load_pipeline(self.file, destination=given, tells=tells)
        name = _UNNAMED if self.name is None else self.name
        of_all = {word: self.stream[word] for word in _OF_A_PIPELINE if word in self.stream}
        of_stream = {word: words for word, words in self.stream.items() if word not in {*of_all, _ORDER}}
        stream = {"name": name, "source": self._source(), **of_stream}
        return pipeline_from({"name": name, "destination": _from_variables(given), "streams": [stream], **of_all})

    def _source(self) -> dict[str, Any]:
        """Return what a table is read as.

        Raises:
            UsageError: it is Spark's, and its memory would be nobody's; or it is not, and an order is asked for.
        """
        order = self.stream.get(_ORDER, [])
        if not is_spark_frame(self.what):
            if order:
                raise UsageError(f"`{_ORDER}` is for a DataFrame of Spark", hint="rows of this table are in its order")
            return {"type": "frame", "frame": frame_of(self.what)}
        if self.name is None:
            raise UsageError(
                "a DataFrame of Spark needs a name: nothing else tells it from another",
                hint="give name='accounts', always the same one for the same data",
            )
        return {"type": "spark_frame", "frame": self.what, _ORDER: list(order)}

    def job(self, *, has_key: bool = True, tells: bool = False) -> Job:
        """Return the job; one without a key looks, and sends nothing; one that tells has those who hear of it."""
        pipeline = self.pipeline(None if has_key else _keyless(self.destination), tells=tells)
        job = make_job(pipeline, self.options, self.listener, file=self.file, has_key=has_key)
        lineage = lineage_listener(self.options.lineage, self.listener) if tells else None
        return replace(job, in_host=True, unnamed=self.unnamed, lineage=lineage)


def given(
    what: object,
    destination: "str | Mapping[str, Any] | None",
    name: str | None,
    *,
    quiet: bool,
    words: Mapping[str, Any],
) -> Given:
    """Return what a caller gave.

    Raises:
        UsageError: a word makes no sense.
    """
    options = read_options({word: value for word, value in words.items() if word in OPTIONS})
    stream = {word: value for word, value in words.items() if word not in OPTIONS}
    if stream and isinstance(what, (str, Path)):
        raise UsageError(f"a pipeline file takes no {', '.join(sorted(stream))}", hint="write it in the file")
    place = {"base_url": destination} if isinstance(destination, str) else dict(destination or {})
    return Given(what, place, name, options, stream, on_stderr(quiet=quiet))


def _from_variables(destination: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table's destination; what it does not say is taken from the environment, as in a file's first lines.

    Raises:
        UsageError: nobody says the key.
    """
    found = {name: os.environ[variable] for name, variable in (("base_url", _BASE_URL), ("key", _KEY))
             if os.environ.get(variable)}  # fmt: skip
    if "key" not in {**found, **destination}:
        raise UsageError("no key is given", hint=f"export {_KEY}=..., or give destination={{'key': ...}}")
    return {**found, **destination}


def _keyless(destination: Mapping[str, Any]) -> dict[str, Any]:
    return {} if "key" in destination else {"key": "sec_not-needed"}


def with_options(door: Door) -> Door:
    """Add to a door's docstring what its options mean, as `RunOptions` says it."""
    if door.__doc__ is not None and RunOptions.__doc__ is not None:  # `python -OO` has none
        lines = RunOptions.__doc__.partition("Attributes:\n")[2].rstrip()
        door.__doc__ = f"{door.__doc__.rstrip()}\n\n    Options:\n{lines}\n"
    return door
