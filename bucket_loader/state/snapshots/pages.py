"""A file of memory: rows in the order of their keys, in small pages; an index at its end has a digest of each page.

    <pages: an Arrow stream> <index: another one> <footer>

A page is one Arrow message: `key` and `content`, and where the stream asks for them the `ids` and the `record` that was
delivered; columns that nobody asks for stay compressed. The index has of each page its first key, its place in the
file and the sha256 of its bytes. The footer says where the index begins. The ledger names the sha256 of index and
footer: so single pages can be read, here or from a store, and each of them is known to be what was written.
"""

import hashlib
import struct
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import numpy as np
import pyarrow as pa

from bucket_loader.model import DISK, Disk, as_numpy, hash_array, number_array, written_whole

HASH: Final = pa.binary(16)
PART_SCHEMA: Final = pa.schema([("key", HASH), ("content", HASH)])
_WHOLE: Final = pa.schema([*PART_SCHEMA, ("ids", pa.string()), ("record", pa.string())])
PAGE_ROWS: Final = 1024  # 32 KiB of hashes: a thousand keys in a hundred million read a hundredth of them
PAGES_AT_ONCE: Final = 64
_DIGEST: Final = pa.binary(32)
_INDEX: Final = pa.schema([
    ("first", HASH), ("place", pa.int64()), ("digest", _DIGEST),
])  # fmt: skip
_FOOTER: Final = struct.Struct("<Q8s")
_MAGIC: Final = b"memory 1"
_TAIL_BYTES: Final = 65_536  # most indexes are smaller: one request brings the index and the footer

Keys = np.ndarray[tuple[int], np.dtype[np.bytes_]]


def part_schema(*, ids: bool = False, records: bool = False) -> pa.Schema:
    """Return the columns of a file of memory: the hashes, and what else it keeps of each row."""
    kept = {"key", "content", *(["ids"] if ids else []), *(["record"] if records else [])}
    return schema_of(kept)


def schema_of(names: Container[str]) -> pa.Schema:
    """Return the columns of a file of memory by their names."""
    return pa.schema([field for field in _WHOLE if field.name in names])


def as_keys(column: pa.Array | pa.ChunkedArray) -> Keys:
    """Return hashes as numpy compares them; none may be missing."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    data = whole.cast(HASH).buffers()[1]
    if not len(whole) or data is None:
        return np.empty(0, "S16")
    return np.frombuffer(data, "S16")[whole.offset : whole.offset + len(whole)]


def order_of(keys: Keys) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the order in which keys ascend; equal ones stay as they are.

    Numbers are sorted many times as fast as bytes, and the first eight bytes decide unless keys are equal.
    """
    firsts = np.ascontiguousarray(keys).view(">u8").reshape(-1, 2)[:, 0].astype(np.uint64)
    order = np.argsort(firsts)
    ordered = firsts[order]
    return order if bool(np.all(ordered[1:] > ordered[:-1])) else np.argsort(keys, kind="stable")


class Bytes(Protocol):
    """Where the bytes of a file of memory are."""

    @property
    def at_once(self) -> int:
        """How many reads at once are the quickest."""

    def size(self) -> int | None:
        """Return how many there are; None when there is no such file."""

    def read(self, first: int, count: int) -> bytes:
        """Return some of them; fewer where the file ends."""


@dataclass(frozen=True)
class FileBytes:
    """The bytes of a file of this disk."""

    path: Path
    at_once: int = 1

    def size(self) -> int | None:
        """Return how many there are; None when there is no such file."""
        try:
            return self.path.stat().st_size
        except OSError:
            return None

    def read(self, first: int, count: int) -> bytes:
        """Return some of them; fewer where the file ends, none where it cannot be read."""
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(first)
                return file.read(count)
        except OSError:
            return b""


# --- writing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """A file of memory that was written: its rows, and the sha256 of its index and footer in hex."""

    rows: int
    digest: str


class _Hashed:
    """A file to write to, which knows its place and the sha256 of what was written since it was last asked."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.place = 0

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.place += len(data)
        return self._file.write(data)

    def digest(self) -> bytes:
        found, self._hash = self._hash.digest(), hashlib.sha256()
        return found

    def flush(self) -> None:
        """Do nothing: the file is flushed when it is whole."""

    def close(self) -> None:
        """Do nothing: who opened the file closes it."""


def write_pages(
    path: Path,
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema = PART_SCHEMA,
    *,
    known: Callable[[], int],
    disk: Disk = DISK,
) -> Written:
    """Write a file of memory durably: complete under its name, or not there.

    Args:
        path: its name.
        batches: its rows, each key once, ascending.
        schema: its columns.
        known: asked at the end: by how many the file changes the count of known keys.
        disk: where it lies.
    """
    index: list[tuple[bytes, int, bytes]] = []
    rows = 0
    options = pa.ipc.IpcWriteOptions(compression="zstd" if len(schema) > len(PART_SCHEMA) else None)
    with written_whole(path, disk=disk) as file:
        out = _Hashed(file)
        with pa.ipc.new_stream(out, schema, options=options) as pages:
            pages.write_batch(nothing(schema))  # the stream begins with it, no page does
            head, end = out.digest(), out.place
            for page in _cut(batches):
                place = out.place
                pages.write_batch(page)
                index.append((page["key"][0].as_py(), place, out.digest()))
                rows, end = rows + page.num_rows, out.place
        rest = hashlib.sha256(head + out.digest()).hexdigest()
        facts = {
            "columns": ",".join(schema.names),
            "rows": str(rows),
            "known": str(known()),
            "end": str(end),
            "rest": rest,
        }
        _write_index(out, index, facts)
        return Written(rows, out.digest().hex())


def nothing(schema: pa.Schema) -> pa.RecordBatch:
    """Return no rows of a schema."""
    return pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in schema.types], schema=schema)


def _cut(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Cut rows into pages."""
    left: pa.RecordBatch | None = None
    for batch in batches:
        joined = batch if left is None or not left.num_rows else pa.concat_batches([left, batch])
        whole = joined.num_rows - joined.num_rows % PAGE_ROWS
        for first in range(0, whole, PAGE_ROWS):
            yield joined.slice(first, PAGE_ROWS)
        left = joined.slice(whole)
    if left is not None and left.num_rows:
        yield left


