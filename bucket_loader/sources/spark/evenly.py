"""Rows of Spark in batches whose lengths follow from how many rows there are, and from nothing else.

Spark cuts rows as it likes: by machines, by samples of what it sorts. A staged file has a group of rows for each batch,
so the bytes of a plan would follow from that.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from bucket_loader.model import ROWS_MAX, SLICE_ROWS

if TYPE_CHECKING:
    import pyarrow as pa


def evenly(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    """Yield the rows of batches in others, which are as long as a batch may be; where a slice is full one ends."""
    import pyarrow as pa

    held, rows, before = list[pa.RecordBatch](), 0, 0  # `before`: of this slice, in batches that were yielded
    for batch in batches:
        rest = batch
        while rest.num_rows:
            wanted = min(ROWS_MAX, SLICE_ROWS - before)
            taken = rest.slice(0, wanted - rows)
            rest = rest.slice(taken.num_rows)
            held.append(taken)
            rows += taken.num_rows
            if rows == wanted:
                yield pa.concat_batches(held)
                before = (before + rows) % SLICE_ROWS
                held, rows = [], 0
    if held:
        yield pa.concat_batches(held)
