"""The sink that answers after 80 ms and admits 20,000 records a second: what each finds of it, and what it costs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from benchmarks.contest import Entry
from benchmarks.measuring import Cost

LATENCY_S: Final = 0.08
RECORDS_PER_SECOND: Final = 20_000
BURST: Final = 500
FINDS_S: Final = 10.0
ENDS_S: Final = 1.0  # the last requests of a run are not its rate
# As many rows as take about half a minute here; who sends one request at a time gets 1,200 rows a second.
ROWS: Final[Mapping[str, int]] = {
    "full": 600_000,
    "dlt": 400_000,
    "drt": 24_000,
    "node": 400_000,
    "pandas-tuples": 24_000,
    "singer": 24_000,
}
HEAD: Final = (
    "",
    "rows",
    "of what it admits, first 10 s",
    "after those",
    "429s, first 10 s",
    "after those",
    "rows lost",
    "CPU µs a row",
)


@dataclass(frozen=True)
class Part:
    """What the sink saw in some seconds of a run.

    Attributes:
        seconds: how many.
        records: admitted.
        admitted: requests.
        refused: requests.
    """

    seconds: float
    records: int
    admitted: int
    refused: int

    def used(self) -> float | None:
        """Say how much of what the sink admits was used."""
        return self.records / (RECORDS_PER_SECOND * self.seconds) if self.seconds > 0 else None

    def refusals(self) -> float | None:
        """Say which share of the requests was refused."""
        return self.refused / (self.admitted + self.refused) if self.admitted + self.refused else None


@dataclass(frozen=True)
class Found:
    """What one run came to.

    Attributes:
        name: whose.
        title: whose, as people read it.
        rows: that it was given.
        first: its first seconds.
        after: what came then, without the end.
        lost: rows that the sink never admitted, and nobody complained.
        cpu_us_per_row: CPU in microseconds.
    """

    name: str
    title: str
    rows: int
    first: Part
    after: Part
    lost: int
    cpu_us_per_row: float

    @classmethod
    def read(cls, entry: Entry, rows: int, history: Mapping[str, Any], cost: Cost) -> "Found":
        """Read it off the sink's history."""
        bins, bin_s = history["bins"], float(history["bin_s"])
        turn, end = round(FINDS_S / bin_s), len(bins) - round(ENDS_S / bin_s)
        admitted = sum(records for records, *_ in bins)
        return cls(
            entry.name,
            entry.title,
            rows,
            _part(bins[: min(turn, end)], bin_s),
            _part(bins[turn:end], bin_s),
            rows - admitted,
            cost.cpu_s / rows * 1e6,
        )

    def cells(self) -> tuple[str, ...]:
        """Spell it."""
        shares = (self.first.used(), self.after.used(), self.first.refusals(), self.after.refusals())
        return (
            self.title,
            f"{self.rows:,}",
            *("" if share is None else f"{share:.1%}" for share in shares),
            f"{self.lost:,}",
            f"{self.cpu_us_per_row:.1f}",
        )

    def as_json(self) -> dict[str, Any]:
        """Return everything."""
        return asdict(self)


def _part(bins: Sequence[Sequence[int]], bin_s: float) -> Part:
    records, admitted, refused = (sum(numbers) for numbers in zip(*bins, strict=True)) if bins else (0, 0, 0)
    return Part(len(bins) * bin_s, records, admitted, refused)
