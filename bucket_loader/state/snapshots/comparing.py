"""Compacting and comparing: which rows of a plan are sent, by what their stream remembers.

Only 16-byte hashes and positions enter a join or a hash table; the records' JSON never does.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

import duckdb
import pyarrow as pa

from bucket_loader.model import Counts, Sync
from bucket_loader.state.duck import one_row, own_database, quoted
from bucket_loader.state.records import Records
from bucket_loader.state.snapshots.pages import as_keys
from bucket_loader.state.snapshots.parts import REMOVED, KeyRange, Memory, key_ranges
from bucket_loader.state.snapshots.staged import StagedRange, by_range

_ROWS_AT_ONCE: Final = 3_000_000  # of the plan and the memory together; what fits into that memory
_FEW: Final = 8  # where the memory has so many rows for each wanted one, only pages with wanted ones are read


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
    """What is known of a stream's records.

    Attributes:
        memory: what was delivered, or may have been.
        refused: a file with `key` and `content` of what was refused.
    """

    memory: Memory = field(default_factory=Memory)
    refused: Path | None = None


def compare(
    staged: Records,
    known: Known,
    selected: Path,
    *,
    mode: Sync,
    identity: Identity,
) -> Compared:
    """Decide which staged rows are sent.

    Args:
        staged: `key` and `content` of N rows; a row's position is its place in all of them.
        known: what is known of them.
        selected: where to write the rows to send: `position` and `key`; nothing where all are sent as they are.
            Beside it, at `refused_beside`, those of them that are known as refused, with what is known.
        mode: whether the memory is asked, and whether it is asked for the content too, or for the key alone.
        identity: `content` numbers equal rows, so that two equal rows are two events; `key` keeps the last one; `row`
            keeps all.
    """
    same = "ANTI JOIN living m ON m.key = k.key" if mode.remembers else ""
    same += " AND m.content = k.content" if mode.compares else ""
    ranges = _key_ranges(staged, known.memory)
    with own_database(selected.parent) as connection, TemporaryDirectory(dir=selected.parent) as name:
        if known.refused is not None:
            connection.execute(f"CREATE TABLE refused AS FROM ({_shown(known.refused)})")
        rows, pieces = _Rows(connection, known, identity, same), by_range(staged, ranges, Path(name))
        sums, sent = rows.at_once(pieces[0]) if len(pieces) == 1 else rows.by_range(pieces, Path(name))
        if known.refused is not None:
            found = f"SELECT s.position, {_BLOBS}, run, day, tried FROM {sent} s JOIN refused k USING (key, content)"
            _write(connection, f"{found} ORDER BY s.position", refused_beside(selected))
            sent = f"(FROM {sent} ANTI JOIN refused USING (key, content))"
        is_all = sums["sent"] == sums["total"] and not sums["renumbered"] and known.refused is None
        if not is_all:
            _write(connection, f"SELECT position, CAST(key AS BLOB) AS key FROM {sent} ORDER BY position", selected)
    counts = Counts(
        superseded=sums["total"] - sums["kept"], unchanged=sums["kept"] - sums["sent"], pending=sums["sent"]
    )
    return Compared(counts, known.memory.known, sums["changed"], sums["renumbered"])


def conflicting(staged: Records, scratch: Path) -> int:
    """Return of how many keys staged rows have several contents.

    Args:
        staged: the rows.
        scratch: a folder to work in.
    """
    found = "SELECT key FROM staged GROUP BY key HAVING count(*) > 1 AND count(DISTINCT content) <> 1"
    count = 0
    with own_database(scratch) as connection, TemporaryDirectory(dir=scratch) as name:
        for piece in by_range(staged, key_ranges(len(staged), _ROWS_AT_ONCE), Path(name)):
            piece.show(connection)
            count += one_row(connection, f"SELECT count(*) FROM ({found})")[0]
    return count


def _key_ranges(staged: Records, memory: Memory) -> list[KeyRange]:
    """Return ranges of keys, each of which fits into memory with what has to be read of the memory."""
    few = min(memory.rows, len(staged) * _FEW)
    return key_ranges(len(staged) + few, _ROWS_AT_ONCE)


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
    known: Known
    identity: Identity
    same: str

    def at_once(self, staged: StagedRange) -> tuple[Counter[str], str]:
        return self._kept(staged) + self._send("kept", staged.keys), "sent"

    def by_range(self, staged: Sequence[StagedRange], pieces: Path) -> tuple[Counter[str], str]:
        sums: Counter[str] = Counter()
        for number, piece in enumerate(staged):
            sums += self._kept(piece)
            # A key that was renumbered belongs to another range.
            _write(self.connection, "FROM kept WHERE renumbered", pieces / f"again-{number}.parquet")
            sums += self._send("(FROM kept WHERE NOT renumbered)", piece.keys)
            _write(self.connection, "FROM sent", pieces / f"sent-{number}.parquet")
        for number, piece in enumerate(staged if sums["renumbered"] else []):
            again = f"(FROM read_parquet({quoted(pieces / 'again-*.parquet')}) WHERE {piece.keys.sql})"
            sums += self._send(again, piece.keys)
            _write(self.connection, "FROM sent", pieces / f"sent-again-{number}.parquet")
        return sums, f"read_parquet({quoted(pieces / 'sent-*.parquet')})"

    def _kept(self, staged: StagedRange) -> Counter[str]:
        staged.show(self.connection)
        return _keep(self.connection, self.identity)

    def _send(self, kept: str, keys: KeyRange) -> Counter[str]:
        """Choose those that the memory does not hold."""
        (rows,) = one_row(self.connection, f"SELECT count(*) FROM {kept}")
        if not self.known.memory.rows:
            self.connection.execute(f"CREATE OR REPLACE VIEW sent AS FROM {kept}")
            return Counter(sent=rows)
        self._remember(kept, rows, keys)
        content, new = ("", "sent") if self.known.refused is None else (", k.content", _NEW)
        self.connection.execute(
            f"CREATE OR REPLACE TABLE sent AS SELECT k.position, k.key{content} FROM {kept} k {self.same}"
        )
        sent, changed = one_row(
            self.connection,
            f"SELECT (SELECT count(*) FROM sent), (SELECT count(*) FROM living SEMI JOIN {new} USING (key))",
        )
        return Counter(sent=sent, changed=changed)

    def _remember(self, kept: str, rows: int, keys: KeyRange) -> None:
        """Show what the memory says of these rows; or of the whole range, where that is about as much."""
        memory = self.known.memory
        if rows * _FEW > memory.rows * (keys.after - keys.first) / (1 << 16):
            show_memory(self.connection, memory.of(keys))
        else:
            wanted = self.connection.sql(
                f"SELECT DISTINCT CAST(key AS BLOB) AS key FROM {kept} ORDER BY key"
            ).to_arrow_table()
            show_memory(self.connection, memory.find(as_keys(wanted["key"])))


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
        return Counter(total=total, kept=total, renumbered=renumbered)
    return Counter(total=total, kept=keys)


_NEW: Final = "(FROM sent ANTI JOIN refused USING (key, content))"


def _write(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(f"COPY ({query}) TO {quoted(path)} (FORMAT parquet)")


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


def show_memory(connection: duckdb.DuckDBPyConnection, found: pa.Table) -> None:
    """Show what a memory says, and of that what was not told to be gone."""
    connection.register("memory", found)
    ids = ", ids" if "ids" in found.column_names else ""
    shown = f"CAST(key AS UUID) AS key, CAST(content AS UUID) AS content{ids}"
    connection.execute(
        f"CREATE OR REPLACE VIEW living AS FROM (SELECT {shown} FROM memory) "
        f"WHERE content IS DISTINCT FROM CAST(unhex('{REMOVED.hex()}') AS UUID)"
    )
