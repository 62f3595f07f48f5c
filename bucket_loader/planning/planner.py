"""Source to plan: the reading steps meet here.

    source --batches--> map --> stage --> compact, compare --> PLAN

Everything is read, judged and compared before the first byte is sent. Nothing here talks to the API.
"""

import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import structs

from bucket_loader.config import AnySource, Fields, FieldSpec, Pipeline, QuerySource, Stream, mapping_fingerprint
from bucket_loader.model import (
    ArrivingFiles,
    BucketLoaderError,
    InputBatch,
    LoadedFile,
    Reading,
    Rejection,
    Source,
    SourceError,
    UsageError,
    file_digest,
    give_memory_back,
    make_folder,
    wire_timestamp,
)
from bucket_loader.planning import cursor, plan_file as plan
from bucket_loader.planning.chunker import BRACKETS_BYTES
from bucket_loader.planning.cursor import HighWater, Mark
from bucket_loader.planning.mapping import Mapping as RowMapping, compile_mapping, subject_of_ids
from bucket_loader.planning.plan_file import Manifest, Plan, PlannedStream, StreamWriter
from bucket_loader.sources import SourceContext, StagedSource, delimiter_hint, open_source, stage, table_names
from bucket_loader.state import REJECTED, DeadLetters, dead_letters, records_file, snapshots as snapshot

Progress = Callable[[str, int, int], None]
"""Told after each batch: the stream's name, rows read so far, rows rejected so far."""


_REJECTIONS_AT_ONCE = 1_000  # entries in one synced write


