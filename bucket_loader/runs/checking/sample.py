"""Which rows a check looks at, and the plan that is made of them and thrown away."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bucket_loader.config import FileSource, Pipeline, QuerySource, scheme_of
from bucket_loader.model import InputBatch
from bucket_loader.planning import Plan
from bucket_loader.runs.job import Job, opened
from bucket_loader.runs.plan import make_plan

# Measured: 100,000 rows of a file are read, mapped, planned and doubted in half a second of two cores.
FILE_ROWS: Final = 100_000
OTHER_ROWS: Final = 10_000  # of a database or a store, where each row is paid for
# The first rows of an export may be unlike the others. A file of this disk is cheap to read on.
SPREAD_ROWS: Final = 200  # of each batch after them
READ_ROWS: Final = 1_000_000


@dataclass(frozen=True)
class Extent:
    """Which rows of a stream are looked at.

    Attributes:
        first: this many at its beginning; None is all.
        is_spread: whether some of the rows after them are looked at as well.
    """

    first: int | None
    is_spread: bool = False


class Sample:
    """The rows that are looked at: a stream's first, and for a file on this disk some of each batch after them.

    Attributes:
        rows_max: how many there are of each stream at the most; None for all.
    """

    def __init__(self, pipeline: Pipeline, *, limit: int | None = None, whole: bool = False) -> None:
        self.rows_max = None if whole and limit is None else limit or READ_ROWS
        self._extents = {
            stream.name: Extent(limit) if limit is not None or whole else _extent(pipeline.source_of(stream))
            for stream in pipeline.streams
        }
        self._read: dict[str, int] = {}
        self._cut: set[str] = set()

    def __call__(self, stream: str, batches: Iterator[InputBatch]) -> Iterator[InputBatch]:
        """Yield what is looked at of a stream's batches."""
        extent, read = self._extents[stream], 0
        for batch in batches:
            left = batch.count if extent.first is None else max(extent.first - read, 0)
            is_over = read >= READ_ROWS if extent.is_spread else not left
            if batch.count > left:
                self._cut.add(stream)
            if is_over:
                return
            read += batch.count
            self._read[stream] = read
            yield batch.first(left) if left else batch.spread(SPREAD_ROWS)

    def is_whole(self, stream: str) -> bool:
        """Whether every row of a stream was looked at."""
        return stream not in self._cut

    def text(self, stream: str, looked_at: int) -> str:
        """Say which rows of a stream were looked at."""
        if self.is_whole(stream):
            return f"all {looked_at:,} rows"
        extent = self._extents[stream]
        if not extent.is_spread:
            return f"the first {looked_at:,} rows"
        return f"{looked_at:,} of its first {self._read[stream]:,} rows, spread over them"


def _extent(source: object) -> Extent:
    is_here = isinstance(source, FileSource) and scheme_of(source.path) is None
    if is_here or isinstance(source, QuerySource):  # a query is over named sources, which were read whole before
        return Extent(FILE_ROWS, is_spread=True)
    return Extent(OTHER_ROWS)


@contextmanager
def planned_sample(job: Job, sample: Sample) -> Iterator[Plan]:
    """Plan some rows of each stream against no memory; nothing of it is left at the end."""
    with TemporaryDirectory(prefix="bucket_loader-") as folder:
        options = replace(job.options, state=Path(folder), limit=sample.rows_max, expect_state=False)
        looking = replace(job, options=options)
        with opened(looking) as state:
            planned = make_plan(looking, state, sample)
        yield planned
