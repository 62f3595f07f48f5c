"""What the steps hand to each other: input batches, rejections, chunks and outcomes.

A row is input, a record is output. Rows travel as Arrow batches, records as JSON text in the plan; a Python object per
row is made only for what was rejected.
"""

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, overload, runtime_checkable

if TYPE_CHECKING:
    import pyarrow as pa

Stage = Literal["read", "map", "validate", "deliver"]

# Why a row or record was rejected, in the words of the dead letters: one place to look a code up.
# read: width, encoding, too_long; map: missing, type, expression, timestamp...; validate: the contract's limits;
# deliver: what the API said.


@dataclass(frozen=True)
class Reason:
    """Why a row or record was rejected.

    Attributes:
        code: a stable word a program can rely on.
        message: for a person; holds no value from the row.
        field: the record's field, or the input column, that is at fault; None for the whole row.
    """

    code: str
    message: str
    field: str | None = None


@dataclass(frozen=True)
class Origin:
    """Where a row came from: the source's name for itself, and the row's number in it, from 1."""

    source: str
    row: int


@dataclass(frozen=True)
class Rejection:
    """A row or record that will not be delivered, with everything a person needs to find it again."""

    stage: Stage
    origin: Origin
    reasons: tuple[Reason, ...]
    row: dict[str, Any]
    record: dict[str, Any] | None = None
    response: dict[str, Any] | None = None
    sequence: int | None = None


@dataclass(frozen=True)
class InputBatch:
    """A batch of rows, each with its ordinal, and the rows that could not even be read.

    Attributes:
        data: N rows, at most `ROWS_MAX`; the columns as the source names them.
        ordinals: N int64, the rows' numbers in `source`, from 1, ascending.
        source: the origin's name: a file's path as written, a table, `query`.
        unread: rejections of the read stage, met since the batch before.
    """

    data: "pa.RecordBatch"
    ordinals: "pa.Int64Array"
    source: str
    unread: Sequence[Rejection] = ()


@dataclass(frozen=True)
class Reading:
    """One pass over a source.

    Attributes:
        schema: the input columns. Every batch has exactly these.
        batches: the rows, once, in the source's order; asked for by one thread at a time, not always the same.
    """

    schema: "pa.Schema"
    batches: Iterator[InputBatch]


@dataclass(frozen=True)
class LoadedFile:
    """A file that was loaded, or is to be, and what it is known again by.

    Attributes:
        name: as the source calls it.
        bytes: its size.
        digest: of its content: `sha256:...`, or a store's own tag.
    """

    name: str
    bytes: int
    digest: str


@runtime_checkable
class ArrivingFiles(Protocol):
    """What a source of files is besides: it knows which of them it has not given before."""

    def arrivals(self) -> tuple[LoadedFile, ...]:
        """Give the files that a reading gives the rows of."""
        ...


class Source(Protocol):
    """What a source is: something with a fingerprint that can be read once.

    Both raise `SourceError` (refused) or `SourceUnavailableError` (try later).
    """

    def fingerprint(self) -> str:
        """Identify the bytes that `read` would give, cheaply; equal before and after means unchanged."""
        ...

    def read(self) -> Reading:
        """Open the source and give its columns and its rows."""
        ...


# Rows in one input batch. Measured: as fast as four times as many, and 60 MB less at the peak.
ROWS_MAX = 16_384
# Bytes in one input batch, so that a wide table does not multiply memory.
BATCH_BYTES_MAX = 16 * 1024 * 1024


class Verdict(StrEnum):
    """What the API made of one attempt; decided in `sender.client`, nowhere else.

    delivered: 200 to our own POST, whole body written, a JSON object whose `success` is true.
    not_sent: nothing reached the API; a retry is free.
    rejected: 400 (404, 405, 415, 422 once something was delivered), or 200 with `success: false`.
    refused_key: 401, 403.
    too_big: 413.
    throttled: 429, or 503 with Retry-After.
    server_error: 408 and every other 5xx; documented to mean that a retry may duplicate.
    unknown: the request was sent, and its answer never came, or cannot be read.
    misrouted: a redirect, TLS, HTML: not Bucket.
    """

    DELIVERED = "delivered"
    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    REFUSED_KEY = "refused_key"
    TOO_BIG = "too_big"
    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    UNKNOWN = "unknown"
    MISROUTED = "misrouted"


HTTP_SERVER_ERROR: Final = 500


@dataclass(frozen=True)
class Outcome:
    """What one attempt came to.

    Attributes:
        verdict: its class.
        status: the HTTP status, None when no answer came.
        message: for a person; scrubbed, and capped in length.
        details: the server's own words on a rejection, as they came.
        retry_after_s: seconds the server asked for, None when it did not.
    """

    verdict: Verdict
    status: int | None = None
    message: str = ""
    details: dict[str, Any] | None = None
    retry_after_s: float | None = None

    @property
    def ambiguous(self) -> bool:
        """Whether the API may have applied the chunk all the same: sending it again may duplicate."""
        lost = self.verdict in {Verdict.SERVER_ERROR, Verdict.UNKNOWN}
        return lost or (self.status is not None and self.status >= HTTP_SERVER_ERROR)


