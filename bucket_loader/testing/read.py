"""One pass over a source, held against the promises of its batches."""

from typing import TYPE_CHECKING, Any

from bucket_loader.model import BATCH_BYTES_MAX, ROWS_MAX, Reading, Rejection, Source

if TYPE_CHECKING:
    import pyarrow as pa


class Read:
    """Everything that one pass over a source gave, checked against the promises of an `InputBatch`.

    Attributes:
        schema: the columns.
        batches: the rows as they came.
        rows: the rows, a dict each.
        ordinals: their numbers.
        unread: what could not be read.
    """

    def __init__(self, source: Source) -> None:
        reading: Reading = source.read()
        self.schema: pa.Schema = reading.schema
        self.batches = list(reading.batches)
        self.rows: list[dict[str, Any]] = [row for batch in self.batches for row in batch.data.to_pylist()]
        self.ordinals: list[int] = [number for batch in self.batches for number in batch.ordinals.to_pylist()]
        self.unread: list[Rejection] = [rejection for batch in self.batches for rejection in batch.unread]
        for batch in self.batches:
            assert batch.data.schema == reading.schema
            assert len(batch.ordinals) == batch.data.num_rows <= ROWS_MAX
            assert batch.data.nbytes <= BATCH_BYTES_MAX or batch.data.num_rows == 1

    @property
    def codes(self) -> list[tuple[int, str, str | None]]:
        """The rejections as (row, code, column) each."""
        return [(one.origin.row, reason.code, reason.field) for one in self.unread for reason in one.reasons]

    def column(self, name: str) -> list[Any]:
        """Return one column's values."""
        return [row[name] for row in self.rows]
