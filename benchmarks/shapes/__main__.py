"""The same events in nine shapes, from the source to the last acknowledged row, in turn, several rounds.

python -m benchmarks.shapes                                        all of it
python -m benchmarks.shapes --rows 20000 --rounds 1 --shapes flat,json-text --peers loop
python -m benchmarks.shapes --plan-only                            planning alone, nothing is sent
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.agreement import ROWS, are_same, disagreeing, expected_records
from benchmarks.contest import Entry
from benchmarks.exports import Exports
from benchmarks.goals import HEAD as GOALS_HEAD, as_json, reached
from benchmarks.report import machine, store
from benchmarks.rounds import chosen, names, play, ready
from benchmarks.shapes.entries import PEERS, Within, entries_of
from benchmarks.shapes.exports import URL, ShapeExports
from benchmarks.shapes.server import NoServerError, postgres
from benchmarks.shapes.shape import SHAPES, Shape
from benchmarks.shapes.table import HEAD, Found, goals
from benchmarks.sinks import at_once


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shapes", description="The same events in nine shapes.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="the wide shape and the loop take a fifth of them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shapes", help=f"only these, by comma: {names(SHAPES)}; ratios need `flat`")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"only these, by comma: {', '.join(PEERS)}")
    parser.add_argument("--plan-only", action="store_true", help="send nothing")
    parser.add_argument("--folder", type=Path, help="where the sources are made [a temporary one]")
    return parser.parse_args()


def served(shapes: Sequence[Shape], stack: ExitStack) -> tuple[list[Shape], dict[str, str]]:
    """Start PostgreSQL if it is needed; gives the shapes that can be had, and why not the others."""
    if all(shape.form != "postgres" for shape in shapes):
        return list(shapes), {}
    try:
        os.environ[URL] = stack.enter_context(postgres())
    except NoServerError as error:
        return [shape for shape in shapes if shape.form != "postgres"], {"postgres": str(error)}
    return list(shapes), {}


def agreeing(entries: Sequence[Entry], exports: ShapeExports) -> tuple[list[Entry], dict[str, str]]:
    """Return a shape's entries whose records are the source's, and why not the others."""
    wrong = disagreeing(entries, exports)
    for entry in entries:
        if entry.name.endswith(":copy") and not are_same(exports.copied(ROWS), expected_records(exports)):
            wrong[entry.name] = "its records are not the export's"
    return [entry for entry in entries if entry.name not in wrong], wrong


def main() -> None:
    """Let all run, and report."""
    asked = options()
    about = {"machine": machine(), "rows": asked.rows, "rounds": asked.rounds}
    with ExitStack() as stack:
        place = asked.folder or stack.enter_context(TemporaryDirectory(prefix="benchmark-"))
        Path(place).mkdir(parents=True, exist_ok=True)
        exports = Exports(Path(place).resolve())
        shapes, wrong = served(chosen(SHAPES, asked.shapes), stack)
        entries, sizes = [], {}
        for shape in shapes:
            own = ShapeExports.beside(exports, shape)
            agreed, missed = agreeing(ready(entries_of(shape, asked.peers.split(","), plan_only=asked.plan_only)), own)
            wrong |= missed
            entries += [replace(entry, run=Within(shape, entry.run)) for entry in agreed]
            sizes[shape.name] = own.bodies(ROWS).stat().st_size / ROWS
        if wrong:
            print("left out:", json.dumps(wrong, indent=1), file=sys.stderr)
        sink = stack.enter_context(at_once())
        lines = play(entries, rows=asked.rows, rounds=asked.rounds, exports=exports, sink=sink)
    found = Found({line.entry.name: line for line in lines}, sizes, "plan" if asked.plan_only else "run")
    reached_goals = reached(lines, goals=[goal for shape in shapes for goal in goals(shape)])
    tables = [(HEAD, [found.cells(shape) for shape in shapes]), (GOALS_HEAD, reached_goals)]
    about |= {"left_out": wrong, "sink": sink.name, "ended": machine()}
    stored = about | {"shapes": [found.as_json(shape) for shape in shapes], "goals": as_json(reached_goals)}
    store("shapes", tables, stored)


if __name__ == "__main__":
    main()
