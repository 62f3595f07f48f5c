"""Reading a stream: its source is opened, and every row becomes a staged record, or a rejection, or is filtered out."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from bucket_loader.config import Stream
from bucket_loader.model import (
    Counts,
    InputBatch,
    LoadedFile,
    Locate,
    Reading,
    ReadItems,
    Rejection,
    UsageError,
    sliced,
)
from bucket_loader.planning import cursor
from bucket_loader.planning.engine.spool import rejections_in
from bucket_loader.planning.engine.stage import Ended, Stage, Staged, StagedPart, Step
from bucket_loader.planning.mapping import Mapping as RowMapping, Noticed
from bucket_loader.planning.plan_file import StreamWriter
from bucket_loader.planning.reading import Sources
from bucket_loader.planning.request import PlanRequest
from bucket_loader.sources import delimiter_hint
from bucket_loader.state import REJECTED, DeadLetters, Records, dead_letters

_REJECTIONS_AT_ONCE: Final = 1_000  # entries in one synced write


@dataclass(frozen=True)
class Read:
    """What reading and mapping a stream came to.

    Attributes:
        schema: the source's columns; None when no new file has arrived, so that there is nothing to map.
        parts: the staged records.
        counts: its rows, as far as reading tells: those that make a record are not in it yet.
        nameless: rejected rows that do not say whose they are; 0 where nobody asks what was removed.
        mark: the high-water mark, spelt; None where it has none, or does not move.
        files: the files that are not to be loaded again.
        changed_forms: the forms of its values that have changed: in which version of forms, and what.
        is_rekeyed: whether a changed form touches its `key:`.
        has_lists: whether lists may stand in what it maps.
        spread: the columns that a `*` sends; None where there is none.
        unmet: what is to be said of names that `exclude:` leaves out and that no row has.
        noticed: what was noticed of the rows; None when nothing was read.
        has_order: whether a row that comes later is a later one.
    """

    schema: pa.Schema | None = None
    parts: tuple[StagedPart, ...] = ()
    counts: Counts = field(default_factory=Counts)
    nameless: int = 0
    mark: str | None = None
    files: tuple[LoadedFile, ...] = ()
    changed_forms: tuple[tuple[int, str], ...] = ()
    is_rekeyed: bool = False
    has_lists: bool = False
    spread: tuple[str, ...] | None = None
    unmet: tuple[str, ...] = ()
    noticed: Noticed | None = None
    has_order: bool = True

    @property
    def records(self) -> Records:
        """The staged records, one part behind the other."""
        return Records(tuple(part.path for part in self.parts), tuple(part.records for part in self.parts))

    @property
    def lists(self) -> dict[str, int]:
        """The attributes in which lists were seen, each with the length of its longest."""
        return {} if self.noticed is None else self.noticed.lists()

    @property
    def present(self) -> list[Path]:
        """The files of the subjects of all rows that are there."""
        return [part.present for part in self.parts if part.present is not None]

    def forget_present(self) -> None:
        """Remove these files."""
        for path in self.present:
            path.unlink()

    def clear(self) -> None:
        """Remove the staged records that did not become a part as they are."""
        for path in self.records.files:
            path.unlink(missing_ok=True)


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


def read_stream(request: PlanRequest, sources: Sources, rejected: Rejected, base: Path) -> Read:
    """Read, map and stage a stream.

    Args:
        request: the plan's.
        sources: has the stream's.
        rejected: the stream's.
        base: what the names of the staged files begin with.

    Raises:
        SourceError: its source is refused, or cannot be reached.
        UsageError: the pipeline file does not fit the source's columns.
    """
    stream = rejected.stream
    reading, lost = sources.read(stream)
    arrived = sources.arrived(stream)
    if not reading.schema.names and arrived == ():
        return Read(parts=(_nothing(base, pa.schema([("file", pa.string())])),))
    mapping = _mapping(request, stream, reading.schema)
    rejected.write(lost)
    before = rejected.count  # of what a query did not even see
    staged = _staged(request, mapping, reading, rejected, base)
    unmet = _tell(request, stream, mapping, staged)
    sources.require_whole(stream)
    moves = request.limit is None
    return Read(
        schema=reading.schema,
        parts=staged.parts or (_nothing(base, reading.schema),),
        counts=staged.counts + Counts(read=before, rejected=before),
        nameless=staged.nameless + before if request.is_whole(stream) else 0,
        mark=cursor.spelt(staged.mark) if moves else None,
        files=(arrived or ()) if moves else (),
        changed_forms=mapping.changed_forms,
        is_rekeyed=mapping.is_rekeyed,
        has_lists=mapping.has_lists,
        spread=mapping.spread,
        unmet=unmet,
        noticed=staged.noticed,
        has_order=reading.has_order,
    )


def _mapping(request: PlanRequest, stream: Stream, schema: pa.Schema) -> RowMapping:
    try:
        return request.compiled(stream, schema, request.asked(stream))
    except UsageError as error:
        if hint := delimiter_hint(schema.names):
            error.hint = f"{hint}; {error.hint}"
        raise


def _nothing(base: Path, schema: pa.Schema) -> StagedPart:
    """Write a file of no records."""
    path = base.with_name(f"{base.name}.staged")
    StreamWriter(path, schema).close()
    return StagedPart((0, 0), path, 0, Counts(), 0)


def _tell(request: PlanRequest, stream: Stream, mapping: RowMapping, staged: Staged) -> tuple[str, ...]:
    """Tell the user what there is to know of the rows; return what is to be said of names that no row has."""
    unmet = tuple(staged.noticed.excluded.unmet())
    doubts = [f"warning: {stream.name}: {sentence}" for sentence in unmet]
    for sentence in chain(mapping.notes, staged.noticed.told()):
        request.note(f"{stream.name}: {sentence}")
    for sentence in doubts if request.sample is None else ():  # a check doubts it
        request.note(sentence)
    return unmet


def _staged(request: PlanRequest, mapping: RowMapping, reading: Reading, rejected: Rejected, base: Path) -> Staged:
    """Stage all rows, wherever the engine does that."""
    stream, made = rejected.stream, list[StagedPart | Ended]()
    read_items, items = _items(request, stream, reading)
    if read_items is None and request.tasks is not None:
        request.note(f"{stream.name}: its rows are read and mapped here: Spark's tasks read files and Spark's rows")
    bare = stream.model_copy(update={"source": ""})  # what goes elsewhere holds no password of a source, and no frame
    compiled = request.compiling(bare, reading.schema, request.asked(stream))
    key = request.pipeline.hmac_key
    stage = Stage(bare, reading.schema, request.as_of, base, compiled, read_items, key=key, mapping=mapping)
    read = in_spools = rejected.count
    for one in request.engine.run(stage, items):
        if not isinstance(one, Step):
            made.append(one)
            continue
        rejected.write(one.rejections)
        read, in_spools = read + one.rows, in_spools + one.rejected
        request.progress(stream.name, read, in_spools)
    staged = Staged.of(made)
    for part in staged.parts:
        if part.rejected is not None:
            rejected.write(rejections_in(part.rejected))
            part.rejected.unlink()
    return staged


def _items(request: PlanRequest, stream: Stream, reading: Reading) -> tuple[ReadItems | None, Iterable[Any]]:
    """Return the items, and what reads them; or the batches themselves, where not all of them are wanted."""
    is_whole = request.limit is None and request.sample is None
    if reading.sliced is not None and is_whole:
        return reading.sliced.read, reading.sliced.items
    batches = sliced(reading.batches) if reading.sliced is None else reading.batches
    return None, _limited(request.taken(stream, batches), request.limit)


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
