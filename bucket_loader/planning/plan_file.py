"""The plan on disk: every record to send, in order, with the rows they were made from, and a manifest over it all.

    plans/<run>/manifest.json        counts, the as-of time, fingerprints, the digest of each file
    plans/<run>/00-companies.parquet one row a record: ordinal, source, key, content, record, row
    plans/<run>/rejected.jsonl       rows that planning rejected, as dead letters

A record's sequence is its place in its stream's file. The manifest is written last: a plan without one does not exist.
"""

import hashlib
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bucket_loader.model import (
    Joined,
    StateError,
    as_numpy,
    file_digest,
    int64_array,
    repeated_text,
    sync,
    written_whole,
    zeros,
)
from bucket_loader.planning import chunker
from bucket_loader.planning.manifest import VERSION, Manifest, PlannedStream, decoded, encoded
from bucket_loader.state import MANIFEST

if TYPE_CHECKING:
    from bucket_loader.model import Numbers

ROW_GROUP: Final = 16_384  # records; what one random access has to read
REMOVED: Final = "(removed)"  # the source of a record that no row was read for; its row is 0
_PARQUET: Final[dict[str, Any]] = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": ["source"],
    "write_statistics": False,
}


@dataclass(frozen=True)
class Plan:
    """A finished plan: immutable."""

    folder: Path
    manifest: Manifest

    def path(self, stream: PlannedStream) -> Path:
        """Return the file of a stream's records."""
        return self.folder / stream.file

    def chunks(self, stream: PlannedStream) -> Iterator[tuple[range, Sequence[bytes]]]:
        """Yield a stream's chunks in order: their sequences and their records' bytes.

        What is new and what was refused before never share one.
        """
        records_max = 1 if self.manifest.bare else self.manifest.chunk_records
        first, held = 0, _Held(b"", [])
        for records in self._records(stream):
            held = held.and_then(records)
            more = first + len(held.ends) not in {stream.refused_from, stream.records}
            taken = 0
            for places in chunker.pack(
                held.ends, records_max=records_max, bytes_max=self.manifest.chunk_bytes, more=more
            ):
                yield range(first + places.start, first + places.stop), held.take(places)
                taken = places.stop
            first, held = first + taken, held.after(taken)

    def _records(self, stream: PlannedStream) -> Iterator[pa.Array]:
        """Yield the records in batches, none of which is new in part and refused before in part."""
        left = stream.refused_from
        with _opened(self.path(stream)) as file:
            for batch in file.iter_batches(batch_size=ROW_GROUP, columns=["record"], use_threads=False):
                pieces = (batch.column(0).slice(0, left), batch.column(0).slice(left)) if left else (batch.column(0),)
                left = max(0, left - batch.num_rows)
                yield from filter(len, pieces)

    def rows(self, stream: PlannedStream, sequences: Sequence[int], columns: list[str]) -> list[dict[str, Any]]:
        """Return some columns of some records, by sequence; reads only the row groups they are in."""
        if not sequences:
            return []
        table = self._take(stream, sequences, columns)
        found: list[dict[str, Any]] = table.to_pylist()
        return found

    def inputs(self, stream: PlannedStream, sequences: Sequence[int]) -> list[pa.RecordBatch]:
        """Return the input rows that records were made from, one batch of one row each."""
        rows = self._take(stream, sequences, ["row"]).column(0).combine_chunks()
        struct = pa.RecordBatch.from_struct_array(rows)
        return [struct.slice(index, 1) for index in range(struct.num_rows)]

    def _take(self, stream: PlannedStream, sequences: Sequence[int], columns: list[str]) -> pa.Table:
        with _opened(self.path(stream)) as file:
            starts, start = [], 0
            for group in range(file.num_row_groups):
                starts.append(start)
                start += file.metadata.row_group(group).num_rows
            wanted: dict[int, list[int]] = {}
            for sequence in sequences:
                group = max(index for index, first in enumerate(starts) if first <= sequence)
                wanted.setdefault(group, []).append(sequence - starts[group])
            tables = [
                file.read_row_group(group, columns=columns, use_threads=False).take(offsets)
                for group, offsets in sorted(wanted.items())
            ]
            return pa.concat_tables(tables)

    def keys(self, stream: PlannedStream, *, records: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield every record's `key` and `content`, in order; and the `record` itself."""
        columns = ["key", "content", "record"] if records else ["key", "content"]
        with _opened(self.path(stream)) as file:
            yield from file.iter_batches(batch_size=65_536, columns=columns, use_threads=False)

    def digest(self) -> str:
        """Identify the plan: the sha256 of its manifest, which holds those of its files."""
        return hashlib.sha256((self.folder / MANIFEST).read_bytes()).hexdigest()


@dataclass(frozen=True)
class _Held:
    """Records between the batches they are read in and the chunks they are taken in.

    Attributes:
        text: the records one behind the other, each with a comma after it.
        ends: where each ends, its comma included.
    """

    text: bytes
    ends: list[int]

    def and_then(self, records: pa.StringArray) -> "_Held":
        """Return these and the records of a batch after them."""
        joined = pc.binary_join_element_wise(
            records, repeated_text("", 1)[0], repeated_text(",", 1)[0]
        )  # the comma comes between
        _, offsets, text = joined.buffers()
        ends = np.frombuffer(offsets, np.int32)[joined.offset + 1 :][: len(joined)].astype(np.int64)
        return _Held(self.text + text.to_pybytes()[: ends[-1]], [*self.ends, *(ends + len(self.text)).tolist()])

    def take(self, places: range) -> Joined:
        """Return some of them as a body."""
        start = self.ends[places.start - 1] if places.start else 0
        body = b"".join((b"[", memoryview(self.text)[start : self.ends[places.stop - 1] - 1], b"]"))
        return Joined(body, self.ends[places.start : places.stop], start)

    def after(self, taken: int) -> "_Held":
        """Return those after the first so many."""
        start = self.ends[taken - 1] if taken else 0
        return _Held(self.text[start:], [end - start for end in self.ends[taken:]])


# --- writing -------------------------------------------------------------------------------------------------------


def _opened(path: Path) -> pq.ParquetFile:
    # Pre-buffering keeps every row group that was read until the file is closed: memory would grow with the plan.
    return pq.ParquetFile(path, pre_buffer=False)


class StreamWriter:
    """Writes a stream's records, with the rows they were made from."""

    def __init__(self, path: Path, row_schema: pa.Schema) -> None:
        self.rows = 0
        fields = [
            ("ordinal", pa.int64()),
            ("source", pa.dictionary(pa.int32(), pa.string())),
            ("key", pa.binary(16)),
            ("content", pa.binary(16)),
            ("record", pa.string()),
            ("row", pa.struct([_nullable(field) for field in row_schema])),
        ]
        self.schema = pa.schema(fields)
        self._row = self.schema.field("row").type
        self._writer = pq.ParquetWriter(path, self.schema, **_PARQUET)

    def write(self, records: pa.Table, rows: pa.RecordBatch | None, source: str) -> None:
        """Write K records and the K rows that they were made from; None where there are none."""
        names = pa.DictionaryArray.from_arrays(zeros(pa.int32(), records.num_rows), repeated_text(source, 1))
        columns = [
            records["ordinal"].combine_chunks(),
            names,
            records["key"].cast(pa.binary(16)).combine_chunks(),
            records["content"].cast(pa.binary(16)).combine_chunks(),
            records["record"].combine_chunks(),
            self._rows(rows) if rows is not None else pa.nulls(records.num_rows, self._row),
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self.schema), row_group_size=ROW_GROUP)
        self.rows += records.num_rows

    def _rows(self, rows: pa.RecordBatch) -> pa.StructArray:
        columns = [
            column if column.type == field.type else column.cast(field.type)
            for column, field in zip(rows.columns, self._row, strict=True)
        ]
        return pa.StructArray.from_arrays(columns, fields=list(self._row))

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


