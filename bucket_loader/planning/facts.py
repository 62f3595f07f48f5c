"""What a plan notes of a stream's reading, so that `limits:` can be held against the plan alone."""

import msgspec
import pyarrow as pa

from bucket_loader.config import Stream
from bucket_loader.model import Counts, wire_timestamp
from bucket_loader.planning.mapping import Mapping, excluded_names
from bucket_loader.planning.reading import Sources


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a stream's reading.

    Attributes:
        whole: whether its whole source was read: no part that a cursor, an interval or new files cut out, and no limit.
        limited: whether only as many rows were read as somebody asked for.
        made: how many rows make a record, sent or not.
        remembered: how many records its memory holds; only where the whole source has no row.
        spread: the columns that a `*` sends; None where there is none.
        beside: the columns that are there, or left out by name, and that a `*` does not send.
        fresh: the column of which `limits: fresh` asks.
        latest: the latest time in it; None where there is none.
        nulls: how many records lack a field, for the fields that limits ask for.
        lacking: those of these fields that no record has, since no column of today gives it.
    """

    whole: bool = False
    limited: bool = False
    made: int = 0
    remembered: int = 0
    spread: tuple[str, ...] | None = None
    beside: tuple[str, ...] = ()
    fresh: str | None = None
    latest: str | None = None
    nulls: dict[str, int] = msgspec.field(default_factory=dict)
    lacking: tuple[str, ...] = ()


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