def _write_index(out: _Hashed, index: Sequence[tuple[bytes, int, bytes]], facts: dict[str, str]) -> None:
    begins = out.place
    columns = [
        hash_array([first for first, _, _ in index], HASH),
        number_array([place for _, place, _ in index], pa.int64()),
        hash_array([digest for _, _, digest in index], _DIGEST),
    ]
    schema = _INDEX.with_metadata(facts)
    with pa.ipc.new_stream(out, schema) as stream:
        stream.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    out.write(_FOOTER.pack(begins, _MAGIC))


# --- reading -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Index:
    """The index of a file of memory, of N pages.

    Attributes:
        first: the first key of each page, ascending.
        places: where each page begins, and where the last one ends; N + 1 numbers.
        digests: the sha256 of each page's bytes.
        rows: of these pages; about as many, where they are not all.
        known: by how many they change the count of known keys.
        schema: its columns.
        rest: the sha256 of the digests of what stands before the pages and behind them.
        begins: where the index begins.
    """

    first: Keys
    places: np.ndarray[tuple[int], np.dtype[np.int64]]
    digests: Sequence[bytes]
    rows: int
    known: int
    schema: pa.Schema
    rest: str
    begins: int

    def of_pages(self, first: int, after: int) -> "Index":
        """Return the index of the pages from `first` to before `after`, as if there were no others."""
        share = (after - first) / max(1, len(self.first))
        return replace(
            self,
            first=self.first[first:after],
            places=self.places[first : after + 1],
            digests=self.digests[first:after],
            rows=round(self.rows * share),
            known=round(self.known * share),
        )


def read_index(place: Bytes, digest: str | None) -> Index | None:
    """Read the index of a file of memory; None when it is not there, or is not what was written."""
    size = place.size()
    if size is None or size < _FOOTER.size:
        return None
    tail = place.read(max(0, size - _TAIL_BYTES), min(size, _TAIL_BYTES))
    if len(tail) < _FOOTER.size:
        return None
    begins, magic = _FOOTER.unpack(tail[-_FOOTER.size :])
    if magic != _MAGIC or begins > size - _FOOTER.size:
        return None
    if (missing := size - begins - len(tail)) > 0:
        tail = place.read(begins, missing) + tail
    tail = tail[len(tail) - (size - begins) :]
    if hashlib.sha256(tail).hexdigest() != digest:
        return None
    return _index_of(pa.ipc.open_stream(tail).read_all(), begins)


def _index_of(table: pa.Table, begins: int) -> Index:
    facts = {name.decode(): value.decode() for name, value in table.schema.metadata.items()}
    return Index(
        first=as_keys(table["first"]),
        places=np.append(as_numpy(table["place"].combine_chunks()), int(facts["end"])),
        digests=table["digest"].to_pylist(),
        rows=int(facts["rows"]),
        known=int(facts["known"]),
        schema=schema_of(facts["columns"].split(",")),
        rest=facts["rest"],
        begins=begins,
    )


def read_pages(
    place: Bytes, index: Index, first: int, after: int, columns: Sequence[str] | None = None
) -> pa.Table | None:
    """Read the pages from `first` to before `after`, or some columns of them; None when one is not what was written."""
    begins = int(index.places[first])
    data = place.read(begins, int(index.places[after]) - begins)
    view = memoryview(data)
    for number in range(first, after):
        page = view[int(index.places[number]) - begins : int(index.places[number + 1]) - begins]
        if hashlib.sha256(page).digest() != index.digests[number]:
            return None
    wanted = [number for number, name in enumerate(index.schema.names) if columns is None or name in columns]
    options = pa.ipc.IpcReadOptions(included_fields=wanted, use_threads=False)
    with pa.ipc.open_stream(index.schema.serialize().to_pybytes() + data, options=options) as pages:
        return pages.read_all()


def is_sound(place: Bytes, digest: str | None) -> bool:
    """Whether every byte of a file is what was written."""
    index = read_index(place, digest)
    if index is None:
        return False
    first, last = int(index.places[0]), int(index.places[-1])
    outside = (place.read(0, first), place.read(last, index.begins - last))
    if hashlib.sha256(b"".join(hashlib.sha256(some).digest() for some in outside)).hexdigest() != index.rest:
        return False
    pages = len(index.first)
    bounds = [*range(0, pages, PAGES_AT_ONCE), pages]
    return all(read_pages(place, index, first, after) is not None for first, after in pairwise(bounds))
