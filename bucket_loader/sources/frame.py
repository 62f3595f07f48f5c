"""A table in memory, of pandas, pyarrow, polars or another library: never changed, and nothing in it guessed."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.config import FrameSource
from bucket_loader.model import InputBatch, Origin, Reading, Reason, Rejection, SourceError, in_form, int64_array
from bucket_loader.sources.base import SourceContext, repeated, slices
from bucket_loader.sources.values.objects import Converted, Reasons, converted
from bucket_loader.sources.values.scalars import is_null
from bucket_loader.sources.values.texts import shown
from bucket_loader.sources.values.types import plain_table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ORIGIN: Final = "frame"


def frame_of(table: object) -> "pd.DataFrame | pa.Table":
    """Return a table that `Frame` reads: a pandas DataFrame as it is, and all others as Arrow has them.

    Others hand their rows over as an Arrow stream (polars, DuckDB, Ibis ...) or by the DataFrame interchange protocol.
    A stream can be read once, and a source is read twice: so it is kept as a table.

    Raises:
        SourceError: it is no table, or holds what Arrow has no type for.
    """
    import pandas as pd
    import pyarrow as pa

    if isinstance(table, (pd.DataFrame, pa.Table)):
        return table
    kind = type(table).__name__
    try:
        if hasattr(table, "__arrow_c_stream__") and not isinstance(table, pd.Series):
            return pa.table(table)
        if hasattr(table, "__dataframe__"):
            from pyarrow.interchange import from_dataframe

            return from_dataframe(table)
    except (pa.ArrowException, ValueError, TypeError, NotImplementedError) as error:
        raise SourceError(
            f"an object of type {kind} cannot be handed over as Arrow: {error}", hint="give its pandas form"
        ) from error
    raise SourceError(f"an object of type {kind} is not a source", hint=_hint(table))


def _hint(table: object) -> str:
    if hasattr(table, "collect"):
        return "give it `.collect()`ed"
    if isinstance(table, (list, dict)):
        return "give `pandas.DataFrame(rows)`"
    return "give a table: of pandas, polars, pyarrow, or another library that speaks Arrow"


class Frame:
    """A DataFrame's columns, and its index where that has a name."""

    def __init__(self, spec: FrameSource, context: SourceContext) -> None:
        self._frame = spec.frame
        self._is_used = context.is_used

    def fingerprint(self) -> str:
        """Identify the values, by their Arrow form."""
        import pyarrow as pa

        digest = hashlib.sha256()
        table, reasons = self._table()
        digest.update(repr(sorted(reasons)).encode())
        with pa.PythonFile(_Hashing(digest), mode="w") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return digest.hexdigest()

    def read(self) -> Reading:
        """Convert the columns, and return the rows."""
        table, reasons = self._table()
        return Reading(table.schema, self._batches(table, reasons))

    def _batches(self, table: "pa.Table", reasons: Reasons) -> Iterator[InputBatch]:
        first = 1
        for batch in table.to_batches():
            for start, piece in slices(batch):
                yield self._batch(piece, first + start, reasons)
            first += batch.num_rows

    def _batch(self, piece: "pa.RecordBatch", first: int, reasons: Reasons) -> InputBatch:
        import numpy as np

        here = [index for index in range(piece.num_rows) if first + index in reasons] if reasons else []
        unread = [self._rejection(piece.schema.names, first + index, reasons[first + index]) for index in here]
        kept = np.delete(np.arange(piece.num_rows, dtype=np.int64), here)
        data = piece.take(int64_array(kept)) if here else piece
        return InputBatch(data, int64_array(kept + first), ORIGIN, unread)

    def _rejection(self, names: Sequence[str], ordinal: int, reasons: list[Reason]) -> Rejection:
        values = _with_index(self._frame).iloc[ordinal - 1].tolist()
        row = {name: None if is_null(value) else value for name, value in zip(names, values, strict=True)}
        return Rejection("read", Origin(ORIGIN, ordinal), tuple(reasons), shown(row))

    def _table(self) -> "tuple[pa.Table, Reasons]":
        import pyarrow as pa

        if isinstance(self._frame, pa.Table):
            _refuse_repeated(self._frame.schema.names)
            return plain_table(self._frame, "the frame"), {}
        frame = _with_index(self._frame)
        names = [str(name) for name in frame.columns]
        _refuse_repeated(names)
        reasons: Reasons = {}
        columns = [frame.iloc[:, place] for place in range(len(names))]
        found = [
            _arrow(name, column, reasons if self._is_used(name) else {})
            for name, column in zip(names, columns, strict=True)
        ]
        table = plain_table(pa.Table.from_arrays([one.array for one in found], names=names), "the frame")
        fields = [in_form(field, 2) if one.is_reformed else field
                  for one, field in zip(found, table.schema, strict=True)]  # fmt: skip
        return pa.Table.from_arrays(table.columns, schema=pa.schema(fields)), reasons


class _Hashing:
    """A file that keeps nothing but a hash of what is written to it."""

    closed = False

    def __init__(self, digest: "hashlib._Hash") -> None:
        self._digest = digest

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def _with_index(frame: "pd.DataFrame") -> "pd.DataFrame":
    named = [name for name in frame.index.names if name is not None]
    if taken := [name for name in named if name in frame.columns]:
        raise SourceError(f"{taken[0]!r} is both a column and the index", hint="rename the index, or drop it")
    return frame.reset_index(level=named) if named else frame


def _refuse_repeated(names: list[str]) -> None:
    for name, places in repeated(names).items():
        raise SourceError(
            f"the frame has {name!r} more than once, as columns {' and '.join(map(str, places))}",
            hint="one would hide the other; rename one",
        )


def _arrow(name: str, series: "pd.Series[Any]", reasons: Reasons) -> Converted:
    import pandas as pd
    import pyarrow as pa

    if isinstance(series.dtype, pd.CategoricalDtype) and series.cat.categories.dtype == object:
        series = series.astype(object)
    try:
        if series.dtype != object:
            return Converted(pa.Array.from_pandas(series))
        return converted(name, series.tolist(), reasons)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise SourceError(
            f"the column {name!r} ({series.dtype}) has values that Arrow has no type for",
            hint="convert it before, for example with `.astype(str)`",
        ) from error
