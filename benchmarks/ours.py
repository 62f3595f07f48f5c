"""The loader's own runs: the command as a person runs it, everything on, and fresh state each round.

Rates are taken as the peers' are, from when the imports are done; what is measured in seconds, from the start of the
command.

Everything on is how it always runs: every record validated, a durable ledger (an intent is synced before its chunk is
sent), dead letters.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.contest import Arena, ContestError, Entry
from benchmarks.measuring import Cost

LOADER: Final = [sys.executable, "-m", "bucket_loader"]
BEGUN: Final = [sys.executable, "-m", "benchmarks.command"]
ROOT: Final = str(Path(__file__).parents[1])
DESTINATION: Final = """
name: benchmark
destination: {base_url: "${BENCHMARK_URL}", key: "${BENCHMARK_KEY}"}
"""
EVENTS: Final = """
streams:
  - name: usage
    record: event
    source: {type: %s, path: "%s"}
    sync: %s
    fields:
      userId: user_id
      companyId: account_id
      event: feature_name
      timestamp: {column: used_at, timezone: UTC}
      attributes:
        "*": {exclude: [usage_id]}
"""
TYPED: Final = """
        usage_count: {column: usage_count, type: integer}
        duration_seconds: {column: duration_seconds, type: number}
        is_beta: {column: is_beta, type: boolean}
"""
COMPANIES: Final = """
streams:
  - name: companies
    record: company
    source: {type: parquet, path: "%s"}
    fields: {companyId: account_id, attributes: "*"}
"""
NEW_FILES: Final = """
streams:
  - name: usage
    record: event
    source: {type: parquet, path: "%s", new_files: true}
    fields: {userId: user_id, companyId: account_id, event: feature_name, timestamp: {column: used_at, timezone: UTC}}
"""


@dataclass(frozen=True)
class Load:
    """A pipeline over the events.

    Attributes:
        sync: the stream's mode.
        form: of the export.
        command: `run`, or `plan`.
        planned: whether the plan is there already, and only its delivery is measured.
    """

    sync: str = "full"
    form: str = "parquet"
    command: str = "run"
    planned: bool = False

    def __call__(self, arena: Arena) -> Cost:
        """Run it once."""
        pipeline = _write(arena.folder, self.streams(arena))
        words = [*BEGUN, self.command, pipeline, "--quiet", "--json"]
        if self.planned:
            plan = json.loads(arena.measure([*LOADER, "plan", pipeline, "--quiet", "--json"]).stdout)["plan"]
            words += ["--plan", plan]
        cost = arena.measure(words, PYTHONPATH=ROOT)
        _expect(cost, pending=arena.rows) if self.command == "plan" else _expect(cost, delivered=arena.rows)
        return cost

    def streams(self, arena: Arena) -> str:
        """Return the pipeline's streams; there is one."""
        text = EVENTS % (self.form, arena.exports.events(arena.rows, self.form), self.sync)
        text += TYPED.lstrip("\n") if self.form == "csv" else ""
        return text + ("    key: [usage_id]\n" if self.sync == "append" else "")


def nothing_changed(arena: Arena) -> Cost:
    """Run `changes` over companies that were all delivered before (once, into a state that is kept)."""
    pipeline = _write(arena.home, COMPANIES % arena.exports.companies(arena.rows))
    return _again(arena, pipeline, unchanged=arena.rows)


def nothing_new(arena: Arena) -> Cost:
    """Run a pipeline whose files were all loaded before."""
    pipeline = _write(arena.home, NEW_FILES % arena.exports.events(arena.rows))
    return _again(arena, pipeline, read=0)


def say_help(arena: Arena) -> Cost:
    """Run `--help`."""
    return arena.measure([str(Path(sys.executable).with_name("bucket-loader")), "--help"])


def _again(arena: Arena, pipeline: str, **expected: int) -> Cost:
    words = [*LOADER, "run", pipeline, "--quiet", "--json"]
    if not (arena.home / ".bucket_loader").exists():
        arena.measure(words)
    cost = arena.measure(words)
    _expect(cost, delivered=0, **expected)
    return cost


def _write(folder: Path, text: str) -> str:
    path = folder / "pipeline.yaml"
    path.write_text(DESTINATION + text.lstrip("\n"))
    return str(path)


def _expect(cost: Cost, **expected: int) -> None:
    summary = json.loads(cost.stdout.splitlines()[-1])
    (counts,) = summary["streams"].values()
    found = {name: counts[name] for name in expected}
    if found != expected:
        raise ContestError(f"the loader's summary has {found} instead of {expected}")


FULL: Final = Entry("full", "bucket-loader: `full`, Parquet", Load())
PLAN: Final = Entry("plan", "bucket-loader: planning alone", Load(command="plan"), sends=False)
ENTRIES: Final = (
    FULL,
    Entry("append", "bucket-loader: `append` with `key:`", Load(sync="append")),
    Entry("csv", "bucket-loader: `full`, CSV", Load(form="csv")),
    PLAN,
    Entry("deliver", "bucket-loader: delivery alone", Load(planned=True)),
    Entry("unchanged", "bucket-loader: `changes`, nothing changed", nothing_changed, sends=False, timed=True),
    Entry(
        "nothing-new", "bucket-loader: a cron run with no new file", nothing_new, share=0.01, sends=False, timed=True
    ),
    Entry("help", "bucket-loader: `--help`", say_help, share=0, sends=False, timed=True),
)
