"""The ledger: the durable memory of runs and chunks, in SQLite, or in PostgreSQL for workers that forget.

ledger   the one class, and its SQL     database  the seam below it
memory   what outlives a run            sqlite, postgres  behind the seam
"""

from bucket_loader.state.ledger.database import SCHEMA_VERSION, Database
from bucket_loader.state.ledger.forgetting import EMULATOR
from bucket_loader.state.ledger.ledger import Ledger
from bucket_loader.state.ledger.rows import (
    Ambiguous,
    Behind,
    ChunkRow,
    ChunkState,
    Concluded,
    Entry,
    Intent,
    Meets,
    NewStream,
    Replay,
    RunRow,
    RunStatus,
    SnapshotFile,
    SplitInto,
)
from bucket_loader.state.ledger.sharing import Flag, NewPart, SenderRow, Want
from bucket_loader.state.ledger.sqlite import SqliteDatabase

__all__ = [
    "EMULATOR",
    "SCHEMA_VERSION",
    "Ambiguous",
    "Behind",
    "ChunkRow",
    "ChunkState",
    "Concluded",
    "Database",
    "Entry",
    "Flag",
    "Intent",
    "Ledger",
    "Meets",
    "NewPart",
    "NewStream",
    "Replay",
    "RunRow",
    "RunStatus",
    "SenderRow",
    "SnapshotFile",
    "SplitInto",
    "SqliteDatabase",
    "Want",
]
