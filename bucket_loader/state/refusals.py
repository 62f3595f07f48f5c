"""Refusals: what the API has refused of a stream, by key and content, so that it is known when it comes again.

One file for each stream (Parquet, sorted by `key` and `content`), written anew when a run has changed something. `run`
and `day` are those of the first refusal, `tried` is the day of the last one, `met` the day on which a plan last met the
row. What comes back with another content is another record, and so is what comes back mapped in another way.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from bucket_loader.model import DISK, Disk, written_whole
from bucket_loader.state.duck import own_database

SCHEMA: Final = pa.schema([
    ("key", pa.binary(16)), ("content", pa.binary(16)),
    ("run", pa.string()), ("day", pa.string()), ("tried", pa.string()), ("met", pa.string()),
])  # fmt: skip
IDENTITY: Final = pa.schema(list(SCHEMA)[:2])
FORGOTTEN_DAYS: Final = 100  # without being met; a source that is read each quarter meets its rows in time
NEVER: Final = ""  # tried on no day: the next plan tries it, whatever the day
_WORDS: Final = SCHEMA.names[2:]


@dataclass(frozen=True)
class Met:
    """What a run met of what a stream remembers as refused.

    Attributes:
        run: the run.
        day: the day of its plan.
        refused: what the API refused now: `key`, `content`.
        waiting: what was refused before and not sent again now: `key`, `content`.
        delivered: the keys among those remembered that were delivered.
        is_try: whether being refused was the try of the day; it was none in a run that stopped as a whole.
    """

    run: str
    day: str
    refused: pa.Table
    waiting: pa.Table
    delivered: pa.Array
    is_try: bool = True


def read(file: Path | None) -> pa.Table:
    """Return what a file remembers; nothing where there is none."""
    if file is None:
        return SCHEMA.empty_table()
    return pq.read_table(file, schema=SCHEMA, use_threads=False, pre_buffer=False)


def write(path: Path, refusals: pa.Table, disk: Disk = DISK) -> None:
    """Write a file durably: complete under its name, or not there."""
    compression = {name: "none" if name in IDENTITY.names else "zstd" for name in SCHEMA.names}
    with written_whole(path, disk=disk) as file:
        pq.write_table(refusals, file, compression=compression, use_dictionary=_WORDS)


def updated(known: pa.Table, met: Met, temporary: Path) -> pa.Table:
    """Return what is remembered after a run.

    What it refused is remembered. What it met stays. Of the rest, what was delivered under the same key is gone, and so
    is what no plan has met for long.

    Args:
        known: what was remembered before it.
        met: what the run met.
        temporary: a folder to work in.
    """
    words = {
        "run": met.run,
        "day": met.day,
        "is_try": met.is_try,
        "since": (date.fromisoformat(met.day) - timedelta(days=FORGOTTEN_DAYS)).isoformat(),
    }
    with own_database(temporary) as connection:
        tables = {"known": known, "refused": met.refused, "waiting": met.waiting}
        for name, table in (tables | {"delivered": pa.table([met.delivered], ["key"])}).items():
            connection.register(name, table)
        found: pa.Table = connection.sql(_UPDATED, params=words).to_arrow_table()
    return found.cast(SCHEMA).combine_chunks()


_UPDATED: Final = f"""
    WITH again AS (SELECT DISTINCT key, content, true AS yes FROM refused),
         met AS (SELECT DISTINCT key, content, true AS yes
                 FROM (SELECT key, content FROM again UNION ALL SELECT key, content FROM waiting))
    SELECT k.key, k.content, k.run, k.day,
           CASE WHEN a.yes AND $is_try THEN greatest(k.tried, $day) ELSE k.tried END AS tried,
           CASE WHEN m.yes THEN greatest(k.met, $day) ELSE k.met END AS met
    FROM known k LEFT JOIN again a USING (key, content) LEFT JOIN met m USING (key, content)
    WHERE m.yes OR (k.met >= $since AND k.key NOT IN (SELECT key FROM delivered))
    UNION ALL
    SELECT key, content, $run, $day, CASE WHEN $is_try THEN $day ELSE '{NEVER}' END, $day
    FROM again ANTI JOIN known USING (key, content)
    ORDER BY ALL
"""
