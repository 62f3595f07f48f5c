"""A young state and one with years of runs in its ledger, in turn: what a run costs more for its past.

python -m benchmarks.aged                      20,000 runs in the ledger; 40 runs of each state
python -m benchmarks.aged --history 100000 --runs 20

The past is written into the ledger as a life leaves it (`benchmarks.life` lives it, which takes an hour): old runs are
folded, those of the last thirty days are not. Since the two take turns, the ratio holds on a busy machine as well.
"""

import argparse
import json
import os
import sqlite3
import statistics
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.life import BEGAN, PIPELINE, Cost, MovingClock, looked_at, run_once, size_mb
from benchmarks.report import machine
from benchmarks.sinks import at_once

FIRST = 3  # runs of each state that make it what it is
KEPT = 30 * 24  # hourly runs that are not old yet


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.aged", description="A young and an old state, in turn.")
    parser.add_argument("--history", type=int, default=20_000, help="runs that the old one's ledger has")
    parser.add_argument("--runs", type=int, default=40, help="measured runs of each")
    parser.add_argument("--events", type=int, default=50, help="new events of each run")
    return parser.parse_args()


def grow_old(folder: Path, runs: int) -> None:
    """Put runs before those that a ledger has."""
    (path,) = folder.glob(".bucket_loader/*/ledger.db")
    with closing(sqlite3.connect(path)) as ledger:
        ledger.execute("UPDATE run SET number = number + ?", (runs,))
        rows = {table: _a_row(ledger, table) for table in ("run", "stream", "chunk")}
        for number in range(runs):
            at = BEGAN + timedelta(hours=number)
            name, moment, aged = f"{at:%Y%m%dT%H%M%S}000Z", f"{at:%Y-%m-%dT%H:%M:%S}.000Z", number < runs - KEPT
            rows["run"] |= {"run": name, "number": number + 1, "plan_digest": os.urandom(32).hex(), "aged": aged,
                            **dict.fromkeys(("created_at", "ended_at", "as_of"), moment)}  # fmt: skip
            rows["stream"] |= {"run": name, "sent": os.urandom(32).hex()}
            rows["chunk"] |= {"run": name, "digest": os.urandom(32)}
            for table, row in rows.items():
                marks = ", ".join("?" * len(row))
                ledger.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
        ledger.commit()


def _a_row(ledger: sqlite3.Connection, table: str) -> dict[str, object]:
    found = ledger.execute(f"SELECT * FROM {table} LIMIT 1")
    return dict(zip((column for column, *_ in found.description), found.fetchone(), strict=True))


def main() -> None:
    """Let the two take turns, and say what they cost."""
    asked = options()
    with TemporaryDirectory(prefix="benchmark-aged-") as name, at_once() as sink:
        young, old = (Path(name).resolve() / age for age in ("young", "old"))
        clock = MovingClock()
        for folder in (young, old):
            folder.mkdir()
            text = PIPELINE.format(url=sink.url, sync="append", key="key: [id]")
            (folder / "pipeline.yaml").write_text(text)
            for number in range(FIRST):
                run_once(folder, clock, asked.history + number, asked.events)
        grow_old(old, asked.history)
        costs: dict[Path, list[Cost]] = {young: [], old: []}
        for number in range(asked.history + FIRST, asked.history + FIRST + asked.runs):
            for folder, found in costs.items():
                found.append(run_once(folder, clock, number, asked.events))
        told: dict[str, object] = {"machine": machine(), "history": asked.history, "runs": asked.runs}
        for what in ("cpu_s", "wall_s"):
            first, last = (statistics.median(getattr(cost, what) for cost in found) for found in costs.values())
            told[what] = {"young": round(first, 4), "old": round(last, 4), "ratio": round(last / first, 2)}
        told["state_mb"] = size_mb(old)
        told["seconds"] = {what: round(seconds, 3) for what, seconds in looked_at(old, asked.history).items()}
        print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
