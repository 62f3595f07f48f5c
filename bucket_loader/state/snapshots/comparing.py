"""Compacting and comparing: which rows of a plan are sent, by what their stream remembers.

Only 16-byte hashes and positions enter a join or a hash table; the records' JSON never does.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

import duckdb
import pyarrow as pa

from bucket_loader.model import Sync
from bucket_loader.state.duck import one_row, own_database, quoted
from bucket_loader.state.records import Records
from bucket_loader.state.snapshots.chosen import write_chosen
from bucket_loader.state.snapshots.pages import as_keys
from bucket_loader.state.snapshots.parts import REMOVED, KeyRange, Memory, key_ranges
from bucket_loader.state.snapshots.staged import StagedRange, by_range

_ROWS_AT_ONCE: Final = 3_000_000  # of the plan and the memory together; what fits into that memory
_FEW: Final = 8  # where the memory has so many rows for each wanted one, only pages with wanted ones are read
_WRITTEN_AT_ONCE: Final = 1 << 20  # rows to send; each part of the plan looks into each such batch
Identity = Literal["key", "content", "row"]


@dataclass(frozen=True)
class Comparison:
    """What staged rows are held against, and how. It pickles.

    Attributes:
        mode: whether the memory is asked, and whether it is asked for the content too, or for the key alone.
        identity: `content` numbers equal rows, so that two equal rows are two events; `key` keeps the last one; `row`
            keeps all.
        refused: a file with `key` and `content` of what was refused.
    """

    mode: Sync
    identity: Identity
    refused: Path | None = None


@dataclass(frozen=True)
class Compared:
    """What comparing the staged rows of a range of keys came to.

    Attributes:
        sums: how many rows there are (`total`), how many stand for their key (`kept`), how many of these are to be sent
            (`sent`), among them those of a known key with another content (`changed`, without what was refused);
            and how many equal rows got another key (`renumbered`).
        sent: the file of those to send, in the order of their positions; None where that is all, as it is.
        again: the file of those that got another key: it may be one of another range.
        refused: the file of those to send that are known as refused, with what is known; `sent` is without them.
    """

    sums: Counter[str]
    sent: Path | None
    again: Path | None = None
    refused: Path | None = None


def ranges_of(staged: Records, memory: Memory) -> list[KeyRange]:
    """Return ranges of keys, each of which fits into memory with what has to be read of what is remembered."""
    few = min(memory.rows, len(staged) * _FEW)
    return key_ranges(len(staged) + few, _ROWS_AT_ONCE)


def compare(
    comparison: Comparison, staged: StagedRange, memory: Memory, base: Path, *, are_renumbered: bool = False
) -> Compared:
    """Decide which staged rows of a range of keys are sent.

    Args:
        comparison: how.
        staged: `key` and `content` of the rows; a row's position is its place in all of them.
        memory: what is remembered of the range.
        base: what the names of the files begin with.
        are_renumbered: whether the rows are what another range has renumbered: they stand for their keys.
    """
    with own_database(base.parent) as connection:
        if comparison.refused is not None:
            connection.execute(f"CREATE TABLE refused AS FROM ({_shown(comparison.refused)}) WHERE {staged.keys.sql}")
        return _Rows(connection, comparison, staged, memory, base).compared(are_renumbered=are_renumbered)


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


def _shown(refused: Path) -> str:
    hashes = "CAST(key AS UUID) AS key, CAST(content AS UUID) AS content"
    return f"SELECT {hashes}, run, day, tried FROM read_parquet({quoted(refused)})"


@dataclass(frozen=True)
class _Rows:
    """The rows of a range, in a database."""

    connection: duckdb.DuckDBPyConnection
    comparison: Comparison
    staged: StagedRange
    memory: Memory
    base: Path

    def compared(self, *, are_renumbered: bool) -> Compared:
        self.staged.show(self.connection)
        kept, sums, again = "kept", Counter[str](), None
        if are_renumbered:
            self.connection.execute(_KEEP_ALL)
        else:
            sums = _keep(self.connection, self.comparison.identity)
        if sums["renumbered"] and not self.staged.is_all:  # a key that was renumbered may belong to another range
            kept, again = "(FROM kept WHERE NOT renumbered)", self._named("again")
            _write(self.connection, f"SELECT position, {_BLOBS} FROM kept k WHERE renumbered", again)
        sums += self._send(kept)
        is_whole = self.staged.is_all and sums["sent"] == sums["total"] and not sums["renumbered"]
        if self.comparison.refused is None:
            return Compared(sums, None if is_whole else self._chosen("sent"), again)
        refused = self._named("refused")
        found = f"SELECT s.position, {_BLOBS}, run, day, tried FROM sent s JOIN refused k USING (key, content)"
        _write(self.connection, f"{found} ORDER BY s.position", refused)
        return Compared(sums, self._chosen(_NEW), again, refused)

    def _named(self, what: str) -> Path:
        return self.base.with_name(f"{self.base.name}.{what}")

    def _chosen(self, sent: str) -> Path:
        rows = self.connection.sql(f"SELECT position, CAST(key AS BLOB) AS key FROM {sent} ORDER BY position")
        write_chosen(path := self._named("sent"), rows.to_arrow_reader(_WRITTEN_AT_ONCE))
        return path

    def _send(self, kept: str) -> Counter[str]:
        """Choose those that the memory does not hold."""
        (rows,) = one_row(self.connection, f"SELECT count(*) FROM {kept}")
        if not self.memory.rows:
            self.connection.execute(f"CREATE VIEW sent AS FROM {kept}")
            return Counter(sent=rows)
        self._remember(kept, rows)
        mode = self.comparison.mode
        same = "ANTI JOIN living m ON m.key = k.key" if mode.remembers else ""
        same += " AND m.content = k.content" if mode.compares else ""
        content, new = ("", "sent") if self.comparison.refused is None else (", k.content", _NEW)
        self.connection.execute(f"CREATE TABLE sent AS SELECT k.position, k.key{content} FROM {kept} k {same}")
        sent, changed = one_row(
            self.connection,
            f"SELECT (SELECT count(*) FROM sent), (SELECT count(*) FROM living SEMI JOIN {new} USING (key))",
        )
        return Counter(sent=sent, changed=changed)

    def _remember(self, kept: str, rows: int) -> None:
        """Show what the memory says of these rows; or of the whole range, where that is about as much."""
        if rows * _FEW > self.memory.rows:
            show_memory(self.connection, self.memory.of(self.staged.keys))
        else:
            wanted = self.connection.sql(
                f"SELECT DISTINCT CAST(key AS BLOB) AS key FROM {kept} ORDER BY key"
            ).to_arrow_table()
            show_memory(self.connection, self.memory.find(as_keys(wanted["key"])))


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
        connection.execute("CREATE VIEW kept AS FROM numbered")
        (renumbered,) = one_row(connection, "SELECT count(*) FROM kept WHERE renumbered")
        return Counter(total=total, kept=total, renumbered=renumbered)
    return Counter(total=total, kept=keys)


_NEW: Final = "(FROM sent ANTI JOIN refused USING (key, content))"
_BLOBS: Final = "CAST(k.key AS BLOB) AS key, CAST(k.content AS BLOB) AS content"


def _write(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(f"COPY ({query}) TO {quoted(path)} (FORMAT parquet)")


_KEEP_ALL: Final = "CREATE VIEW kept AS SELECT position, key, content, false AS renumbered FROM staged"
# The last row of a key wins, whole.
_KEEP_LAST: Final = (
    f"{_KEEP_ALL} SEMI JOIN (SELECT max(position) AS position FROM staged GROUP BY key) USING (position)"
)
# Equal rows are distinct events: the first keeps its key, the others add how many came before. Only keys that do
# repeat enter the window.
_NUMBER_EQUALS: Final = """
    CREATE TABLE numbered AS
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
