"""The life of one row beside ten million: what `explain` takes, and whether it tells what the API was sent.

    python -m benchmarks.explained                           ten million rows in 30 runs, 1,000 ids of each kind
    python -m benchmarks.explained --rows 300000 --ids 50    a smaller one
    python -m benchmarks.explained --folder /tmp/state       keep what was delivered there, or go on with it

All runs are real, and go to the emulator. Its journal is read once at the end: of each id that is asked for, each
record that `explain` calls delivered is held against what the emulator took, and the other way round.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final
from urllib.request import urlopen

import duckdb

from benchmarks.report import machine
from bucket_loader.config import load_pipeline
from bucket_loader.reporting import Life, on_stderr
from bucket_loader.runs import RunOptions, Sought, Subject, life_of, make_job, run_job
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


# --- what is asked, and what the emulator took -----------------------------------------------------------------------


def asked_for(rows: int, ids: int) -> dict[str, list[str]]:
    """Return ids by chance, some of which nothing was ever sent of: those of companies and of users."""
    source, most = random.Random(7), rows // RUNS // 7 * 5  # noqa: S311  # by chance, the same each time
    return {
        prefix: [f"{prefix}{number:07d}" for number in source.sample(range(most), min(ids, most))] for prefix in "cu"
    }


def taken(url: str, ids: set[str]) -> dict[str, Counter[str]]:
    """Return what the emulator took of some ids: how often it took each item, by the id that names it."""
    found: dict[str, Counter[str]] = {id_: Counter() for id_ in ids}
    with urlopen(f"{url}/_emulator/journal") as lines:  # noqa: S310
        for line in lines:
            item = json.loads(line)["item"]
            for id_ in {item.get("userId"), item.get("companyId")} & ids:
                found[id_][json.dumps(item, sort_keys=True)] += 1
    return found


def told(life: Life, kind: str | None = None) -> Counter[str]:
    """Return the records that a life calls delivered: all, or those of a kind."""
    rows = (row for run in life.runs for row in run.rows if kind in {None, row.kind})
    return Counter(json.dumps(row.record, sort_keys=True) for row in rows if row.fate == "delivered")


def timed(job: Job, sought: Sought) -> tuple[float, Life]:
    """Return a life, and how long it took to tell, in seconds."""
    began = time.perf_counter()
    life = life_of(job, sought)
    return time.perf_counter() - began, life


@dataclass
class Measured:
    """What was asked of a kind, how long each answer took, and how many were not what the emulator took."""

    what: str
    seconds: list[float] = field(default_factory=list)
    wrong: int = 0

    def __str__(self) -> str:
        took = sorted(self.seconds)
        return (
            f"{self.what:<32} {len(took):>5} asked, median {statistics.median(took):.2f} s, "
            f"95 % {took[len(took) * 95 // 100]:.2f} s, longest {took[-1]:.2f} s; {self.wrong} wrong"
        )


def ask(job: Job, ids: dict[str, list[str]], journal: dict[str, Counter[str]], *, all_of_it: int) -> Iterator[Measured]:
    """Yield what asking took: for records of companies and of users alone, and for all that is about one."""
    for prefix, stream, kind in (("c", "companies", "company"), ("u", "people", "user")):
        one, measured = replace(job, options=RunOptions(streams=(stream,))), Measured(f"{stream} alone")
        for id_ in ids[prefix]:
            seconds, life = timed(one, _sought(id_))
            wanted = Counter({text: n for text, n in journal[id_].items() if json.loads(text)["type"] == kind})
            measured.seconds.append(seconds)
            measured.wrong += told(life) != wanted
        yield measured
    for prefix, what in (("c", "all of a company"), ("u", "all of a user")):
        measured = Measured(what)
        for id_ in ids[prefix][:all_of_it]:
            seconds, life = timed(job, _sought(id_))
            measured.seconds.append(seconds)
            measured.wrong += told(life) != journal[id_]
        yield measured


def _sought(id_: str) -> Sought:
    return Sought(Subject("companyId" if id_.startswith("c") else "userId", id_))


def main() -> None:
    """Deliver, where that was not done, ask, and print what it took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explained", description=str(__doc__))
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--ids", type=int, default=1_000)
    parser.add_argument("--all-of-it", type=int, default=100, help="of how many ids all events are asked for as well")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    os.environ["BUCKET_SECRET_KEY"] = KEY
    print(machine())
    with nullcontext(options.folder) if options.folder else TemporaryDirectory() as name:
        folder = Path(name)
        folder.mkdir(exist_ok=True)
        ids = asked_for(options.rows, options.ids)
        with emulator(folder) as url:
            if not (folder / "pipeline.yaml").exists():
                deliver(folder, url, options.rows)
            journal = taken(url, {id_ for some in ids.values() for id_ in some})
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        for measured in ask(job_of(folder), ids, journal, all_of_it=options.all_of_it):
            print(measured, flush=True)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"memory: {peak} MB at the most, {before} MB before the first question (the journal's answers are in it)")


if __name__ == "__main__":
    main()
