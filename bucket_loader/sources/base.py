"""What every source is given, and the helpers that more than one of them needs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bucket_loader.errors import UsageError
from bucket_loader.records import BATCH_BYTES_MAX, ROWS_MAX

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Numbers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class SourceContext:
    """What a source may know of the run besides its own words.

    Attributes:
        base: the folder that relative paths start from: the pipeline file's.
        parameters: `interval_start`, `interval_end`, `as_of`, `cursor`, as far as they are known; aware datetimes.
        tables: the named sources that a query may use, each staged once as a Parquet file.
    """

    base: Path
    parameters: Mapping[str, datetime] = field(default_factory=dict)
    tables: Mapping[str, Path] = field(default_factory=dict)

    def parameter(self, name: str) -> datetime:
        """Give one parameter as UTC.

        Raises:
            UsageError: it is used by a path or a query, and the run does not have it.
        """
        if name not in self.parameters:
            if name.startswith("interval_"):
                hint = "give --interval-start and --interval-end"
            elif name == "as_of":
                hint = "give --as-of"
            else:
                hint = "there is no earlier run to continue from; write the query without it, or coalesce"
            raise UsageError(f"the source uses {name}, which this run does not have", hint=hint)
        return self.parameters[name].astimezone(UTC)

    def bound(self, names: Iterable[str]) -> dict[str, datetime]:
        """Give the parameters that a query uses, as UTC."""
        return {name: self.parameter(name) for name in names}


def slices(batch: "pa.RecordBatch") -> Iterator[tuple[int, "pa.RecordBatch"]]:
    """Cut a batch into pieces of at most `ROWS_MAX` rows and about `BATCH_BYTES_MAX` bytes, each with its offset.

    A single row is never cut, however big. Nothing is copied.
    """
    pending = [(start, batch.slice(start, ROWS_MAX)) for start in range(0, batch.num_rows, ROWS_MAX)]
    pending.reverse()
    while pending:
        start, piece = pending.pop()
        if piece.num_rows > 1 and piece.nbytes > BATCH_BYTES_MAX:
            # Halving, because one huge value says nothing about its neighbours' sizes.
            half = piece.num_rows // 2
            pending += [(start + half, piece.slice(half)), (start, piece.slice(0, half))]
        else:
            yield start, piece


def int64_array(numbers: "Numbers") -> "pa.Int64Array":
    """Give numpy's numbers to Arrow as they are.

    `pa.array` would import pandas to look at them, which costs a second and 50 MB that most runs have no use for.
    """
    import pyarrow as pa

    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)])


def repeated_text(text: str | None, count: int) -> "pa.StringArray":
    """Give one text, or null, for every row; without `pa.scalar`, for the same reason as above."""
    import numpy as np
    import pyarrow as pa

    if text is None:
        return pa.nulls(count, pa.string())
    data = text.encode()
    offsets = np.arange(count + 1, dtype=np.int32) * len(data)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data * count))


def ordinals_from(first: int, count: int) -> "pa.Int64Array":
    """Number `count` rows from `first` on."""
    import numpy as np

    return int64_array(np.arange(first, first + count, dtype=np.int64))


def empty_batch(schema: "pa.Schema") -> "pa.RecordBatch":
    """Give a batch without rows, to carry what could not be read."""
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def repeated(names: Iterable[str]) -> dict[str, list[int]]:
    """Find the names given more than once, each with its positions from 1."""
    places: dict[str, list[int]] = {}
    for position, name in enumerate(names, start=1):
        places.setdefault(name, []).append(position)
    return {name: positions for name, positions in places.items() if len(positions) > 1}


def quoted(name: str) -> str:
    """Spell an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
