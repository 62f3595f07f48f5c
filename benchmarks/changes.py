"""`sync: changes` with nothing changed: comparing alone, and the whole of `plan`, at two sizes in one run.

    python -m benchmarks.changes                            a million companies, then ten million
    python -m benchmarks.changes --rows 100000              one size
    python -m benchmarks.changes --changed 0.01             one row in a hundred differs
    python -m benchmarks.changes --drawn                    with four columns of which no two values are alike
    python -m benchmarks.changes --rounds 5                 plan again five times, by turns with hashes and with values

CPU seconds say more than seconds where others use the machine. The memory is what a run would have remembered that had
delivered every row; it is made here without sending anything: hashes in one state, and values (`remember: values`) in
another.
"""

import argparse
import os
import shutil
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from benchmarks.measuring import Cost, measure
from bucket_loader.config.yaml_file import load_pipeline
from bucket_loader.model.files import make_folder
from bucket_loader.planning import plan_file as plan
from bucket_loader.planning.plan_file import Plan
from bucket_loader.state import snapshots
from bucket_loader.state.location import StatePlace
from bucket_loader.state.opening import open_state

KEY = "sec_benchmark_0123456789abcdef"
PIPELINE = """
name: benchmark
destination: {base_url: "http://127.0.0.1:9", key: "${BUCKET_SECRET_KEY}"}
streams:
  - name: companies
    record: company
    source: {type: parquet, path: companies.parquet}
    fields: {companyId: account_id, attributes: "*"}
    remember: REMEMBER
"""
REMEMBER = ("hashes", "values")
COMPANIES = """
    COPY (SELECT 'A-' || lpad(i::VARCHAR, 9, '0') AS account_id, 'Company number ' || i AS name,
                 ['free', 'team', 'pro', 'enterprise'][1 + i % 4] AS plan, i % 500 AS seats,
                 CASE WHEN {changed} THEN -1.0 ELSE (i % 100000) / 100.0 END AS mrr,
                 CASE WHEN i % 10 > 0 THEN 'eu' END AS region{more}
          FROM range({rows}) r(i)) TO '{path}' (FORMAT parquet)
"""

# What no compression makes small: ids of another system, addresses, amounts and days without a pattern.
DRAWN = """, md5(i::VARCHAR) AS crm_id, (hash(i) % 10000000) / 100.0 AS arr,
                 'p' || substr(md5('p' || i), 1, 9) || '@' || substr(md5('h' || i), 1, 6) || '.com' AS owner,
                 date '2020-01-01' + (hash(-i) % 2000)::INTEGER AS signed_on
"""


def measured(folder: Path, *words: str) -> Cost:
    """Run Python with words."""
    return measure([sys.executable, *words], folder=folder, environment={})


def spelt(name: str, rows: int, cost: Cost) -> str:
    """Spell a line of the table."""
    figures = f"{cost.seconds:>9.1f} {cost.cpu_s:>9.1f} {cost.cpu_s / rows * 1e6:>9.2f} {cost.peak_mb:>8.0f}"
    return f"{name:<24} {rows:>12,} {figures}"


def make_export(folder: Path, rows: int, changed: str, more: str = "") -> None:
    """Write the export, with more columns where they are asked for."""
    duckdb.sql(COMPANIES.format(rows=rows, changed=changed, more=more, path=folder / "companies.parquet"))


def pipeline_of(folder: Path, remember: str) -> Path:
    """Return the pipeline file that remembers hashes, or values."""
    return folder / f"{remember}.yaml"


def plan_it(folder: Path, remember: str, *words: str) -> Cost:
    """Plan, as the command does, with a state for what is remembered; the plan is not kept."""
    place = folder / f"state-{remember}"
    file = str(pipeline_of(folder, remember))
    return measured(folder, "-m", "bucket_loader", "plan", file, "--quiet", "--state", str(place), *words)


def remember_it(folder: Path, remember: str) -> tuple[Path, Path, str]:
    """Remember what a plan would send, as if it were delivered, and remove the plan.

    Returns:
        The plan's records, the file of memory and its digest.
    """
    pipeline = load_pipeline(pipeline_of(folder, remember))
    with closing(open_state(pipeline, StatePlace(folder / f"state-{remember}"))) as state:
        (made,) = state.plans.iterdir()
        planned: Plan = plan.read(made, verify=False)
        (stream,) = planned.manifest.streams
        make_folder(state.snapshots)
        schema = snapshots.part_schema(records=remember == "values")
        batches = (pa.RecordBatch.from_arrays(batch.columns, schema=schema)
                   for batch in planned.keys(stream, records=remember == "values"))  # fmt: skip
        written = snapshots.write_part(state.snapshots / "part.pages", batches, schema)
        part = state.keep_part("part.pages", written)
        state.ledger.settle(planned.manifest.run, 0, stream=stream.name, part=part)
        (made / stream.parts[0].file).rename(folder / "staged.parquet")
        shutil.rmtree(made)
        return folder / "staged.parquet", state.snapshots / "part.pages", written.digest


COMPARE = """
import sys
from pathlib import Path
from bucket_loader.model.syncs import CHANGES
from bucket_loader.planning.engine.compare import compare
from bucket_loader.planning.engine.engine import OneProcess
from bucket_loader.state import Records, snapshots
staged, pages, folder = map(Path, sys.argv[1:4])
memory = snapshots.Memory([snapshots.opened(pages, snapshots.Written(0, sys.argv[4]))])
found = compare(OneProcess(), Records.of(staged), memory, snapshots.Comparison(CHANGES, "key"), folder)
assert found.counts.pending == 0, "what was remembered differs from itself"
"""


def report(rows: int, changed: float, rounds: int, more: str) -> None:
    """Print the figures for so many companies."""
    with TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        make_export(folder, rows, "false", more)
        for remember in REMEMBER:
            pipeline_of(folder, remember).write_text(PIPELINE.replace("REMEMBER", remember))
            print(spelt(f"first plan, {remember}", rows, plan_it(folder, remember)), flush=True)
            staged, pages, digest = remember_it(folder, remember)
            print(f"{'':<24} {pages.stat().st_size / rows:,.1f} bytes a record are remembered")
            words = (str(staged), str(pages), str(folder / "compared"), digest)
            print(spelt("compare alone", rows, measured(folder, "-c", COMPARE, *words)), flush=True)
        if changed:
            make_export(folder, rows, f"i % {round(1 / changed)} = 0", more)
        for _ in range(rounds):
            for remember in REMEMBER:
                print(spelt(f"plan again, {remember}", rows, plan_it(folder, remember)), flush=True)
        if changed:
            print(spelt("plan again, --diff", rows, plan_it(folder, "values", "--diff")), flush=True)


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description="Comparing with what was last delivered.")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--changed", type=float, default=0.0, help="the share of rows that differ")
    parser.add_argument("--rounds", type=int, default=1, help="how often each plans again")
    parser.add_argument("--drawn", action="store_true", help="with columns of which no two values are alike")
    arguments = parser.parse_args()
    os.environ["BUCKET_SECRET_KEY"] = KEY
    print(f"{'':<24} {'rows':>12} {'seconds':>9} {'CPU s':>9} {'us a row':>9} {'peak MB':>8}")
    for rows in arguments.rows:
        report(rows, arguments.changed, arguments.rounds, DRAWN if arguments.drawn else "")


if __name__ == "__main__":
    main()
