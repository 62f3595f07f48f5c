"""What the figures should come to, as ratios in one run or as bounds, and what they do come to."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.limited import Found
from benchmarks.table import Line, Spread, ratio

Lines = Mapping[str, Line]
HEAD: Final = ("goal", "asked", "found", "")
USED: Final = 0.95
REFUSED: Final = 0.02


@dataclass(frozen=True)
class Goal:
    """One thing to reach.

    Attributes:
        title: as people read it.
        bound: at least this, or at most where `most` is set.
        found: takes it from the lines; nothing where they were not run.
    """

    title: str
    bound: float
    found: Callable[[Lines], Spread | None]
    most: bool = False

    def cells(self, lines: Lines) -> tuple[str, ...] | None:
        """Spell what it came to."""
        found = self.found(lines)
        if found is None:
            return None
        met = found.median <= self.bound if self.most else found.median >= self.bound
        form = ",.0f" if self.bound > 100 else ".2f"  # noqa: PLR2004
        asked = f"{'at most' if self.most else 'at least'} {self.bound:,g}"
        return (self.title, asked, found.spelt(form), _verdict(met=met))


def times(over: str, under: str) -> Callable[[Lines], Spread | None]:
    """Compare two entries."""
    return lambda lines: ratio(lines[over].rates(), lines[under].rates()) if over in lines and under in lines else None


def figures(name: str, figure: Callable[[Line], list[float]]) -> Callable[[Lines], Spread | None]:
    """Look at one entry."""

    def find(lines: Lines) -> Spread | None:
        found = figure(lines[name]) if name in lines else []
        return Spread.of(found) if found else None

    return find


def _seconds(line: Line) -> list[float]:
    return line.values("seconds")


def _rates(line: Line) -> list[float]:
    return [rate for rate in line.rates() if rate is not None]


def _peak(line: Line) -> list[float]:
    return line.values("peak_mb")


def _growth(lines: Lines) -> Spread | None:
    if "full" not in lines or "large" not in lines:
        return None
    small, large = lines["full"].values("peak_mb"), lines["large"].values("peak_mb")
    return Spread.of([max(large) / max(small)]) if small and large else None


GOALS: Final = (
    Goal("`full` / dlt", 5, times("full", "dlt")),
    Goal("`full` / drt", 6, times("full", "drt")),
    Goal("`full` / node SDK", 4.5, times("full", "node")),
    Goal("`full` / pandas loop", 12, times("full", "pandas")),
    Goal("`full` / bare sender", 1.6, times("full", "bare")),
    Goal("delivery alone / bare sender", 0.9, times("deliver", "bare")),
    Goal("`append` / `full`", 0.85, times("append", "full")),
    Goal("CSV / Parquet", 0.8, times("csv", "full")),
    Goal("planning, rows a second", 800_000, figures("plan", _rates)),
    Goal("planning a large file, rows a second", 1_000_000, figures("plan-large", _rates)),
    Goal("nothing changed, seconds", 5, figures("unchanged", _seconds), most=True),
    Goal("a cron run with nothing new, seconds", 0.5, figures("nothing-new", _seconds), most=True),
    Goal("`--help`, seconds", 0.07, figures("help", _seconds), most=True),
    Goal("memory, the large run / `full`", 1.1, _growth, most=True),
    Goal("memory of the large run, MB", 400, figures("large", _peak), most=True),
)


def reached(lines: Iterable[Line], found: Iterable[Found] = (), goals: Iterable[Goal] = GOALS) -> list[tuple[str, ...]]:
    """Spell what each goal came to; those that were not run are left out."""
    by_name = {line.entry.name: line for line in lines}
    cells = [goal.cells(by_name) for goal in goals]
    return [each for each in cells if each is not None] + [
        each for one in found if one.name == "full" for each in _limited(one)
    ]


def as_json(reached: Iterable[tuple[str, ...]]) -> list[dict[str, str]]:
    """Return what each goal came to, by names."""
    return [dict(zip(("goal", "asked", "found", "verdict"), cells, strict=True)) for cells in reached]


def _limited(found: Found) -> Iterable[tuple[str, ...]]:
    used, refused = found.after.used(), found.after.refusals()
    if used is not None and refused is not None:
        yield ("limited sink: used of what it admits", "at least 95%", f"{used:.1%}", _verdict(met=used >= USED))
        yield ("limited sink: 429s after 10 s", "under 2%", f"{refused:.1%}", _verdict(met=refused < REFUSED))


def _verdict(*, met: bool) -> str:
    return "met" if met else "missed"
