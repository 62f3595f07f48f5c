"""Packing: records into chunks by count and exact bytes. Pure; chunk 17 is chunk 17 for ever."""

from collections.abc import Iterable, Iterator
from typing import Final

# `[` and `]` around the records; each record after the first brings a comma.
BRACKETS_BYTES: Final = 2


def pack(lengths: Iterable[int], *, records_max: int, bytes_max: int) -> Iterator[range]:
    """Pack records, in order, into chunks as full as may be.

    Args:
        lengths: each record's bytes of UTF-8.
        records_max: records that one chunk may hold.
        bytes_max: bytes that one chunk's body may have, brackets and commas included. A record that alone is larger
            makes a chunk of its own; planning rejects those before.

    Yields:
        The chunks as ranges of sequences; together they cover every record exactly once.
    """
    first, count, body_bytes = 0, 0, BRACKETS_BYTES
    for length in lengths:
        comma = 1 if count else 0
        if count and (count == records_max or body_bytes + comma + length > bytes_max):
            yield range(first, first + count)
            first, count, body_bytes, comma = first + count, 0, BRACKETS_BYTES, 0
        count += 1
        body_bytes += comma + length
    if count:
        yield range(first, first + count)