@dataclass(frozen=True)
class Joined(Sequence[bytes]):
    """Records that lie in one body, as it is sent: in brackets, a comma between two.

    Attributes:
        body: the whole.
        ends: where each of N records and its comma end, counted from any `start`.
        start: what the first of them is counted from.
    """

    body: bytes
    ends: Sequence[int]
    start: int = 0

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[bytes, ...]: ...
    def __getitem__(self, place: int | slice) -> bytes | tuple[bytes, ...]:
        if isinstance(place, slice):
            return tuple(self[one] for one in range(*place.indices(len(self))))
        place = range(len(self))[place]
        before = self.ends[place - 1] if place else self.start
        return self.body[1 + before - self.start : self.ends[place] - self.start]


@dataclass(frozen=True)
class Chunk:
    """What one HTTP request carries: records of one stream, named by their sequences in its plan.

    Attributes:
        stream: the stream's position in the plan, from 0.
        sequences: N places in the stream's plan, ascending.
        records: N records' JSON, each encoded once, as UTF-8.
        ids: the users and companies named, for kinds whose order matters; empty otherwise.
        bare: the body is the one record itself, not a list: the legacy APIs have no `/bulk`.
    """

    stream: int
    sequences: Sequence[int]
    records: Sequence[bytes]
    ids: frozenset[str] = field(default=frozenset())
    bare: bool = False

    @cached_property
    def body(self) -> bytes:
        """The request's body: the same bytes at every attempt."""
        if self.bare:
            (record,) = self.records
            return record
        return self.records.body if isinstance(self.records, Joined) else b"[" + b",".join(self.records) + b"]"

    @cached_property
    def members(self) -> str:
        """The sequences as ranges, `0-99` or `0-16,18-99`: the chunk's name within its stream."""
        return spell_ranges(self.sequences)

    @cached_property
    def digest(self) -> bytes:
        """The body's sha256."""
        return hashlib.sha256(self.body).digest()

    def part(self, positions: Sequence[int]) -> "Chunk":
        """Give the chunk of some of the records, by their positions in this one."""
        return Chunk(
            stream=self.stream,
            sequences=tuple(self.sequences[position] for position in positions),
            records=tuple(self.records[position] for position in positions),
            ids=self.ids,
            bare=self.bare,
        )


def spell_ranges(sequences: Sequence[int]) -> str:
    """Spell ascending numbers as ranges: 0, 1, 2, 5 is `0-2,5-5`."""
    if isinstance(sequences, range) and sequences.step == 1:
        return f"{sequences[0]}-{sequences[-1]}"
    found: list[list[int]] = []
    for sequence in sequences:
        if found and found[-1][1] == sequence - 1:
            found[-1][1] = sequence
        else:
            found.append([sequence, sequence])
    return ",".join(f"{first}-{last}" for first, last in found)


def read_ranges(text: str) -> tuple[int, ...]:
    """Read what `spell_ranges` wrote."""
    return tuple(chain.from_iterable(range(first, last + 1) for first, last in ranges(text)))


def ranges(text: str) -> list[tuple[int, int]]:
    """Give the first and the last of each range that `spell_ranges` wrote."""
    pairs = (part.partition("-") for part in text.split(","))
    return [(int(first), int(last)) for first, _, last in pairs]


@dataclass
class Counts:
    """Where every row of a stream went. Promise: read + removed = all the others but the last two."""

    read: int = 0
    removed: int = 0
    delivered: int = 0
    rejected: int = 0
    unchanged: int = 0
    superseded: int = 0
    filtered: int = 0
    pending: int = 0
    unknown: int = 0
    possibly_duplicated: int = 0

    def conserved(self) -> bool:
        """Tell whether every row is accounted for exactly once."""
        ended = self.delivered + self.rejected + self.unchanged + self.superseded + self.filtered + self.pending
        return self.read + self.removed == ended


def row_as_json(batch: "pa.RecordBatch", index: int) -> dict[str, Any]:
    """Give one row as JSON can hold it, for a person to find it again: what JSON lacks is spelt as text."""
    row: dict[str, Any] = batch.slice(index, 1).to_pylist()[0]
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:  # noqa: ANN401  # any value of a row
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(child) for child in value]
    return str(value)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, for their owner alone; their names survive a power cut."""
    missing = [path, *path.parents]
    missing = missing[: next(number for number, folder in enumerate(missing) if folder.is_dir())]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True, mode=0o700)
        sync(folder.parent)


def sync(path: Path) -> None:
    """Make a file, or a folder's list of names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_digest(path: Path) -> str:
    """Give a file's sha256, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
