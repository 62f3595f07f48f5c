"""The rows of a CSV file: each has its number, and those that are no good become rejections."""

import itertools
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bucket_loader.model import InputBatch, Origin, Reason, Rejection, SourceError, int64_array, repeated_text
from bucket_loader.sources.base import slices, without_rows
from bucket_loader.sources.files.bytestream import is_marked, unmarked
from bucket_loader.sources.files.csv_parser import SHOWN_MAX, Parser, Parsing, Ragged
from bucket_loader.sources.files.input_file import InputFile

if TYPE_CHECKING:
    import pyarrow as pa

    from bucket_loader.model import Numbers

# Rejections in one batch, so that a file of nothing but bad rows takes little more memory than another.
_UNREAD_MAX: Final = 8192


@dataclass(frozen=True)
class CsvFile:
    """A file, and what was seen at its beginning.

    Attributes:
        file: the file.
        names: of its columns.
        first: its first row; None where that is no header.
    """

    file: InputFile
    names: list[str]
    first: list[str | None] | None = None


@dataclass(frozen=True)
class CsvRows:
    """Returns the rows of a file. It pickles.

    Attributes:
        parser: of all files.
        schema: the columns of all files.
    """

    parser: Parser
    schema: "pa.Schema"

    def __call__(self, seen: CsvFile) -> Iterator[InputBatch]:
        """Return the rows."""
        import pyarrow as pa

        places = {name: place for place, name in enumerate(seen.names)}
        added = dict(seen.file.partitions)
        with self.parser.opened(seen.file, len(seen.names)) as parsing:
            rows = Numbering(seen.file, self.schema, parsing)
            for index, parsed in enumerate(parsing.batches):
                if index == 0:
                    _require_unchanged(seen, parsed)
                body = parsed.slice(1) if index == 0 else parsed
                arrays = [
                    body.column(places[name]) if name in places else repeated_text(added[name], body.num_rows)
                    for name in self.schema.names
                ]
                yield from rows.numbered(pa.RecordBatch.from_arrays(arrays, schema=self.schema))
            yield from rows.left()


def _require_unchanged(seen: CsvFile, parsed: "pa.RecordBatch") -> None:
    row = [column[0].as_py() for column in parsed.columns]
    if seen.first is not None and seen.first != row:
        raise SourceError(f"{seen.file.name} changed while it was read", hint="run again when nothing writes it")


class Numbering:
    """Number the rows of a file's batches: the numbers that the rows of the wrong width have left."""

    def __init__(self, file: InputFile, schema: "pa.Schema", parsing: Parsing) -> None:
        self._file = file
        self._schema = schema
        self._parsing = parsing
        self._next = 1

    def numbered(self, batch: "pa.RecordBatch") -> Iterator[InputBatch]:
        """Return the rows of one parsed block, each once: as data, or as a rejection."""
        ordinals = self._ordinals(batch.num_rows)
        for start, piece in slices(batch):
            numbers = ordinals[start : start + piece.num_rows]
            unread = yield from self._ragged_before(int(numbers[-1]))
            yield from self._sound(piece, numbers, unread)
        # Rows of the wrong width that follow directly; others may still get neighbours before them.
        following = itertools.takewhile(
            lambda pair: pair[0] == pair[1].row, enumerate(self._parsing.ragged, self._next)
        )
        self._next += sum(1 for _ in following)
        yield from self._left(self._next)

    def left(self) -> Iterator[InputBatch]:
        """Return the rejections that no row comes after."""
        yield from self._left(None)

    def _left(self, before: int | None) -> Iterator[InputBatch]:
        unread = yield from self._ragged_before(before)
        if unread:
            yield self._without_rows(unread)

    def _ordinals(self, count: int) -> "Numbers":
        import numpy as np

        ragged = np.array([row.row for row in self._parsing.ragged], dtype=np.int64)
        numbers = np.arange(self._next, self._next + count + len(ragged), dtype=np.int64)
        numbers = np.setdiff1d(numbers, ragged, assume_unique=True)[:count]
        if count:
            self._next = int(numbers[-1]) + 1
        return numbers

    def _ragged_before(self, ordinal: int | None) -> Generator[InputBatch, None, list[Rejection]]:
        """Return the rows of the wrong width before a row: most of many as batches, the last of them as a list."""
        ragged = self._parsing.ragged
        while True:
            taken = [row for row in ragged[:_UNREAD_MAX] if ordinal is None or row.row < ordinal]
            del ragged[: len(taken)]
            unread = [_rejected_width(self._file, row) for row in taken]
            if len(taken) < _UNREAD_MAX:
                return unread
            yield self._without_rows(unread)

    def _sound(self, piece: "pa.RecordBatch", numbers: "Numbers", unread: list[Rejection]) -> Iterator[InputBatch]:
        bad = _rows_with_nul(piece) if self._parsing.blocks.holds_nul else []
        if len(bad) > _UNREAD_MAX and piece.num_rows > 1:
            half = piece.num_rows // 2
            yield from self._sound(piece.slice(0, half), numbers[:half], unread)
            yield from self._sound(piece.slice(half), numbers[half:], [])
            return
        if bad:
            import numpy as np

            rejected = [_rejected_text(self._file, piece.slice(index, 1), int(numbers[index])) for index in bad]
            unread = sorted([*unread, *rejected], key=lambda rejection: rejection.origin.row)
            good = np.delete(np.arange(piece.num_rows), bad)
            piece, numbers = piece.take(int64_array(good)), numbers[good]
        yield InputBatch(piece, int64_array(numbers), self._file.name, unread)

    def _without_rows(self, unread: list[Rejection]) -> InputBatch:
        return without_rows(self._schema, self._file.name, unread)


def _rows_with_nul(batch: "pa.RecordBatch") -> list[int]:
    from pyarrow import compute

    found: set[int] = set()
    for column in batch.columns:
        found.update(compute.indices_nonzero(compute.match_substring(column, "\0")).to_pylist())
    return sorted(found)


def _rejected_width(file: InputFile, row: Ragged) -> Rejection:
    fields = "field" if row.found == 1 else "fields"
    reason = Reason("width", f"the row has {row.found} {fields}, the header has {row.expected}")
    return Rejection("read", Origin(file.name, row.row), (reason,), {"line": unmarked(row.line)})


def _rejected_text(file: InputFile, batch: "pa.RecordBatch", ordinal: int) -> Rejection:
    values = batch.to_pylist()[0]
    reasons = [_reason(name, value) for name, value in values.items() if value is not None and "\0" in value]
    shown = {name: value if value is None else unmarked(value)[:SHOWN_MAX] for name, value in values.items()}
    return Rejection("read", Origin(file.name, ordinal), tuple(reasons), shown)


def _reason(column: str, value: str) -> Reason:
    if is_marked(value):
        message = "the value is not text in the encoding of the file; if the whole file is in another, declare it"
        return Reason("encoding", message, column)
    return Reason("nul", "the value has a NUL character in it", column)
