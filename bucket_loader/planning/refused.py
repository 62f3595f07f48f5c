"""What the API has refused before, in a new plan: it goes last, and once a day; what is not sent is kept beside it.

A record is known by its key and its content, as in comparing. Where a plan has no content (a stream that remembers
nothing is not hashed, a removed row has none), it is made of the record itself, without the plan's own time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import md5
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bucket_loader.config import Stream
from bucket_loader.model import KINDS, Counts, bool_array, file_digest, wire_timestamp
from bucket_loader.planning import plan_file
from bucket_loader.planning.engine.compare import Found
from bucket_loader.planning.manifest import Manifest, PlannedStream, RefusedBefore
from bucket_loader.planning.plan_file import Piece, Plan
from bucket_loader.planning.request import PlanRequest
from bucket_loader.planning.stream_files import StreamFiles
from bucket_loader.state import Records, refusals, snapshots

_KNOWN: Final = pa.schema([("position", pa.int64()), *list(refusals.SCHEMA)[:5]])
_TAILS: Final = ("}", ',"context":{"active":false}}', ',"context":{"active":true}}')


@dataclass(frozen=True)
class Sorted:
    """The records of a stream that do not go where they stood, each piece in the order of the source.

    Attributes:
        removed: those of removed rows that were never refused; they go after all others that are new.
        again: what was refused before and is sent again, after all that is new.
        waiting: what was refused before and is not.
    """

    removed: tuple[Piece, ...] = ()
    again: tuple[Piece, ...] = ()
    waiting: tuple[Piece, ...] = ()

    @property
    def refused(self) -> int:
        """How many records are sent again."""
        return _rows(self.again)

    @property
    def held_back(self) -> int:
        """How many are not."""
        return _rows(self.waiting)

    @property
    def counts(self) -> Counts:
        """Where the rows of those that are not sent went."""
        return Counts(rejected=self.held_back, refused_before=self.held_back)

    def keep(self, path: Path) -> RefusedBefore | None:
        """Write which rows are not sent again; return what is known of them and of the others."""
        known = [piece.table for piece in (*self.again, *self.waiting)]
        if not any(map(len, known)):
            return None
        every = pa.concat_tables([one.select(["day", "run"]) for one in known])
        day = pc.min(every["day"])
        run = pc.min(every.filter(pc.equal(every["day"], day))["run"]).as_py()
        if not self.held_back:
            return RefusedBefore(run, day.as_py())
        plan_file.write_waiting(path, self.waiting)
        return RefusedBefore(run, day.as_py(), path.name, file_digest(path))


def _rows(pieces: Sequence[Piece]) -> int:
    return sum(map(len, pieces))


def sort_out(request: PlanRequest, stream: Stream, staged: Records, found: Found, files: StreamFiles) -> Sorted:
    """Tell what is new from what was refused before, and what of that is sent again."""
    removed = (Records.of(files.removals),) if files.removals.exists() else ()
    if stream.name not in request.refusals:
        return Sorted(tuple(map(Piece, removed)))
    known = pa.concat_tables([pq.read_table(path).cast(_KNOWN) for path in found.refused]).sort_by("position")
    new = Piece(staged, found.chosen)
    overtaken = _overtaken(stream, new, known) if request.retry is not False else nothing_of(known)
    again = _again(request, known, overtaken)
    news, agains, waiting = [], [Piece(staged, known.filter(again))], [Piece(staged, known.filter(pc.invert(again)))]
    for records in removed:
        gone, others = _known_removals(request, stream, records)
        again = _again(request, gone, nothing_of(gone))
        news.append(Piece(records, others))
        agains.append(Piece(records, gone.filter(again)))
        waiting.append(Piece(records, gone.filter(pc.invert(again))))
    return Sorted(tuple(news), tuple(agains), tuple(waiting))


def nothing_of(known: pa.Table) -> pa.Array:
    """Return "no" for each row."""
    return bool_array(np.zeros(len(known), np.bool_))


def _again(request: PlanRequest, known: pa.Table, overtaken: pa.Array) -> pa.ChunkedArray:
    """Return which are sent again: once a day, unless always or never is asked for."""
    if request.retry is None:
        due = pc.not_equal(known["tried"], request.made_at[:10])
    else:
        due = pa.chunked_array([bool_array(np.full(len(known), request.retry, np.bool_))])
    return pc.and_not(due, overtaken)


# --- the order of records that share an id --------------------------------------------------------------------------


@cache
def _decoder(kind: str) -> msgspec.json.Decoder[msgspec.Struct]:
    return msgspec.json.Decoder(msgspec.defstruct("Ids", [(name, str | None, None) for name in KINDS[kind].ids]))


def _overtaken(stream: Stream, new: Piece, known: pa.Table) -> pa.Array:
    """Return which records name a user or company that a later, new row names: sent last, they would undo it."""
    names = stream.kind.ids
    if not len(known) or not any(name in stream.fields.given() for name in names[1:]):
        return nothing_of(known)
    decode = _decoder(stream.record).decode

    def ids_of(record: str) -> list[tuple[str, str]]:
        found = decode(record)
        return [(name, value) for name in names if (value := getattr(found, name))]

    rows = new.records.taken(known["position"].to_numpy(), ["record"])["record"].to_pylist()
    last = {id_: -1 for row in rows for id_ in ids_of(row)}
    for positions, table in new.read(["record"]):
        for position, record in zip(positions.tolist(), table["record"].to_pylist(), strict=True):
            last |= {id_: position for id_ in ids_of(record) if id_ in last}
    latest = [max(last[id_] for id_ in ids_of(row)) for row in rows]
    return bool_array(np.array(latest) > known["position"].to_numpy())


# --- what a record is known by --------------------------------------------------------------------------------------


def identities(planned: Plan, stream: PlannedStream, sequences: Sequence[int]) -> pa.Table:
    """Return what records of a plan are known by: `key` and `content`."""
    table = planned.table(stream, sequences, ["key", "content"])
    if not pc.any(pc.fill_null(pc.equal(table["content"], snapshots.REMOVED), fill_value=True)).as_py():
        return table.cast(refusals.IDENTITY)
    table = planned.table(stream, sequences, ["key", "content", "record"])
    return _identified(table, _Spelling.of(planned.manifest, stream))


@dataclass(frozen=True)
class _Spelling:
    """How the records of a plan are spelt, as far as their content is not."""

    as_of: str
    opening: str
    bare: bool
    times: bool

    @classmethod
    def of(cls, manifest: Manifest, stream: PlannedStream) -> "_Spelling":
        return cls(manifest.as_of, _opening(stream.kind), manifest.bare, stream.times)

    def content(self, record: str) -> bytes:
        """Hash a record as the mapping hashes contents: without the plan's time, with its type."""
        stamp = f',"timestamp":"{self.as_of}"'
        for tail in () if self.times else _TAILS:
            if record.endswith(stamp + tail):
                record = record[: -len(stamp) - len(tail)] + tail
                break
        if self.bare:
            record = f"{self.opening},{record[1:]}"
        return md5(record.encode(), usedforsecurity=False).digest()


