"""Settling: when a stream's plan is done, its memory moves over what was delivered, and claims what may have been.

The new part is complete under its name before the ledger names it; a crash in between leaves a file that nobody reads,
and settling again writes the same.
"""

import functools
from collections.abc import Callable, Container, Iterator
from typing import TypeVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bucket_loader.model import (
    KINDS,
    SYNCS,
    StateError,
    StateUnavailableError,
    bool_array,
    int64_array,
    make_folder,
    ranges,
    text_array,
)
from bucket_loader.planning import Manifest, Plan, PlannedStream, cursor, gates
from bucket_loader.runs.receipts import digest
from bucket_loader.runs.refusals import LATE, Judged, keep_refusals
from bucket_loader.runs.values import Kept, kept_values, let_go_of_values
from bucket_loader.state import ChunkRow, Ledger, SnapshotFile, State, merged_file, snapshot_file, snapshots

_Made = TypeVar("_Made")
Fates = np.ndarray[tuple[int], np.dtype[np.uint8]]
_DELIVERED, _CLAIMED, _GONE = 1, 2, 3


def settle_run(state: State, planned: Plan, *, stopped: bool = False, abandoned: bool = False) -> None:
    """Move each stream's memory over what was delivered and refused, and claim what may have been delivered.

    Args:
        state: where it is remembered.
        planned: the run's plan.
        stopped: whether the run was stopped as a whole, by a limit or since all was refused.
        abandoned: whether a person has closed it, so that no later reading is compared with its own.

    Raises:
        StateUnavailableError: the disk refuses; settling again does it.
    """
    try:
        _settle_streams(state, planned, stopped=stopped, abandoned=abandoned)
    except OSError as error:
        raise StateUnavailableError(
            f"the memory of what was delivered cannot be written to {state.snapshots}: {error.strerror or error}",
            hint="make room on its disk, then run again: the ledger knows what was delivered",
        ) from None


def _settle_streams(state: State, planned: Plan, *, stopped: bool, abandoned: bool) -> None:
    ledger, manifest = state.ledger, planned.manifest
    unsettled = ledger.unsettled(manifest.run)
    reads_on, is_replay = not stopped or _has_begun(ledger, manifest), ledger.is_replay(manifest.run)
    for stream in manifest.streams:
        if stream.position not in unsettled:
            continue
        _take_over(state, stream.name)  # before files are named: none of an older version is, from here on
        again = stopped and _is_sent_again(stream)
        late = ledger.is_settled_with_claims(manifest.run, stream.position)
        counts = not (stopped or abandoned or late)  # what it has read and mapped: else that may be the mistake
        if counts and not is_replay:
            _let_go(state, stream)
        if is_replay:
            ledger.give_back(manifest.run, stream.name, _unsent(ledger, manifest.run, stream, again=again))
        fates = _fates(ledger, manifest.run, stream, again=again)
        part, moved = None, _fates_since(state, planned, stream) if late else fates
        if stream.remembers and stream.records:
            part = _write_part(state, planned, stream, moved, late=late)
        before, refused = ledger.refusals().get(stream.name), None
        if before is not None or stream.records:
            judged = _judged(ledger, manifest.run, stream, moved, late=late)
            refused = keep_refusals(state, planned, stream, judged, stopped=stopped)
        moves = reads_on and _moves(ledger, manifest.run, stream, again=again)
        ledger.settle(
            manifest.run,
            stream.position,
            stream=stream.name,
            part=part,
            mark=_mark(ledger, stream) if moves else None,
            loaded=stream.files if moves else (),
            sent=digest(planned.keys(stream), fates == _DELIVERED) if _is_hashed(stream) else None,
            refused=refused,
            baseline=gates.baseline_of(manifest, stream) if counts else None,
        )
        if before is not None and refused is not None:
            state.forget_parts([before.file])
        if not late:
            _merge_memory(state, stream.name)


def _judged(ledger: Ledger, run_name: str, stream: PlannedStream, moved: Fates, *, late: bool) -> Judged:
    """Return what was delivered and what was refused, since the stream was settled where that is late."""
    gone = np.flatnonzero(moved == _GONE).tolist()
    return Judged(moved == _DELIVERED, gone if late else ledger.rejected(run_name, stream.position), late=late)


def _has_begun(ledger: Ledger, manifest: Manifest) -> bool:
    """Whether anything of a run was sent. After one that a gate has stopped no stream reads on, whatever it read."""
    return any(ledger.begun(manifest.run, stream.position) for stream in manifest.streams)


