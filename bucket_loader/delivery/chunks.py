"""The chunks of a plan, as a delivery takes them: what is left of a stream, what was set aside of it, and samples."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache

import msgspec

from bucket_loader.delivery.span import Span
from bucket_loader.delivery.tally import SYSTEMIC_PLACES, place_of
from bucket_loader.model import KINDS, Chunk
from bucket_loader.planning import Plan, PlannedStream
from bucket_loader.state import Ledger


def unsent(plan: Plan, ledger: Ledger, span: Span) -> Iterator[Chunk]:
    """Return what is still to be sent of a stream: what was begun, then what never was."""
    run, stream = plan.manifest.run, span.stream
    for row in ledger.queued(run, stream.position, within=span.sequences):
        yield reopened(plan, stream, row.sequences)
    for part in span.parts:  # what a large stream has begun is many numbers
        begun = ledger.begun(run, stream.position, within=part.sequences)
        for sequences, records in plan.chunks(stream, part):
            if sequences.start not in begun:
                yield _chunk(plan, stream, sequences, records)


def set_aside(plan: Plan, ledger: Ledger, span: Span) -> Iterator[Chunk]:
    """Return what was set aside of a stream, and what waits for that, in their order."""
    for row in ledger.queued(plan.manifest.run, span.stream.position, aside=True, within=span.sequences):
        yield reopened(plan, span.stream, row.sequences)


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


def spread_over(plan: Plan, ledger: Ledger, span: Span, places: frozenset[int]) -> list[Chunk]:
    """Return a chunk that was not begun for each of some fifths of what is new; the last of all for the last fifth.

    Where order matters it must name nobody whom a record before it names that was not sent either.
    """
    run, stream, new, last = plan.manifest.run, span.stream, span.new, SYSTEMIC_PLACES - 1
    begun = ledger.begun(run, stream.position, within=span.sequences)
    found: dict[int, range] = {}
    for sequences, _ in span.chunks(plan):
        ends = last if sequences.start < new.stop <= sequences.stop else place_of(sequences.start, new)
        for one in {place_of(sequences.start, new), ends} & places:
            if sequences.start not in begun and (one == last or one not in found):
                found[one] = sequences
    chosen = [reopened(plan, stream, sequences) for sequences in {one.start: one for one in found.values()}.values()]
    if not stream.shares_ids:
        return chosen
    rows = ledger.queued(run, stream.position, within=span.sequences)
    left = [reopened(plan, stream, row.sequences) for row in rows]
    return [
        chunk for chunk in chosen if not _is_overtaking(chunk, left) and not _is_named_before(plan, span, chunk, begun)
    ]


def _is_overtaking(chunk: Chunk, left: Sequence[Chunk]) -> bool:
    """Whether it names whom one before it names that was begun, maybe by a call that died, and is not over."""
    return any(one.sequences[0] < chunk.sequences[0] and not one.ids.isdisjoint(chunk.ids) for one in left)


def _is_named_before(plan: Plan, span: Span, chunk: Chunk, begun: set[int]) -> bool:
    for sequences, records in span.chunks(plan):
        if sequences.start >= chunk.sequences[0]:
            return False
        if sequences.start not in begun and not chunk.ids.isdisjoint(_chunk(plan, span.stream, sequences, records).ids):
            return True
    return False
