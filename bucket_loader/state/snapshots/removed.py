"""Finding what was delivered and is no longer in the source."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pyarrow as pa

from bucket_loader.model import Counts
from bucket_loader.state.duck import one_row, own_database, quoted
from bucket_loader.state.records import Records
from bucket_loader.state.snapshots.comparing import show_memory
from bucket_loader.state.snapshots.pages import part_schema
from bucket_loader.state.snapshots.parts import Memory, key_ranges
from bucket_loader.state.snapshots.staged import by_range

PRESENT_SCHEMA: Final = pa.schema([("subject", pa.binary(16))])
_NOBODY: Final = "SELECT CAST(NULL AS UUID) AS subject WHERE false"
_ROWS_AT_ONCE: Final = 1_000_000  # of the plan and the memory together; the memory's have ids


@dataclass(frozen=True)
class Removed:
    """What the memory knows and the source no longer has.

    Attributes:
        counts: how many rows those are.
        known_ids: keys that the memory holds with their ids, without those that were removed before: only they can
            be found here.
        without_ids: those that it holds without.
    """

    counts: Counts = field(default_factory=Counts)
    known_ids: int = 0
    without_ids: int = 0


def find_removed(staged: Records, present: Sequence[Path], memory: Memory, found: Path, *, subject: str) -> Removed:
    """Find the rows that were delivered and are no longer in the source.

    Args:
        staged: the `key` of every row that makes a record.
        present: files with the `subject` of every row that is there, whatever became of it.
        memory: what the stream remembers.
        found: where to write them, by key; a Parquet file (`key`, `ids`).
        subject: SQL that gives a subject from `ids`. A company may have many keys, one with each user; as long as one
            of its rows is there, none of them counts as removed.
    """
    known_ids = without_ids = 0
    ranges = key_ranges(len(staged) + memory.rows, _ROWS_AT_ONCE)
    with own_database(found.parent) as connection, TemporaryDirectory(dir=found.parent) as name:
        connection.execute("CREATE TABLE candidates (key UUID, ids VARCHAR)")
        for piece in by_range(staged, ranges, Path(name)):
            piece.show(connection)
            show_memory(connection, memory.of(piece.keys, part_schema(ids=True)))
            connection.execute(
                "INSERT INTO candidates SELECT key, ids FROM living ANTI JOIN staged USING (key) WHERE ids IS NOT NULL"
            )
            known, with_ids = one_row(connection, "SELECT count(*), count(ids) FROM living")
            known_ids, without_ids = known_ids + with_ids, without_ids + known - with_ids
        shown = [f"SELECT CAST(subject AS UUID) AS subject FROM read_parquet({quoted(path)})" for path in present]
        connection.execute(f"CREATE VIEW present AS {' UNION ALL '.join(shown or [_NOBODY])}")
        (rows,) = one_row(
            connection,
            f"COPY (SELECT CAST(key AS BLOB) AS key, ids FROM candidates c ANTI JOIN present p "
            f"ON CAST({subject} AS UUID) = p.subject ORDER BY c.key) TO {quoted(found)} (FORMAT parquet)",
        )
    return Removed(Counts(removed=rows), known_ids, without_ids)
