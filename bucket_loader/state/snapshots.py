"""Memory: what each stream last delivered, as hashes; compact and compare a plan against it.

Only 16-byte hashes and positions enter a join or a hash table; the records' JSON never does. A stream's memory is a
list of parts (Parquet: `key`, `content`), later ones winning; a null content means "claimed": sent, answer unknown.
The parts of a stream with `on_removed:` have `ids` besides, JSON text: no id can be read off a hash.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import md5
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bucket_loader.model import DISK, Counts, Disk, Sync, written_whole
from bucket_loader.state.duck import one_row, own_database, quoted

PART_SCHEMA: Final = pa.schema([("key", pa.binary(16)), ("content", pa.binary(16))])
PART_SCHEMA_WITH_IDS: Final = PART_SCHEMA.append(pa.field("ids", pa.string()))
PRESENT_SCHEMA: Final = pa.schema([("subject", pa.binary(16))])
PARTS_MAX: Final = 8  # more are merged into one when the stream settles
REMOVED: Final = md5(
    b"removed", usedforsecurity=False
).digest()  # the content of a row that was told to be gone, or refused late


@dataclass(frozen=True)
class Compared:
    """What compacting and comparing came to, in rows of the staged plan.

    Attributes:
        counts: rows that a later row of the same key replaces, rows that the memory already holds, and rows to send.
        known: keys that the memory held before, without those that count as removed.
        changed: rows to send whose key was known with another content; without those that were refused before.
        renumbered: rows whose final key is not the staged one: equal rows after the first.
    """

    counts: Counts
    known: int = 0
    changed: int = 0
    renumbered: int = 0


Identity = Literal["key", "content", "row"]


@dataclass(frozen=True)
class Known:
    """What is known of a stream's records: files with `key` and `content`.

    Attributes:
        memory: what was delivered, or may have been: the stream's parts, oldest first.
        refused: what was refused.
    """

    memory: Sequence[Path] = ()
    refused: Path | None = None


def compare(
    staged: Path,
    known: Known,
    selected: Path,
    *,
    mode: Sync,
    identity: Identity,
) -> Compared:
    """Decide which staged rows are sent.

    Args:
        staged: a Parquet file with `key` and `content`, N rows; a row's position is its place in the file.
        known: what is known of them.
        selected: where to write the rows to send: `position` and `key`; and beside it, at `refused_beside`, those of
            them that are known as refused, with what is known.
        mode: whether the memory is asked, and whether it is asked for the content too, or for the key alone.
        identity: `content` numbers equal rows, so that two equal rows are two events; `key` keeps the last one; `row`
            keeps all.
    """
    same = "ANTI JOIN living m ON m.key = k.key" if mode.remembers else ""
    same += " AND m.content = k.content" if mode.compares else ""
    ranges = _key_ranges([staged, *known.memory])
    with own_database(selected.parent) as connection, TemporaryDirectory(dir=selected.parent) as name:
        if known.refused is not None:
            connection.execute(f"CREATE TABLE refused AS FROM ({_shown(known.refused)})")
        rows = _Rows(connection, staged, known, identity, same)
        sums, sent = rows.at_once() if len(ranges) == 1 else rows.by_range(ranges, Path(name))
        if known.refused is not None:
            found = f"SELECT s.position, {_BLOBS}, run, day, tried FROM {sent} s JOIN refused k USING (key, content)"
            _write(connection, f"{found} ORDER BY s.position", refused_beside(selected))
            sent = f"(FROM {sent} ANTI JOIN refused USING (key, content))"
        _write(connection, f"SELECT position, CAST(key AS BLOB) AS key FROM {sent} ORDER BY position", selected)
    counts = Counts(
        superseded=sums["total"] - sums["kept"], unchanged=sums["kept"] - sums["sent"], pending=sums["sent"]
    )
    return Compared(counts, sums["known"], sums["changed"], sums["renumbered"])


def refused_beside(selected: Path) -> Path:
    """Return the file of the rows that are known as refused, beside that of the rows to send."""
    return selected.with_suffix(".refused")


_BLOBS: Final = "CAST(k.key AS BLOB) AS key, CAST(k.content AS BLOB) AS content"


def _shown(refused: Path) -> str:
    hashes = "CAST(key AS UUID) AS key, CAST(content AS UUID) AS content"
    return f"SELECT {hashes}, run, day, tried FROM read_parquet({quoted(refused)})"


@dataclass(frozen=True)
class _Rows:
    """The rows to compare, all at once or range by range; either way returns sums, and SQL for the rows to send."""

    connection: duckdb.DuckDBPyConnection
    staged: Path
    known: Known
    identity: Identity
    same: str

    def at_once(self) -> tuple[Counter[str], str]:
        sums = self._kept("true")
        return sums + self._send("kept"), "sent"

    def by_range(self, ranges: Sequence[str], pieces: Path) -> tuple[Counter[str], str]:
        sums: Counter[str] = Counter()
        for number, keys in enumerate(ranges):
            sums += self._kept(keys)
            # A key that was renumbered belongs to another range.
            _write(self.connection, "FROM kept WHERE renumbered", pieces / f"again-{number}.parquet")
            sums += self._send("(FROM kept WHERE NOT renumbered)")
            _write(self.connection, "FROM sent", pieces / f"sent-{number}.parquet")
        for number, keys in enumerate(ranges if sums["renumbered"] else []):
            _remember(self.connection, self.known.memory, keys)
            again = f"(FROM read_parquet({quoted(pieces / 'again-*.parquet')}) WHERE {keys})"
            sums += self._send(again)
            _write(self.connection, "FROM sent", pieces / f"sent-again-{number}.parquet")
        return sums, f"read_parquet({quoted(pieces / 'sent-*.parquet')})"

    def _kept(self, keys: str) -> Counter[str]:
        _show_staged(self.connection, self.staged, keys)
        _remember(self.connection, self.known.memory, keys)
        sums = _keep(self.connection, self.identity)
        (known,) = one_row(self.connection, "SELECT count(*) FROM living")
        return sums + Counter(known=known)

    def _send(self, kept: str) -> Counter[str]:
        """Choose those that the memory does not hold."""
        content, new = ("", "sent") if self.known.refused is None else (", k.content", _NEW)
        self.connection.execute(
            f"CREATE OR REPLACE TABLE sent AS SELECT k.position, k.key{content} FROM {kept} k {self.same}"
        )
        sent, changed = one_row(
            self.connection,
            f"SELECT (SELECT count(*) FROM sent), (SELECT count(*) FROM living SEMI JOIN {new} USING (key))",
        )
        return Counter(sent=sent, changed=changed)


def _keep(connection: duckdb.DuckDBPyConnection, identity: Identity) -> Counter[str]:
    """Show the rows that each stand for a key."""
    if identity == "row":
        connection.execute(_KEEP_ALL)
        (total,) = one_row(connection, "SELECT count(*) FROM staged")
        return Counter(total=total, kept=total)
    total, keys = one_row(connection, "SELECT count(*), (SELECT count(*) FROM (SELECT key FROM staged GROUP BY key)) "
                                   "FROM staged")  # fmt: skip
    if keys == total:
        connection.execute(_KEEP_ALL)
    elif identity == "key":
        connection.execute(_KEEP_LAST)
    else:
        connection.execute(_NUMBER_EQUALS)
        connection.execute("CREATE OR REPLACE VIEW kept AS FROM numbered")
    (renumbered,) = one_row(connection, "SELECT count(*) FROM kept WHERE renumbered")
    return Counter(total=total, kept=keys if identity == "key" else total, renumbered=renumbered)


_NEW: Final = "(FROM sent ANTI JOIN refused USING (key, content))"


def _write(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(f"COPY ({query}) TO {quoted(path)} (FORMAT parquet)")


_ROWS_AT_ONCE: Final = 16_000_000  # of the plan and the memory together; what fits into that memory


def _key_ranges(files: Sequence[Path]) -> list[str]:
    """Return conditions that cut the keys into ranges, each of which fits into memory: hashes are spread evenly."""
    rows = sum(int(pq.read_metadata(file).num_rows) for file in files)
    count = max(1, math.ceil(rows / _ROWS_AT_ONCE))
    if count == 1:
        return ["true"]
    bounds = [number * 0x10000 // count for number in range(count + 1)]
    return [
        f"key BETWEEN CAST('{first:04x}0000-0000-0000-0000-000000000000' AS UUID) "
        f"AND CAST('{after - 1:04x}ffff-ffff-ffff-ffff-ffffffffffff' AS UUID)"
        for first, after in itertools.pairwise(bounds)
    ]


_KEEP_ALL: Final = "CREATE OR REPLACE VIEW kept AS SELECT position, key, content, false AS renumbered FROM staged"
# The last row of a key wins, whole.
_KEEP_LAST: Final = (
    f"{_KEEP_ALL} SEMI JOIN (SELECT max(position) AS position FROM staged GROUP BY key) USING (position)"
)
# Equal rows are distinct events: the first keeps its key, the others add how many came before. Only keys that do
# repeat enter the window.
_NUMBER_EQUALS: Final = """
    CREATE OR REPLACE TABLE numbered AS
    WITH repeated AS (SELECT key FROM staged GROUP BY key HAVING count(*) > 1),
         counted AS (
            SELECT position, key, content, row_number() OVER (PARTITION BY key ORDER BY position) AS occurrence
            FROM staged WHERE key IN (FROM repeated)
         )
    SELECT position, key, content, false AS renumbered FROM staged WHERE key NOT IN (FROM repeated)
    UNION ALL
    SELECT position,
           CASE WHEN occurrence = 1 THEN key
                ELSE CAST(unhex(md5(hex(CAST(key AS BLOB)) || ':' || occurrence)) AS UUID) END,
           content, occurrence > 1
    FROM counted
