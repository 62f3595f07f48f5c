"""What the API has refused of a stream, moved over what a run came to: the rows it will know when they come again.

It is worked out when a stream is settled, from the ledger's chunks and the plan, and committed with the rest of that: a
death before leaves all to be worked out again, from the same. Here too is the proof of the rows that a plan does not
send again: each was there, is no record of the plan as well, and was refused by the run that the plan names.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bucket_loader.model import StateError, StateUnavailableError, file_digest, make_folder
from bucket_loader.planning import Piece, Plan, PlannedStream, plan_file, refused
from bucket_loader.runs.fates import DELIVERED, Fates
from bucket_loader.state import SnapshotFile, State, refusals, refusals_file, snapshots

LATE: Final = "-late"  # in the name of a file that is written when a stream is settled once more
_KEYS_AT_ONCE: Final = 1_000_000  # looked up together: each look-up makes a table of what is known
_IDENTITY: Final = refusals.IDENTITY.names


@dataclass(frozen=True)
class Judged:
    """What became of a stream's records.

    Attributes:
        fates: which of them were delivered.
        refused: the sequences of those that the API refused.
        late: whether the rest of the stream was settled before, and later runs may have met it since.
    """

    fates: Fates
    refused: Sequence[int]
    late: bool = False


def keep_refusals(
    state: State, planned: Plan, stream: PlannedStream, judged: Judged, *, stopped: bool
) -> SnapshotFile | None:
    """Write what is remembered as refused after a run.

    Args:
        state: where it is remembered.
        planned: the run's plan.
        stream: one of its streams.
        judged: what became of its records.
        stopped: whether the run was stopped as a whole. Its refusals may say more of the mapping, or of the day, than
            of the rows: they are remembered, and the next plan tries them again, after what is new.

    Returns:
        The new file, without rows where nothing is remembered any more; None when all is as it was.
    """
    manifest = planned.manifest
    try:
        file = state.refusals_of(stream.name)
    except StateUnavailableError:
        raise
    except StateError:
        return None  # damaged since it was compared with: the next run refuses it before it sends
    if file is None and not judged.refused:
        return None
    known = refusals.read(file)
    found = refused.identities(planned, stream, judged.refused)
    met = refusals.Met(
        run=manifest.run,
        day=manifest.day,
        refused=_new_of(found, known) if judged.late else found,
        waiting=refusals.IDENTITY.empty_table() if judged.late else planned.waiting(stream).select(_IDENTITY),
        delivered=_delivered_keys(planned, stream, judged.fates, known["key"]),
        is_try=not stopped,
    )
    name = refusals_file(stream.position, stream.name, manifest.run + LATE * judged.late, state.owner)
    return _written(state, name, known, met)


def _new_of(found: pa.Table, known: pa.Table) -> pa.Table:
    """Return those that are not known: a later run may have tried the others since."""
    there = set(_identities(known))
    return found.filter(pa.array([one not in there for one in _identities(found)], pa.bool_()))


def _written(state: State, name: str, known: pa.Table, met: refusals.Met) -> SnapshotFile | None:
    make_folder(state.snapshots)
    after = refusals.updated(known, met, state.snapshots)
    if after.equals(known):
        return None
    if not len(after):
        return SnapshotFile(name, 0)
    refusals.write(state.snapshots / name, after, state.disk)
    return state.keep_part(name, snapshots.Written(len(after), file_digest(state.snapshots / name)))


def _delivered_keys(planned: Plan, stream: PlannedStream, fates: Fates, known: pa.ChunkedArray) -> pa.Array:
    """Return which known keys were delivered."""
    groups = _grouped(_keys(planned, stream, fates)) if len(known) else ()
    found = [keys.filter(pc.is_in(keys, value_set=known)) for keys in groups]
    return pa.concat_arrays([pa.array([], pa.binary(16)), *found]).unique()


def _keys(planned: Plan, stream: PlannedStream, fates: Fates) -> Iterator[pa.Array]:
    for first, batch, fate in fates.beside(planned):
        here = np.flatnonzero(fate == DELIVERED)
        keys = batch["key"].take(pa.array(here))
        if keys.null_count:  # nothing was refused yet when this was planned
            keys = refused.identities(planned, stream, (here + first).tolist())["key"].combine_chunks()
        yield keys.cast(pa.binary(16))


def _grouped(arrays: Iterator[pa.Array]) -> Iterator[pa.Array]:
    group: list[pa.Array] = []
    for array in arrays:
        group.append(array)
        if sum(map(len, group)) >= _KEYS_AT_ONCE:
            yield pa.concat_arrays(group)
            group = []
    if group:
        yield pa.concat_arrays(group)


# --- the proof ------------------------------------------------------------------------------------------------------


def waiting_findings(state: State, planned: Plan, stream: PlannedStream) -> Iterator[str]:
    """Yield what is wrong with the rows of a plan that were refused before and are not sent again."""
    waiting, said = planned.waiting(stream), f"stream {stream.name!r}: "
    if len(waiting) != stream.counts.refused_before:
        yield f"{said}{stream.counts.refused_before:,} rows were refused before, and the plan names {len(waiting):,}"
    if not len(waiting):
        return
    places = set(_places(waiting))
    if len(places) != len(waiting):
        yield f"{said}rows that were refused before are named twice"
    if any(place in places for _, table in Piece(planned.records(stream)).read(_PLACE) for place in _places(table)):
        yield f"{said}a row that was refused before is also sent"
    for run in waiting["run"].unique().to_pylist():
        if state.ledger.run(run) is None:
            yield f"{said}run {run}, which is said to have seen rows refused, is not known"
        else:
            rows = waiting.filter(pc.equal(waiting["run"], run)).select(refusals.IDENTITY.names)
            yield from (said + finding for finding in _unproved(state, run, stream, rows))


_PLACE: Final = ["source", "ordinal", "key"]  # removed rows have no place but their key


def _places(table: pa.Table) -> Iterator[tuple[str, int, bytes]]:
    return zip(*(table[name].to_pylist() for name in _PLACE), strict=True)


def _unproved(state: State, run: str, stream: PlannedStream, rows: pa.Table) -> Iterator[str]:
    """Hold rows against what the run has refused that is said to have; its plan may be pruned, which proves nothing."""
    try:
        before = plan_file.read(state.plan_folder(run), verify=False)
        found = [
            refused.identities(before, one, state.ledger.rejected(run, one.position))
            for one in before.manifest.streams
            if one.name == stream.name and not before.unsound(one)
        ]
    except StateUnavailableError:
        raise
    except StateError:
        return
    if found and (missing := set(_identities(rows)) - set(_identities(pa.concat_tables(found)))):
        yield f"run {run} did not see {len(missing):,} rows refused that are said to have been"


def _identities(table: pa.Table) -> Iterator[tuple[bytes, bytes]]:
    return zip(table["key"].to_pylist(), table["content"].to_pylist(), strict=True)
