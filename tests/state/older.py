"""States as older versions left them."""

import hashlib
import sqlite3
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq


def memory_as_of_old(workplace, *, digest=True):
    """Put files as older versions wrote them in the place of all files of memory; returns them, oldest first."""
    found = []
    (ledger,) = workplace.folder.glob(".bucket_loader/*/ledger.db")
    with closing(sqlite3.connect(ledger)) as database, database:
        for name in [name for (name,) in database.execute("SELECT file FROM memory ORDER BY stream, number")]:
            file = ledger.parent / "snapshots" / name
            table, older = pa.ipc.open_stream(file.read_bytes()).read_all(), file.with_suffix(".parquet")
            pq.write_table(table.take(list(reversed(range(table.num_rows)))), older)
            noted = hashlib.sha256(older.read_bytes()).hexdigest() if digest else None
            database.execute("UPDATE memory SET digest = ?, file = ? WHERE file = ?", (noted, older.name, name))
            file.unlink()
            found.append(older)
    return found