"""


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


def find_removed(staged: Path, present: Path, memory: Sequence[Path], found: Path, *, subject: str) -> Removed:
    """Find the rows that were delivered and are no longer in the source.

    Args:
        staged: a Parquet file with the `key` of every row that makes a record.
        present: one with the `subject` of every row that is there, whatever became of it.
        memory: the stream's parts, oldest first.
        found: where to write them, by key; a Parquet file (`key`, `ids`).
        subject: SQL that gives a subject from `ids`. A company may have many keys, one with each user; as long as one
            of its rows is there, none of them counts as removed.
    """
    with own_database(found.parent) as connection:
        _show_staged(connection, staged)
        _remember(connection, memory)
        connection.execute(f"CREATE VIEW present AS SELECT CAST(subject AS UUID) AS subject "
                           f"FROM read_parquet({quoted(present)})")  # fmt: skip
        connection.execute(
            "CREATE TABLE missing AS SELECT part, row FROM living ANTI JOIN staged USING (key) WHERE ids IS NOT NULL"
        )
        connection.execute("CREATE TABLE candidates AS SELECT key, ids FROM parts SEMI JOIN missing USING (part, row)")
        (rows,) = one_row(
            connection,
            f"COPY (SELECT CAST(key AS BLOB) AS key, ids FROM candidates c ANTI JOIN present p "
            f"ON CAST({subject} AS UUID) = p.subject ORDER BY c.key) TO {quoted(found)} (FORMAT parquet)",
        )
        known, known_ids = one_row(connection, "SELECT count(*), count(ids) FROM living")
    return Removed(Counts(removed=rows), known_ids, known - known_ids)


def _show_staged(connection: duckdb.DuckDBPyConnection, staged: Path, keys: str = "true") -> None:
    """Show the hashes as UUIDs: 16 bytes in place, where a blob would be a pointer to 16 bytes."""
    connection.execute(
        "CREATE OR REPLACE VIEW staged AS FROM (SELECT file_row_number AS position, CAST(key AS UUID) AS key, "
        f"CAST(content AS UUID) AS content FROM read_parquet({quoted(staged)}, file_row_number = true)) WHERE {keys}"
    )


def _remember(connection: duckdb.DuckDBPyConnection, memory: Sequence[Path], keys: str = "true") -> None:
    """Show the parts, what they say together, and of that what was not told to be gone."""
    for number, path in enumerate(memory):
        ids = "ids" if _has_ids(path) else "CAST(NULL AS VARCHAR)"
        connection.execute(
            f"CREATE OR REPLACE VIEW part{number} AS FROM (SELECT CAST(key AS UUID) AS key, "
            f"CAST(content AS UUID) AS content, {ids} AS ids, {number} AS part, file_row_number AS row "
            f"FROM read_parquet({quoted(path)}, file_row_number = true)) WHERE {keys}"
        )
    parts = [f"FROM part{number}" for number in range(len(memory))]
    # The newest part that names a key speaks for it, also when it says "claimed" (null).
    newest = [
        f"{part} ANTI JOIN ({' UNION ALL '.join(f'SELECT key {later}' for later in parts[number:])}) USING (key)"
        for number, part in enumerate(parts[:-1], 1)
    ]
    nothing = "SELECT NULL::UUID AS key, NULL::UUID AS content, NULL::VARCHAR AS ids, 0 AS part, 0 AS row WHERE false"
    connection.execute(f"CREATE OR REPLACE VIEW parts AS {' UNION ALL '.join(parts) or nothing}")
    connection.execute(f"CREATE OR REPLACE VIEW memory AS {' UNION ALL '.join([*newest, *parts[-1:]]) or nothing}")
    connection.execute(
        "CREATE OR REPLACE VIEW living AS FROM memory "
        f"WHERE content IS DISTINCT FROM CAST(unhex('{REMOVED.hex()}') AS UUID)"
    )


def named(memory: Sequence[Path], keys: pa.Array) -> pa.Array:
    """Return which of some keys the parts name."""
    found = [
        batch["key"].filter(pc.is_in(batch["key"], value_set=keys))
        for path in memory
        for batch in pq.ParquetFile(path).iter_batches(columns=["key"])
    ]
    return pa.concat_arrays([pa.array([], pa.binary(16)), *found])


def rows_of(part: Path) -> int:
    """Return how many rows a part has.

    Raises:
        OSError: it cannot be read.
    """
    try:
        return int(pq.read_metadata(part).num_rows)
    except pa.ArrowException as error:
        raise OSError(f"{part}: {error}") from None


def _has_ids(part: Path) -> bool:
    return "ids" in pq.read_schema(part).names


def write_part(
    path: Path, batches: Iterator[pa.RecordBatch], schema: pa.Schema = PART_SCHEMA, disk: Disk = DISK
) -> int:
    """Write a part durably: complete under its name, or not there. Returns its rows."""
    rows = 0
    with (
        written_whole(path, disk=disk) as file,
        pq.ParquetWriter(file, schema, compression=_COMPRESSION, use_dictionary=False) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


_COMPRESSION: Final = {"key": "none", "content": "none", "ids": "zstd"}  # hashes cannot be compressed
_BATCH_ROWS: Final = 65_536


def merge(parts: Sequence[Path], merged: Path) -> int:
    """Merge parts into one that says the same. Returns its rows."""
    schema = PART_SCHEMA_WITH_IDS if any(map(_has_ids, parts)) else PART_SCHEMA
    columns = {"key": "CAST(key AS BLOB) AS key", "content": "CAST(content AS BLOB) AS content", "ids": "ids"}
    query = f"SELECT {', '.join(columns[name] for name in schema.names)} FROM memory"

    def batches(connection: duckdb.DuckDBPyConnection) -> Iterator[pa.RecordBatch]:
        for keys in _key_ranges(parts):
            _remember(connection, parts, keys)
            yield from (batch.cast(schema) for batch in connection.sql(query).to_arrow_reader(_BATCH_ROWS))

    with own_database(merged.parent) as connection:
        return write_part(merged, batches(connection), schema)
