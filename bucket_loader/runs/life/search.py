"""Searching plans: by 16-byte keys where these follow from what is sought, else through the text of all records.

Of a plan one column is read, a part at a time, so that memory does not grow with it. A stream that cannot hold what is
sought is not opened.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from bucket_loader.model import KINDS, StateError, StateUnavailableError, side_by_side
from bucket_loader.planning import Plan, PlannedStream, plan_file
from bucket_loader.runs.life.sought import Sought
from bucket_loader.state import State, snapshots

_THREADS: Final = 2


@dataclass(frozen=True)
class Hits:
    """Where what is sought stands in a stream of a plan.

    Attributes:
        planned: the plan.
        stream: the stream of it.
        sequences: the records, ascending.
        waiting: the rows that were refused before, with the same bytes, and are not sent: places in their own file.
    """

    planned: Plan
    stream: PlannedStream
    sequences: Sequence[int]
    waiting: Sequence[int] = ()

    @property
    def run(self) -> str:
        """The run's name."""
        return self.planned.manifest.run


def plans_of(state: State) -> Iterator[Plan]:
    """Yield the plans that are there, oldest first; one that goes meanwhile, or is half of one, is passed over."""
    for run in state.runs_in(state.layout.plans):
        try:
            yield plan_file.read(state.plan_folder(run), verify=False)
        except StateUnavailableError:
            raise
        except StateError:
            continue


def search(plans: Sequence[Plan], sought: Sought, streams: Sequence[str] = ()) -> list[Hits]:
    """Return where what is sought stands in plans, in their order.

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
    found = side_by_side(lambda one: _hits(*one, sought), asked, _THREADS)
    return [hits for hits in found if hits is not None and (hits.sequences or hits.waiting)]


def _hits(planned: Plan, stream: PlannedStream, sought: Sought) -> Hits | None:
    """Return the hits in one stream of a plan; None where its file has gone."""
    with suppress(FileNotFoundError):
        if sought.way(stream) == "records":
            found = list(_by_records(planned, stream, sought)) if stream.records else []
            return Hits(planned, stream, found)
        keys = sought.keys(KINDS[stream.kind])
        found = list(by_keys(planned, stream, keys)) if stream.records else []
        return Hits(planned, stream, found, _waiting(planned, stream, keys))
    return None


def by_keys(planned: Plan, stream: PlannedStream, keys: set[bytes]) -> Iterator[int]:
    """Yield the sequences of the records that have one of some keys."""
    wanted = np.array(sorted(keys), "S16")
    firsts = np.unique(_firsts(wanted))
    first = 0
    for batch in plan_file.records_in(planned.path(stream), ["key"]):
        if not batch["key"].null_count:
            some = snapshots.as_keys(batch["key"])
            likely = np.flatnonzero(np.isin(_firsts(some), firsts))
            yield from (first + int(place) for place in likely if some[place] in wanted)
        first += batch.num_rows


def _firsts(keys: snapshots.Keys) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Return the first eight bytes of keys as numbers: these are compared much faster than bytes."""
    return np.ascontiguousarray(keys).view(np.uint64).reshape(-1, 2)[:, 0]


def _waiting(planned: Plan, stream: PlannedStream, keys: set[bytes]) -> list[int]:
    if stream.known_refused is None or stream.known_refused.file is None:
        return []
    return [place for place, key in enumerate(planned.waiting(stream)["key"].to_pylist()) if key in keys]


def _by_records(planned: Plan, stream: PlannedStream, sought: Sought) -> Iterator[int]:
    needles, first = sought.needles(KINDS[stream.kind]), 0
    for batch in plan_file.records_in(planned.path(stream), ["record"]):
        records = batch["record"]
        yield from (
            first + place for place in _holding(records, needles) if sought.is_named_in(records[place].as_py())
        )
        first += batch.num_rows


def _holding(records: pa.StringArray, needles: Sequence[bytes]) -> list[int]:
    """Return the places of the texts that hold one of some needles, ascending."""
    _, offsets, data = records.buffers()
    if data is None:
        return []
    ends = np.frombuffer(offsets, np.int32)[records.offset + 1 : records.offset + len(records) + 1]
    text, places = data.to_pybytes(), set[int]()
    for needle in needles:
        at = text.find(needle)
        while at >= 0:
            place = int(np.searchsorted(ends, at, side="right"))
            places.add(place)
            at = text.find(needle, int(ends[place])) if place < len(ends) else -1
    return sorted(place for place in places if place < len(ends))

