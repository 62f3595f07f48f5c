"""What came later: which keys of a stream a later run has sent, and which its memory holds."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from bucket_loader.model import KINDS, StateError, StateUnavailableError, bool_array
from bucket_loader.planning import Plan, PlannedStream, plan_file
from bucket_loader.runs.fates import fates_of
from bucket_loader.runs.replay.replaying import Replaying
from bucket_loader.state import Ledger, Records, State

_CHOSEN: Final = pa.schema([("position", pa.int64()), ("key", pa.binary(16))])


def are_overtaken(replaying: Replaying, stream: PlannedStream, keys: pa.Array) -> list[bool]:
    """Return for each key whether a later run has sent a user or a company of that key.

    Raises:
        StateError: nobody can know: a later run's plan is gone, and the stream has no memory.
    """
    found, remembered = nowhere(keys), None
    if not KINDS[stream.kind].ordered or not len(keys):
        return found
    state = replaying.state
    for row in state.ledger.runs_after(replaying.row.number):
        try:
            later = plan_file.read(state.plan_folder(row.run), verify=False)
        except StateUnavailableError:
            raise
        except StateError:
            if not stream.remembers:
                raise StateError(
                    f"the plan of run {row.run}, which came later, is gone, so that nobody can know which of stream "
                    f"{stream.name!r} it has sent",
                    hint="`sync: full` sends every row with each run: run the pipeline again instead",
                ) from None
            remembered = remembered or _are_known_since(replaying, stream.name, keys)
            found = [a or b for a, b in zip(found, remembered, strict=True)]
            continue
        for other in later.manifest.streams:
            if other.name == stream.name:
                for sent in _sent_keys(state.ledger, later, other):
                    found = [a or b for a, b in zip(found, _is_in(keys, sent), strict=True)]
    return found


def _sent_keys(ledger: Ledger, planned: Plan, stream: PlannedStream) -> Iterator[pa.Array]:
    """Yield the keys of the records that were delivered, or may have been, some at a time."""
    for _, batch, fate in fates_of(ledger, planned.manifest.run, stream).beside(planned):
        yield batch["key"].filter(bool_array(fate != 0))


def _are_known_since(replaying: Replaying, stream: str, keys: pa.Array) -> list[bool]:
    """Return for each key whether files of memory hold it that later runs have written.

    They may have been merged with earlier ones, so a key may only seem to be newer.
    """
    replaying.state.take_over(stream)  # before files are named
    files = replaying.state.ledger.parts_after(replaying.row.run, stream)
    found: list[bool] = replaying.state.memory_of(stream, files).names(keys).to_pylist()
    return found


def are_known(state: State, stream: str, keys: pa.Array) -> list[bool]:
    """Return for each key whether the stream's memory holds it."""
    found: list[bool] = state.memory_of(stream).names(keys).to_pylist()
    return found


def nowhere(keys: pa.Array) -> list[bool]:
    """Return "no" for each key."""
    return [False] * len(keys)


def _is_in(keys: pa.Array, others: pa.Array) -> list[bool]:
    found: list[bool] = pc.is_in(keys, value_set=others).to_pylist()
    return found


def keys_of(planned: Plan, stream: PlannedStream, sequences: Sequence[int]) -> pa.Array:
    """Return the keys of some sequences; these ascend."""
    wanted, taken, first = pa.array(sequences, pa.int64()), [], 0
    for batch in planned.keys(stream):
        here = wanted.filter(pc.and_(pc.greater_equal(wanted, first), pc.less(wanted, first + batch.num_rows)))
        taken.append(batch["key"].take(pc.subtract(here, first)))
        first += batch.num_rows
    return pa.concat_arrays(taken) if taken else pa.array([], pa.binary(16))


def select_records(source: Records, sequences: Sequence[int], keys: pa.Array, final: Path) -> None:
    """Write the records of a plan that stand at some sequences as a part of another."""
    chosen = pa.table([pa.array(sequences, pa.int64()), keys], schema=_CHOSEN)
    plan_file.assemble(final, [plan_file.Piece(source, chosen)])
