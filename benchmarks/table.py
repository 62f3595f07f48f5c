"""Figures to tables: medians with their spread, ratios within each round, and what the goals come to."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final

from benchmarks.contest import Entry
from benchmarks.measuring import Cost


@dataclass(frozen=True)
class Line:
    """What one entry came to, a cost a round; nothing where a round failed."""

    entry: Entry
    rows: int
    costs: list[Cost | None] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.entry.title

    def rates(self) -> list[float | None]:
        """Return rows a second, a round each."""
        return [None if cost is None else self.rows / cost.seconds for cost in self.costs]

    def cpu_us(self) -> list[float | None]:
        """Return microseconds of CPU a row, a round each."""
        return [None if cost is None else cost.cpu_s / self.rows * 1e6 for cost in self.costs]

    def values(self, name: str) -> list[float]:
        """Return one figure of every round that worked."""
        return [float(getattr(cost, name)) for cost in self.costs if cost is not None]


@dataclass(frozen=True)
class Spread:
    """The median of some figures, with the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        """Take it from figures, of which there is at least one."""
        return cls(median(figures), min(figures), max(figures))

    def spelt(self, form: str) -> str:
        """Spell it as `median (least-most)`."""
        return f"{self.median:{form}} ({self.least:{form}}–{self.most:{form}})"  # noqa: RUF001  # a range


def ratio(over: Sequence[float | None], under: Sequence[float | None]) -> Spread | None:
    """Compare two figures round by round; nothing where no round has both."""
    found = [a / b for a, b in zip(over, under, strict=False) if a is not None and b is not None]
    return Spread.of(found) if found else None


def compared(line: Line, full: Line | None) -> tuple[Spread | None, Spread | None]:
    """Say how many times faster `full` is, and with how many times less CPU a row."""
    if full is None or line is full or not line.entry.sends:
        return None, None
    return ratio(full.rates(), line.rates()), ratio(line.cpu_us(), full.cpu_us())


HEAD: Final = (
    "",
    "rows",
    "start, s",
    "rows a second",
    "CPU µs a row",
    "peak MB",
    "`full` is faster by",
    "and takes less CPU by",
)


def cells(line: Line, full: Line | None) -> tuple[str, ...]:
    """Spell one line of the table."""
    rates = [rate for rate in line.rates() if rate is not None]
    if not rates:
        return (line.title, f"{line.rows:,}", "", "failed", "", "", "", "")
    peak = f"{max(line.values('peak_mb')):.0f}"
    if line.entry.timed:
        seconds = f"{Spread.of(line.values('seconds')).spelt('.2f')} s"
        return (line.title, f"{line.rows:,}", "", seconds, "", peak, "", "")
    start_s = f"{median(line.values('start_s')):.1f}"
    cpu_us = median(value for value in line.cpu_us() if value is not None)
    ratios = ("" if spread is None else spread.spelt(".2f") for spread in compared(line, full))
    return (line.title, f"{line.rows:,}", start_s, Spread.of(rates).spelt(",.0f"), f"{cpu_us:.1f}", peak, *ratios)


def markdown(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """Draw a table as Markdown."""
    lines = [f"| {' | '.join(cells)} |" for cells in body]
    return "\n".join([f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|", *lines]) + "\n"


def plain(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """Draw a table for a terminal."""
    every = [head, *body]
    widths = [max(len(cells[i]) for cells in every) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        for cells in every
    )


def as_json(line: Line, full: Line | None) -> dict[str, Any]:
    """Return everything that is known of a line."""
    faster, cheaper = compared(line, full)
    return {
        "name": line.entry.name,
        "title": line.title,
        "rows": line.rows,
        "rounds": [None if cost is None else _round(cost, line.rows) for cost in line.costs],
        "full_is_faster_by": None if faster is None else asdict(faster),
        "full_takes_less_cpu_by": None if cheaper is None else asdict(cheaper),
        "trouble": line.trouble,
    }


def _round(cost: Cost, rows: int) -> dict[str, float]:
    return {
        "rows_per_second": round(rows / cost.seconds, 1),
        "start_s": round(cost.start_s, 3),
        "seconds": round(cost.seconds, 3),
        "cpu_us_per_row": round(cost.cpu_s / rows * 1e6, 3),
        "peak_mb": round(cost.peak_mb, 1),
    }
