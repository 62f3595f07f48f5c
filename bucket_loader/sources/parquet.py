"""Parquet files: one, all that a glob matches, or a partitioned directory. Types are kept as they are."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from bucket_loader.config import ParquetSource
from bucket_loader.errors import SourceError
from bucket_loader.records import BATCH_BYTES_MAX, ROWS_MAX, InputBatch, Reading
from bucket_loader.sources import files
from bucket_loader.sources.base import SourceContext, ordinals_from, repeated, repeated_text, slices
from bucket_loader.sources.files import SourceFile
from bucket_loader.sources.types import common_schema, plain_schema, to_schema

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Bytes read ahead in each column; without it a whole column of a row group is held at once.
_READ_AHEAD_BYTES: Final = 256 * 1024
_HIVE_NULL: Final = "__HIVE_DEFAULT_PARTITION__"


class ParquetFiles:
    """Parquet files with the same columns in each; `key=value` folders become columns of text."""

    def __init__(self, spec: ParquetSource, context: SourceContext) -> None:
        self._spec = spec
        self._context = context

    def fingerprint(self) -> str:
        """Identify the bytes of all files."""
        return files.fingerprint(self._files())

    def read(self) -> Reading:
        """Check every file's columns, then give the rows of one file after the other."""
        found = self._files()
        schema = common_schema({file: self._schema(file) for file in found})
        return Reading(schema, (batch for file in found for batch in self._rows(file, schema)))

    def _files(self) -> list[SourceFile]:
        written = files.filled(self._spec.path, self._context)
        folder = self._context.base.absolute() / written
        return _files_below(folder, self._context) if folder.is_dir() else files.matching(written, self._context)

    def _partitions(self, file: SourceFile) -> dict[str, str | None]:
        """Read `key=value` from the folders that the user did not spell out."""
        written = files.filled(self._spec.path, self._context)
        fixed = files.fixed_part(self._context.base.absolute() / written)
        if not file.path.is_relative_to(fixed):
            return {}
        pairs = [part.split("=", 1) for part in file.path.relative_to(fixed).parts[:-1] if "=" in part]
        return {unquote(key): None if value == _HIVE_NULL else unquote(value) for key, value in pairs}

    def _schema(self, file: SourceFile) -> "pa.Schema":
        import pyarrow as pa

        with _opened(file) as parquet:
            schema = plain_schema(parquet.schema_arrow)
        for name, places in repeated(schema.names).items():
            raise SourceError(
                f"{file.name} has the column {name!r} more than once, at {' and '.join(map(str, places))}",
                hint="one would hide the other; rename one where the file is written",
            )
        if not schema.names:
            raise SourceError(f"{file.name} has no columns", hint="look at what writes it")
        # A column that the file itself holds is the data; the folder's name is only where it was put.
        added = [(key, pa.string()) for key in self._partitions(file) if key not in schema.names]
        return pa.schema([*schema, *(pa.field(key, kind) for key, kind in added)])

    def _rows(self, file: SourceFile, schema: "pa.Schema") -> Iterator[InputBatch]:

        partitions = self._partitions(file)
        first = 1
        with _opened(file) as parquet:
            for batch in parquet.iter_batches(batch_size=_rows_at_once(parquet)):
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                for key in partitions.keys() - columns.keys():
                    columns[key] = repeated_text(partitions[key], batch.num_rows)
                whole = to_schema(columns, schema, file.name)
                for start, piece in slices(whole):
                    yield InputBatch(piece, ordinals_from(first + start, piece.num_rows), file.name)
                first += batch.num_rows


def _files_below(folder: Path, context: SourceContext) -> list[SourceFile]:
    """List every file of a partitioned directory, but for marks like `_SUCCESS` and hidden ones."""
    found: list[SourceFile] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(("_", "."))]
        found += [files.named(Path(parent, name), context) for name in names if not name.startswith(("_", "."))]
    if not found:
        raise SourceError(f"the directory {folder.name} has no files", hint="look at what writes it")
    return sorted(found, key=lambda file: file.name)


@contextmanager
def _opened(file: SourceFile) -> "Iterator[pq.ParquetFile]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with files.open_file(file) as stream:
            # Uncompressed pages have no other protection against a flipped bit than their checksums, where written.
            parquet = pq.ParquetFile(
                stream, page_checksum_verification=True, pre_buffer=False, buffer_size=_READ_AHEAD_BYTES
            )
            with parquet:
                yield parquet
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            f"{file.name} is not a sound Parquet file: {str(error).splitlines()[0]}",
            hint="it may be cut short, damaged, or another format; copy or export it again",
        ) from error


def _rows_at_once(parquet: "pq.ParquetFile") -> int:
    groups = [parquet.metadata.row_group(index) for index in range(parquet.metadata.num_row_groups)]
    row_bytes = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=1)
    return max(1, min(ROWS_MAX, int(BATCH_BYTES_MAX / max(1, row_bytes))))
