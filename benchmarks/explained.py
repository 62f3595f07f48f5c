"""The life of one row beside ten million: what `explain` takes, and whether it tells what the API was sent.

    python -m benchmarks.explained                           ten million rows in 30 runs, 1,000 ids of each kind
    python -m benchmarks.explained --rows 300000 --ids 50    a smaller one
    python -m benchmarks.explained --folder /tmp/state       keep what was delivered there, or go on with it

All runs are real, and go to the emulator. Its journal is read once at the end: of each id that is asked for, each
record that `explain` calls delivered is held against what the emulator took, and the other way round.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import duckdb

from bucket_loader.config import load_pipeline
from bucket_loader.reporting import on_stderr
from bucket_loader.runs import RunOptions, make_job, run_job
from bucket_loader.runs.job import Job

KEY: Final = "sec_benchmark_0123456789abcdef"
RUNS: Final = 30
PIPELINE: Final = """\
name: explained
destination: {{key: "${{BUCKET_SECRET_KEY}}", base_url: "{url}"}}
streams:
  - name: people
    record: user
    source: {{type: parquet, path: people.parquet}}
    fields: {{userId: id, attributes: "*"}}
  - name: companies
    record: company
    source: {{type: parquet, path: companies.parquet}}
    fields: {{companyId: id, attributes: "*"}}
  - name: usage
    record: event
    source: {{type: parquet, path: usage.parquet}}
    key: [n]
    fields: {{userId: user, companyId: company, event: what, timestamp: at, attributes: {{rows: rows}}}}
"""
# Of each run a seventh are users, as many companies, and the rest events. A user comes again about every fifth run.
SUBJECTS: Final = """
    SELECT '{prefix}' || lpad(CAST(hash(i, {run}) % {ids} AS VARCHAR), 7, '0') AS id,
           'Name ' || i AS name, hash(i, 'seats') % 900 AS seats, ['free', 'pro', 'team'][1 + i % 3] AS plan
    FROM range({rows}) r(i)
"""
EVENTS: Final = """
    SELECT {run} * {rows} + i AS n, 'u' || lpad(CAST(hash(i, {run}, 'u') % {ids} AS VARCHAR), 7, '0') AS user,
           'c' || lpad(CAST(hash(i, {run}, 'c') % {ids} AS VARCHAR), 7, '0') AS company, 'Exported' AS what, i AS rows,
           TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds({run} * 86400 + i % 86400) AS at
    FROM range({rows}) r(i)
"""


def write_export(folder: Path, run: int, rows: int) -> None:
    """Write what one run reads."""
    few = rows // 7
    queries = {
        "people": SUBJECTS.format(prefix="u", run=run, rows=few, ids=few * 5),
        "companies": SUBJECTS.format(prefix="c", run=run, rows=few, ids=few * 5),
        "usage": EVENTS.format(run=run, rows=rows - 2 * few, ids=few * 5),
    }
    with duckdb.connect() as connection:
        for name, query in queries.items():
            connection.execute(f"COPY ({query}) TO '{folder / name}.parquet' (FORMAT parquet)")


@contextmanager
def emulator(folder: Path) -> Iterator[str]:
    """Run an emulator that keeps what it takes in a folder; gives its address."""
    command = [sys.executable, "-m", "bucket_loader", "emulator", "--port", "0", "--secret-key", KEY,
               "--data", str(folder / "emulator")]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            out: IO[str] = process.stdout  # type: ignore[assignment]
            yield json.loads(out.readline())["url"]
        finally:
            process.terminate()


def job_of(folder: Path) -> Job:
    """Return the job of the pipeline."""
    pipeline = load_pipeline(folder / "pipeline.yaml")
    return make_job(pipeline, RunOptions(), on_stderr(quiet=True), file=folder / "pipeline.yaml")


def deliver(folder: Path, url: str, rows: int) -> None:
    """Make the runs."""
    (folder / "pipeline.yaml").write_text(PIPELINE.format(url=url), "utf-8")
    for run in range(RUNS):
        write_export(folder, run, rows // RUNS)
        began = time.perf_counter()
        summary = run_job(job_of(folder))
        print(f"run {run + 1:>2}: {summary.status}, {time.perf_counter() - began:.1f} s", flush=True)
