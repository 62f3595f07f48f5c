"""The loader beside its peers: the same file, the same sinks, in turn, several rounds.

python -m benchmarks                                  everything; `make bench` does this
python -m benchmarks --rounds 1 --rows 200000 --ours full,plan --peers bare,pandas
python -m benchmarks --large 20000000                 twenty million rows too: memory, and planning without its start
"""

import argparse
import json
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import limited, ours, peers
from benchmarks.agreement import disagreeing
from benchmarks.exports import Exports
from benchmarks.report import machine, report
from benchmarks.rounds import chosen, names, play, play_limited, ready
from benchmarks.sinks import at_once


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="The loader beside its peers.")
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="for the loader and the bare senders; slower ones take a share"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ours", help=f"only these, by comma: {names(ours.ENTRIES)}")
    parser.add_argument("--peers", help=f"only these, by comma: {names(peers.ENTRIES)}")
    parser.add_argument("--limited", help=f"only these against the limited sink, by comma: {', '.join(limited.ROWS)}")
    parser.add_argument("--large", type=int, default=0, help="run `full` and `plan` once with so many rows")
    parser.add_argument("--folder", type=Path, help="where inputs and state lie, and stay [a temporary one]")
    return parser.parse_args()


def main() -> None:
    """Make the environments, let all run, and report."""
    asked = options()
    entries = ready([*chosen(ours.ENTRIES, asked.ours), *chosen(peers.ENTRIES, asked.peers)])
    slow = chosen([entry for entry in entries if entry.name in limited.ROWS], asked.limited)
    about = {"machine": machine(), "rows": asked.rows, "rounds": asked.rounds}
    folder = TemporaryDirectory(prefix="benchmark-") if asked.folder is None else nullcontext(asked.folder)
    with folder as place, at_once() as sink:
        Path(place).mkdir(parents=True, exist_ok=True)
        exports = Exports(Path(place).resolve())
        if wrong := disagreeing(entries, exports):
            print("not what it should be:", json.dumps(wrong, indent=1), file=sys.stderr)
            entries = [entry for entry in entries if entry.name not in wrong]
        lines = play(entries, rows=asked.rows, rounds=asked.rounds, exports=exports, sink=sink)
        if asked.large:
            large = [
                replace(ours.FULL, name="large", title="bucket-loader: `full`, a large file"),
                replace(ours.PLAN, name="plan-large", title="bucket-loader: planning alone, a large file"),
            ]
            lines += play(large, rows=asked.large, rounds=1, exports=exports, sink=sink)
        found = play_limited(slow, exports=exports)
    report(lines, found, about | {"left_out": wrong, "sink": sink.name, "ended": machine()})


if __name__ == "__main__":
    main()
