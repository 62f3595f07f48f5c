"""What a run is: who runs, on how many rows, against which sink, and whether all of its rows arrived."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.exports import CHUNK, Exports
from benchmarks.measuring import Cost, measure
from benchmarks.sinks import Sink

KEY: Final = "sec_benchmark_0123456789abcdef"


class ContestError(Exception):
    """A run did not do what it is measured for."""


def reason(error: Exception) -> str:
    """Return the line that says what went wrong: the one that begins so, else the last."""
    lines = str(error).strip().splitlines()
    return next((line for line in lines if line.startswith("error:")), lines[-1])


@dataclass(frozen=True)
class Arena:
    """Where one run takes place.

    Attributes:
        exports: the inputs.
        sink: where the rows go.
        rows: how many.
        folder: empty, and gone after the run.
        home: kept from round to round.
    """

    exports: Exports
    sink: Sink
    rows: int
    folder: Path
    home: Path

    def measure(self, words: list[str], **variables: str) -> Cost:
        """Measure a command that finds the sink, the key and these variables in its environment."""
        environment = {"BENCHMARK_URL": self.sink.url, "BENCHMARK_KEY": KEY, "PYTHONHASHSEED": "0"} | variables
        return measure(words, folder=self.folder, environment=environment)


@dataclass(frozen=True)
class Entry:
    """One line of the table.

    Attributes:
        name: as options and results spell it.
        title: as people read it.
        run: does it once.
        share: of the rows asked for; slow peers take fewer, since rates are compared.
        sends: whether its rows are sent while it is measured.
        timed: whether its seconds are what matters, and not its rate.
    """

    name: str
    title: str
    run: Callable[[Arena], Cost]
    share: float = 1.0
    sends: bool = True
    timed: bool = False

    def rows(self, asked: int) -> int:
        """Say how many rows it takes: whole chunks."""
        return max(CHUNK, round(asked * self.share / CHUNK) * CHUNK)


def compete(entry: Entry, *, exports: Exports, sink: Sink, rows: int) -> Cost:
    """Let it run once in a fresh folder, and see that the sink got its requests, no more and no less.

    Raises:
        ContestError: it did not send them.
    """
    home = exports.folder / entry.name
    home.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=exports.folder, prefix=f"{entry.name}-") as folder:
        before = sink.requests()
        cost = entry.run(Arena(exports, sink, rows, Path(folder), home))
        sent = sink.requests() - before
    if entry.sends and sent != rows // CHUNK:
        raise ContestError(f"{entry.name} sent {sent:,} requests instead of {rows // CHUNK:,}")
    os.sync()  # what one has left to write does not slow the next
    return cost
