"""A night of little news beside a long memory: what a run costs with nothing remembered, and with much.

    python -m benchmarks.remembered                          a thousand new events, ten million remembered
    python -m benchmarks.remembered --millions 100           a hundred million
    python -m benchmarks.remembered --mode changes           a thousand companies in the file, none of them changed

The memory is written as settling would have written it, without anything being sent. Both runs are taken in turn. The
bytes read of the memory are those that a worker with its state in a store would fetch.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.measuring import Cost, measure
from benchmarks.sinks import at_once
from bucket_loader.config.yaml_file import load_pipeline
from bucket_loader.model import StateError
from bucket_loader.state import snapshots
from bucket_loader.state.location import StatePlace
from bucket_loader.state.opening import open_state

KEY: Final = "sec_benchmark_0123456789abcdef"
PIPELINE: Final = """
name: benchmark
destination: {{base_url: "{url}", key: "${{BUCKET_SECRET_KEY}}"}}
streams:
  - name: rows
    source: {{type: parquet, path: rows.parquet}}
    {mapping}
"""
MAPPINGS: Final = {
    "append": "record: event\n    key: [id]\n    fields: {userId: user, event: what, timestamp: at}",
    "changes": "record: company\n    fields: {companyId: id, attributes: {seats: n}}",
}
EXPORT: Final = """
    COPY (SELECT 'r-{first}-' || i AS id, 'u' || i % 997 AS user, 'click' AS what, i AS n,
                 TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(i) AS at
          FROM range({rows}) r(i)) TO '{path}' (FORMAT parquet)
"""
_BLOCK: Final = 1_000_000


def hashes(rows: int) -> Iterator[pa.RecordBatch]:
    """Return so many rows of memory in the order of their keys, as they would be after millions of events."""
    source = np.random.default_rng(0)
    blocks = max(1, rows // _BLOCK)
    for block in range(blocks):
        keys = np.frombuffer(source.bytes(16 * (rows // blocks)), np.uint8).reshape(-1, 16).copy()
        place = (block * (1 << 32) + source.integers(0, 1 << 32, len(keys), dtype=np.uint64)) // blocks
        keys[:, :4] = place.astype(">u4").view(np.uint8).reshape(-1, 4)
        ordered = np.sort(keys.view("S16").ravel())
        column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(ordered), [None, pa.py_buffer(ordered)])
        yield pa.RecordBatch.from_arrays([column, column], schema=snapshots.PART_SCHEMA)


def remember(folder: Path, rows: int) -> None:
    """Put so many rows of memory before those of the one run that there was."""
    with closing(open_state(load_pipeline(folder / "pipeline.yaml"), StatePlace(folder / ".bucket_loader"))) as state:
        counts = {"rows": 0}

        def counted() -> Iterator[pa.RecordBatch]:
            for batch in hashes(rows):
                counts["rows"] += batch.num_rows
                yield batch

        written = snapshots.write_pages(state.snapshots / "long.pages", counted(), known=lambda: counts["rows"])
        ((stream, (first,)),) = state.ledger.parts().items()
        state.ledger.replace_memory(stream, [first.file], state.keep_part("long.pages", written))
        (run,) = state.ledger.runs()
        state.ledger.settle(run.run, 0, stream=stream, part=first)


def make_export(folder: Path, first: int, rows: int) -> None:
    """Write rows that no other number has."""
    duckdb.sql(EXPORT.format(first=first, rows=rows, path=folder / "rows.parquet"))


def make_workplace(folder: Path, url: str, mode: str, rows: int, remembered: int) -> None:
    """Make a pipeline that has sent so many rows once, and remembers more."""
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(PIPELINE.format(url=url, mapping=MAPPINGS[mode]))
    make_export(folder, 0, rows)
    run_it(folder)
    if remembered:
        remember(folder, remembered)


def run_it(folder: Path) -> Cost:
    """Run the pipeline, as a scheduler does."""
    words = [sys.executable, "-m", "bucket_loader", "run", "pipeline.yaml", "--quiet"]
    return measure(words, folder=folder, environment={"BUCKET_SECRET_KEY": KEY})


def bytes_read(folder: Path, rows: int) -> tuple[int, int]:
    """Return how many bytes of the memory so many keys read, and in how many reads; each page is held to its digest."""

    class Counted(snapshots.FileBytes):
        def read(self, first: int, count: int) -> bytes:
            reads.append(count)
            return super().read(first, count)

    reads = list[int]()
    keys = np.sort(np.frombuffer(np.random.default_rng(1).bytes(16 * rows), "S16"))
    with closing(open_state(load_pipeline(folder / "pipeline.yaml"), StatePlace(folder / ".bucket_loader"))) as state:
        for file in next(iter(state.ledger.parts().values())):
            place = Counted(state.snapshots / file.file)
            index = snapshots.read_index(place, file.digest)
            if index is None:
                raise AssertionError(file.file)
            part = snapshots.Part(index, [place], lambda: StateError("unsound"))
            snapshots.Memory([part]).find(keys)
    return sum(reads), len(reads)


def spelt(name: str, costs: list[Cost]) -> str:
    """Spell a line of the table."""
    seconds, cpu, peak = (
        statistics.median(getattr(cost, what) for cost in costs) for what in ("seconds", "cpu_s", "peak_mb")
    )
    return f"{name:<22} {seconds:>9.2f} {cpu:>9.2f} {peak:>9.0f}"


def main() -> None:
    """Take both in turn."""
    parser = argparse.ArgumentParser(description="What a long memory costs a small run.")
    parser.add_argument("--millions", type=int, default=10, help="rows remembered, in millions")
    parser.add_argument("--rows", type=int, default=1000, help="rows of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mode", choices=MAPPINGS, default="append")
    words = parser.parse_args()
    with TemporaryDirectory(prefix="benchmark-") as name, at_once() as sink:
        short, long = Path(name, "short"), Path(name, "long")
        os.environ["BUCKET_SECRET_KEY"] = KEY
        make_workplace(short, sink.url, words.mode, words.rows, 0)
        make_workplace(long, sink.url, words.mode, words.rows, words.millions * 1_000_000)
        costs: dict[Path, list[Cost]] = {short: [], long: []}
        written = list[int]()
        for number in range(1, words.rounds + 1):
            for folder, taken in costs.items():
                if words.mode == "append":
                    make_export(folder, number, words.rows)
                before = {path: path.stat().st_size for path in folder.glob(".bucket_loader/*/snapshots/*")}
                taken.append(run_it(folder))
                new = set(folder.glob(".bucket_loader/*/snapshots/*")) - before.keys()
                written.append(sum(path.stat().st_size for path in new))
        read, reads = bytes_read(long, words.rows)
        print(f"{'remembered':<22} {'seconds':>9} {'CPU s':>9} {'peak MB':>9}")
        print(spelt("nothing but its own", costs[short]))
        print(spelt(f"{words.millions} million rows", costs[long]))
        print(f"settling wrote {max(written) / 1e6:.2f} MB at the most; {words.rows:,} keys read "
              f"{read / 1e6:.1f} MB of the memory in {reads:,} reads")  # fmt: skip


if __name__ == "__main__":
    main()
