"""Memory: what each stream last delivered, as hashes; compact and compare a plan against it.

Only 16-byte hashes and positions enter a join or a hash table; the records' JSON never does. A stream's memory is a
list of parts (Parquet: `key`, `content`), later ones winning; a null content means "claimed": sent, answer unknown.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from bucket_loader.records import sync

PART_SCHEMA: Final = pa.schema([("key", pa.binary(16)), ("content", pa.binary(16))])
PARTS_MAX: Final = 8  # more are merged into one when the stream settles
_MEMORY: Final = "256MB"


@dataclass(frozen=True)
class Comparison:
    """What comparing came to, in rows of the staged plan.

    Attributes:
        selected: rows of the staged plan to send, with their final keys; a Parquet file (`position`, `key`).
        records: how many those are.
        superseded: rows that a later row of the same key replaces.
        unchanged: rows that the memory already holds.
        known: keys that the memory held before.
        changed: rows to send whose key the memory knew with another content.
        renumbered: rows whose final key is not the staged one: equal rows after the first.
    """

    selected: Path
    records: int
    superseded: int
    unchanged: int
    known: int
    changed: int
    renumbered: int


Identity = Literal["key", "content"]


def compare(
    staged: Path,
    memory: Sequence[Path],
    selected: Path,
    *,
    mode: Literal["changes", "append", "last"],
    identity: Identity,
) -> Comparison:
    """Decide which staged rows are sent.

    Args:
        staged: a Parquet file with `key` and `content`, N rows; a row's position is its place in the file.
        memory: the stream's parts, oldest first; none when everything is to be sent.
        selected: where to write the rows to send.
        mode: `changes` compares content, `append` asks only whether the key is known, `last` compares nothing.
        identity: `content` numbers equal rows, so that two equal rows are two events; `key` keeps the last one.
    """
    with _connection(selected.parent) as connection:
        connection.execute(f"CREATE VIEW staged AS SELECT file_row_number AS position, key, content FROM "
                           f"read_parquet({_quoted(staged)}, file_row_number = true)")  # fmt: skip
        _remember(connection, memory)
        connection.execute(_KEEP_LAST if identity == "key" else _NUMBER_EQUALS)
        total, kept = _row(connection, "SELECT (SELECT count(*) FROM staged), (SELECT count(*) FROM kept)")
        same = {"changes": "m.content = k.content", "append": "m.key IS NOT NULL", "last": "false"}[mode]
        connection.execute(
            f"CREATE TABLE verdict AS SELECT k.position, k.key, m.key IS NOT NULL AS known, "
            f"coalesce({same}, false) AS same, k.renumbered FROM kept k LEFT JOIN memory m USING (key)"
        )
        send, changed, renumbered = _row(
            connection,
            "SELECT count(*) FILTER (NOT same), count(*) FILTER (NOT same AND known), count(*) FILTER (renumbered) "
            "FROM verdict",
        )
        (known,) = _row(connection, "SELECT count(*) FROM memory")
        connection.execute(
            f"COPY (SELECT position, key FROM verdict WHERE NOT same ORDER BY position) TO {_quoted(selected)} "
            "(FORMAT parquet)"
        )
    return Comparison(selected, send, total - kept, kept - send, known, changed, renumbered)


# The last row of a key wins, whole.
_KEEP_LAST: Final = """
    CREATE TABLE kept AS
    SELECT s.position, s.key, s.content, false AS renumbered
    FROM staged s JOIN (SELECT max(position) AS position FROM staged GROUP BY key) USING (position)
"""
# Equal rows are distinct events: the first keeps its key, the others add how many came before. Only keys that do
# repeat enter the window.
_NUMBER_EQUALS: Final = """
    CREATE TABLE kept AS
    WITH repeated AS (SELECT key FROM staged GROUP BY key HAVING count(*) > 1),
         numbered AS (
            SELECT position, key, content, row_number() OVER (PARTITION BY key ORDER BY position) AS occurrence
            FROM staged WHERE key IN (FROM repeated)
         )
    SELECT position, key, content, false AS renumbered FROM staged WHERE key NOT IN (FROM repeated)
    UNION ALL
    SELECT position, CASE WHEN occurrence = 1 THEN key ELSE unhex(md5(hex(key) || ':' || occurrence)) END, content,
           occurrence > 1
    FROM numbered
"""


def _remember(connection: duckdb.DuckDBPyConnection, memory: Sequence[Path]) -> None:
    if not memory:
        connection.execute("CREATE TABLE memory (key BLOB, content BLOB)")
        return
    parts = " UNION ALL ".join(
        f"SELECT key, content, {number} AS part FROM read_parquet({_quoted(path)})"
        for number, path in enumerate(memory)
    )
    # The newest part that names a key speaks for it, also when it says "claimed" (null): hence the struct.
    connection.execute(
        f"CREATE VIEW memory AS SELECT key, arg_max({{'c': content}}, part).c AS content FROM ({parts}) GROUP BY key"
        if len(memory) > 1
        else f"CREATE VIEW memory AS SELECT key, content FROM ({parts})"
    )


def write_part(path: Path, batches: Iterator[pa.RecordBatch]) -> int:
    """Write a part durably: complete under its name, or not there. Returns its rows."""
    unfinished = path.with_suffix(".unfinished")
    rows = 0
    with pq.ParquetWriter(unfinished, PART_SCHEMA, compression="none", use_dictionary=False) as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    sync(unfinished)
    unfinished.replace(path)
    sync(path.parent)
    return rows


def merge(parts: Sequence[Path], merged: Path) -> int:
    """Merge parts into one that says the same. Returns its rows."""
    with _connection(merged.parent) as connection:
        _remember(connection, parts)
        unfinished = merged.with_suffix(".unfinished")
        (rows,) = _row(connection, f"COPY (SELECT key, content FROM memory) TO {_quoted(unfinished)} (FORMAT parquet)")
    sync(unfinished)
    unfinished.replace(merged)
    sync(merged.parent)
    return rows


@contextmanager
def _connection(temporary: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database of its own.

    Raises:
        OSError: the disk refuses.
    """
    connection = duckdb.connect(
        config={
            "memory_limit": _MEMORY,
            "temp_directory": str(temporary / "spill"),
            "preserve_insertion_order": "false",
        }
    )
    with connection:
        try:
            yield connection
        except duckdb.IOException as error:
            raise OSError(str(error).splitlines()[0]) from None


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101  # an aggregate has one row
    return tuple(row)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
