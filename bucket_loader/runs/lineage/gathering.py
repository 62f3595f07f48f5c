"""From a stream of a pipeline to what is told of it: its datasets, and which column each field is made from."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from bucket_loader.config import Stream
from bucket_loader.model import Counts, UsageError
from bucket_loader.planning import Origin, origins_of
from bucket_loader.reporting import FieldLineage, How, Secrets, Stage, StreamLineage
from bucket_loader.runs.job import Job
from bucket_loader.sources import Around, Dataset, DatasetColumn, Upstream, upstream_of


@dataclass(frozen=True)
class StreamCall:
    """One stream in a call: what stays the same from its start to its end."""

    job: Job
    stream: Stream
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True)
class StreamEnd:
    """How a stream ended.

    Attributes:
        columns: the columns that its source had; none where no plan was made.
        read: how many rows were read; None where none were, since an earlier run was finished.
        delivered: how many records this call delivered.
    """

    columns: Sequence[str] = ()
    read: int | None = None
    delivered: int | None = None


NOT_ENDED: Final = StreamEnd()


def lineage_of(one: StreamCall, stage: Stage, at: datetime, ended: StreamEnd, error: str) -> StreamLineage:
    """Return what is told of a stream: at its start, or at its end."""
    job, stream, secrets = one.job, one.stream, Secrets()
    secrets.add(job.pipeline)
    upstream = _upstream(job, stream, secrets)
    found = StreamLineage(
        job=f"{job.pipeline.name}.{stream.name}",
        run_id=one.run_id,
        stage=stage,
        at=at,
        interval=job.options.interval,
        inputs=upstream.datasets,
        output=Dataset(f"bucket://{job.pipeline.destination.host}", stream.record),
        rows_read=ended.read if upstream.is_every_row else None,
        records_delivered=ended.delivered,
        error=secrets.scrubbed(error),
    )
    return _with_fields(found, stream, upstream, ended.columns)


def _with_fields(found: StreamLineage, stream: Stream, upstream: Upstream, columns: Sequence[str]) -> StreamLineage:
    if not columns:
        return found
    try:
        origins = origins_of(stream, columns)
    except UsageError:  # what is replayed was mapped by an earlier pipeline file
        return found
    fields = {
        path: FieldLineage(_all_of(upstream, origin.columns), _how(upstream, origin), origin.is_hidden)
        for path, origin in origins.fields.items()
    }
    return replace(found, fields=fields, filter=_all_of(upstream, origins.filter))


def _how(upstream: Upstream, origin: Origin) -> How | None:
    """Return how a field is made; None where a query stands between, which may make anything of a column."""
    if not origin.is_same:
        return "TRANSFORMATION"
    return None if any(column in upstream.columns for column in origin.columns) else "IDENTITY"


def _all_of(upstream: Upstream, columns: Sequence[str]) -> tuple[DatasetColumn, ...]:
    return tuple(dict.fromkeys(one for column in columns for one in upstream.columns_of(column)))


def _upstream(job: Job, stream: Stream, secrets: Secrets) -> Upstream:
    """Return what a stream reads, with no secret of the pipeline in a name: a path may hold one."""
    pipeline = job.pipeline
    found = upstream_of(pipeline.source_of(stream), Around(job.base, pipeline.sources))

    def plain(dataset: Dataset) -> Dataset:
        return Dataset(secrets.scrubbed(dataset.namespace), secrets.scrubbed(dataset.name))

    def all_plain(columns: tuple[DatasetColumn, ...]) -> tuple[DatasetColumn, ...]:
        return tuple(DatasetColumn(plain(one.dataset), one.column) for one in columns)

    columns = {name: all_plain(made) for name, made in found.columns.items()}
    return replace(found, datasets=tuple(map(plain, found.datasets)), columns=columns)


def calls_of(job: Job) -> list[StreamCall]:
    """Return the streams that a job is for, in the order they are delivered."""
    named = job.options.streams
    return [StreamCall(job, one) for one in job.pipeline.ordered_streams() if not named or one.name in named]


def together(runs: Iterable[Mapping[str, Counts]], stream: str) -> Counts | None:
    """Return the counts of a stream over several runs; None where none has it."""
    found = [counts[stream] for counts in runs if stream in counts]
    return sum(found, Counts()) if found else None
