"""Staging: the rows of slices become records in files, one for each slice."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from bucket_loader.config import Stream
from bucket_loader.model import Counts, InputBatch, ReadItems, Rejection, Slice
from bucket_loader.planning.cursor import HighWater, Mark, highest
from bucket_loader.planning.mapping import Mapped, Mapping, Noticed
from bucket_loader.planning.plan_file import StreamWriter
from bucket_loader.state import snapshots

_NOT_PICKLED: Final = ("key", "mapping")


@dataclass(frozen=True)
class Step:
    """A batch that was mapped.

    Attributes:
        slice: the slice that it belongs to.
        rows: how many rows were read.
        rejected: how many of them make no record.
        rejections: these, as long as they are not written.
    """

    slice: Slice
    rows: int
    rejected: int
    rejections: Sequence[Rejection] = ()


@dataclass(frozen=True)
class StagedPart:
    """The records of a slice.

    Attributes:
        slice: its place.
        path: their file.
        records: how many there are.
        counts: the slice's rows: those that make a record are not in it yet.
        nameless: rejected rows that do not say whose they are.
        present: the file of the subjects of all rows that are there; None where nobody asks for them.
        rejected: the file of the rejections, where they were written on the way.
    """

    slice: Slice
    path: Path
    records: int
    counts: Counts
    nameless: int
    present: Path | None = None
    rejected: Path | None = None


@dataclass(frozen=True)
class Ended:
    """What was noticed of all rows of a call of `Stage`."""

    noticed: Noticed
    mark: Mark | None


@dataclass(frozen=True)
class Staged:
    """What staging came to: a sum, in whatever order and by however many calls the slices were staged.

    Attributes:
        parts: the records, in the order of the slices.
        noticed: what was noticed of the rows.
        mark: the greatest value of the cursor's column.
    """

    parts: tuple[StagedPart, ...]
    noticed: Noticed
    mark: Mark | None = None

    @classmethod
    def of(cls, made: Iterable[StagedPart | Ended]) -> "Staged":
        """Add up what was made."""
        found = list(made)
        parts = sorted((one for one in found if isinstance(one, StagedPart)), key=lambda part: part.slice)
        ended = [one for one in found if isinstance(one, Ended)]
        noticed = reduce(add, (one.noticed for one in ended))
        return cls(tuple(parts), noticed, highest(one.mark for one in ended))

    @property
    def counts(self) -> Counts:
        """Where the rows went, as far as reading tells."""
        return sum((part.counts for part in self.parts), Counts())

    @property
    def nameless(self) -> int:
        """How many rejected rows do not say whose they are."""
        return sum(part.nameless for part in self.parts)


@dataclass(frozen=True)
class Stage:
    """The first of the three functions. It pickles without its key, which has to be given again.

    Attributes:
        stream: what the pipeline file says.
        schema: the source's columns.
        as_of: the run's time.
        base: what the names of its files begin with.
        compiled: compiles the mapping, given the key; once in each process.
        read: reads items; None where the items are batches.
        attempt: what tells its files from those of another attempt at the same slices.
        key: what `hash: hmac` is keyed with.
        mapping: the mapping, where it is compiled already.
    """

    stream: Stream
    schema: pa.Schema
    as_of: datetime
    base: Path
    compiled: Callable[..., Mapping]
    read: ReadItems | None = None
    attempt: str = ""
    key: bytes | None = field(default=None, repr=False)
    mapping: Mapping | None = field(default=None, repr=False)

    @property
    def travels(self) -> bool:
        """Whether its items can be handed to another process."""
        return self.read is not None

    @property
    def keyed(self) -> list[str]:
        """The fields whose values are hashed with the key, by their paths."""
        return [path for path, spec in self.stream.fields.by_path().items() if spec.hash == "hmac"]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _NOT_PICKLED}

    def __call__(self, items: Iterable[Any]) -> Iterator[Step | StagedPart | Ended]:
        """Stage the slices of items, which come in ascending order.

        Yields:
            A step for each batch, a part for each slice, and at last what was noticed.
        """
        assert self.key is not None or not self.keyed  # noqa: S101  # without it every hash would be null
        batches = self.read(items) if self.read is not None else iter(items)
        cursor = self.stream.cursor
        water = None if cursor is None else HighWater(cursor.column, self.as_of)
        with closing(self.mapping or self.compiled(hash_key=self.key)) as mapping, _ended(batches):
            mapped = mapping.over(batches if water is None else water.watch(batches))
            with _ended(mapped):  # before the connection that it asks
                yield from self._parts(mapped)
            yield Ended(mapping.noticed, None if water is None else water.mark)

    def _parts(self, mapped: Iterator[tuple[InputBatch, Mapped]]) -> Iterator[Step | StagedPart]:
        part: _Part | None = None
        with ExitStack() as stack:
            for batch, found in mapped:
                if part is not None and part.slice != batch.slice:
                    stack.close()
                    yield part.staged()
                    part = None
                if part is None:
                    part = stack.enter_context(closing(_Part(self, batch.slice)))
                yield part.write(batch, found)
        if part is not None:
            yield part.staged()

    def path(self, place: Slice) -> Path:
        """Return the file of a slice's records."""
        item, number = place
        return self.base.with_name(f"{self.base.name}.{item:05d}-{number:05d}{self.attempt}.staged")


class _Part:
    """The files of a slice that is being staged."""

    def __init__(self, stage: Stage, place: Slice) -> None:
        self.slice = place
        self._path = stage.path(place)
        self._writer = StreamWriter(self._path, stage.schema)
        self._present: pq.ParquetWriter | None = None
        self._read = self._rejected = self._filtered = self._nameless = 0
        if stage.stream.on_removed is not None:
            self._present = pq.ParquetWriter(
                self._path_of_present, snapshots.PRESENT_SCHEMA, compression="none", use_dictionary=False
            )

    @property
    def _path_of_present(self) -> Path:
        return self._path.with_suffix(".present")

    def write(self, batch: InputBatch, mapped: Mapped) -> Step:
        """Write a batch's records; return what else there is of it."""
        self._writer.write(mapped.records, _taken(batch, mapped.kept), batch.source)
        if self._present is not None:
            self._present.write_table(pa.table([mapped.present], schema=snapshots.PRESENT_SCHEMA))
        rejections = sorted([*batch.unread, *mapped.rejections], key=lambda rejection: rejection.origin.row)
        self._read += batch.count
        self._rejected += len(rejections)
        self._filtered += mapped.filtered
        self._nameless += mapped.nameless + len(batch.unread)
        return Step(self.slice, batch.count, len(rejections), rejections)

    def close(self) -> None:
        """Finish the files."""
        self._writer.close()
        if self._present is not None:
            self._present.close()

    def staged(self) -> StagedPart:
        """Return what it came to."""
        counts = Counts(read=self._read, rejected=self._rejected, filtered=self._filtered)
        present = None if self._present is None else self._path_of_present
        return StagedPart(self.slice, self._path, self._writer.rows, counts, self._nameless, present)


def _taken(batch: InputBatch, kept: pa.Int64Array) -> pa.RecordBatch:
    return batch.data if len(kept) == batch.data.num_rows else batch.data.take(kept)


@contextmanager
def _ended(batches: Iterator[Any]) -> Iterator[None]:
    """End a reading that was not read to its end: a limit, or an error, leaves a connection open otherwise."""
    try:
        yield
    finally:
        if isinstance(batches, Generator):
            batches.close()
