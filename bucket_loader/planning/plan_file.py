"""The plan on disk: every record to send, in order, with the rows they were made from, and a manifest over it all.

    plans/<run>/manifest.json                 counts, the as-of time, fingerprints, the digest of each file
    plans/<run>/00-companies.parquet          one row a record: ordinal, source, key, content, record, row
    plans/<run>/00-companies.1.parquet        the next part, where a stream has several
    plans/<run>/00-companies.refused.parquet  rows that were refused before and are not sent again
    plans/<run>/rejected.jsonl                rows that planning rejected, as dead letters

A record's sequence is its place in its stream, through all parts. The manifest is written last: a plan without one does
not exist.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
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
from bucket_loader.planning.manifest import VERSION, Manifest, Part, PlannedStream, decoded, encoded
from bucket_loader.state import MANIFEST, Records, snapshots

if TYPE_CHECKING:
    from bucket_loader.model import Numbers

ROW_GROUP: Final = 16_384  # records; what one random access has to read
WAITING: Final = pa.schema([
    ("ordinal", pa.int64()), ("source", pa.string()), ("key", pa.binary(16)), ("content", pa.binary(16)),
    ("run", pa.string()), ("day", pa.string()),
])  # fmt: skip
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

    def records(self, stream: PlannedStream) -> Records:
        """Return a stream's records, which lie in a file for each part."""
        return records_of(self.folder, stream.parts)

    def unsound(self, stream: PlannedStream) -> list[str]:
        """Return which of a stream's files are missing, or not what was planned."""
        files = {part.file: part.digest for part in stream.parts}
        if (known := stream.known_refused) is not None and known.file is not None:
            files[known.file] = known.digest or ""
        paths = {self.folder / file: digest for file, digest in files.items()}
        return [path.name for path, digest in paths.items() if not path.exists() or file_digest(path) != digest]

    def chunks(self, stream: PlannedStream, part: Part | None = None) -> Iterator[tuple[range, Sequence[bytes]]]:
        """Yield the chunks of a stream, or of one of its parts, in order: their sequences and their records' bytes.

        Two parts never share one; nor do what is new and what was refused before.
        """
        for one in stream.parts if part is None else [part]:
            yield from self._chunks(one, stream.refused_from)

    def _chunks(self, part: Part, refused_from: int) -> Iterator[tuple[range, Sequence[bytes]]]:
        records_max = 1 if self.manifest.bare else self.manifest.chunk_records
        first, held = part.first, _Held(b"", [])
        for records in self._records(part, refused_from):
            held = held.and_then(records)
            more = first + len(held.ends) not in {refused_from, part.sequences.stop}
            taken = 0
            for places in chunker.pack(
                held.ends, records_max=records_max, bytes_max=self.manifest.chunk_bytes, more=more
            ):
                yield range(first + places.start, first + places.stop), held.take(places)
                taken = places.stop
            first, held = first + taken, held.after(taken)

    def _records(self, part: Part, refused_from: int) -> Iterator[pa.Array]:
        """Yield the records in batches, none of which is new in part and refused before in part."""
        left = max(0, refused_from - part.first)
        for batch in Records.of(self.folder / part.file).batches(["record"], ROW_GROUP):
            pieces = (batch.column(0).slice(0, left), batch.column(0).slice(left)) if left else (batch.column(0),)
            left = max(0, left - batch.num_rows)
            yield from filter(len, pieces)

    def rows(self, stream: PlannedStream, sequences: Sequence[int], columns: list[str]) -> list[dict[str, Any]]:
        """Return some columns of some records, by sequence; reads only the row groups they are in."""
        if not sequences:
            return []
        table = self.table(stream, sequences, columns)
        found: list[dict[str, Any]] = table.to_pylist()
        return found

    def inputs(self, stream: PlannedStream, sequences: Sequence[int]) -> list[pa.RecordBatch]:
        """Return the input rows that records were made from, one batch of one row each."""
        rows = self.table(stream, sequences, ["row"]).column(0).combine_chunks()
        struct = pa.RecordBatch.from_struct_array(rows)
        return [struct.slice(index, 1) for index in range(struct.num_rows)]

    def table(self, stream: PlannedStream, sequences: Sequence[int], columns: list[str]) -> pa.Table:
        """Return some columns of some records, by sequence, as Arrow has them."""
        return self.records(stream).taken(sequences, columns)

    def waiting(self, stream: PlannedStream) -> pa.Table:
        """Return what was refused before and is not sent again: `ordinal`, `source`, `key`, `content`, `run`, `day`."""
        known = stream.known_refused
        if known is None or known.file is None:
            return pa.Table.from_batches([], WAITING)  # `empty_table` would load pandas
        return pq.read_table(self.folder / known.file, schema=WAITING, use_threads=False, pre_buffer=False)

    def keys(
        self, stream: PlannedStream, part: Part | None = None, *, records: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Yield `key` and `content` of every record of a stream, or of a part, in order; and the `record` itself."""
        some = self.records(stream) if part is None else Records.of(self.folder / part.file)
        yield from some.batches(["key", "content", "record"] if records else ["key", "content"])

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


@dataclass(frozen=True)
class Piece:
    """Some of the records that were staged.

    Attributes:
        records: what `StreamWriter`s wrote.
        chosen: which: `position` (ascending) and the final `key`. None is all, as they are.
    """

    records: Records
    chosen: snapshots.Chosen | pa.Table | None = None

    @property
    def table(self) -> pa.Table:
        """What is chosen, where that is a table."""
        assert isinstance(self.chosen, pa.Table)  # noqa: S101  # narrows the type
        return self.chosen

    def __len__(self) -> int:
        return len(self.records if self.chosen is None else self.chosen)

    def read(self, columns: list[str] | None = None) -> "Iterator[tuple[Numbers, pa.Table]]":
        """Yield their positions and the records; a row group of which nothing is chosen is not even read."""
        between = None if self.chosen is None else _lookup(self.chosen)
        for group in self.records.groups():
            if between is None:
                yield np.arange(group.first, group.first + group.count), group.read(columns)
            elif len(some := between(group.first, group.first + group.count)):
                wanted = as_numpy(some["position"].combine_chunks())
                rows = group.read(columns).take(int64_array(wanted - group.first))
                index = rows.schema.get_field_index("key")
                if index >= 0:
                    rows = rows.set_column(index, rows.schema.field(index), some["key"].cast(pa.binary(16)))
                yield wanted, rows


def _lookup(chosen: snapshots.Chosen | pa.Table) -> Callable[[int, int], pa.Table]:
    """Return what finds the chosen rows from a position to before another one."""
    if isinstance(chosen, snapshots.Chosen):
        return chosen.between
    positions = as_numpy(chosen["position"].combine_chunks())

    def between(first: int, after: int) -> pa.Table:
        start, end = np.searchsorted(positions, (first, after)).tolist()
        return chosen.slice(start, end - start)

    return between


def assemble(final: Path, pieces: Sequence[Piece]) -> None:
    """Write a plan's file: the records of the pieces, one piece behind the other."""
    with pq.ParquetWriter(final, pieces[0].records.schema, **_PARQUET) as writer:
        for piece in pieces:
            for _, rows in piece.read():
                writer.write_table(rows, row_group_size=ROW_GROUP)


def write_waiting(path: Path, pieces: Sequence[Piece]) -> None:
    """Write which rows were refused before and are not sent again, from tables that hold `WAITING`'s words."""
    with pq.ParquetWriter(path, WAITING, compression="zstd", use_dictionary=["source", "run", "day"]) as writer:
        for piece in pieces:
            rows = piece.records.taken(piece.table["position"].to_numpy(), ["ordinal", "source"])
            columns = {name: (rows if name in rows.column_names else piece.table)[name] for name in WAITING.names}
            writer.write_table(pa.table(columns).cast(WAITING))


def records_of(folder: Path, parts: Sequence[Part]) -> Records:
    """Return the records of parts."""
    return Records(tuple(folder / part.file for part in parts), tuple(part.records for part in parts))


def parts_of(*files: Path) -> tuple[Part, ...]:
    """Return finished files of records as parts, one behind the other."""
    records = Records.of(*files)
    return tuple(
        Part(file.name, start, after - start, file_digest(file))
        for file, (start, after) in zip(files, pairwise(records.starts), strict=True)
    )


def finish(folder: Path, manifest: Manifest) -> Plan:
    """Write the manifest, durably and last: from here on the plan exists, and its files are their owner's alone."""
    for path in folder.iterdir():
        if path.is_file():
            with suppress(PermissionError):  # a disk that knows no modes
                path.chmod(0o600)
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
            hint=f"if its disk was lost, `bucket-loader abandon PIPELINE {folder.name}` closes the run; what "
            "it delivered is then not remembered, and the next plan sends it again",
        ) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
        raise StateError(f"the plan at {folder} cannot be read: {error}", hint=_abandon(folder)) from None
    if manifest.version != VERSION:
        raise StateError(f"the plan at {folder} is of version {manifest.version}", hint=f"this one reads {VERSION}")
    plan = Plan(folder, manifest)
    if verify:
        for file in (file for stream in manifest.streams for file in plan.unsound(stream)):
            raise StateError(
                f"the plan's file {plan.folder / file} is not what was planned",
                hint=_abandon(folder),
            )
    return plan


def _abandon(folder: Path) -> str:
    return f"`bucket-loader abandon PIPELINE {folder.name}` closes the run; the next plan decides again"


def remove(folder: Path) -> None:
    """Remove a plan: the manifest first, so that no half of it can be taken for a whole."""
    (folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
