"""The facts of a stream's reading, found when it has ended; nothing is read for them."""

import pyarrow as pa

from bucket_loader.config import Stream
from bucket_loader.model import wire_timestamp
from bucket_loader.planning.facts import Facts
from bucket_loader.planning.mapping import excluded_names
from bucket_loader.planning.reading import Sources
from bucket_loader.planning.staging import Read


def facts_of(sources: Sources, stream: Stream, read: Read) -> Facts | None:
    """Return what is known of a reading that has ended; None when nothing was read."""
    if read.schema is None or read.noticed is None:
        return None
    request, found = sources.request, read.noticed.gathered
    whole = sources.is_read_whole(stream)
    is_empty = whole and not read.counts.read and stream.mode.compares
    return Facts(
        whole=whole,
        limited=request.limit is not None,
        made=len(read.records),
        remembered=request.memory_of(stream).known if is_empty else 0,
        spread=read.spread,
        beside=() if read.spread is None else _beside(read.spread, stream, read.schema),
        fresh=request.asked(stream).fresh,
        latest=None if found.latest is None else wire_timestamp(found.latest),
        nulls={name: found.absent.get(name, 0) for name in found.fields},
        lacking=found.lacking,
    )


def _beside(spread: tuple[str, ...], stream: Stream, schema: pa.Schema) -> tuple[str, ...]:
    return tuple(sorted({*schema.names, *excluded_names(stream)} - set(spread)))
