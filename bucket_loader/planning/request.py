"""What a plan is made from: the request that every step of planning is handed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import pyarrow as pa

from bucket_loader.config import Pipeline, Stream, may_send
from bucket_loader.model import ArrayForm, InputBatch, LoadedFile, Source, wire_now
from bucket_loader.planning.chunker import BRACKETS_BYTES
from bucket_loader.planning.engine.engine import Engine, OneProcess
from bucket_loader.planning.engine.on_spark import OnSpark
from bucket_loader.planning.mapping import NOTHING_ASKED, Arrays, Asked, Mapping as RowMapping, compile_mapping
from bucket_loader.sources import SparkTasks
from bucket_loader.state import snapshots

Progress = Callable[[str, int, int], None]
"""Told after each batch: the stream's name, rows read so far, rows rejected so far."""

Sampling = Callable[[str, Iterator[InputBatch]], Iterator[InputBatch]]
"""Told a stream's name and what it reads, it returns what of that is planned."""


def _no_progress(_stream: str, _read: int, _rejected: int) -> None:
    """Do nothing: nobody wants to know."""


def _untold(_note: str) -> None:
    """Do nothing: nobody wants to know."""


@dataclass(frozen=True)
class PlanRequest:
    """What a plan is made from, besides the sources themselves.

    Attributes:
        pipeline: the pipeline file.
        base: the folder that its relative paths start from.
        folder: where the plan goes; empty.
        run: the run's name.
        as_of: the run's time, aware, UTC.
        interval: start and end, where the scheduler gave them.
        streams: the names of the streams wanted; all when empty.
        limit: rows to read of each stream at the most.
        sample: which of the rows that are read are planned; all where it is None.
        full: whether to ignore what is known of users and companies.
        after: the number of the last run before this plan.
        memory: what each stream remembers.
        cursors: the streams' high-water marks, spelt, as far as there are any.
        loaded: the files that each stream has loaded, for `new_files:`.
        refusals: the files of what the API has refused of each stream.
        retry: whether that is sent again: always, never, or once a day (None).
        made_at: when the plan is made, spelt.
        arrays: how lists are sent.
        unfinished: a run that is unfinished, and may yet send rows that this plan has too.
        instead: sources that stand in for streams' own.
        progress: told how far the reading is.
        note: told what the user should know of how a source is read.
        engine: runs what can be cut over several processes.
    """

    pipeline: Pipeline
    base: Path
    folder: Path
    run: str
    as_of: datetime
    interval: tuple[datetime, datetime] | None = None
    streams: tuple[str, ...] = ()
    limit: int | None = None
    sample: Sampling | None = None
    full: bool = False
    after: int = 0
    memory: Mapping[str, snapshots.Memory] = field(default_factory=dict)
    cursors: Mapping[str, str] = field(default_factory=dict)
    loaded: Mapping[str, frozenset[LoadedFile]] = field(default_factory=dict)
    refusals: Mapping[str, Path] = field(default_factory=dict)
    retry: bool | None = None
    made_at: str = field(default_factory=wire_now)
    arrays: ArrayForm = "flatten"
    unfinished: str | None = None
    instead: Mapping[str, Source] = field(default_factory=dict)
    progress: Progress = _no_progress
    note: Callable[[str], None] = _untold
    engine: Engine = field(default_factory=OneProcess)

    @property
    def tasks(self) -> SparkTasks | None:
        """Spark's tasks, where they make the plan; a few rows are read here."""
        is_whole = self.limit is None and self.sample is None
        return self.engine.tasks if is_whole and isinstance(self.engine, OnSpark) else None

    def wanted(self) -> list[Stream]:
        """Return the streams to plan, in the order of delivery."""
        return [stream for stream in self.pipeline.ordered_streams() if not self.streams or stream.name in self.streams]

    def memory_of(self, stream: Stream) -> snapshots.Memory:
        """Return what a stream remembers."""
        return self.memory.get(stream.name, snapshots.Memory())

    def asked(self, stream: Stream) -> Asked:
        """Return what limits ask of a stream's rows."""
        limits = self.pipeline.limits_of(stream)
        if self.limit is not None:  # a few rows say nothing of the source
            return NOTHING_ASKED
        fresh = None if limits.fresh is None else limits.fresh.column
        nulls = tuple(name for name in limits.nulls() if may_send(stream.fields.names(), name))
        return Asked(nulls, fresh)

    def compiled(self, stream: Stream, schema: pa.Schema, asked: Asked = NOTHING_ASKED) -> RowMapping:
        """Compile a stream's mapping for a source's columns; `asked` is what limits ask of the rows.

        Raises:
            UsageError: the pipeline file does not fit them.
        """
        return self.compiling(stream, schema, asked)(hash_key=self.pipeline.hmac_key)

    def compiling(self, stream: Stream, schema: pa.Schema, asked: Asked) -> Callable[..., RowMapping]:
        """Return what compiles that mapping, given the key of hashes. It pickles, and holds no key."""
        destination = self.pipeline.destination
        return partial(
            compile_mapping,
            stream,
            schema,
            as_of=self.as_of,
            record_bytes_max=destination.chunk.bytes - BRACKETS_BYTES,
            api=destination.api,
            hashed=stream.name in self.refusals,
            arrays=self._arrays(),
            asked=asked,
        )

    def _arrays(self) -> Arrays:
        on_truncation = self.pipeline.on_truncation or ("reject" if self.arrays == "keep" else "send")
        return Arrays(keep=self.arrays == "keep", rejects=on_truncation == "reject")

    def taken(self, stream: Stream, batches: Iterator[InputBatch]) -> Iterator[InputBatch]:
        """Return those of a stream's batches that are planned."""
        return batches if self.sample is None else self.sample(stream.name, batches)

    def is_whole(self, stream: Stream) -> bool:
        """Whether a row that the reading does not have counts as removed: all is read, and the memory is believed."""
        reads_all = self.limit is None and stream.name not in self.instead
        return stream.on_removed is not None and reads_all and not self.full
