"""A source read once and kept: the same batches and the same rejections again, as often as several streams need."""

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from bucket_loader.model import (
    ROWS_MAX,
    InputBatch,
    Origin,
    Reading,
    Reason,
    Rejection,
    SourceError,
    repeated_text,
)
from bucket_loader.sources.base import without_rows
from bucket_loader.sources.values.types import to_schema

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ORDINAL: Final = "__ordinal"
SOURCE: Final = "__source"
INTERNAL: Final = (ORDINAL, SOURCE)

_FINGERPRINT_KEY: Final = b"bucket_loader.fingerprint"
_SCHEMA_KEY: Final = b"bucket_loader.schema"
# The file beside the rows is the script of the reading: the rejections of a batch, each a JSON object, then one of
# these, which says whether its rows are the next row group or there are none.
_ROWS: Final = "rows"
_NO_ROWS: Final = "no rows"


def script_path(path: Path) -> Path:
    """Say where the rejections lie that belong to a staged file."""
    return path.with_name(path.name + ".unread.jsonl")


def stage(reading: Reading, path: Path, *, fingerprint: str) -> "StagedSource":
    """Write a reading to `path`, and its rejections beside it; both readable by their owner only.

    Every batch with rows is one row group, so that what is read again is cut as it was.

    Raises:
        SourceError: a column has a name or a type that cannot be kept.
    """
    import pyarrow as pa

    if taken := [name for name in INTERNAL if name in reading.schema.names]:
        raise SourceError(f"a column is named {taken[0]!r}, a name of the loader's own", hint="rename it in the source")
    schema = reading.schema.append(pa.field(ORDINAL, pa.int64())).append(pa.field(SOURCE, pa.string()))
    with _private(path) as data, _private(script_path(path)) as script, _writer(data, schema) as writer:
        kept = base64.b64encode(reading.schema.serialize().to_pybytes())
        writer.add_key_value_metadata({_FINGERPRINT_KEY: fingerprint.encode(), _SCHEMA_KEY: kept})
        for batch in reading.batches:
            script.writelines(_line(asdict(rejection)) for rejection in batch.unread)
            script.write(_line(_ROWS if batch.data.num_rows else _NO_ROWS))
            if batch.data.num_rows:
                writer.write_batch(_with_internal(batch, schema), row_group_size=batch.data.num_rows)
    return StagedSource(path)


class StagedSource:
    """What `stage` has written: a source like any other."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fingerprint(self) -> str:
        """Return the fingerprint of the source that was staged, as it was then."""
        return kept_fingerprint(self.path) or ""

    def read(self) -> Reading:
        """Return the batches again."""
        schema = kept_schema(self.path)
        assert schema is not None  # noqa: S101  # `stage` wrote the file
        return Reading(schema, self._batches(schema))

    def unread(self) -> Iterator[Rejection]:
        """Return the rejections alone, for a query that reads the rows in its own way."""
        return (line for line in self._script() if isinstance(line, Rejection))

    def _script(self) -> Iterator[Rejection | str]:
        with script_path(self.path).open(encoding="ascii") as lines:
            for line in lines:
                parsed = json.loads(line)
                yield parsed if isinstance(parsed, str) else _rejection(parsed)

    def _batches(self, schema: "pa.Schema") -> Iterator[InputBatch]:
        import pyarrow.parquet as pq

        unread: list[Rejection] = []
        group = 0
        with pq.ParquetFile(self.path, pre_buffer=False) as parquet:
            for line in self._script():
                if isinstance(line, Rejection):
                    unread.append(line)
                    continue
                if line == _ROWS:
                    yield _row_group(parquet, group, schema, unread)
                    group += 1
                else:
                    source = unread[0].origin.source if unread else ""
                    yield without_rows(schema, source, unread)
                unread = []


def kept_fingerprint(path: Path) -> str | None:
    """Return the fingerprint kept in a staged file; None when it is any other Parquet file."""
    import pyarrow.parquet as pq

    kept = (pq.read_metadata(path).metadata or {}).get(_FINGERPRINT_KEY)
    return None if kept is None else kept.decode()


def kept_schema(path: Path) -> "pa.Schema | None":
    """Return the columns kept in a staged file, as the source gave them; None when it is any other Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kept = (pq.read_metadata(path).metadata or {}).get(_SCHEMA_KEY)
    return None if kept is None else pa.ipc.read_schema(pa.py_buffer(base64.b64decode(kept)))


def _private(path: Path) -> IO[Any]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    return os.fdopen(descriptor, "w", encoding="ascii") if path.suffix == ".jsonl" else os.fdopen(descriptor, "wb")


def _writer(data: IO[bytes], schema: "pa.Schema") -> "pq.ParquetWriter":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetWriter(data, schema, compression="zstd", compression_level=1)
    except pa.ArrowNotImplementedError as error:
        raise SourceError(f"a column cannot be kept: {error}", hint="convert it in the source") from error


def _with_internal(batch: InputBatch, schema: "pa.Schema") -> "pa.RecordBatch":
    import pyarrow as pa

    source = repeated_text(batch.source, batch.data.num_rows)
    return pa.RecordBatch.from_arrays([*batch.data.columns, batch.ordinals, source], schema=schema)


def _row_group(parquet: "pq.ParquetFile", group: int, schema: "pa.Schema", unread: list[Rejection]) -> InputBatch:
    # A row group has at most as many rows as a batch may have, so it comes back as one batch.
    (batch,) = parquet.iter_batches(batch_size=ROWS_MAX, row_groups=[group])
    source = batch.column(SOURCE)[0].as_py()
    # Parquet keeps seconds as milliseconds; back they are what they were.
    return InputBatch(to_schema(batch, schema, source), batch.column(ORDINAL), source, unread)


def _line(value: object) -> str:
    return json.dumps(value) + "\n"


def _rejection(line: dict[str, Any]) -> Rejection:
    reasons = tuple(Reason(**reason) for reason in line.pop("reasons"))
    return Rejection(**{**line, "origin": Origin(**line["origin"]), "reasons": reasons})
