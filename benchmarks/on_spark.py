"""What a row costs on Spark beside one process of this machine, and the memory of the process that plans.

    .spark/bin/python -m benchmarks.on_spark --rows 8000000 20000000
    .spark/bin/python -m benchmarks.on_spark --rows 20000000 --spark-only

CPU seconds of all processes, the JVM's too; what both sizes have in common (starting a JVM) is taken out. Both are
compared in several ranges of keys, and a task stages as many slices, so the difference is that of rows alone.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SUBMIT = Path(__file__).parents[1] / "bucket_loader/integrations/spark/submit.py"
PIPELINE = """
name: usage
destination: {base_url: "http://127.0.0.1:9", key: "${BUCKET_SECRET_KEY}"}
streams:
  - name: usage
    record: event
    source: {type: parquet, path: usage.parquet}
    key: [number]
    fields: {userId: user, event: {value: used}, timestamp: at, attributes: {amount: amount, feature: feature}}
"""


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, nargs="+", default=[8_000_000, 20_000_000])
    options.add_argument("--spark-only", action="store_true")
    asked = options.parse_args()
    kinds = ["spark"] if asked.spark_only else ["alone", "spark"]
    found: dict[tuple[str, int], tuple[float, int, float]] = {}
    with tempfile.TemporaryDirectory(prefix="on-spark-") as name:
        for rows in asked.rows:
            folder = Path(name, str(rows))
            write_export(folder, rows)
            for kind in kinds:
                found[kind, rows] = cpu_s, memory_mb, wall_s = measured(folder, kind)
                print(f"{kind:6} {rows:>11,} rows: {cpu_s:7.1f} s of CPU, {wall_s:6.1f} s, planner {memory_mb:,} MB")
    if len(asked.rows) > 1 and len(kinds) > 1:
        few, many = min(asked.rows), max(asked.rows)
        each = {kind: (found[kind, many][0] - found[kind, few][0]) / (many - few) * 1e6 for kind in kinds}
        print(f"a row: alone {each['alone']:.1f} us, spark {each['spark']:.1f} us: {each['spark'] / each['alone']:.2f}")


def write_export(folder: Path, rows: int) -> None:
    """Write a file of rows, with row groups of 100,000."""
    folder.mkdir()
    (folder / "usage.yaml").write_text(PIPELINE)
    with pq.ParquetWriter(folder / "usage.parquet", table_of(range(1)).schema) as writer:
        for first in range(0, rows, 100_000):
            writer.write_table(table_of(range(first, min(first + 100_000, rows))))


def table_of(some: range) -> pa.Table:
    """Return some rows."""
    numbers = np.arange(some.start, some.stop)
    users = pa.array([f"u{one % 100_000}" for one in some])
    moments = pa.array(1_760_000_000_000_000 + numbers * 1_000_000, pa.timestamp("us", "UTC"))
    features = pa.array([f"feature {one % 30}" for one in some])
    return pa.table({"number": numbers, "user": users, "at": moments, "amount": numbers % 97, "feature": features})


def measured(folder: Path, kind: str) -> tuple[float, int, float]:
    """Plan, and return the CPU seconds of all processes, the most megabytes of the planning one, and the seconds."""
    words = ["plan", str(folder / "usage.yaml"), "--state", str(folder / kind)]
    alone = [sys.executable, "-m", "bucket_loader", *words, "--processes", "1"]
    spark = [str(Path(sys.executable).with_name("spark-submit")), "--master", "local[2]", str(SUBMIT), *words,
             "--engine", "spark"]  # fmt: skip
    environment = os.environ | {"BUCKET_SECRET_KEY": "sec_test_0123456789abcdef0123", "PYSPARK_PYTHON": sys.executable}
    began, watched = time.monotonic(), Watched(str(folder / "usage.yaml"))
    process = subprocess.Popen(  # noqa: S603  # our own words
        alone if kind == "alone" else spark, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    while process.poll() is None:
        watched.look(process.pid)
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{kind}: the plan was not made")
    return sum(watched.ticks.values()) / os.sysconf("SC_CLK_TCK"), watched.most_kb // 1024, time.monotonic() - began


class Watched:
    """What the processes of a session have used, each as of when it was last seen; nobody waits for some of them."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.ticks: dict[str, int] = {}
        self.most_kb = 0

    def look(self, session: int) -> None:
        """Look at each of them."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                stat = (folder / "stat").read_text("utf-8").rpartition(")")[2].split()
                if int(stat[3]) != session:
                    continue
                self.ticks[folder.name] = int(stat[11]) + int(stat[12])
                command = (folder / "cmdline").read_text("utf-8")
                status = (folder / "status").read_text("utf-8")
            except OSError:
                continue
            if self.word in command and "python" in command.partition("\0")[0]:
                self.most_kb = max(self.most_kb, int(status.partition("VmHWM:")[2].split()[0]))


if __name__ == "__main__":
    main()