def _moves(ledger: Ledger, run_name: str, stream: PlannedStream, *, again: bool) -> bool:
    """Whether the next plan reads on from where this one ended: nothing of it has to be read again."""
    if stream.cursor is None and not stream.files:
        return False
    return not _unsent(ledger, run_name, stream, again=again) and not _returns(ledger, run_name, stream)


def _is_sent_again(stream: PlannedStream) -> bool:
    """Whether what is in doubt when a run is stopped as a whole returns to the next plan, which decides again.

    A claimed event is never planned again, so it would not come at all. Users and companies compare as changed.
    """
    return not KINDS[stream.kind].ordered and stream.on_unknown == "resend"


def _is_hashed(stream: PlannedStream) -> bool:
    """Whether the plan knows what its records hold without reading them."""
    return bool(stream.records) and stream.remembers


def _write_part(state: State, planned: Plan, stream: PlannedStream, fates: Fates, *, late: bool) -> SnapshotFile | None:
    if not fates.any():
        return None
    run = planned.manifest.run + LATE * late
    file = snapshot_file(stream.position, stream.name, run, state.owner)
    make_folder(state.snapshots)
    values = kept_values(state.ledger, stream)
    schema = snapshots.part_schema(ids=stream.remembers_ids, records=values is not None)

    def written(memory: snapshots.Memory) -> snapshots.Written:
        rows = _remembered(planned, stream, fates, values)
        return snapshots.write_part(state.snapshots / file, rows, schema, before=memory, disk=state.disk)

    compares = not SYNCS[stream.mode].once  # else no row is sent that was known before
    found = _with_memory(state, stream.name, written) if compares else None
    return state.keep_part(file, found or written(snapshots.Memory()))


def _with_memory(
    state: State, stream: str, work: Callable[[snapshots.Memory], _Made], files: Container[str] | None = None
) -> _Made | None:
    """Return what is made of what a stream remembers; None where that was damaged since it was compared with.

    The next run looks at all of it, and refuses it before it sends.
    """
    try:
        return work(state.memory_of(stream, files))
    except StateUnavailableError:
        raise
    except StateError:
        state.doubt_memory(stream)
        return None


def _let_go(state: State, stream: PlannedStream) -> None:
    def work(_: snapshots.Memory) -> None:
        let_go_of_values(state, stream)

    _with_memory(state, stream.name, work, ())


def _take_over(state: State, stream: str) -> None:
    _with_memory(state, stream, lambda memory: memory, ())


def _mark(ledger: Ledger, stream: PlannedStream) -> str | None:
    """Return the high-water mark that a stream has reached."""
    if stream.cursor is None:
        return None
    known = ledger.cursors().get(stream.name)
    reached = cursor.read(stream.cursor)
    return stream.cursor if known is None else cursor.spelt(cursor.greater(cursor.read(known), reached))


def sent_sequences(ledger: Ledger, run_name: str, stream: PlannedStream) -> list[int]:
    """Return the sequences that were delivered, or may have been, ascending."""
    return [int(sequence) for sequence in np.flatnonzero(_fates(ledger, run_name, stream))]


def _unsent(ledger: Ledger, run_name: str, stream: PlannedStream, *, again: bool) -> list[int]:
    """Return the sequences that nothing became of, and that their run does not keep: neither sent nor judged."""
    fates = _fates(ledger, run_name, stream, again=again)
    ended = ledger.chunks(run_name, stream.position, "rejected", "dropped", "superseded")
    kept = () if again else ledger.queued(run_name, stream.position, aside=True)
    for row in (*ended, *kept):
        _mark_all(fates, row, _DELIVERED)
    return [int(sequence) for sequence in np.flatnonzero(fates == 0)]


def _returns(ledger: Ledger, run_name: str, stream: PlannedStream) -> bool:
    """Whether the next plan has to read what is set aside, so that its newer rows take the place of these.

    Nobody can have applied them, so they are not claimed. Events that nothing is remembered of would arrive twice.
    """
    aside = ledger.queued(run_name, stream.position, aside=True)
    return any(not row.ambiguous for row in aside) and (stream.remembers or KINDS[stream.kind].ordered)


