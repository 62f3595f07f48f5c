"""The compiled mapping at work: a batch in, records and worded rejections out, as many verdicts as rows."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bucket_loader.model import InputBatch, Origin, Reason, Rejection, Stage, UsageError, bool_array, row_as_json
from bucket_loader.planning.mapping.checks import BITS, Check
from bucket_loader.planning.mapping.database import SideDatabase
from bucket_loader.planning.mapping.excluded import Excluded
from bucket_loader.planning.mapping.gathered import Gathered
from bucket_loader.planning.mapping.members import NestedColumn
from bucket_loader.planning.mapping.nested.bulk import Bulk
from bucket_loader.planning.mapping.nested.spelling import NoFormError
from bucket_loader.planning.mapping.noticed import Noticed
from bucket_loader.planning.mapping.paths import Path
from bucket_loader.planning.mapping.query import BatchQuery, Failures, Prepared


@dataclass(frozen=True)
class Mapped:
    """What a batch came to.

    Attributes:
        records: K rows: `ordinal` int64, `record` text, `key` and `content` 16-byte hashes.
        kept: K int64: which of the batch's rows they are.
        rejections: the rows that make no record.
        filtered: how many rows failed `where:`.
        present: the subjects of all rows that have one, 16-byte hashes; None where nobody asks for them.
        nameless: how many rejected rows have none, so that nobody knows whose rows they are.
    """

    records: pa.Table
    kept: pa.Int64Array
    rejections: list[Rejection]
    filtered: int
    present: pa.ChunkedArray | None = None
    nameless: int = 0


@dataclass(frozen=True)
class Mapping:
    """A stream's fields, compiled against its source's columns. One connection: not for two readings at once.

    Attributes:
        query: the SELECT, over a table `input`.
        side: where nested values are spelt.
        columns: the columns that the SELECT reads, by number: the source's, and after them those inside of them.
        paths: the columns inside of them.
        checks: what the bits of the masks stand for.
        bulk: what flattens the nested columns before the SELECT.
        excluded: the names that it leaves out of nested columns, held against the rows.
        gathered: what limits ask of the rows.
        stream: the stream's name.
        masks: how many masks there are.
        subject: the field without which a row has no subject; None where nobody asks for subjects.
        changed_forms: the forms of its values that have changed: in which version of forms, and what.
        is_rekeyed: whether a changed form touches its `key:`.
        has_lists: whether lists may stand in what it maps, so that what is sent depends on `arrays:`.
        notes: what the user should know of its fields, before any row is seen.
        spread: the columns that a `*` sends; None where there is none.
    """

    query: BatchQuery
    side: SideDatabase
    columns: tuple[int, ...]
    paths: tuple[Path, ...]
    checks: tuple[Check, ...]
    bulk: tuple[Bulk, ...]
    excluded: Excluded
    gathered: Gathered
    stream: str
    masks: int
    subject: str | None = None
    changed_forms: tuple[tuple[int, str], ...] = ()
    is_rekeyed: bool = False
    has_lists: bool = False
    notes: tuple[str, ...] = ()
    spread: tuple[str, ...] | None = None

    @property
    def nested(self) -> list[NestedColumn]:
        """The columns that are flattened before the SELECT."""
        return [bulk.column for bulk in self.bulk]

    @property
    def noticed(self) -> Noticed:
        """What it has noticed so far of the rows beside their records."""
        return Noticed(tuple((one.column, one.seen) for one in self.nested), self.excluded, self.gathered)

    def over(self, batches: Iterable[InputBatch]) -> Iterator[tuple[InputBatch, Mapped]]:
        """Map batches, in order; they are read a few ahead, one at a time, in whatever thread.

        Raises:
            UsageError: a text time has no zone and the pipeline file names none.
        """
        with closing(self.query.results(map(self._prepared, batches))) as results:
            for prepared, verdicts in results:
                yield prepared.whole, self._mapped(prepared, verdicts)

    def apply(self, batch: InputBatch) -> Mapped:
        """Map one batch."""
        ((_, mapped),) = self.over([batch])
        return mapped

    def close(self) -> None:
        """Let go of the databases, and of the memory that they keep."""
        self.query.connection.close()
        self.side.close()

    # --- before the SELECT -------------------------------------------------------------------------------------

    def _prepared(self, batch: InputBatch) -> Prepared:
        """Set aside the rows that cannot be asked about, name the columns by number, and flatten what is nested."""
        unsound = self._unsound(batch.data)
        if not unsound:
            return Prepared(batch, batch, None, *self._input(batch), refused=[])
        # DuckDB takes text for UTF-8 unread: bytes that are not would break the record, or the database.
        places = pa.array([row for row in range(batch.data.num_rows) if row not in unsound], pa.int64())
        rest = batch.take(places)
        refused = [self._refused_text(batch, row, column) for row, column in unsound.items()]
        return Prepared(batch, rest, places, *self._input(rest), refused=refused)

    def _unsound(self, data: pa.RecordBatch) -> dict[int, str]:
        """Find the rows that hold text which is no text, and the first column of each that does."""
        names = {*(column.column for column in self.nested), *(path.column for path in self.paths)}
        numbers = {*self.columns, *map(data.schema.get_field_index, names)}
        found: dict[int, str] = {}
        for number in sorted(number for number in numbers if 0 <= number < data.num_columns):
            column = data.column(number)
            if _is_sound(column):
                continue
            plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
            rows = [row for row in range(len(plain)) if not _is_sound(plain.take(pa.array([row])))]
            found = dict.fromkeys(rows, data.schema.names[number]) | found
        return found

    def _refused_text(self, batch: InputBatch, row: int, column: str) -> Rejection:
        reason = Reason("encoding", f"column {column!r} holds text that is not UTF-8", column)
        return Rejection(
            "map", Origin(batch.source, batch.ordinals[row].as_py()), (reason,), row_as_json(batch.data, row)
        )

    def _widened(self, data: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[int, str]]:
        """Add the columns that are inside of others; beside them, the rows where one is text that is no JSON."""
        unparsed: dict[int, str] = {}
        for path in self.paths:
            values, bad = path.values(data)
            data = data.append_column(path.name, values)
            unparsed = dict.fromkeys(bad, path.column) | unparsed
        return data, unparsed

    def _input(self, batch: InputBatch) -> tuple[list[pa.Array], Failures, dict[int, str]]:
        self.excluded.look(batch.data)
        data, unparsed = self._widened(batch.data)
        arrays: list[pa.Array] = [_within_duckdb(data.column(index)) for index in self.columns]
        failures: Failures = {}
        for bulk in self.bulk:
            column = bulk.column
            texts, failed = bulk.spelt(data.column(column.column))
            column.seen.end_batch(batch.ordinals, batch.slice)
            failures |= {(column.number, row): error for row, error in failed.items()}
            mask = np.zeros(len(texts), np.bool_)
            mask[list(failed)] = True
            arrays += [texts, bool_array(mask)]
        return arrays, failures, unparsed

    # --- after it ----------------------------------------------------------------------------------------------

    def _mapped(self, prepared: Prepared, verdicts: pa.Table) -> Mapped:
        batch, filtered = prepared.batch, verdicts["filtered"]
        wrong = pc.cast(self._any(verdicts), pa.bool_())
        if prepared.unparsed:
            wrong = pc.or_(wrong, pc.is_in(pa.array(range(prepared.rows)), pa.array(list(prepared.unparsed))))
        flagged = pc.and_(wrong, pc.invert(filtered))
        kept = pc.indices_nonzero(pc.invert(pc.or_(flagged, filtered))).cast(pa.int64())
        whole = len(kept) == prepared.rows
        chosen = verdicts if whole else verdicts.take(kept)
        self.gathered.look(verdicts, chosen)
        ordinals = batch.ordinals if whole else batch.ordinals.take(kept)
        nameless = pc.and_(flagged, self._nameless(verdicts)) if self.subject is not None else None
        rejections = [*self._rejections(prepared, verdicts, flagged), *prepared.refused]
        return Mapped(
            records=chosen.select(["record", "key", "content"]).add_column(0, "ordinal", pa.chunked_array([ordinals])),
            kept=kept if prepared.places is None else prepared.places.take(kept),
            rejections=sorted(rejections, key=lambda rejection: rejection.origin.row),
            filtered=pc.sum(filtered).as_py() or 0,
            present=verdicts["subject"].filter(pc.invert(nameless)) if nameless is not None else None,
            nameless=len(prepared.refused) + ((pc.sum(nameless).as_py() or 0) if nameless is not None else 0),
        )

    def _nameless(self, verdicts: pa.Table) -> pa.ChunkedArray:
        """Return for each row whether something is wrong with the very field that names its subject."""
        bits = [0] * self.masks
        for index, check in enumerate(self.checks):
            bits[index // BITS] |= (check.field == self.subject) << (index % BITS)
        found = pc.bit_wise_and(verdicts["m0"], bits[0])
        for number in range(1, self.masks):
            found = pc.bit_wise_or(found, pc.bit_wise_and(verdicts[f"m{number}"], bits[number]))
        return pc.not_equal(found, 0)

    def _any(self, verdicts: pa.Table) -> pa.ChunkedArray:
        found = verdicts["m0"]
        for number in range(1, self.masks):
            found = pc.bit_wise_or(found, verdicts[f"m{number}"])
        return found

    def _rejections(self, prepared: Prepared, verdicts: pa.Table, flagged: pa.ChunkedArray) -> Iterator[Rejection]:
        batch = prepared.batch
        rows = pc.indices_nonzero(flagged)
        if not len(rows):
            return
        masks = verdicts.select([f"m{number}" for number in range(self.masks)]).take(rows).to_pydict()
        for position, row in enumerate(rows.to_pylist()):
            bits = [masks[f"m{number}"][position] for number in range(self.masks)]
            found = [check for index, check in enumerate(self.checks) if bits[index // BITS] >> (index % BITS) & 1]
            self._refuse_zoneless(found)
            unparsed = [_no_json(prepared.unparsed[row])] if row in prepared.unparsed else []
            stage: Stage = "map" if unparsed or any(check.stage == "map" for check in found) else "validate"
            yield Rejection(
                stage=stage,
                origin=Origin(batch.source, batch.ordinals[row].as_py()),
                reasons=(*unparsed, *(self._reason(check, row, prepared.failures) for check in found)),
                row=row_as_json(batch.data, row),
            )

    def _reason(self, check: Check, row: int, failures: Failures) -> Reason:
        for column in self.nested:
            if check.code == "nested" and check.field == column.target:
                failure = failures.get((column.number, row), NoFormError(check.message))
                return Reason(failure.code, f"column {column.column!r} {failure}", check.field)
        return check.reason()

    def _refuse_zoneless(self, found: list[Check]) -> None:
        columns = sorted({repr(check.column) for check in found if check.code == "timezone"})
        if columns:
            raise UsageError(
                f"stream {self.stream!r}: times without a zone in column {', '.join(columns)}",
                hint="write `timezone: UTC`, or the zone they are in, on the field or the stream",
            )


def _no_json(column: str) -> Reason:
    message = f"column {column!r} is not JSON, or holds half a character, so that nothing inside of it can be read"
    return Reason("nested", message, column)


# DuckDB counts microseconds from 1970 in 64 bits; coarser units reach further, and their overflow would end the batch.
_SECONDS_MAX = 9_000_000_000_000
_UNITS_A_SECOND = {"s": 1, "ms": 1_000}


def _within_duckdb(column: pa.Array) -> pa.Array:
    """Bring moments that DuckDB cannot hold to the year 287,000, where they are refused like any such year."""
    if not pa.types.is_timestamp(column.type) or column.type.unit not in _UNITS_A_SECOND:
        return column
    limit, counts = _SECONDS_MAX * _UNITS_A_SECOND[column.type.unit], column.cast(pa.int64())
    if all(abs(end or 0) <= limit for end in pc.min_max(counts).as_py().values()):
        return column
    numbers = pc.min_element_wise(pc.max_element_wise(counts, -limit, skip_nulls=False), limit,
                                  skip_nulls=False)  # fmt: skip
    return numbers.cast(column.type)


def _is_sound(column: pa.Array) -> bool:
    if pa.types.is_time(column.type):  # Arrow doubts 24:00:00, which is a time of DuckDB and PostgreSQL
        return True
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
