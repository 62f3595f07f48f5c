"""The room that a run is said to take on its disk, beside the most that it really took.

    python -m benchmarks.room                                 every shape but PostgreSQL, and the sample pipelines
    python -m benchmarks.room --rows 300000 --shapes flat,csv

Each load runs twice: with a fresh state, and once more over what it remembers then.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.exports import Exports
from benchmarks.ours import DESTINATION, LOADER, ROOT
from benchmarks.rounds import chosen
from benchmarks.shapes.entries import STREAMS, source_of
from benchmarks.shapes.exports import ShapeExports
from benchmarks.shapes.shape import SHAPES
from benchmarks.sinks import at_once
from bucket_loader.config import load_pipeline
from bucket_loader.planning import Between
from bucket_loader.reporting import Listener
from bucket_loader.runs import RunOptions, make_job
from bucket_loader.runs.room import room_for
from bucket_loader.state import look_at_state

KEY = "sec_benchmark_0123456789abcdef"
LOOK_EVERY_S = 0.004
MODES = {"full": "full", "append": "append", "append, key": "append\n    key: [usage_id]"}
SAMPLES = ("quickstart", "nightly", "backfill")


class Silent(Listener):
    """Hears nothing."""

    period_s = None

    def tell(self, _event: object) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Told:
    """What was said of a load, and what it took."""

    name: str
    rows: int
    said: Between | None
    took: int

    def __str__(self) -> str:
        if self.said is None:
            return f"{self.name:<44} {self.rows:>9,} {'not known':>22} {self.took / 1e6:>9.1f}"
        span = f"{self.said.low / 1e6:.1f} to {self.said.high / 1e6:.1f}"
        low = f"{self.said.low / self.took:.2f} to {self.said.high / self.took:.2f}"
        return f"{self.name:<44} {self.rows:>9,} {span:>22} {self.took / 1e6:>9.1f} {low:>16}"


def used_bytes(folder: Path) -> int:
    """Return what the files of a folder take on its disk."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_blocks * 512  # noqa: PTH116, PTH118  # often
            except FileNotFoundError:
                continue
    return total


def run(file: Path, *options: str) -> int:
    """Run a pipeline, and return the most that it had on its disk beside what was there."""
    state = file.parent / ".bucket_loader"
    before = most = used_bytes(state)
    words = [*LOADER, "run", str(file), "--quiet", "--allow-rejected", "100%", *options]
    child = subprocess.Popen(words, cwd=file.parent)  # noqa: S603
    while child.poll() is None:
        most = max(most, used_bytes(state))
        time.sleep(LOOK_EVERY_S)
    if child.returncode:
        sys.exit(f"{file}: exit {child.returncode}")
    return most - before


def twice(name: str, rows: int, file: Path, *options: str) -> Iterator[Told]:
    """Run a pipeline twice."""
    moments = [datetime.fromisoformat(word).replace(tzinfo=UTC) for word in options[1::2]]
    asked = RunOptions(interval=(moments[0], moments[1]) if moments else None)
    for again in ("", ", again"):
        job = make_job(load_pipeline(file), asked, Silent(), file=file)
        state = look_at_state(job.pipeline, job.state_place)
        with nullcontext() if state is None else closing(state):
            said = room_for(job, state, datetime.now(UTC), looks=True)
        yield Told(name + again, rows, said, run(file, *options))


def shapes(names: str | None, rows: int, folder: Path) -> Iterator[Told]:
    """Run the shapes, each in every mode."""
    for shape in chosen(SHAPES, names):
        count = int(rows * shape.share)
        if shape.form == "postgres":
            continue
        source = source_of(shape, ShapeExports.beside(Exports(folder), shape).events(count))
        for mode, words in MODES.items():
            with TemporaryDirectory(dir=folder) as place:
                text = (STREAMS % (source, shape.timestamp, shape.fields)).replace("sync: full", f"sync: {words}")
                file = Path(place, "pipeline.yaml")
                file.write_text(DESTINATION + text)
                yield from twice(f"{shape.title}: {mode}", count, file)


def samples(folder: Path) -> Iterator[Told]:
    """Run the sample pipelines."""
    for name in SAMPLES:
        file = folder / "pipelines" / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(Path(ROOT, "pipelines", f"{name}.yaml").read_text())
        if not (data := folder / "sample_data").exists():
            data.symlink_to(Path(ROOT, "sample_data"))
        window = ("--interval-start", "2020-01-01", "--interval-end", "2030-01-01") if name == "backfill" else ()
        yield from twice(f"sample: {name}", 0, file, *window)


def main() -> None:
    """Run all, and print a line each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.room")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--shapes")
    asked = parser.parse_args()
    print(f"{'':<44} {'rows':>9} {'said, MB':>22} {'took, MB':>9} {'of what it took':>16}")
    with TemporaryDirectory(prefix="benchmark-") as place, at_once() as sink:
        os.environ |= {"BENCHMARK_URL": sink.url, "BENCHMARK_KEY": KEY, "BUCKET_BASE_URL": sink.url,
                       "BUCKET_SECRET_KEY": KEY}  # fmt: skip
        for told in shapes(asked.shapes, asked.rows, Path(place)):
            print(told, flush=True)
        for told in samples(Path(place)):
            print(told, flush=True)


if __name__ == "__main__":
    main()
