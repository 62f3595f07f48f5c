"""The facts of a stream's reading, found when it has ended; nothing is read for them."""

import pyarrow as pa

from bucket_loader.config import Stream
from bucket_loader.model import Counts, wire_timestamp
from bucket_loader.planning.facts import Facts
from bucket_loader.planning.mapping import Mapping, excluded_names
from bucket_loader.planning.reading import Sources


def facts_of(sources: Sources, stream: Stream, mapping: Mapping, schema: pa.Schema, counts: Counts) -> Facts:
    """Return what is known of a reading that has ended; its `counts` have the records that were made as pending."""
    request, found = sources.request, mapping.gathered
    whole = sources.is_read_whole(stream)
    is_empty = whole and not counts.read and stream.mode.compares
    return Facts(
        whole=whole,
        limited=request.limit is not None,
        made=counts.pending,
        remembered=request.memory_of(stream).known if is_empty else 0,
        spread=mapping.spread,
        beside=() if mapping.spread is None else _beside(mapping.spread, stream, schema),
        fresh=request.asked(stream).fresh,
        latest=None if found.latest is None else wire_timestamp(found.latest),
        nulls={name: found.absent.get(name, 0) for name in found.fields},
        lacking=found.lacking,
    )


def _beside(spread: tuple[str, ...], stream: Stream, schema: pa.Schema) -> tuple[str, ...]:
    return tuple(sorted({*schema.names, *excluded_names(stream)} - set(spread)))
