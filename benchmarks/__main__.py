"""Memory and rate of a whole load: Parquet to the emulator, everything on, at two sizes in one run.

    python -m benchmarks                      one hundred thousand rows, then a million
    python -m benchmarks --rows 1000000 10000000

A time alone says little on a shared machine; the ratios between the two sizes are what to look at: memory should not
grow with the rows, and the rate should not fall.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from bucket_loader.emulator.server import running

KEY = "sec_benchmark_0123456789abcdef"
PIPELINE = """
name: benchmark
destination: {base_url: "${BUCKET_BASE_URL}", key: "${BUCKET_SECRET_KEY}"}
streams:
  - name: events
    record: event
    source: {type: parquet, path: events.parquet}
    sync: full
    fields:
      userId: user_id
      companyId: account_id
      event: feature
      timestamp: {column: ts, timezone: UTC}
      attributes: "*"
"""
EVENTS = """
    COPY (SELECT 'u_' || i AS user_id, 'A-' || i % 5000 AS account_id, 'feature_' || i % 40 AS feature,
                 TIMESTAMP '2024-01-01' + INTERVAL (i // 10) SECOND AS ts, i % 100 AS count,
                 (i * 0.37)::DOUBLE AS seconds, i % 2 = 0 AS beta,
                 CASE WHEN i % 10 > 0 THEN 'eu' END AS region, i * 1000003 AS number, 'some text value ' || i AS note
          FROM range({rows}) r(i)) TO '{path}' (FORMAT parquet)
"""


def load(rows: int) -> tuple[float, float]:
    """Load so many events of ten columns; gives the seconds, and the loader's peak memory in MB."""
    with TemporaryDirectory() as folder, running(secret_key=KEY) as emulator:
        duckdb.sql(EVENTS.format(rows=rows, path=f"{folder}/events.parquet"))
        Path(folder, "pipeline.yaml").write_text(PIPELINE)
        environment = os.environ | {"BUCKET_BASE_URL": emulator.url, "BUCKET_SECRET_KEY": KEY}
        words = [sys.executable, "-m", "bucket_loader", "run", f"{folder}/pipeline.yaml", "--quiet"]
        began = time.monotonic()
        loader = subprocess.Popen(words, env=environment)  # noqa: S603  # our own program
        _, status, usage = os.wait4(loader.pid, 0)
        seconds = time.monotonic() - began
        loader.returncode = os.waitstatus_to_exitcode(status)
        if loader.returncode:
            sys.exit(f"the loader ended with {loader.returncode}")
        return seconds, usage.ru_maxrss / 1024


def main() -> None:
    """Measure each size, and compare with the first."""
    parser = argparse.ArgumentParser(description="Memory and rate of a whole load.")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    first: tuple[float, float] | None = None
    print(f"{'rows':>12} {'seconds':>9} {'rows/s':>9} {'peak MB':>8} {'memory x':>9} {'rate x':>7}")
    for rows in parser.parse_args().rows:
        seconds, peak_mb = load(rows)
        rate = rows / seconds
        first = first or (peak_mb, rate)
        ratios = f"{peak_mb / first[0]:>9.2f} {rate / first[1]:>7.2f}"
        print(f"{rows:>12,} {seconds:>9.1f} {rate:>9,.0f} {peak_mb:>8.0f} {ratios}")


if __name__ == "__main__":
    main()
