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
    text_array,
)
from bucket_loader.planning import Manifest, Part, Plan, PlannedStream, cursor, gates
from bucket_loader.runs.fates import CLAIMED, DELIVERED, GONE, Fate, Fates, fates_of, mark, unsent
from bucket_loader.runs.receipts import Chosen, digest
from bucket_loader.runs.refusals import LATE, Judged, keep_refusals
from bucket_loader.runs.values import Kept, kept_values, let_go_of_values
from bucket_loader.state import Ledger, SnapshotFile, State, merged_file, snapshot_file, snapshots

_Made = TypeVar("_Made")


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
        fates = fates_of(ledger, manifest.run, stream, again=again)
        if is_replay:
            left = unsent(ledger, manifest.run, stream, fates, again=again)
            ledger.give_back(manifest.run, stream.name, list(left))
        part, moved = None, _fates_since(state, planned, stream) if late else fates
        if stream.remembers and stream.records:
            part = _write_part(state, planned, stream, moved, late=late)
        before, refused = ledger.refusals().get(stream.name), None
        if before is not None or stream.records:
            judged = _judged(ledger, manifest.run, stream, moved, late=late)
            refused = keep_refusals(state, planned, stream, judged, stopped=stopped)
        moves = reads_on and _moves(ledger, manifest.run, stream, fates, again=again)
        ledger.settle(
            manifest.run,
            stream.position,
            stream=stream.name,
            part=part,
            mark=_mark(ledger, stream) if moves else None,
            loaded=stream.files if moves else (),
            sent=digest(_delivered(planned, fates)) if _is_hashed(stream) else None,
            refused=refused,
            baseline=gates.baseline_of(manifest, stream) if counts else None,
        )
        if before is not None and refused is not None:
            state.forget_parts([before.file])
        if not late:
            _merge_memory(state, stream.name)


def _judged(ledger: Ledger, run_name: str, stream: PlannedStream, moved: Fates, *, late: bool) -> Judged:
    """Return what was delivered and what was refused, since the stream was settled where that is late."""
    refused = list(moved.sequences(GONE)) if late else ledger.rejected(run_name, stream.position)
    return Judged(moved, refused, late=late)


def _has_begun(ledger: Ledger, manifest: Manifest) -> bool:
    """Whether anything of a run was sent. After one that a gate has stopped no stream reads on, whatever it read."""
    return any(ledger.begun(manifest.run, stream.position) for stream in manifest.streams)


def _moves(ledger: Ledger, run_name: str, stream: PlannedStream, fates: Fates, *, again: bool) -> bool:
    """Whether the next plan reads on from where this one ended: nothing of it has to be read again."""
    if stream.cursor is None and not stream.files:
        return False
    is_left = any(True for _ in unsent(ledger, run_name, stream, fates, again=again))
    return not is_left and not _returns(ledger, run_name, stream)


def _is_sent_again(stream: PlannedStream) -> bool:
    """Whether what is in doubt when a run is stopped as a whole returns to the next plan, which decides again.

    A claimed event is never planned again, so it would not come at all. Users and companies compare as changed.
    """
    return not KINDS[stream.kind].ordered and stream.on_unknown == "resend"


def _is_hashed(stream: PlannedStream) -> bool:
    """Whether the plan knows what its records hold without reading them."""
    return bool(stream.records) and stream.remembers


def _write_part(state: State, planned: Plan, stream: PlannedStream, fates: Fates, *, late: bool) -> SnapshotFile | None:
    if not fates.has_any():
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


def _returns(ledger: Ledger, run_name: str, stream: PlannedStream) -> bool:
    """Whether the next plan has to read what is set aside, so that its newer rows take the place of these.

    Nobody can have applied them, so they are not claimed. Events that nothing is remembered of would arrive twice.
    """
    aside = ledger.queued(run_name, stream.position, aside=True)
    return any(not row.ambiguous for row in aside) and (stream.remembers or KINDS[stream.kind].ordered)


def _fates_since(state: State, planned: Plan, stream: PlannedStream) -> Fates:
    """Return what became, since the stream was settled, of the records that were set aside then.

    What a later run has remembered is known as it is.
    """
    return Fates(stream, lambda part: _since(state, planned, stream, part))


def _since(state: State, planned: Plan, stream: PlannedStream, part: Part) -> Fate:
    run, fate = planned.manifest.run, np.zeros(part.records, np.uint8)
    for row in state.ledger.chunks(run, stream.position, "delivered", "rejected", within=part.sequences):
        if row.aside is not None:
            mark(fate, part, row, DELIVERED if row.state == "delivered" else GONE)
    places = np.flatnonzero(fate)
    if not stream.remembers or not places.size:
        return fate
    rows = planned.rows(stream, (places + part.first).tolist(), ["key"])
    keys = pa.array([one["key"] for one in rows], pa.binary(16))
    later = state.ledger.parts_after(run, stream.name)
    known = _with_memory(state, stream.name, lambda memory: memory.names(keys), later)
    if known is not None:
        fate[places[known.to_pylist()]] = 0
    return fate


def _remembered(planned: Plan, stream: PlannedStream, fates: Fates, values: Kept | None) -> Iterator[pa.RecordBatch]:
    """Yield what is remembered of each record that was delivered, or may have been, or is gone."""
    for _, batch, fate in fates.beside(planned, records=stream.remembers_ids or values is not None):
        kept = int64_array(np.flatnonzero(fate))
        # A claim has no content, so that it always compares as changed.
        nothing = pa.nulls(batch.num_rows, pa.binary(16))
        content = pc.if_else(bool_array(fate == CLAIMED), nothing, batch["content"])
        content = pc.if_else(bool_array(fate == GONE), snapshots.removed_scalar(), content).take(kept)
        columns = {"key": batch["key"].take(kept), "content": content}
        if stream.remembers_ids:
            records = batch["record"].take(kept).to_pylist()
            columns["ids"] = text_array([_ids(stream.kind, record).encode() for record in records])
        if values is not None:
            columns["record"] = values(_certain(batch["record"].take(kept), content))
        yield pa.RecordBatch.from_pydict(columns, schema=snapshots.schema_of(columns))


def _certain(records: pa.Array, contents: pa.Array) -> pa.Array:
    """Return the records that were delivered, and null for those that only may have been, and for removed ones."""
    is_there = pc.fill_null(pc.not_equal(contents, snapshots.removed_scalar()), fill_value=False)
    return pc.if_else(is_there, records, pa.scalar(None, records.type))


def _delivered(planned: Plan, fates: Fates) -> Iterator[Chosen]:
    """Yield `key` and `content` of a plan's records, and which of them were delivered."""
    return ((batch, fate == DELIVERED) for _, batch, fate in fates.beside(planned))


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
