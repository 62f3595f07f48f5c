"""What is told of one stream in a call: what it read, what it wrote, and which column is made of which.

It holds names and counts. No value of a row is in it, and no text of a query, which may hold some.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, Protocol

from bucket_loader.sources import Dataset, DatasetColumn

How = Literal["IDENTITY", "TRANSFORMATION"]
LINEAGE_THREAD: Final = "bucket-loader-lineage"
"""The name of the thread that sends."""

Stage = Literal["START", "COMPLETE", "FAIL", "ABORT"]


@dataclass(frozen=True)
class FieldLineage:
    """What a field of the records is made from.

    Attributes:
        columns: the columns; none for a constant, or where nobody can tell.
        how: whether it is the column's value as it is; None where that is not known.
        is_hidden: whether only a hash of it is sent.
    """

    columns: tuple[DatasetColumn, ...]
    how: How | None = None
    is_hidden: bool = False


@dataclass(frozen=True)
class StreamLineage:
    """One stream in a call, at its start or its end.

    Attributes:
        job: its name, `pipeline.stream`: the same at every call.
        run_id: a UUID of this call and stream.
        stage: whether it starts, or how it ended: ABORT where a signal asked for that.
        at: when that was.
        interval: from when until when rows are of, where the run has an interval.
        inputs: what is read.
        output: where records go: the host and their kind.
        fields: what each field is made from, by its path; empty before there is a plan.
        filter: the columns that decide whether a row is sent.
        rows_read: of the source; None before the end.
        records_delivered: by this call; None before the end.
        error: what kept it from its end, in words.
    """

    job: str
    run_id: str
    stage: Stage
    at: datetime
    interval: tuple[datetime, datetime] | None
    inputs: tuple[Dataset, ...]
    output: Dataset
    fields: Mapping[str, FieldLineage] = field(default_factory=dict)
    filter: tuple[DatasetColumn, ...] = ()
    rows_read: int | None = None
    records_delivered: int | None = None
    error: str = ""


class LineageListener(Protocol):
    """Hears of the lineage of each stream, at its start and at its end."""

    def tell(self, gathered: Callable[[], StreamLineage]) -> None:
        """Take what is to be told; it is gathered when that is asked for, and costs no run its time."""

    def close(self) -> None:
        """Wait a little until all is told."""
