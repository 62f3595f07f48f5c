"""Compact and compare many keys: `python -m benchmarks.keys --millions 100`.

A staged plan of so many rows whose keys repeat now and then, against a memory that knows half of them; nothing but
hashes is in it, as in a real one. Prints seconds, CPU and peak memory.
"""

import argparse
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb

from bucket_loader.model.syncs import APPEND
from bucket_loader.planning.engine.compare import compare
from bucket_loader.planning.engine.engine import OneProcess
from bucket_loader.state import Records, snapshots

ROWS: Final = "unhex(md5({key})) AS key, unhex(md5('c' || i)) AS content FROM range({first}, {last}) r(i)"


def main() -> None:
    """Make the files, compare, and print what it took."""
    parser = argparse.ArgumentParser(description="Compact and compare many keys.")
    parser.add_argument("--millions", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="where to put the files, about 64 bytes a key; the system's own")
    options = parser.parse_args()
    count = options.millions * 1_000_000
    with TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        staged, memory = folder / "staged.parquet", folder / "memory.parquet"
        _make(staged, "'k' || (i - i % 20 // 19)", 0, count)  # every twentieth row repeats the key before it
        _make(memory, "'k' || i", 0, count // 2)
        pages = folder / "memory.pages"
        known = snapshots.Memory(
            [snapshots.opened(pages, snapshots.take_over([memory], pages, before=snapshots.Memory()))]
        )
        append = snapshots.Comparison(APPEND, "key")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        began, cpu = time.monotonic(), time.process_time()
        counts = compare(OneProcess(), Records.of(staged), known, append, folder / "compared").counts
        seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if counts.superseded != count // 20:
        sys.exit(f"it found {counts.superseded:,} repeated keys, and there are {count // 20:,}")
    print(f"{count:,} keys: {counts.pending:,} to send, {counts.superseded:,} superseded, {counts.unchanged:,} known")
    print(f"{seconds:.1f} s, {cpu:.1f} CPU s, peak {peak:,.0f} MB ({before:,.0f} MB before it began)")


def _make(path: Path, key: str, first: int, last: int) -> None:
    rows = ROWS.format(key=key, first=first, last=last)
    with duckdb.connect(config={"memory_limit": "256MB", "threads": 2}) as connection:
        connection.execute(f"COPY (SELECT {rows}) TO '{path}' (FORMAT parquet, COMPRESSION uncompressed)")


if __name__ == "__main__":
    main()
