"""Rows that Spark has: a table, a query, or a DataFrame that Python was given.

They have no order of their own. `order_by:` gives them one, and equal rows of it are in the order of their content.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from bucket_loader.config import SparkFrameSource, SparkSource, sql_parameters
from bucket_loader.model import InputBatch, Reading, SourceError
from bucket_loader.sources.base import SourceContext, counted, repeated
from bucket_loader.sources.spark.evenly import evenly
from bucket_loader.sources.spark.session import spark_errors, spark_session
from bucket_loader.sources.spark.written import written
from bucket_loader.sources.values.types import plain_schema, to_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame


class SparkRows:
    """The rows of a Spark table, query or DataFrame, as Arrow."""

    def __init__(self, spec: SparkSource | SparkFrameSource, context: SourceContext) -> None:
        self._spec = spec
        self._context = context
        self.name = getattr(spec, "table", None) or "spark"

    def fingerprint(self) -> str:
        """Identify the table or the query, its parameters and its columns; Spark has no digest of rows."""
        asked = getattr(self._spec, "table", None), getattr(self._spec, "query", None)
        bound = sorted((name, str(value)) for name, value in self._bound().items())
        with spark_errors(f"{self.name} cannot be read"):
            columns = self.frame.schema.json()
        return hashlib.sha256(repr((asked, bound, self._spec.order_by, columns)).encode()).hexdigest()

    def read(self) -> Reading:
        """Return the columns and the rows: what its tasks write, where they make the plan; else all through here."""
        if (tasks := self._context.tasks) is None:
            return Reading(self.schema, self._batches(), has_order=bool(self._spec.order_by))
        rows = written(self.frame, self.schema, self.name, tasks)
        return Reading(self.schema, rows.read(rows.items), sliced=rows, has_order=bool(self._spec.order_by))

    @cached_property
    def schema(self) -> "pa.Schema":
        """The columns."""
        with spark_errors(f"{self.name} cannot be read"):
            for name, places in repeated(self.frame.columns).items():
                raise SourceError(
                    f"{self.name} has {name!r} more than once, as columns {' and '.join(map(str, places))}",
                    hint="name each column once, with `as`",
                )
            return plain_schema(self.frame.limit(0).toArrow().schema, self.name)

    @cached_property
    def frame(self) -> "DataFrame":
        """The DataFrame, in the order that is asked for."""
        with spark_errors(f"{self.name} cannot be read"):
            found = self._unordered()
            return found.orderBy(*_order(found, self._spec.order_by)) if self._spec.order_by else found

    def _unordered(self) -> "DataFrame":
        if isinstance(self._spec, SparkFrameSource):
            frame: DataFrame = self._spec.frame
            return frame
        session = spark_session()
        if self._spec.table is not None:
            return self._new(session.table(self._spec.table))
        return session.sql(self._spec.query or "", args=self._bound())

    def _new(self, table: "DataFrame") -> "DataFrame":
        """Return the rows of a table from the cursor on, where the stream has one."""
        from pyspark.sql import functions

        if (column := self._context.cursor_column) is None:
            return table
        return table.where(functions.col(_quoted(column)) >= functions.lit(self._context.parameter("cursor")))

    def _bound(self) -> dict[str, object]:
        query = getattr(self._spec, "query", None)
        return dict(self._context.bound(sorted(set(sql_parameters(query, "backslash"))))) if query else {}

    def _batches(self) -> Iterator[InputBatch]:
        yield from counted(evenly(self._read()), self.name)

    def _read(self) -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        with spark_errors(f"{self.name} cannot be read"):
            for row in self.frame.mapInArrow(as_bytes, "batch binary").toLocalIterator():
                with pa.ipc.open_stream(row[0]) as batches:
                    yield from (to_schema(batch, self.schema, self.name) for batch in batches)


def _order(frame: "DataFrame", names: Sequence[str]) -> "list[Column]":
    """Return what rows are sorted by: some columns, and where these are equal all that they hold."""
    from pyspark.sql import functions

    every = functions.struct(*(functions.col(_quoted(name)) for name in frame.columns))
    content = functions.xxhash64(functions.to_json(every, {"timeZone": "UTC"}))
    return [*map(functions.col, names), content]


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def as_bytes(batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    """Return batches as a column of Arrow streams, one each, in which they keep their types."""
    import pyarrow as pa

    for batch in batches:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        yield pa.record_batch([pa.array([sink.getvalue().to_pybytes()], pa.binary())], ["batch"])
