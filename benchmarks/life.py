"""A life: as many hourly runs as years have, one after the other in this process, by a clock that moves on by itself.

python -m benchmarks.life                              20,000 runs of 50 new events each
python -m benchmarks.life --runs 2000                  a shorter one
python -m benchmarks.life --runs 2000 --sync full      without what a stream remembers: the rest of a run alone
python -m benchmarks.life --profile 100                the calls of the last hundred runs that took longest

Each run reads a file of its own, sends all of it to a sink that answers at once, and lets go of what is old. At the end
stands what the first and the last hundred runs cost, how large the state has become, and how long looking at it takes.
"""

import argparse
import cProfile
import json
import pstats
import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.report import machine
from benchmarks.sinks import at_once
from bucket_loader.config import load_pipeline
from bucket_loader.delivery import Outside
from bucket_loader.model.clock import SystemClock
from bucket_loader.reporting import on_stderr
from bucket_loader.runs import RunOptions, audit_run, make_job, past_runs, run_job
from bucket_loader.runs.job import Job

PIPELINE: Final = """\
name: life
destination: {{key: "${{KEY}}", base_url: "{url}"}}
streams:
  - name: usage
    record: event
    source: {{type: csv, path: usage.csv}}
    sync: {sync}
    {key}
    fields:
      userId: user
      event: what
      timestamp: {{column: at, timezone: UTC}}
      attributes: {{seats: {{column: seats, type: integer}}}}
"""
BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
SOME: Final = 100  # runs at each end of a life


@dataclass(eq=False)
class MovingClock(SystemClock):
    """The machine's clock, but for the date: that is moved on by an hour for each run."""

    at: datetime = BEGAN
    since_s: float = 0.0

    def move(self, hours: int) -> None:
        """Begin an hour."""
        self.at, self.since_s = BEGAN + timedelta(hours=hours), time.monotonic()

    def utc(self) -> datetime:
        """Return the date and the time of this life."""
        return self.at + timedelta(seconds=time.monotonic() - self.since_s)


@dataclass(frozen=True)
class Cost:
    """What one run cost."""

    wall_s: float
    cpu_s: float


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.life", description="Many hourly runs of one pipeline.")
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--events", type=int, default=50, help="new events of each run")
    parser.add_argument("--sync", choices=("append", "full"), default="append")
    parser.add_argument("--folder", type=Path, help="where the pipeline and its state lie, and stay [a temporary one]")
    parser.add_argument("--profile", type=int, default=0, metavar="RUNS", help="profile the last so many runs")
    return parser.parse_args()


def job_of(folder: Path, clock: MovingClock) -> Job:
    """Return what a command would make of the pipeline file."""
    file = folder / "pipeline.yaml"
    job = make_job(load_pipeline(file, variables={"KEY": "sec_life_0123456789"}), RunOptions(), on_stderr(quiet=True),
                   file=file)  # fmt: skip
    return replace(job, outside=Outside(clock=clock))


def run_once(folder: Path, clock: MovingClock, number: int, events: int) -> Cost:
    """Export the hour's events, and load them."""
    clock.move(number)
    at = clock.at.strftime("%Y-%m-%d %H:%M:%S")
    rows = (f"{number}-{one},u{one},opened,{at},{one}\n" for one in range(events))
    (folder / "usage.csv").write_text("id,user,what,at,seats\n" + "".join(rows))
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    summary = run_job(job_of(folder, clock))
    cost = Cost(time.perf_counter() - wall_s, time.process_time() - cpu_s)
    if summary.exit_code or summary.streams["usage"].delivered != events:
        raise SystemExit(f"run {number} ended with {summary.exit_code}: {summary.streams}")
    return cost


def live(folder: Path, asked: argparse.Namespace) -> list[Cost]:
    """Let the runs follow each other; says now and then how far they are."""
    clock, costs, profile = MovingClock(), [], cProfile.Profile()
    began_s = time.monotonic()
    for number in range(asked.runs):
        profiled = profile if asked.runs - number <= asked.profile else nullcontext()
        with profiled:
            costs.append(run_once(folder, clock, number, asked.events))
        if number % 1_000 == SOME - 1:
            spent = statistics.median(cost.cpu_s for cost in costs[-SOME:])
            print(f"{number + 1:,} runs in {time.monotonic() - began_s:,.0f} s, {spent * 1e3:.1f} ms of CPU each")
    if asked.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
    return costs


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds some work takes."""
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def looked_at(folder: Path, runs: int) -> dict[str, float]:
    """Return how long it takes to look at the state, in seconds."""
    clock = MovingClock()
    clock.move(runs)
    job = job_of(folder, clock)
    (path,) = folder.glob(".bucket_loader/*/ledger.db")
    with closing(sqlite3.connect(path)) as ledger:
        ((first, last),) = ledger.execute("SELECT min(run), max(run) FROM run")
    audit_run(job, last)  # what it imports is not counted
    return {
        "status": timed(lambda: past_runs(job, last=20)),
        "audit of the first run": timed(lambda: audit_run(job, first)),
        "audit of the last run": timed(lambda: audit_run(job, last)),
    }


def size_mb(folder: Path) -> dict[str, float]:
    """Return how large the parts of a state are."""
    (root,) = (folder / ".bucket_loader").iterdir()
    sizes: dict[str, float] = {}
    for path in root.rglob("*"):
        if path.is_file():
            part = path.relative_to(root).parts[0]
            sizes[part] = sizes.get(part, 0.0) + path.stat().st_size / 1e6
    return {part: round(size, 1) for part, size in sorted(sizes.items())}


def main() -> None:
    """Live, and say what it came to."""
    asked = options()
    some = min(SOME, asked.runs // 2)
    place = TemporaryDirectory(prefix="benchmark-life-") if asked.folder is None else nullcontext(asked.folder)
    with place as name, at_once() as sink:
        folder = Path(name).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        key = "key: [id]" if asked.sync == "append" else ""
        (folder / "pipeline.yaml").write_text(PIPELINE.format(url=sink.url, sync=asked.sync, key=key))
        costs = live(folder, asked)
        found: dict[str, object] = {"machine": machine(), "runs": asked.runs, "events": asked.runs * asked.events}
        for what in ("cpu_s", "wall_s"):
            first, last = (statistics.median(getattr(cost, what) for cost in ends)
                           for ends in (costs[:some], costs[-some:]))  # fmt: skip
            found[what] = {"first": round(first, 4), "last": round(last, 4), "ratio": round(last / first, 2)}
        sizes = size_mb(folder)
        found |= {"state_mb": round(sum(sizes.values()), 1), "of that": sizes}
        found["seconds"] = {what: round(seconds, 3) for what, seconds in looked_at(folder, asked.runs).items()}
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
