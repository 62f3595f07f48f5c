"""The compiled mapping at work: a batch in, records and worded rejections out, as many verdicts as rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from bucket_loader.errors import UsageError
from bucket_loader.mapping import nested
from bucket_loader.mapping.forms import ListOf
from bucket_loader.mapping.nested import NoFormError
from bucket_loader.records import InputBatch, Origin, Reason, Rejection, Stage, row_as_json


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong with a row: a predicate of the SELECT, and the reason it stands for."""

    predicate: str
    stage: Stage
    code: str
    message: str
    field: str | None = None
    column: str | None = None

    def reason(self) -> Reason:
        """Word the reason; the message names the column, never its value."""
        subject = f"column {self.column!r}" if self.column else self.field or "the row"
        return Reason(self.code, f"{subject} {self.message}", self.field)


@dataclass(frozen=True)
class NestedColumn:
    """A column whose values are flattened row by row before the SELECT.

    Attributes:
        number: its place; the SELECT sees `j<number>` (finished text) and `x<number>` (True where it failed).
        target: `attributes.<name>`, or a field that takes a list.
        column: the source's column.
        is_text: whether the column holds JSON text.
        taken: names that other fields have.
        send_nulls: whether null leaves are spelt.
        list_of: `booleans` or `texts` where the field takes a list, else None.
    """

    number: int
    target: str
    column: str
    is_text: bool
    taken: frozenset[str]
    send_nulls: bool
    list_of: ListOf | None = None

    def spell(self, value: object) -> str:
        """Spell one value as finished text.

        Raises:
            NoFormError: it has none.
        """
        if value is None:
            return ""
        parsed = nested.parse(value) if self.is_text and isinstance(value, str) else value
        if self.list_of is None:
            name = self.target.partition(".")[2]
            return nested.fragment(name, parsed, self.taken, send_nulls=self.send_nulls)
        member = bool if self.list_of == "booleans" else str
        if not isinstance(parsed, list) or not all(isinstance(item, member) for item in parsed):
            raise NoFormError(f"is not a list of {self.list_of}")
        return "[" + ",".join(map(nested.spell, parsed)) + "]"


@dataclass(frozen=True)
class Mapped:
    """What a batch came to.

    Attributes:
        records: K rows: `ordinal` int64, `record` text, `key` and `content` 16-byte hashes.
        kept: K int64: which of the batch's rows they are.
        rejections: the rows that make no record.
        filtered: how many rows failed `where:`.
    """

    records: pa.Table
    kept: pa.Int64Array
    rejections: list[Rejection]
    filtered: int


@dataclass(frozen=True)
class Mapping:
    """A stream's fields, compiled against its source's columns. One connection: not for two threads at once."""

    connection: duckdb.DuckDBPyConnection
    sql: str
    checks: tuple[Check, ...]
    nested: tuple[NestedColumn, ...]
    stream: str
    masks: int

    def apply(self, batch: InputBatch) -> Mapped:
        """Map a batch.

        Raises:
            UsageError: a text time has no zone and the pipeline file names none.
        """
        table, failures = self._input(batch)
        self.connection.register("input", table)
        try:
            verdicts: pa.Table = self.connection.sql(self.sql).to_arrow_table()
        finally:
            self.connection.unregister("input")
        if not verdicts["i"].combine_chunks().equals(table["i"].combine_chunks()):
            raise AssertionError("the mapping gave rows in another order than it took them")
        filtered = verdicts["filtered"]
        flagged = pc.and_(pc.not_equal(self._any(verdicts), 0), pc.invert(filtered))
        kept = pc.indices_nonzero(pc.invert(pc.or_(flagged, filtered))).cast(pa.int64())
        whole = len(kept) == batch.data.num_rows
        chosen = verdicts if whole else verdicts.take(kept)
        ordinals = batch.ordinals if whole else batch.ordinals.take(kept)
        records = chosen.select(["record", "key", "content"]).add_column(0, "ordinal", pa.chunked_array([ordinals]))
        return Mapped(
            records=records,
            kept=kept,
            rejections=list(self._rejections(batch, verdicts, flagged, failures)),
            filtered=pc.sum(filtered).as_py() or 0,
        )

    def _input(self, batch: InputBatch) -> tuple[pa.Table, dict[tuple[int, int], str]]:
        """Name the columns by number, count the rows, and flatten what is nested."""
        data = batch.data
        arrays: list[pa.Array] = [pa.array(range(data.num_rows), pa.int64()), *data.columns]
        names = ["i", *(f"c{index}" for index in range(data.num_columns))]
        failures: dict[tuple[int, int], str] = {}
        for column in self.nested:
            texts: list[str] = []
            for index, value in enumerate(data.column(column.column).to_pylist()):
                try:
                    texts.append(column.spell(value))
                except NoFormError as error:
                    failures[column.number, index] = str(error)
                    texts.append("")
            failed = [(column.number, index) in failures for index in range(data.num_rows)]
            arrays += [pa.array(texts, pa.string()), pa.array(failed, pa.bool_())]
            names += [f"j{column.number}", f"x{column.number}"]
        return pa.Table.from_arrays(arrays, names), failures

    def _any(self, verdicts: pa.Table) -> pa.ChunkedArray:
        found = verdicts["m0"]
        for number in range(1, self.masks):
            found = pc.bit_wise_or(found, verdicts[f"m{number}"])
        return found

    def _rejections(
        self, batch: InputBatch, verdicts: pa.Table, flagged: pa.ChunkedArray, failures: dict[tuple[int, int], str]
    ) -> Iterator[Rejection]:
        rows = pc.indices_nonzero(flagged)
        if not len(rows):
            return
        masks = verdicts.select([f"m{number}" for number in range(self.masks)]).take(rows).to_pydict()
        for position, row in enumerate(rows.to_pylist()):
            bits = [masks[f"m{number}"][position] for number in range(self.masks)]
            found = [check for index, check in enumerate(self.checks) if bits[index // 62] >> (index % 62) & 1]
            self._refuse_zoneless(found)
            stage: Stage = "map" if any(check.stage == "map" for check in found) else "validate"
            yield Rejection(
                stage=stage,
                origin=Origin(batch.source, batch.ordinals[row].as_py()),
                reasons=tuple(self._reason(check, row, failures) for check in found),
                row=row_as_json(batch.data, row),
            )

    def _reason(self, check: Check, row: int, failures: dict[tuple[int, int], str]) -> Reason:
        for column in self.nested:
            if check.code == "nested" and check.field == column.target:
                message = failures.get((column.number, row), check.message)
                return Reason(check.code, f"column {column.column!r} {message}", check.field)
        return check.reason()

    def _refuse_zoneless(self, found: list[Check]) -> None:
        columns = sorted({repr(check.column) for check in found if check.code == "timezone"})
        if columns:
            raise UsageError(
                f"stream {self.stream!r}: times without a zone in column {', '.join(columns)}",
                hint="write `timezone: UTC`, or the zone they are in, on the field or the stream",
            )
