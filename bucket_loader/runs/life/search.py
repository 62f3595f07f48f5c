"""Searching plans: by 16-byte keys where these follow from what is sought, else through the text of all records.

Of a plan one column is read, a part at a time, so that memory does not grow with it. A stream that cannot hold what is
sought is not opened.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from bucket_loader.model import KINDS, StateError, StateUnavailableError, side_by_side
from bucket_loader.planning import Plan, PlannedStream, plan_file
from bucket_loader.runs.life.sought import Sought
from bucket_loader.state import State, snapshots

UNREADABLE: Final = (OSError, pa.ArrowException)  # what a plan raises that is damaged, or goes meanwhile
_THREADS: Final = 2


@dataclass(frozen=True)
class Hit:
    """A record of a plan that is meant.

    Attributes:
        planned, stream, sequence: the plan, the stream of it, and the record's place there.
        text: the record as it is sent.
        source, ordinal: where its row stood.
        key, content: what it is known by; None where nobody asks.
    """

    planned: Plan
    stream: PlannedStream
    sequence: int
    text: str
    source: str
    ordinal: int
    key: bytes | None = None
    content: bytes | None = None

    @property
    def run(self) -> str:
        """The run's name."""
        return self.planned.manifest.run

    @cached_property
    def record(self) -> dict[str, Any]:
        """The record."""
        found: dict[str, Any] = msgspec.json.decode(self.text)
        return found

    @property
    def has_own_time(self) -> bool:
        """Whether its row gave its timestamp; else that is the run's own."""
        return self.record.get("timestamp") != self.planned.manifest.as_of


@dataclass(frozen=True)
class Waiting:
    """A row that was refused before, with the same bytes, so that a run did not send it."""

    planned: Plan
    stream: PlannedStream
    source: str
    ordinal: int
    refused_by: str


@dataclass(frozen=True)
class Hits:
    """What of plans is meant.

    Attributes:
        records: what is sent.
        waiting: what was refused before, and is not.
        unread: the runs whose plans cannot be read: damaged, or gone meanwhile.
    """

    records: Sequence[Hit] = ()
    waiting: Sequence[Waiting] = ()
    unread: Sequence[str] = ()


def plans_of(state: State) -> Iterator[Plan]:
    """Yield the plans that are there, oldest first; one that goes meanwhile, or is half of one, is passed over."""
    for run in state.runs_in(state.layout.plans):
        try:
            yield plan_file.read(state.plan_folder(run), verify=False)
        except StateUnavailableError:
            raise
        except StateError:
            continue


def search(plans: Sequence[Plan], sought: Sought, streams: Sequence[str] = ()) -> Hits:
    """Return what is meant of plans, in their order.

    Args:
        plans: the plans.
        sought: what is sought.
        streams: look only at these streams; at all when empty.
    """
    asked = [
        (planned, stream)
        for planned in plans
        for stream in planned.manifest.streams
        if (not streams or stream.name in streams) and sought.way(stream) is not None
    ]
    found = list(side_by_side(lambda one: _hits(*one, sought), asked, _THREADS))
    return Hits(
        [hit for one in found for hit in one.records],
        [row for one in found for row in one.waiting],
        list(dict.fromkeys(run for one in found for run in one.unread)),
    )


def _hits(planned: Plan, stream: PlannedStream, sought: Sought) -> Hits:
    """Return what is meant of one stream of a plan."""
    try:
        if sought.way(stream) == "records":
            return Hits(list(_by_records(planned, stream, sought)))
        keys = sought.keys(KINDS[stream.kind])
        found = list(by_keys(planned, stream, keys)) if stream.records else []
        table = planned.table(stream, found, ["record", "source", "ordinal", "key", "content"])
        return Hits(_made(planned, stream, found, table), list(_waiting(planned, stream, keys)))
    except UNREADABLE:
        return Hits(unread=[planned.manifest.run])


def _made(planned: Plan, stream: PlannedStream, found: Sequence[int], table: pa.Table) -> list[Hit]:
    rows = zip(found, *(table[name].to_pylist() for name in table.column_names), strict=True)
    return [Hit(planned, stream, *row) for row in rows]


def by_keys(planned: Plan, stream: PlannedStream, keys: set[bytes]) -> Iterator[int]:
    """Yield the sequences of the records that have one of some keys."""
    first = 0
    for batch in planned.records(stream).batches(["key"]):
        yield from (first + place for place in among(batch["key"], keys))
        first += batch.num_rows


def among(column: pa.Array | pa.ChunkedArray, keys: set[bytes]) -> list[int]:
    """Return the places of a column of keys that hold one of some keys, ascending; none where it has no keys."""
    if column.null_count or not keys:
        return []
    some, wanted = snapshots.as_keys(column), np.array(sorted(keys), "S16")
    likely = np.flatnonzero(np.isin(_firsts(some), _firsts(wanted)))
    return [int(place) for place in likely if some[place] in wanted]


def _firsts(keys: snapshots.Keys) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Return the first eight bytes of keys as numbers: these are compared much faster than bytes."""
    return np.ascontiguousarray(keys).view(np.uint64).reshape(-1, 2)[:, 0]


def _waiting(planned: Plan, stream: PlannedStream, keys: set[bytes]) -> Iterator[Waiting]:
    if stream.known_refused is None or stream.known_refused.file is None:
        return
    for row in planned.waiting(stream).to_pylist():
        if row["key"] in keys:
            yield Waiting(planned, stream, row["source"], row["ordinal"], row["run"])


def _by_records(planned: Plan, stream: PlannedStream, sought: Sought) -> Iterator[Hit]:
    needles, found, first = sought.needles(KINDS[stream.kind]), dict[int, str](), 0
    for batch in planned.records(stream).batches(["record"]) if stream.records else ():
        records = batch["record"]
        texts = ((first + place, records[place].as_py()) for place in holding(records, needles))
        found |= {sequence: text for sequence, text in texts if sought.is_named_in(text)}
        first += batch.num_rows
    names = ["source", "ordinal", *(["key", "content"] if KINDS[stream.kind].ordered else [])]
    table = planned.table(stream, list(found), names)
    for (sequence, text), row in zip(found.items(), table.to_pylist(), strict=True):
        yield Hit(planned, stream, sequence, text, **row)


def holding(records: pa.StringArray, needles: Sequence[bytes]) -> list[int]:
    """Return the places of the texts that hold one of some needles, ascending."""
    _, offsets, data = records.buffers()
    if data is None:
        return []
    bounds = np.frombuffer(offsets, np.int32)[records.offset : records.offset + len(records) + 1]
    text, first, after = memoryview(data), int(bounds[0]), int(bounds[-1])
    # `re` looks into the bytes where they lie, and for a plain text as fast as `find`.
    starts = [
        match.start() for needle in needles for match in re.compile(re.escape(needle)).finditer(text, first, after)
    ]
    return sorted({int(place) for place in np.searchsorted(bounds, starts, side="right") - 1})