def _no_progress(_stream: str, _read: int, _rejected: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class PlanRequest:
    """What a plan is made from, besides the sources themselves.

    Attributes:
        pipeline: the pipeline file.
        base: the folder that its relative paths start from.
        folder: where the plan goes; made here.
        run: the run's name.
        as_of: the run's time, aware, UTC.
        interval: start and end, where the scheduler gave them.
        streams: the names of the streams wanted; all when empty.
        limit: rows to read of each stream at the most.
        full: whether to ignore what is known of users and companies.
        after: the number of the last run before this plan.
        memory: each stream's snapshot parts, oldest first.
        cursors: the streams' high-water marks, spelt, as far as there are any.
        loaded: the files that each stream has loaded, for `new_files:`.
        instead: sources that stand in for streams' own.
        progress: told how far the reading is.
    """

    pipeline: Pipeline
    base: Path
    folder: Path
    run: str
    as_of: datetime
    interval: tuple[datetime, datetime] | None = None
    streams: tuple[str, ...] = ()
    limit: int | None = None
    full: bool = False
    after: int = 0
    memory: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    cursors: Mapping[str, str] = field(default_factory=dict)
    loaded: Mapping[str, frozenset[LoadedFile]] = field(default_factory=dict)
    instead: Mapping[str, Source] = field(default_factory=dict)
    progress: Progress = _no_progress

    def wanted(self) -> list[Stream]:
        """Give the streams to plan, in the order of delivery."""
        return [stream for stream in self.pipeline.ordered_streams() if not self.streams or stream.name in self.streams]


def make_plan(request: PlanRequest) -> Plan:
    """Read, map, validate, compact and compare every stream, and write the plan.

    Raises:
        SourceError: a source is refused, cannot be reached, or changed while it was read.
        UsageError: the pipeline file does not fit a source's columns.
    """
    make_folder(request.folder.parent)
    request.folder.mkdir(mode=0o700)
    sources = _Sources(request)
    streams = [_plan_stream(request, sources, stream, position) for position, stream in enumerate(request.wanted())]
    sources.require_unchanged()
    sources.clear()
    return plan.finish(request.folder, _manifest(request, sources, streams))


def notes(manifest: Manifest) -> Iterator[str]:
    """Say where a plan could not tell whether a row is gone from the source, and why."""
    for stream in manifest.streams:
        if stream.nameless:
            yield (
                f"{stream.name}: {stream.nameless:,} rejected rows do not say whose they are, so nothing counts as "
                "removed this time"
            )
        if stream.without_ids:
            yield (
                f"{stream.name}: of {stream.known_ids + stream.without_ids:,} known records {stream.without_ids:,} "
                "were delivered before `on_removed:` was there; should they go, nobody knows their ids. `run --full` "
                "learns those of all that are still there"
            )


def _plan_stream(request: PlanRequest, sources: "_Sources", stream: Stream, position: int) -> PlannedStream:
    staged = request.folder / f"{position:02d}.staged"
    rejected = _Rejected(request, stream)
    with _named(stream):
        reading, lost = sources.read(stream)
        if not reading.schema.names and sources.arrived(stream) == ():
            return _nothing_new(request, stream, position)
        try:
            mapping = _compile(request, stream, reading.schema)
        except UsageError as error:
            if hint := delimiter_hint(reading.schema.names):
                error.hint = f"{hint}; {error.hint}"
            raise
        rejected.write(lost)
        water = HighWater(stream.cursor.column, request.as_of) if stream.cursor is not None else None
        batches = water.watch(reading.batches) if water is not None else reading.batches
        counted = _stage(request, mapping, Reading(reading.schema, batches), rejected, staged)
        sources.require_whole(stream)
    counted = _add_removals(request, counted, reading.schema, rejected, staged)
    final = request.folder / records_file(position, stream.name)
    counted = _settle(request, stream, counted, staged, final)
    return structs.replace(
        counted,
        position=position,
        file=final.name,
        digest=file_digest(final),
        shares_ids=any(name in stream.fields.given() or counted.removed > 0 for name in stream.kind.ids[1:]),
        cursor=cursor.spelt(water.mark) if water is not None and request.limit is None else None,
        files=(sources.arrived(stream) or ()) if request.limit is None else (),
    )


def _compile(request: PlanRequest, stream: Stream, schema: pa.Schema) -> RowMapping:
    destination = request.pipeline.destination
    return compile_mapping(
        stream,
        schema,
        as_of=request.as_of,
        record_bytes_max=destination.chunk.bytes - BRACKETS_BYTES,
        api=destination.api,
        hash_key=request.pipeline.hmac_key,
    )


def _nothing_new(request: PlanRequest, stream: Stream, position: int) -> PlannedStream:
    """Plan a stream whose source has no new file: there is not even a column to map."""
    final = request.folder / records_file(position, stream.name)
    writer = StreamWriter(final, pa.schema([("file", pa.string())]))
    writer.close()
    return structs.replace(
        _counted(request, stream, records=0, read=0, rejected=0, filtered=0),
        position=position,
        file=final.name,
        digest=file_digest(final),
    )


def _stage(
    request: PlanRequest,
    mapping: RowMapping,
    reading: Reading,
    rejected: "_Rejected",
    staged: Path,
) -> PlannedStream:
    """Map every batch to a staged file, and every row that makes no record to the rejected file."""
    stream = rejected.stream
    read, filtered, nameless = rejected.count, 0, rejected.count
    writer = StreamWriter(staged, reading.schema)
    with closing(mapping), closing(writer), _ended(reading.batches), _subjects(_present(staged), stream) as present:
        for batch, mapped in mapping.over(_limited(reading.batches, request.limit)):
            writer.write(mapped.records, _taken(batch, mapped.kept), batch.source)
            rejected.write([*batch.unread, *mapped.rejections])
            filtered += mapped.filtered
            nameless += mapped.nameless + len(batch.unread)
            if present is not None:
                present.write_table(pa.table([mapped.present], schema=snapshot.PRESENT_SCHEMA))
            read += batch.data.num_rows + len(batch.unread)
            request.progress(stream.name, read, rejected.count)
    counted = _counted(request, stream, records=writer.rows, read=read, rejected=rejected.count, filtered=filtered)
    return structs.replace(counted, nameless=nameless if _tells_removed(request, stream) else 0)


def _counted(  # noqa: PLR0913  # a stream's counts
    request: PlanRequest, stream: Stream, *, records: int, read: int, rejected: int, filtered: int
) -> PlannedStream:
    """Give a stream's plan as far as reading it tells."""
    return PlannedStream(
        position=0, name=stream.name, kind=stream.record, mode=stream.mode.name, on_unknown=stream.on_unknown,
        records=records, read=read, rejected=rejected, filtered=filtered, superseded=0, unchanged=0, known=0, changed=0,
        file="", digest="", mapping=mapping_fingerprint(stream, request.pipeline.hmac_key), shares_ids=False,
        remembers=stream.mode.remembers, keyed=stream.key is not None, remembers_ids=stream.on_removed is not None,
    )  # fmt: skip


@contextmanager
def _ended(batches: Iterator[InputBatch]) -> Iterator[None]:
    """End a reading that was not read to its end: a limit, or an error, leaves a connection open otherwise."""
    try:
        yield
    finally:
        if isinstance(batches, Generator):
            batches.close()


def _taken(batch: InputBatch, kept: pa.Int64Array) -> pa.RecordBatch:
    return batch.data if len(kept) == batch.data.num_rows else batch.data.take(kept)


# --- what is gone from the source ----------------------------------------------------------------------------------


def _tells_removed(request: PlanRequest, stream: Stream) -> bool:
    """Tell whether a row that this reading does not have is gone: it is whole, and the memory is believed."""
    whole = request.limit is None and stream.name not in request.instead
    return stream.on_removed is not None and whole and not request.full


def _present(staged: Path) -> Path:
    """Give the file of the subjects of all rows that are there."""
    return staged.with_suffix(".present")


def _removals(staged: Path) -> Path:
    """Give the file of the records of rows that are gone; only there when there are any."""
    return staged.with_suffix(".removed")


@contextmanager
def _subjects(path: Path, stream: Stream) -> Iterator[pq.ParquetWriter | None]:
    if stream.on_removed is None:
        yield None
        return
    with pq.ParquetWriter(path, snapshot.PRESENT_SCHEMA, compression="none", use_dictionary=False) as writer:
        yield writer


def _add_removals(
    request: PlanRequest, counted: PlannedStream, schema: pa.Schema, rejected: "_Rejected", staged: Path
) -> PlannedStream:
    """Make a record for each row that was delivered and is gone from the source, as far as the reading can tell."""
    stream, present = rejected.stream, _present(staged)
    memory = request.memory.get(stream.name, [])
    if not memory or counted.nameless or not _tells_removed(request, stream):
        present.unlink(missing_ok=True)
        return counted
    found = staged.with_suffix(".vanished")
    gone = snapshot.vanished(staged, present, memory, found, subject=subject_of_ids(stream.record))
    present.unlink()
    if gone.rows:
        _write_removals(request, found, StreamWriter(_removals(staged), schema), rejected)
    found.unlink()
    return structs.replace(
        counted,
        rejected=rejected.count,
        removed=gone.rows,
        known_ids=gone.known_ids,
        without_ids=gone.known - gone.known_ids,
    )


def _write_removals(request: PlanRequest, found: Path, writer: StreamWriter, rejected: "_Rejected") -> None:
    """Map the ids of rows that are gone to records, as rows are mapped."""
    stream = _removal_of(rejected.stream)
    names = [name for name, spec in stream.fields.given().items() if isinstance(spec, FieldSpec)]
    mapping = _compile(request, stream, pa.schema([(name, pa.string()) for name in names]))
    with closing(writer), pq.ParquetFile(found, pre_buffer=False) as file:
        for batch in file.iter_batches(batch_size=plan.ROW_GROUP, use_threads=False):
            ids = [msgspec.json.decode(text) for text in batch["ids"].to_pylist()]
            data = pa.record_batch([pa.array([one.get(name) for one in ids], pa.string()) for name in names], names)
            mapped = mapping.apply(InputBatch(data, pa.array([0] * len(ids), pa.int64()), plan.REMOVED))
            rejected.write(mapped.rejections)
            keys = pa.chunked_array([batch["key"].take(mapped.kept)])
            contents = pa.chunked_array([pa.array([snapshot.REMOVED] * len(mapped.kept), pa.binary())])
            records = mapped.records.set_column(2, "key", keys).set_column(3, "content", contents)
            writer.write(records, None, plan.REMOVED)


def _removal_of(stream: Stream) -> Stream:
    """Give the stream of a stream's rows that are gone: their ids, and the constants of `on_removed:`."""
    assert stream.on_removed is not None  # noqa: S101  # narrows the type
    constants = {name: FieldSpec(value=value) for name, value in stream.on_removed.attributes.items()}
    ids = {name: FieldSpec(column=name) for name in stream.kind.ids}
    fields = Fields.model_validate({**ids, "attributes": constants})
    # Being gone is no activity, whatever the rows are.
    plain = {"where": None, "cursor": None, "on_removed": None, "active": None}
    return stream.model_copy(update={"fields": fields, **plain})


def _settle(request: PlanRequest, stream: Stream, counted: PlannedStream, staged: Path, final: Path) -> PlannedStream:
    """Keep the last row of each key, leave out what is known, and give the file its final name."""
    removed = _removals(staged)
    if not stream.mode.remembers and not stream.ordered:
        staged.rename(final)
        return counted
    ignored = request.full and stream.ordered
    give_memory_back()
    chosen = snapshot.compare(
        staged,
        [] if ignored else request.memory.get(stream.name, []),
        staged.with_suffix(".selected"),
        mode=stream.mode,
        identity="key" if stream.ordered or stream.key else "content",
    )
    if chosen.records == counted.records and not chosen.renumbered and not removed.exists():
        staged.rename(final)
    else:
        plan.select(staged, chosen.selected, final, removed)
        staged.unlink()
    chosen.selected.unlink()
    removed.unlink(missing_ok=True)
    return structs.replace(
        counted,
        records=plan.count(final),
        superseded=chosen.superseded,
        unchanged=chosen.unchanged,
        known=chosen.known,
        changed=chosen.changed,
    )


class _Rejected:
    """The rows of one stream that planning rejects, spooled beside the plan as dead letters."""

    def __init__(self, request: PlanRequest, stream: Stream) -> None:
        self._request = request
        self.stream = stream
        self._file = DeadLetters(request.folder / REJECTED)
        self.count = 0

    def write(self, rejections: Iterable[Rejection]) -> None:
        numbered = enumerate(rejections, start=self.count)
        while some := list(islice(numbered, _REJECTIONS_AT_ONCE)):
            self.count += self._file.append(
                dead_letters.entry(rejection, run=self._request.run, stream=self.stream.name, number=f"p{number}")
                for number, rejection in some
            )


class _Sources:
    """The sources of one plan: each named one that serves several streams, or a query, is read once and staged."""

    def __init__(self, request: PlanRequest) -> None:
        self._request = request
        self._named = request.pipeline.sources
        self._opened: list[tuple[str, Source, str]] = []
        self._staged: dict[str, StagedSource] = {}
        self._arrived: dict[str, tuple[LoadedFile, ...]] = {}
        self._asked: dict[str, _Asked] = {}
        self._folder = request.folder / "sources"
        specs = [request.pipeline.source_of(stream) for stream in request.wanted()]
        used = [stream.source for stream in request.wanted() if isinstance(stream.source, str)]
        for spec in specs:
            used += table_names(spec.sql) if isinstance(spec, QuerySource) else ()
        self._shared = {name for name in used if used.count(name) > 1}

    def read(self, stream: Stream) -> tuple[Reading, Iterator[Rejection]]:
        """Open a stream's source; beside it, the rows that a query cannot see because they could not be read."""
        if stream.name in self._request.instead:
            return self._request.instead[stream.name].read(), iter(())
        spec = self._request.pipeline.source_of(stream)
        if isinstance(spec, QuerySource):
            return self._query(stream, spec)
        if isinstance(stream.source, str) and stream.source in self._shared:
            return self._stage(stream.source).read(), iter(())
        label = stream.source if isinstance(stream.source, str) else stream.name
        return self._open(label, spec, {}, stream).read(), iter(())

    def arrived(self, stream: Stream) -> tuple[LoadedFile, ...] | None:
        """Give the files that a stream reads for the first time; None when it reads whatever is there."""
        return self._arrived.get(stream.name)

    def _query(self, stream: Stream, spec: QuerySource) -> tuple[Reading, Iterator[Rejection]]:
        names = sorted(table_names(spec.sql) & self._named.keys())
        staged = {name: self._stage(name) for name in names}
        tables = {name: source.path for name, source in staged.items()}
        try:
            reading = self._open(stream.name, spec, tables, stream).read()
        except SourceError as error:
            if not tables:
                error.hint = f"the sources that are named: {', '.join(sorted(self._named)) or 'none'}"
            raise
        return reading, chain.from_iterable(source.unread() for source in staged.values())

    def _stage(self, name: str) -> StagedSource:
        if name not in self._staged:
            self._folder.mkdir(exist_ok=True, mode=0o700)
            source = self._open(name, self._named[name], {})
            path = self._folder / f"{len(self._staged)}.parquet"
            self._staged[name] = stage(source.read(), path, fingerprint=self._opened[-1][2])
        return self._staged[name]

    def _open(self, label: str, spec: AnySource, tables: Mapping[str, Path], stream: Stream | None = None) -> Source:
        loaded = None
        if stream is not None and getattr(spec, "new_files", False):
            loaded = frozenset() if self._request.full else self._request.loaded.get(stream.name, frozenset())
        asked = _Asked(self._parameters(stream))
        self._asked[f"stream {stream.name}" if stream is not None else f"source {label}"] = asked
        source = open_source(spec, SourceContext(self._request.base, asked, tables, loaded))
        if stream is not None and loaded is not None and isinstance(source, ArrivingFiles):
            self._arrived[stream.name] = source.arrivals()
        self._opened.append((label, source, source.fingerprint()))
        return source

    def require_whole(self, stream: Stream) -> None:
        """Refuse `on_removed:` over a source that gives a part of its rows, now that its queries have been seen.

        Raises:
            UsageError: the source, or one under its query, asked for the interval or the cursor.
        """
        if stream.on_removed is None or stream.name in self._request.instead:
            return
        spec = self._request.pipeline.source_of(stream)
        under = table_names(spec.sql) if isinstance(spec, QuerySource) else ()
        opened = [f"stream {stream.name}", *(f"source {name}" for name in (*under, stream.source))]
        names = {name for label in opened if label in self._asked for name in self._asked[label].names}
        if narrowing := sorted(names - {"as_of"}):
            raise UsageError(
                f"`on_removed:` needs a source that is read whole, and this one uses {narrowing[0]}",
                hint="read every row that exists, or leave `on_removed:` out",
            )

    def _parameters(self, stream: Stream | None) -> dict[str, Mark]:
        found: dict[str, Mark] = {"as_of": self._request.as_of}
        if stream is not None and stream.cursor is not None:
            known = None if self._request.full else self._request.cursors.get(stream.name)
            found["cursor"] = cursor.bound(stream.cursor, known)
        if self._request.interval is not None:
            found["interval_start"], found["interval_end"] = self._request.interval
        return found

    def require_unchanged(self) -> None:
        """Hold every source against the fingerprint taken when it was opened.

        Raises:
            SourceError: one changed while it was read.
        """
        for label, source, before in self._opened:
            if source.fingerprint() != before:
                raise SourceError(
                    f"source {label!r} changed while it was read; nothing was sent",
                    hint="let its writer finish first (write to another name, then rename), and run again",
                )

    def fingerprints(self) -> dict[str, str]:
        """Give each source's fingerprint by its label."""
        return {label: fingerprint for label, _, fingerprint in self._opened}

    def clear(self) -> None:
        """Remove what was staged: the plan holds all that matters of it."""
        shutil.rmtree(self._folder, ignore_errors=True)


class _Asked(dict[str, Mark]):
    """A run's parameters, and which of them a source asked for."""

    def __init__(self, values: Mapping[str, Mark]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Mark:
        self.names.add(name)
        return super().__getitem__(name)


def _limited(batches: Iterator[InputBatch], limit: int | None) -> Iterator[InputBatch]:
    """Give the batches, or as many of their first rows as `limit` says; rows that could not be read count too."""
    left = limit
    for batch in batches:
        if left is None:
            yield batch
            continue
        ordinals = sorted([*batch.ordinals.to_pylist(), *(unread.origin.row for unread in batch.unread)])[:left]
        last = ordinals[-1] if ordinals else 0
        unread = [rejection for rejection in batch.unread if rejection.origin.row <= last]
        rows = len(ordinals) - len(unread)
        yield InputBatch(batch.data.slice(0, rows), batch.ordinals.slice(0, rows), batch.source, unread)
        left -= len(ordinals)
        if left <= 0:
            return


@contextmanager
def _named(stream: Stream) -> Iterator[None]:
    """Name the stream in an error that does not."""
    try:
        yield
    except BucketLoaderError as error:
        if repr(stream.name) not in error.message:
            error.message = f"stream {stream.name!r}: {error.message}"
        raise


def _manifest(request: PlanRequest, sources: _Sources, streams: list[PlannedStream]) -> Manifest:
    chunk = request.pipeline.destination.chunk
    interval = None
    if request.interval is not None:
        interval = (wire_timestamp(request.interval[0]), wire_timestamp(request.interval[1]))
    return Manifest(
        version=plan.VERSION,
        run=request.run,
        pipeline=request.pipeline.name,
        created_at=wire_timestamp(datetime.now(UTC)),
        as_of=wire_timestamp(request.as_of),
        interval=interval,
        after=request.after,
        chunk_records=chunk.records,
        chunk_bytes=chunk.bytes,
        streams=tuple(streams),
        sources=sources.fingerprints(),
        api=request.pipeline.destination.api,
    )
