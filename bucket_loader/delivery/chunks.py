"""The chunks of a plan, as a delivery takes them: what is left of a stream, what was set aside of it, and samples."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache

import msgspec

from bucket_loader.delivery.tally import SYSTEMIC_PLACES
from bucket_loader.model import KINDS, Chunk
from bucket_loader.planning import Plan, PlannedStream
from bucket_loader.state import Ledger


def unsent(plan: Plan, ledger: Ledger, stream: PlannedStream) -> Iterator[Chunk]:
    """Return what is still to be sent of a stream: what was begun, then what never was."""
    run = plan.manifest.run
    for row in ledger.queued(run, stream.position):
        yield reopened(plan, stream, row.sequences)
    begun = ledger.begun(run, stream.position)
    for sequences, records in plan.chunks(stream):
        if sequences.start not in begun:
            yield _chunk(plan, stream, sequences, records)


def set_aside(plan: Plan, ledger: Ledger, stream: PlannedStream) -> Iterator[Chunk]:
    """Return what was set aside of a stream, and what waits for that, in their order."""
    for row in ledger.queued(plan.manifest.run, stream.position, aside=True):
        yield reopened(plan, stream, row.sequences)


def reopened(plan: Plan, stream: PlannedStream, sequences: Sequence[int]) -> Chunk:
    """Return a chunk of some records of a plan, read again."""
    rows = plan.rows(stream, sequences, ["record"])
    return _chunk(plan, stream, sequences, tuple(found["record"].encode() for found in rows))


def _chunk(plan: Plan, stream: PlannedStream, sequences: Sequence[int], records: Sequence[bytes]) -> Chunk:
    kind, bare = KINDS[stream.kind], plan.manifest.bare
    return Chunk(stream.position, sequences, records, _reader(stream.kind) if kind.ordered else None,
                 stream.shares_ids, bare)  # fmt: skip


@cache
def _reader(kind: str) -> Callable[[bytes], frozenset[str]]:
    """Return what reads whom a record of a kind names."""
    names = KINDS[kind].ids
    decode = msgspec.json.Decoder(msgspec.defstruct("Ids", [(name, str | None, None) for name in names])).decode

    def ids_of(record: bytes) -> frozenset[str]:
        found = decode(record)
        return frozenset(f"{name} {id_}" for name in names if (id_ := getattr(found, name)))

    return ids_of


# --- places spread over what is new ---------------------------------------------------------------------------------


def spread_over(plan: Plan, ledger: Ledger, stream: PlannedStream, places: frozenset[int]) -> list[Chunk]:
    """Return a chunk that was not begun for each of some fifths of what is new; the last of all for the last fifth.

    Where order matters it must name nobody whom a record before it names that was not sent either.
    """
    new, last = stream.refused_from, SYSTEMIC_PLACES - 1
    begun = ledger.begun(plan.manifest.run, stream.position)
    found: dict[int, range] = {}
    for sequences, _ in plan.chunks(stream):
        place = sequences.start * SYSTEMIC_PLACES // new
        ends = last if sequences.start < new <= sequences.stop else place
        for one in {place, ends} & places:
            if sequences.start not in begun and (one == last or one not in found):
                found[one] = sequences
    chosen = [reopened(plan, stream, sequences) for sequences in {one.start: one for one in found.values()}.values()]
    if not stream.shares_ids:
        return chosen
    left = [reopened(plan, stream, row.sequences) for row in ledger.queued(plan.manifest.run, stream.position)]
    return [
        chunk
        for chunk in chosen
        if not _is_overtaking(chunk, left) and not _is_named_before(plan, stream, chunk, begun)
    ]


def _is_overtaking(chunk: Chunk, left: Sequence[Chunk]) -> bool:
    """Whether it names whom one before it names that was begun, maybe by a call that died, and is not over."""
    return any(one.sequences[0] < chunk.sequences[0] and not one.ids.isdisjoint(chunk.ids) for one in left)


def _is_named_before(plan: Plan, stream: PlannedStream, chunk: Chunk, begun: set[int]) -> bool:
    for sequences, records in plan.chunks(stream):
        if sequences.start >= chunk.sequences[0]:
            return False
        if sequences.start not in begun and not chunk.ids.isdisjoint(_chunk(plan, stream, sequences, records).ids):
            return True
    return False
