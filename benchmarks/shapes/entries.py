"""Who runs a shape: the loader, its planning alone, a script that somebody would write, and DuckDB's `COPY`."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks.contest import Arena, Entry
from benchmarks.measuring import Cost
from benchmarks.ours import ROOT, Load
from benchmarks.peers import SCRIPT, Peer
from benchmarks.shapes.exports import READERS, URL, ShapeExports
from benchmarks.shapes.shape import Shape

PEERS: Final = ("loop", "copy")
LOOP_SHARE: Final = 0.2
STREAMS: Final = """
streams:
  - name: usage
    record: event
    source: %s
    sync: full
    fields:
      userId: user_id
      companyId: account_id
      event: feature_name
      timestamp: %s
      attributes:
        "*": {exclude: [usage_id]}%s
"""


def source_of(shape: Shape, path: Path) -> str:
    """Return the source of a shape, as a pipeline says it."""
    return {
        "sqlite": f'{{type: sql, url: "sqlite:///{path}", table: events}}',
        "postgres": f'{{type: sql, url: "${{{URL}}}", table: {path.stem}}}',
    }.get(shape.form, f"{{type: {shape.form}, path: {path}}}")


@dataclass(frozen=True, kw_only=True)
class ShapeLoad(Load):
    """A pipeline over a shape.

    Attributes:
        shape: which.
    """

    shape: Shape

    def streams(self, arena: Arena) -> str:
        """Return the pipeline's streams; there is one."""
        source = source_of(self.shape, arena.exports.events(arena.rows))
        return STREAMS % (source, self.shape.timestamp, self.shape.fields)


@dataclass(frozen=True)
class Within:
    """A run over a shape's source, in place of the events of all.

    Attributes:
        shape: which.
        run: does it once.
    """

    shape: Shape
    run: Callable[[Arena], Cost]

    def __call__(self, arena: Arena) -> Cost:
        """Run it once."""
        return self.run(replace(arena, exports=ShapeExports.beside(arena.exports, self.shape)))


@dataclass(frozen=True)
class Copy:
    """DuckDB's `COPY` of a shape's records to a JSON file.

    Attributes:
        shape: which.
    """

    shape: Shape

    def __call__(self, arena: Arena) -> Cost:
        """Run it once."""
        sql = ShapeExports.beside(arena.exports, self.shape).copying(arena.rows, arena.folder / "records.json")
        words = [sys.executable, "-m", "benchmarks.shapes.copying"]
        return arena.measure(words, PYTHONPATH=ROOT, BENCHMARK_SQL=sql)


def entries_of(shape: Shape, peers: Sequence[str], *, plan_only: bool) -> list[Entry]:
    """Return who runs a shape; DuckDB alone only where it reads the source."""
    run = Entry(f"{shape.name}:run", shape.title, ShapeLoad(shape=shape), shape.share)
    plan = replace(run, name=f"{shape.name}:plan", run=ShapeLoad(shape=shape, command="plan"), sends=False)
    loop = replace(
        run,
        name=f"{shape.name}:loop",
        run=Peer(SCRIPT, ("shape_loop.py", shape.name)),
        share=shape.share * LOOP_SHARE,
    )
    copy = replace(run, name=f"{shape.name}:copy", run=Copy(shape), sends=False)
    found = [plan] if plan_only else [run, plan]
    found += [loop] if "loop" in peers and not plan_only else []
    return found + ([copy] if "copy" in peers and shape.form in READERS else [])