def _opening(kind: str) -> str:
    return f'{{"type":"{KINDS[kind].wire}"'


def _identified(table: pa.Table, spelling: _Spelling) -> pa.Table:
    contents = [
        spelling.content(record) if content in {None, snapshots.REMOVED} else content
        for content, record in zip(table["content"].to_pylist(), table["record"].to_pylist(), strict=True)
    ]
    keys = [key or content for key, content in zip(table["key"].to_pylist(), contents, strict=True)]
    return pa.table([keys, contents], schema=refusals.IDENTITY)


def _known_removals(request: PlanRequest, stream: Stream, removals: Records) -> tuple[pa.Table, pa.Table]:
    """Return which records of removed rows are known as refused, and the others: `position` and `key`."""
    known = refusals.read(request.refusals[stream.name])
    bare = request.pipeline.destination.api != "front"
    spelling = _Spelling(wire_timestamp(request.as_of), _opening(stream.record), bare, times=False)
    everything, likely = [], []
    for positions, table in Piece(removals).read(["key", "content", "record"]):
        identified = _identified(table, spelling).append_column("position", pa.array(positions, pa.int64()))
        everything.append(identified.select(["position", "key"]))
        likely.append(identified.filter(pc.is_in(identified["key"], value_set=known["key"])))
    both = pa.concat_tables(likely).join(known, ["key", "content"], join_type="inner").sort_by("position")
    gone = both.select(_KNOWN.names).cast(_KNOWN)
    others = pa.concat_tables(everything)
    return gone, others.filter(pc.invert(pc.is_in(others["position"], value_set=gone["position"])))
