"""How much room on its disk a run will take, told before it plans: the least, and the most that is to be expected.

What is known is cheap: sizes of files, footers of Parquet, and what the last plan came to. So it is two numbers and not
one. The factors were measured over the shapes of `benchmarks/shapes` and the sample pipelines (docs/performance.md).
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bucket_loader.config import AnySource, QuerySource, Stream
from bucket_loader.model import BucketLoaderError, LoadedFile, SourceUnavailableError
from bucket_loader.planning.request import PlanRequest
from bucket_loader.sources import Extent, SourceContext, extent_of, table_names

HASHES_BYTES: Final = 32  # of a row's key and of its content
CHOSEN_BYTES: Final = 24  # a row's place and key, while it is decided what is sent
LEDGER_BYTES: Final = 3  # of a row: 250 bytes for a request of a hundred
LETTER_BYTES: Final = 1_200  # of a rejected row: 600 bytes of JSON beside the plan, and once more as its dead letter
LOG_BYTES: Final = 4 * 1024 * 1024  # the ledger's own log, before it is emptied
LEAST_ROW_BYTES: Final = 12  # compressed, where nobody counts the rows
# Of a row its columns and its record are planned, compressed: so much of the source's own compressed bytes.
LEAST_OF_SOURCE: Final = 0.6
MOST_OF_TEXT: Final = 3.0
MOST_OF_COLUMNS: Final = 5.0
# And at most so much of what the last plan tells. It may be of other rows, columns or conditions, so it says no least.
MOST_OF_BEFORE: Final = 1.5


@dataclass(frozen=True)
class Between:
    """A number that is not known better than this: at least, and at most as far as can be expected."""

    low: float = 0
    high: float = 0

    def __add__(self, other: "Between") -> "Between":
        return Between(self.low + other.low, self.high + other.high)

    def times(self, low: float, high: float | None = None) -> "Between":
        """Return it multiplied."""
        return Between(self.low * low, self.high * (low if high is None else high))


@dataclass(frozen=True)
class Before:
    """What an earlier plan of a stream came to.

    Attributes:
        read: how many rows it read.
        kept: how many of them were neither rejected nor left out by `where:`.
        rejected: how many were rejected.
        record_bytes: what a record takes in its file, with its hashes and the row it was made from; None where it had
            too few.
    """

    read: int
    kept: int
    rejected: int
    record_bytes: float | None


@dataclass(frozen=True)
class _Taken:
    """The bytes that a stream takes: while it is planned, in the finished plan, and when it is delivered."""

    peak: Between
    final: Between
    after: Between


def needed(request: PlanRequest, before: Mapping[str, Before], *, looks: bool) -> Between | None:
    """Return the bytes that a run will take beside what is there; None where nothing is known of them.

    Args:
        request: the plan that is to be made.
        before: what the last plan of each stream came to.
        looks: whether to look into a few of the sources' files.

    Raises:
        SourceUnavailableError: a source's store cannot be reached.
    """
    if request.limit is not None:
        return None
    tables = [_extent(request, request.pipeline.sources[name], looks=looks) for name in _kept(request)]
    room = sum((_of_source(table) for table in tables if table is not None), Between())
    found = [_taken(request, stream, before.get(stream.name), looks=looks) for stream in request.wanted()]
    taken = [one for one in found if one is not None]
    if not taken and not any(tables):
        return None
    tops = [room]
    for one in taken:
        tops.append(room + one.peak)
        room += one.final
    tops.append(sum((one.after for one in taken), room))
    return Between(max(top.low for top in tops), max(top.high for top in tops) + LOG_BYTES)


def _kept(request: PlanRequest) -> set[str]:
    """Return the named sources that are kept on disk while the streams are planned."""
    specs = {stream.name: request.pipeline.source_of(stream) for stream in request.wanted()}
    named = [stream.source for stream in request.wanted() if isinstance(stream.source, str)]
    under = {name for spec in specs.values() if isinstance(spec, QuerySource) for name in _tables(spec)}
    return {name for name in {*named, *under} & request.pipeline.sources.keys()
            if name in under or named.count(name) > 1}  # fmt: skip


def _tables(spec: QuerySource) -> set[str]:
    with suppress(BucketLoaderError):  # the planning words it
        return table_names(spec.sql)
    return set()


def _extent(
    request: PlanRequest, spec: AnySource, loaded: Iterable[LoadedFile] | None = None, *, looks: bool
) -> Extent | None:
    moments = {"as_of": request.as_of}
    if request.interval is not None:
        moments |= {"interval_start": request.interval[0], "interval_end": request.interval[1]}
    context = SourceContext(request.base, moments, loaded=None if loaded is None else frozenset(loaded))
    try:
        return extent_of(spec, context, looks=looks)
    except SourceUnavailableError:
        raise
    except BucketLoaderError:
        return None  # the planning words it, with the stream's name


def _taken(request: PlanRequest, stream: Stream, before: Before | None, *, looks: bool) -> _Taken | None:
    """Return what a stream takes; None where nothing is known of it."""
    spec = request.pipeline.source_of(stream)
    loaded = None
    if getattr(spec, "new_files", False):
        loaded = () if request.full else request.loaded.get(stream.name, ())
    extent = _extent(request, spec, loaded, looks=looks)
    if extent is None and before is None:
        return None
    rows, staged = _rows_and_records(stream, extent, before)
    letters = Between() if before is None else Between(0, before.rejected * LETTER_BYTES * MOST_OF_BEFORE)
    if not _is_hashed(stream):
        return _Taken(staged + letters, staged + letters, rows.times(LEDGER_BYTES))
    # Of what is compared nobody knows before how much is sent: nothing, or all, which then lies there twice for a time.
    is_sent = stream.mode.once and stream.key is None and stream.name not in request.memory
    sent = Between(1.0 if is_sent else 0.0, 1.0)
    final = staged.times(sent.low, sent.high)
    remembered = LEDGER_BYTES + (HASHES_BYTES if stream.mode.remembers else 0)
    peak = staged + Between(0, final.high + rows.high * CHOSEN_BYTES)
    return _Taken(peak + letters, final + letters, rows.times(remembered * sent.low, remembered * sent.high))


def _rows_and_records(stream: Stream, extent: Extent | None, before: Before | None) -> tuple[Between, Between]:
    """Return how many rows of a stream make a record, and the bytes of these records and rows."""
    row_bytes = None if before is None else before.record_bytes
    if extent is None:
        assert before is not None  # noqa: S101  # narrows the type
        rows = Between(0, before.kept * MOST_OF_BEFORE)  # another interval may be another size
        return rows, rows.times(0, (row_bytes or 0) * MOST_OF_BEFORE)
    share = Between(1, 1) if stream.where is None else _share(before)
    most = extent.packed_bytes / LEAST_ROW_BYTES if extent.rows is None else extent.rows
    least = extent.rows or 0 if extent.is_columnar else 0  # a row of text may have many lines
    rows = Between(least * share.low, most * share.high)
    found = _of_source(extent).times(share.low, share.high) + rows.times(HASHES_BYTES if _is_hashed(stream) else 0)
    if row_bytes is not None and extent.rows is not None:
        return rows, Between(found.low, max(found.low, rows.high * row_bytes * MOST_OF_BEFORE))
    return rows, found


def _is_hashed(stream: Stream) -> bool:
    return stream.mode.remembers or stream.ordered


def _share(before: Before | None) -> Between:
    """Return the share of rows that `where:` leaves."""
    if before is None or not before.read:
        return Between(0, 1)
    return Between(0, min(1.0, before.kept / before.read * MOST_OF_BEFORE))


def _of_source(extent: Extent) -> Between:
    most = MOST_OF_COLUMNS if extent.is_columnar else MOST_OF_TEXT
    return Between(extent.packed_bytes * LEAST_OF_SOURCE, extent.packed_bytes * most)
