"""Packing: records into chunks by count and exact bytes. Pure; chunk 17 is chunk 17 for ever."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

# `[` and `]` around the records; each record after the first brings a comma.
BRACKETS_BYTES: Final = 2
COMMA_BYTES: Final = 1


def pack(ends: Sequence[int], *, records_max: int, bytes_max: int, more: bool = False) -> Iterator[range]:
    """Pack records, in order, into chunks as full as may be.

    Args:
        ends: where each of N records ends when they lie one behind the other, each with a comma after it.
        records_max: records that one chunk may hold.
        bytes_max: bytes that one chunk's body may have, brackets and commas included. A record that alone is larger
            makes a chunk of its own; planning rejects those before.
        more: whether records follow these; then the last chunk may have room for them, and is not given.

    Yields:
        The chunks as ranges of places in `ends`; together they cover every record exactly once.
    """
    first, start = 0, 0
    while first < len(ends):
        bound = start + bytes_max - BRACKETS_BYTES + COMMA_BYTES  # none after a chunk's last record
        fitting = bisect_right(ends, bound, first, min(first + records_max, len(ends)))
        end = max(fitting, first + 1)
        if more and end == len(ends):
            return
        yield range(first, end)
        first, start = end, ends[end - 1]