def _fates(ledger: Ledger, run_name: str, stream: PlannedStream, *, again: bool = False) -> Fates:
    """Return for each sequence whether it was delivered, or sent without an answer; 0 for neither.

    Args:
        ledger: what knows the chunks.
        run_name: the run.
        stream: the stream of its plan.
        again: whether what was sent without an answer is sent again by a later plan, and so counts as neither.
    """
    fates = np.zeros(stream.records, np.uint8)
    for row in ledger.chunks(run_name, stream.position, "delivered", "held", "intent", "queued"):
        if row.state == "delivered":
            _mark_all(fates, row, _DELIVERED)
        elif not again and (row.state in {"held", "intent"} or row.ambiguous):
            _mark_all(fates, row, _CLAIMED)
    return fates


def _fates_since(state: State, planned: Plan, stream: PlannedStream) -> Fates:
    """Return what became, since the stream was settled, of the records that were set aside then.

    What a later run has remembered is known as it is.
    """
    fates = np.zeros(stream.records, np.uint8)
    for row in state.ledger.chunks(planned.manifest.run, stream.position, "delivered", "rejected"):
        if row.aside is not None:
            _mark_all(fates, row, _DELIVERED if row.state == "delivered" else _GONE)
    places = np.flatnonzero(fates)
    if not stream.remembers or not places.size:
        return fates
    keys = pa.array([one["key"] for one in planned.rows(stream, places.tolist(), ["key"])], pa.binary(16))
    later = state.ledger.parts_after(planned.manifest.run, stream.name)
    known = _with_memory(state, stream.name, lambda memory: memory.names(keys), later)
    if known is not None:
        fates[places[known.to_pylist()]] = 0
    return fates


def _mark_all(fates: Fates, row: ChunkRow, fate: int) -> None:
    for first, last in ranges(row.members):
        fates[first : last + 1] = fate


def _remembered(planned: Plan, stream: PlannedStream, fates: Fates, values: Kept | None) -> Iterator[pa.RecordBatch]:
    """Yield what is remembered of each record that was delivered, or may have been, or is gone."""
    first = 0
    for batch in planned.keys(stream, records=stream.remembers_ids or values is not None):
        fate = fates[first : first + batch.num_rows]
        first += batch.num_rows
        kept = int64_array(np.flatnonzero(fate))
        # A claim has no content, so that it always compares as changed.
        nothing = pa.nulls(batch.num_rows, pa.binary(16))
        content = pc.if_else(bool_array(fate == _CLAIMED), nothing, batch["content"])
        content = pc.if_else(bool_array(fate == _GONE), snapshots.removed_scalar(), content).take(kept)
        columns = {"key": batch["key"].take(kept), "content": content}
        if stream.remembers_ids:
            records = batch["record"].take(kept).to_pylist()
            columns["ids"] = text_array([_ids(stream.kind, record).encode() for record in records])
        if values is not None:
            columns["record"] = values(_delivered(batch["record"].take(kept), content))
        yield pa.RecordBatch.from_pydict(columns, schema=snapshots.schema_of(columns))


def _delivered(records: pa.Array, contents: pa.Array) -> pa.Array:
    """Return the records that were delivered, and null for those that only may have been, and for removed ones."""
    is_there = pc.fill_null(pc.not_equal(contents, snapshots.removed_scalar()), fill_value=False)
    return pc.if_else(is_there, records, pa.scalar(None, records.type))


@functools.cache
def _decoder(kind: str) -> msgspec.json.Decoder[msgspec.Struct]:
    """Return what reads a record's ids, each as the record spells it."""
    return msgspec.json.Decoder(
        msgspec.defstruct("Ids", [(name, msgspec.Raw, msgspec.Raw()) for name in KINDS[kind].ids])
    )


def _ids(kind: str, record: str) -> str:
    """Return the ids of a record as JSON, the one that a row stands for first."""
    found = _decoder(kind).decode(record)
    given = [(name, bytes(raw).decode()) for name in KINDS[kind].ids if (raw := getattr(found, name))]
    return ",".join(f'"{name}":{text}' for name, text in given).join("{}")


def _merge_memory(state: State, stream: str) -> None:
    files = state.ledger.parts().get(stream, [])
    count = snapshots.to_merge([file.rows for file in files], state.ledger.parts_beside_claims(stream))
    if not count:
        return
    newest = [file.file for file in files[-count:]]
    merged = merged_file(newest[-1])
    path = state.snapshots / merged
    written = _with_memory(state, stream, lambda memory: snapshots.merge(memory, path, state.disk), newest)
    if written is not None:
        state.replace_parts(stream, newest, merged, written)
