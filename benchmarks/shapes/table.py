"""One line a shape: what it took, beside flat Parquet, the loop and DuckDB alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.goals import Goal, figures, times
from benchmarks.shapes.shape import Shape
from benchmarks.table import Line, Spread, as_json, ratio

HEAD: Final = (
    "",
    "rows",
    "bytes a record",
    "rows a second",
    "planning alone",
    "CPU µs a row",
    "CPU µs of planning alone",
    "peak MB",
    "of flat Parquet",
    "the same by bytes",
    "orjson loop, rows a second",
    "times the loop",
    "DuckDB `COPY`, rows a second",
    "of `COPY`",
)
MEMORY_MB: Final = 450
FLAT: Final = "flat"


@dataclass(frozen=True)
class Found:
    """What the rounds came to.

    Attributes:
        lines: of every entry, by its name.
        sizes: bytes of a record on the wire, by shape.
        kind: what stands beside flat Parquet: `run`, or `plan` where nothing was sent.
    """

    lines: Mapping[str, Line]
    sizes: Mapping[str, float]
    kind: str

    def cells(self, shape: Shape) -> tuple[str, ...]:
        """Spell a shape's line."""
        line = self._line(shape, self.kind)
        peaks = line.values("peak_mb")
        of_flat = self._ratio(shape, f"{FLAT}:{self.kind}")
        wider = self.sizes[shape.name] / self.sizes.get(FLAT, self.sizes[shape.name])
        return (
            shape.title,
            f"{line.rows:,}",
            f"{self.sizes[shape.name]:.0f}",
            self._rate(shape, "run"),
            self._rate(shape, "plan"),
            self._cpu(shape, "run"),
            self._cpu(shape, "plan"),
            f"{max(peaks):.0f}" if peaks else "",
            of_flat.spelt(".2f") if of_flat else "",
            f"{of_flat.median * wider:.2f}" if of_flat else "",
            self._rate(shape, "loop"),
            _spelt(self._ratio(shape, f"{shape.name}:loop")),
            self._rate(shape, "copy"),
            _spelt(self._ratio(shape, f"{shape.name}:copy")),
        )

    def as_json(self, shape: Shape) -> dict[str, Any]:
        """Return everything that is known of a shape."""
        lines = {name: line for name, line in self.lines.items() if name.split(":")[0] == shape.name}
        entries = [as_json(line, self.lines.get(f"{FLAT}:run")) for line in lines.values()]
        return {"name": shape.name, "bytes_per_record": round(self.sizes[shape.name], 1), "entries": entries}

    def _ratio(self, shape: Shape, other: str) -> Spread | None:
        mine = f"{shape.name}:{self.kind}"
        if mine == other or not {mine, other} <= self.lines.keys():
            return None
        return ratio(self.lines[mine].rates(), self.lines[other].rates())

    def _rate(self, shape: Shape, kind: str) -> str:
        rates = [rate for rate in self._line(shape, kind).rates() if rate is not None]
        return Spread.of(rates).spelt(",.0f") if rates else ""

    def _cpu(self, shape: Shape, kind: str) -> str:
        figures = [figure for figure in self._line(shape, kind).cpu_us() if figure is not None]
        return f"{Spread.of(figures).median:.1f}" if figures else ""

    def _line(self, shape: Shape, kind: str) -> Line:
        name = f"{shape.name}:{kind}"
        return self.lines[name] if name in self.lines else Line(self.lines[f"{shape.name}:plan"].entry, 0)


def goals(shape: Shape) -> list[Goal]:
    """Return what a shape should reach."""
    run = f"{shape.name}:run"
    of_flat = Goal(f"{shape.title} / flat Parquet", shape.of_flat or 0, times(run, f"{FLAT}:run"))
    of_loop = Goal(f"{shape.title} / loop", shape.of_loop or 0, times(run, f"{shape.name}:loop"))
    memory = Goal(f"{shape.title}: memory, MB", MEMORY_MB, figures(run, lambda line: line.values("peak_mb")), most=True)
    return [goal for goal in (of_flat, of_loop, memory) if goal.bound]


def _spelt(spread: Spread | None) -> str:
    return spread.spelt(".2f") if spread else ""
