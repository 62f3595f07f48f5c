"""Memory and rate of planning from PostgreSQL, beside planning the same rows from Parquet.

    BENCHMARK_POSTGRES=postgresql://user@host/database python -m benchmarks.postgres
    BENCHMARK_POSTGRES=... python -m benchmarks.postgres --rows 5000000

Makes the table `bucket_loader_benchmark` there, once for each size, and leaves it. The server's own work is in the
figures, since nobody has its rows without it.
"""

import argparse
import os
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
from adbc_driver_postgresql import dbapi

from benchmarks.contest import KEY
from benchmarks.measuring import measure
from bucket_loader.config import SqlSource
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.registry import open_source

TABLE = "bucket_loader_benchmark"
PIPELINE = """
name: benchmark
destination: {{base_url: "http://127.0.0.1:9", key: "${{BUCKET_SECRET_KEY}}"}}
streams:
  - name: events
    record: event
    source: {source}
    sync: full
    fields: {{userId: account, event: name, timestamp: at, attributes: "*"}}
"""
SOURCES = {
    "parquet": "{type: parquet, path: rows.parquet}",
    "postgres": '{type: sql, url: "${BENCHMARK_POSTGRES}", table: %s}' % TABLE,  # noqa: UP031  # braces are YAML's
}
ROWS = (
    "SELECT i AS id, lpad(i::text, 9, '0') AS account, 'Company number ' || i AS name, "
    "((i % 1000000) / 100.0)::numeric(12,2) AS amount, (i % 500)::int AS seats, "
    "timestamptz '2025-01-01' + i * interval '1 second' AS at, i % 2 = 0 AS active, md5(i::text)::uuid AS token "
    "FROM generate_series(1::bigint, {rows}) i"
)


def prepare(url: str, rows: int, folder: Path) -> None:
    """Make the table, unless it has so many rows already, and the same rows as Parquet."""
    with closing(dbapi.connect(url, autocommit=True)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} AS {ROWS.format(rows=0)}")
        cursor.execute(f"SELECT count(*) FROM {TABLE}")
        if cursor.fetchall() != [(rows,)]:
            cursor.execute(f"DROP TABLE {TABLE}")
            cursor.execute(f"CREATE TABLE {TABLE} AS {ROWS.format(rows=rows)}")
    spec = SqlSource.model_validate({"type": "sql", "url": url, "table": TABLE})
    reading = open_source(spec, SourceContext(folder)).read()
    with pq.ParquetWriter(folder / "rows.parquet", reading.schema) as writer:
        for batch in reading.batches:
            writer.write_batch(batch.data)


def plan(source: str, folder: Path) -> tuple[float, float]:
    """Plan from one source; gives the seconds, and the peak memory of the whole process in MB."""
    (folder / "pipeline.yaml").write_text(PIPELINE.format(source=SOURCES[source]))
    words = [sys.executable, "-m", "bucket_loader", "plan", str(folder / "pipeline.yaml"), "--quiet", "--state"]
    cost = measure([*words, str(folder / source)], folder=folder, environment={"BUCKET_SECRET_KEY": KEY})
    return cost.seconds, cost.peak_mb


def main() -> None:
    """Measure both, twice in turn, and compare the better ones."""
    parser = argparse.ArgumentParser(description="Planning from PostgreSQL beside planning from Parquet.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    url = os.environ.get("BENCHMARK_POSTGRES") or sys.exit("set BENCHMARK_POSTGRES to the URL of a database")
    with TemporaryDirectory() as name:
        prepare(url, rows, Path(name))
        found: dict[str, list[tuple[float, float]]] = {source: [] for source in SOURCES}
        for turn in range(2):
            for source in SOURCES:
                folder = Path(name, str(turn))
                folder.mkdir(exist_ok=True)
                if source == "parquet":
                    (folder / "rows.parquet").hardlink_to(Path(name, "rows.parquet"))
                found[source].append(plan(source, folder))
    print(f"{rows:,} rows{'':>6} {'seconds':>9} {'rows/s':>9} {'peak MB':>8}")
    for source, figures in found.items():
        seconds, peak_mb = min(figures)
        print(f"{source:>16} {seconds:>9.1f} {rows / seconds:>9,.0f} {peak_mb:>8.0f}")
    ratio = min(found["parquet"])[0] / min(found["postgres"])[0]
    print(f"PostgreSQL at {ratio:.2f} of the rate of Parquet")


if __name__ == "__main__":
    main()