def _nullable(field: pa.Field) -> pa.Field:
    """Let a column be null: the record of a removed row has no row beside it."""
    kind = field.type
    if pa.types.is_struct(kind):
        kind = pa.struct([_nullable(kind.field(index)) for index in range(kind.num_fields)])
    return pa.field(field.name, kind)


def select(staged: Path, selected: Path, final: Path, after: Path | None = None) -> None:
    """Copy the selected rows of a staged file, in order, each with its final key.

    Args:
        staged: what a `StreamWriter` wrote, N rows.
        selected: Parquet with `position` (ascending, of `staged`) and `key`.
        final: the file to write.
        after: what else goes there, whole, behind them: another of the same columns, if it is there.
    """
    with _opened(staged) as source, _opened(selected) as chosen:
        positions = _Positions(chosen)
        with pq.ParquetWriter(final, source.schema_arrow, **_PARQUET) as writer:
            first = 0
            for group in range(source.num_row_groups):
                count = source.metadata.row_group(group).num_rows
                taken, keys = positions.below(first + count)
                if len(taken):  # a group of which nothing is sent is not even read
                    rows = source.read_row_group(group, use_threads=False).take(int64_array(taken - first))
                    index = rows.schema.get_field_index("key")
                    writer.write_table(rows.set_column(index, rows.schema.field(index), keys), row_group_size=ROW_GROUP)
                first += count
            if after is not None and after.exists():
                with _opened(after) as more:
                    for batch in more.iter_batches(batch_size=ROW_GROUP, use_threads=False):
                        writer.write_batch(batch)


