"""Reading and mapping a stream: every row becomes a staged record, or a rejection, or is filtered out."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from bucket_loader.config import Stream
from bucket_loader.model import Counts, InputBatch, LoadedFile, Locate, Reading, Rejection, UsageError
from bucket_loader.planning import cursor
from bucket_loader.planning.cursor import HighWater
from bucket_loader.planning.fact_finding import facts_of
from bucket_loader.planning.facts import Facts
from bucket_loader.planning.mapping import Mapping as RowMapping
from bucket_loader.planning.plan_file import StreamWriter
from bucket_loader.planning.reading import Sources
from bucket_loader.planning.request import PlanRequest
from bucket_loader.sources import delimiter_hint
from bucket_loader.state import REJECTED, DeadLetters, Records, dead_letters, snapshots

_REJECTIONS_AT_ONCE: Final = 1_000  # entries in one synced write


@dataclass(frozen=True)
class Staged:
    """The files of one stream while it is planned; none of them is left in a finished plan.

    Attributes:
        path: its records, as they were mapped.
    """

    path: Path

    @property
    def records(self) -> Records:
        """Those records."""
        return Records.of(self.path)

    @property
    def present(self) -> Path:
        """The subjects of all rows that are there; written where the memory is asked what was removed."""
        return self.path.with_suffix(".present")

    @property
    def removals(self) -> Path:
        """The records of rows that were removed; only there when there are any."""
        return self.path.with_suffix(".removals")

    @property
    def removed(self) -> Path:
        """The keys and ids of rows that were removed."""
        return self.path.with_suffix(".removed")

    @property
    def selected(self) -> Path:
        """Which of the records are sent."""
        return self.path.with_suffix(".selected")

    def clear(self) -> None:
        """Remove all of them."""
        for path in (self.path, self.selected, snapshots.refused_beside(self.selected), self.removals):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Read:
    """What reading and mapping a stream came to.

    Attributes:
        schema: the source's columns; None when no new file has arrived, so that there is nothing to map.
        counts: its rows, as far as reading tells: those that make a record are not in it yet.
        records: rows that make a record; they are staged.
        nameless: rejected rows that do not say whose they are; 0 where nobody asks what was removed.
        mark: the high-water mark, spelt; None where it has none, or does not move.
        files: the files that are not to be loaded again.
        changed_forms: the forms of its values that have changed: in which version of forms, and what.
        is_rekeyed: whether a changed form touches its `key:`.
        has_lists: whether lists may stand in what it maps.
        lists: the attributes in which lists were seen, each with the length of its longest.
        unmet: what is to be said of names that `exclude:` leaves out and that no row has.
        facts: what is known of the reading; None when nothing was read.
    """

    schema: pa.Schema | None = None
    counts: Counts = field(default_factory=Counts)
    records: int = 0
    nameless: int = 0
    mark: str | None = None
    files: tuple[LoadedFile, ...] = ()
    changed_forms: tuple[tuple[int, str], ...] = ()
    is_rekeyed: bool = False
    has_lists: bool = False
    lists: dict[str, int] = field(default_factory=dict)
    unmet: tuple[str, ...] = ()
    facts: Facts | None = None


class Rejected:
    """The rows of one stream that planning rejects, spooled beside the plan as dead letters.

    Args:
        request: the plan's.
        stream: the stream.
        locator: returns what locates the rows of a file, by its name.
    """

    def __init__(self, request: PlanRequest, stream: Stream, locator: Callable[[str], Locate | None]) -> None:
        self._request = request
        self.stream = stream
        self._locator = cache(locator)
        self._file = DeadLetters(request.folder / REJECTED)
        self.count = 0

    def write(self, rejections: Iterable[Rejection]) -> None:
        """Write rejections, and count them; those of one file come in the order of its rows."""
        numbered = enumerate(map(self._located, rejections), start=self.count)
        while some := list(islice(numbered, _REJECTIONS_AT_ONCE)):
            self.count += self._file.append(
                dead_letters.entry(rejection, run=self._request.run, stream=self.stream.name, number=f"p{number}")
                for number, rejection in some
            )

    def _located(self, rejection: Rejection) -> Rejection:
        locate = self._locator(rejection.origin.source)
        return rejection if locate is None else replace(rejection, origin=locate(rejection.origin))


def read_stream(request: PlanRequest, sources: Sources, rejected: Rejected, staged: Staged) -> Read:
    """Read, map and stage a stream.

    Raises:
        SourceError: its source is refused, or cannot be reached.
        UsageError: the pipeline file does not fit the source's columns.
    """
    stream = rejected.stream
    reading, lost = sources.read(stream)
    arrived = sources.arrived(stream)
    if not reading.schema.names and arrived == ():
        return Read()
    mapping = _mapping(request, stream, reading.schema)
    rejected.write(lost)
    water = HighWater(stream.cursor.column, request.as_of) if stream.cursor is not None else None
    batches = water.watch(reading.batches) if water is not None else reading.batches
    found = _stage(request, mapping, Reading(reading.schema, batches), rejected, staged)
    for sentence in mapping.told():
        request.note(f"{stream.name}: {sentence}")
    unmet = tuple(mapping.excluded.unmet())
    if request.sample is None:  # a check doubts it
        for sentence in unmet:
            request.note(f"warning: {stream.name}: {sentence}")
    sources.require_whole(stream)
    moves = request.limit is None
    return Read(
        schema=reading.schema,
        counts=found.counts,
        records=found.records,
        nameless=found.nameless if request.is_whole(stream) else 0,
        mark=cursor.spelt(water.mark) if water is not None and moves else None,
        files=(arrived or ()) if moves else (),
        changed_forms=mapping.changed_forms,
        is_rekeyed=mapping.is_rekeyed,
        has_lists=mapping.has_lists,
        lists=mapping.lists(),
        unmet=unmet,
        facts=facts_of(sources, stream, mapping, reading.schema, found.counts + Counts(pending=found.records)),
    )


def _mapping(request: PlanRequest, stream: Stream, schema: pa.Schema) -> RowMapping:
    try:
        return request.compiled(stream, schema, request.asked(stream))
    except UsageError as error:
        if hint := delimiter_hint(schema.names):
            error.hint = f"{hint}; {error.hint}"
        raise


@dataclass(frozen=True)
class _Mapped:
    counts: Counts
    records: int
    nameless: int


def _stage(request: PlanRequest, mapping: RowMapping, reading: Reading, rejected: Rejected, staged: Staged) -> _Mapped:
    """Map every batch to a staged file, and every row that makes no record to the rejected file."""
    stream = rejected.stream
    read, filtered, nameless = rejected.count, 0, rejected.count
    writer = StreamWriter(staged.path, reading.schema)
    with closing(mapping), closing(writer), _ended(reading.batches), _subjects(staged, stream) as present:
        for batch, mapped in mapping.over(_limited(request.taken(stream, reading.batches), request.limit)):
            writer.write(mapped.records, _taken(batch, mapped.kept), batch.source)
            rejected.write(sorted([*batch.unread, *mapped.rejections], key=lambda rejection: rejection.origin.row))
            filtered += mapped.filtered
            nameless += mapped.nameless + len(batch.unread)
            if present is not None:
                present.write_table(pa.table([mapped.present], schema=snapshots.PRESENT_SCHEMA))
            read += batch.count
            request.progress(stream.name, read, rejected.count)
    return _Mapped(Counts(read=read, rejected=rejected.count, filtered=filtered), writer.rows, nameless)


def _subjects(staged: Staged, stream: Stream) -> "pq.ParquetWriter | nullcontext[None]":
    if stream.on_removed is None:
        return nullcontext()
    return pq.ParquetWriter(staged.present, snapshots.PRESENT_SCHEMA, compression="none", use_dictionary=False)


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


def _limited(batches: Iterator[InputBatch], limit: int | None) -> Iterator[InputBatch]:
    """Yield the batches, or as many of their first rows as `limit` says."""
    left = limit
    for batch in batches:
        if left is None:
            yield batch
            continue
        taken = batch.first(left)
        yield taken
        left -= taken.count
        if left <= 0:
            return
