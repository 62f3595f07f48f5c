"""The files of a Delta table at one version, each read as the table's own schema and configuration say.

A file may have other names for the columns (column mapping), lack the newer ones, have narrower types, and hold rows
that were deleted since (deletion vectors). What the columns of a partition hold stands in the log, not in the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote

from bucket_loader.model import ROWS_MAX, SourceError
from bucket_loader.sources.lakes.delta_columns import as_named, stored_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable
    from pyarrow import dataset
    from pyarrow.fs import FileSystem


@dataclass(frozen=True)
class DeltaFile:
    """A file of a table.

    Attributes:
        path: below the table's folder.
        written: when, in milliseconds.
        size: its bytes.
        partition: the values of its partition's columns.
        kept: for each of its rows whether it is not deleted; rows beyond these are kept.
    """

    path: str
    written: int
    size: int
    partition: "dict[str, pa.Scalar]"
    kept: "pa.BooleanArray | None"


class DeltaFiles:
    """The files of a table at the version that it is at.

    Args:
        table: the table.
        options: what opens its store.
        name: the table as the user would recognise it.
    """

    def __init__(self, table: "DeltaTable", options: dict[str, str], name: str) -> None:
        import pyarrow as pa

        self._table = table
        self._options = options
        self._name = name
        self._mode = table.metadata().configuration.get("delta.columnMapping.mode", "none")
        self.schema = pa.schema(table.schema().to_arrow())

    def batches(self) -> "Iterator[pa.RecordBatch]":
        """Return the rows of one file after the other, oldest first."""
        files = sorted(self._files(), key=lambda file: (file.written, file.path))
        store = self._store(files)
        for file in files:
            yield from self._rows(file, store)

    def _files(self) -> list[DeltaFile]:
        import pyarrow as pa

        actions = pa.table(self._table.get_add_actions(flatten=False))
        partitions = actions.schema.field("partition").type.names if "partition" in actions.schema.names else []
        kept = self._kept()
        found = [self._file(row, partitions, kept) for batch in actions.to_batches() for row in _each(batch)]
        if kept:
            raise SourceError(
                f"{self._name} has deleted rows in files that cannot be found", hint="let its own engine write it anew"
            )
        return found

    def _file(self, row: "pa.RecordBatch", partitions: list[str], kept: "dict[str, pa.BooleanArray]") -> DeltaFile:
        path = row.column("path")[0].as_py()
        if "://" in path or path.startswith("/"):
            raise SourceError(
                f"{self._name} has files outside of its folder (it is a shallow clone), which are not read",
                hint="read the table that it was cloned from, or let its own engine copy it whole",
            )
        path = unquote(path)
        values = {name: row.column("partition").field(name)[0] for name in partitions}
        written, size = (row.column(name)[0].as_py() for name in ("modification_time", "size_bytes"))
        return DeltaFile(path, written, size, values, kept.pop(path, None))

    def _kept(self) -> "dict[str, pa.BooleanArray]":
        """Return which rows are kept of the files that have deleted ones, by path."""
        import pyarrow as pa

        if "deletionVectors" not in (self._table.protocol().reader_features or []):
            return {}
        root = unquote(self._table.table_uri).rstrip("/") + "/"
        vectors = pa.RecordBatchReader.from_stream(self._table.deletion_vectors()).read_all()
        files, masks = vectors.column("filepath").to_pylist(), vectors.column("selection_vector")
        return {
            unquote(file).removeprefix(root): mask.values.cast(pa.bool_())
            for file, mask in zip(files, masks, strict=True)
        }

    def _rows(self, file: DeltaFile, store: "FileSystem") -> "Iterator[pa.RecordBatch]":
        fragment = self._format.make_fragment(file.path, filesystem=store)
        there = fragment.physical_schema if self._mode == "id" else None
        stored = stored_schema(self._held, self._mode, there)
        row = 0
        for batch in fragment.to_batches(schema=stored, batch_size=ROWS_MAX, use_threads=False, batch_readahead=1):
            whole = self._whole(batch, file)
            yield whole if file.kept is None else whole.filter(_from_row(file.kept, row, whole.num_rows))
            row += whole.num_rows

    def _whole(self, batch: "pa.RecordBatch", file: DeltaFile) -> "pa.RecordBatch":
        """Return all columns of the table, under their names there."""
        import pyarrow as pa

        held = {field.name: as_named(column, field) for field, column in zip(self._held, batch.columns, strict=True)}
        columns = [
            held[field.name] if field.name in held else pa.repeat(file.partition[field.name], batch.num_rows)
            for field in self.schema
        ]
        return pa.RecordBatch.from_arrays(columns, names=self.schema.names)

    @cached_property
    def _held(self) -> "pa.Schema":
        """The columns that the files hold."""
        import pyarrow as pa

        partitions = self._table.metadata().partition_columns
        return pa.schema([field for field in self.schema if field.name not in partitions])

    @cached_property
    def _format(self) -> "dataset.ParquetFileFormat":
        from pyarrow import dataset

        return dataset.ParquetFileFormat(
            # A moment of Delta is a number of microseconds; as nanoseconds those of INT96 would end in 2262.
            read_options=dataset.ParquetReadOptions(coerce_int96_timestamp_unit="us"),
            default_fragment_scan_options=dataset.ParquetFragmentScanOptions(pre_buffer=True),
        )

    def _store(self, files: list[DeltaFile]) -> "FileSystem":
        from deltalake.fs import DeltaStorageHandler
        from pyarrow import fs

        # A file in a store whose size is known needs one request less.
        sizes = {file.path: file.size for file in files}
        return fs.PyFileSystem(DeltaStorageHandler(self._table.table_uri, self._options, sizes))


def _each(batch: "pa.RecordBatch") -> "Iterator[pa.RecordBatch]":
    return (batch.slice(place, 1) for place in range(batch.num_rows))


def _from_row(kept: "pa.BooleanArray", first: int, count: int) -> "pa.BooleanArray":
    """Return the part of a mask that is about some rows; what is beyond its end is kept."""
    import pyarrow as pa

    part = kept.slice(first, count)
    return pa.concat_arrays([part, pa.repeat(pa.scalar(True), count - len(part))])  # noqa: FBT003  # a scalar's value
