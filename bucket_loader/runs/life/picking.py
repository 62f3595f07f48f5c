"""Picking, from all that a source gives, the rows that are about what is sought; only these are planned.

Each row goes through the mapping once, without `where:`; so that one which `where:` leaves out is found as well.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from bucket_loader.config import Stream
from bucket_loader.model import InputBatch, Rejection, as_numpy, row_as_json
from bucket_loader.planning import Mapped, Mapping as RowMapping
from bucket_loader.runs.life.letters import Finder
from bucket_loader.runs.life.search import among, holding
from bucket_loader.runs.life.sought import names_users

Progress = Callable[[str, int, int], None]
Compile = Callable[[Stream, pa.Schema], RowMapping]


@dataclass(frozen=True)
class Picked:
    """A row that is about what is sought.

    Attributes:
        source, row: where it stands.
        input: its columns.
        key: what its record is known by; None where it makes none.
        is_filtered: whether `where:` leaves it out.
    """

    source: str
    row: int
    input: dict[str, Any]
    key: bytes | None = None
    is_filtered: bool = False


@dataclass
class Picking:
    """What is picked of one stream.

    Attributes:
        finder: says which rows are about what is sought.
        stream: the stream.
        compiled: compiles a mapping for the source's columns.
        progress: told how far the reading is.
        rows: what was picked, in the order of the source.
        read: how many rows the source gave.
        nameless: how many rejected rows do not say whose they are.
    """

    finder: Finder
    stream: Stream
    compiled: Compile
    progress: Progress
    rows: list[Picked] = field(default_factory=list)
    read: int = 0
    nameless: int = 0

    def __call__(self, _: str, batches: Iterator[InputBatch]) -> Iterator[InputBatch]:
        """Yield the rows of batches that are about it."""
        first = next(batches, None)
        if first is None:
            return
        unfiltered = self.stream.model_copy(update={"where": None})
        with (
            closing(self.compiled(unfiltered, first.data.schema)) as everything,
            closing(self.compiled(self.stream, first.data.schema)) as decided,
        ):
            for batch, mapped in everything.over(chain([first], batches)):
                yield from self._picked(batch, mapped, decided)

    def _picked(self, batch: InputBatch, mapped: Mapped, decided: RowMapping) -> Iterator[InputBatch]:
        self.read += batch.count
        self.progress(self.stream.name, self.read, 0)
        self.nameless += mapped.nameless + len(batch.unread)
        kept = as_numpy(mapped.kept)
        keys = {int(kept[place]): mapped.records["key"][place].as_py() for place in self._places(mapped.records)}
        about = self._about(batch, mapped.rejections)
        unread = [one for one in batch.unread if self._is_about(one)]
        places = sorted({*keys, *about})
        if places or unread:
            chosen = pa.array(places, pa.int64())
            some = InputBatch(batch.data.take(chosen), batch.ordinals.take(chosen), batch.source, unread)
            self._note(some, [keys.get(place) for place in places], decided)
            yield some

    def _places(self, records: pa.Table) -> list[int]:
        """Return which records are about it."""
        sought, kind = self.finder.sought, self.stream.kind
        way = sought.way_of(kind, is_keyed=bool(self.stream.key), names_users=names_users(self.stream))
        if way == "keys":
            return among(records["key"], sought.keys(kind))
        texts = records["record"].combine_chunks().cast(pa.string())
        found = holding(texts, sought.needles(kind)) if way == "records" else []
        return [place for place in found if sought.is_named_in(texts[place].as_py())]

    def _about(self, batch: InputBatch, rejections: Sequence[Rejection]) -> list[int]:
        """Return the places of the rejected rows that are about it."""
        rows = [rejection.origin.row for rejection in rejections if self._is_about(rejection)]
        return [int(place) for place in np.searchsorted(as_numpy(batch.ordinals), rows)]

    def _is_about(self, rejection: Rejection) -> bool:
        return self.finder.holds(rejection.row, self.stream)

    def _note(self, batch: InputBatch, keys: Sequence[bytes | None], decided: RowMapping) -> None:
        """Note rows that are picked, and which of them `where:` leaves out."""
        mapped = decided.apply(InputBatch(batch.data, batch.ordinals, batch.source))
        told = {*mapped.kept.to_pylist(), *self._all(batch, mapped.rejections)}
        for place, row in enumerate(batch.ordinals.to_pylist()):
            values = row_as_json(batch.data, place)
            self.rows.append(Picked(batch.source, row, values, keys[place], is_filtered=place not in told))
        self.rows += (Picked(batch.source, one.origin.row, one.row) for one in batch.unread)

    @staticmethod
    def _all(batch: InputBatch, rejections: Sequence[Rejection]) -> Iterator[int]:
        rows = batch.ordinals.to_pylist()
        return (rows.index(rejection.origin.row) for rejection in rejections)
