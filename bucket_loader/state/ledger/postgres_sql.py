"""The ledger's statements as PostgreSQL spells them, and what it has beside them."""

from collections.abc import Iterator
from functools import cache
from typing import Final

# A row of an index holds at most 2,704 bytes, and the name of a chunk of many parts is longer: its hash stands for it.
_SPELT: Final = {
    "?": "%s",
    ") WITHOUT ROWID": ")",
    "INTEGER": "BIGINT",
    "BLOB": "BYTEA",
    "PRIMARY KEY (run, stream, first, members),": "",
    "ON CONFLICT (run, stream, first, members)": "ON CONFLICT (run, stream, first, sha256(members::bytea))",
    "now_ms()": "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
    # While the server was away nobody was heard of.
    "heard_ms(s.heard)": "greatest(s.heard, (extract(epoch FROM pg_postmaster_start_time()) * 1000)::bigint)",
    "backend_now()": "pg_backend_pid()",
    "/* not who writes just now */": "FOR UPDATE SKIP LOCKED",
}
_CHUNK_NAME: Final = (
    "CREATE UNIQUE INDEX IF NOT EXISTS chunk_name ON chunk (run, stream, first, sha256(members::bytea))"
)
# One row: who owns the ledger, and what its last transaction was.
_OWNER: Final = """
    CREATE TABLE IF NOT EXISTS owner (
        one     BIGINT PRIMARY KEY CHECK (one = 1),
        epoch   BIGINT NOT NULL,
        backend BIGINT NOT NULL,
        token   TEXT NOT NULL
    )
"""
MORE: Final = (_CHUNK_NAME, _OWNER, "INSERT INTO owner VALUES (1, 0, 0, '') ON CONFLICT DO NOTHING")

# What a ledger has, less who owns it, and less the copies of older versions.
TABLES: Final = """
    SELECT table_name FROM information_schema.tables
    WHERE table_schema = ? AND table_type = 'BASE TABLE' AND table_name <> 'owner'
      AND table_name NOT LIKE '%%\\_of\\_schema\\_%%' ORDER BY table_name
"""

# By the server's clock alone. Sessions of another user are left alone: they may not be ended.
END_OVERDUE: Final = """
    SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (l.classid::bigint << 32) | l.objid::bigint = %s
      AND a.usename = session_user AND a.state LIKE 'idle%%'
      AND clock_timestamp() - a.state_change > make_interval(secs => %s)
"""


@cache
def spelt(statement: str) -> str:
    """Spell a statement of this package."""
    for ours, theirs in _SPELT.items():
        statement = statement.replace(ours, theirs)
    return statement


def kept_table(table: str, version: str) -> str:
    """Name the copy of a table as it was in an older version of the ledger."""
    return f"{table}_of_schema_{version}"


def copying(table: str, version: str) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield the statements that copy a table, with its keys and checks."""
    kept = kept_table(table, version)
    yield f"DROP TABLE IF EXISTS {kept}", ()
    yield f"CREATE TABLE {kept} (LIKE {table} INCLUDING ALL)", ()
    yield f"INSERT INTO {kept} SELECT * FROM {table}", ()