def count(records: Path) -> int:
    """Return how many records a file has."""
    return int(pq.read_metadata(records).num_rows)


class _Positions:
    """Ascending positions and their keys, taken up to a bound at a time."""

    def __init__(self, chosen: pq.ParquetFile) -> None:
        self._batches = chosen.iter_batches(batch_size=65_536, use_threads=False)
        self._held: deque[pa.RecordBatch] = deque()

    def below(self, bound: int) -> tuple["Numbers", pa.Array]:
        """Return the positions below a bound that were not returned yet, and their keys."""
        positions, keys = [], []
        while (batch := self._next()) is not None:
            here = as_numpy(batch["position"])
            count = int(here.searchsorted(bound))
            positions.append(here[:count])
            keys.append(batch["key"].slice(0, count).cast(pa.binary(16)))
            if count < len(here):
                self._held.append(batch.slice(count))
                break
        return np.concatenate(positions or [np.empty(0, np.int64)]), pa.chunked_array(keys, pa.binary(16))

    def _next(self) -> pa.RecordBatch | None:
        return self._held.pop() if self._held else next(self._batches, None)


def finish(folder: Path, manifest: Manifest) -> Plan:
    """Write the manifest, durably and last: from here on the plan exists."""
    for path in folder.iterdir():
        if path.is_file():
            sync(path)
    with written_whole(folder / MANIFEST) as file:
        file.write(encoded(manifest) + b"\n")
    sync(folder.parent)
    return Plan(folder, manifest)


def read(folder: Path, *, verify: bool) -> Plan:
    """Read a plan; `verify` holds every file against its digest.

    Raises:
        StateError: there is none, it is from another version, or a file is not what it was.
    """
    path = folder / MANIFEST
    try:
        manifest = decoded(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise StateError(
            f"there is no plan at {folder}",
            hint="if its disk was lost, `bucket-loader abandon PIPELINE RUN` closes the run; what it delivered is then "
            "not remembered, and the next plan sends it again",
        ) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
        raise StateError(f"the plan at {folder} cannot be read: {error}", hint="`abandon` its run") from None
    if manifest.version != VERSION:
        raise StateError(f"the plan at {folder} is of version {manifest.version}", hint=f"this one reads {VERSION}")
    plan = Plan(folder, manifest)
    if verify:
        for stream in manifest.streams:
            if not plan.path(stream).exists() or file_digest(plan.path(stream)) != stream.digest:
                raise StateError(
                    f"the plan's file {plan.path(stream)} is not what was planned",
                    hint="`bucket-loader abandon RUN` closes the run; the next plan decides again",
                )
    return plan


def remove(folder: Path) -> None:
    """Remove a plan: the manifest first, so that no half of it can be taken for a whole."""
    (folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
