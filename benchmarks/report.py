"""The tables of one run: on the terminal, as Markdown for the docs, and everything as JSON."""

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks import goals, limited, table
from benchmarks.limited import Found
from benchmarks.table import Line

RESULTS: Final = Path(__file__).parent / "results"
Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def machine() -> dict[str, Any]:
    """Say what it runs on, and how busy that is."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def report(lines: Sequence[Line], found: Sequence[Found], about: dict[str, Any]) -> None:
    """Print the tables, and store them."""
    full = next((line for line in lines if line.entry.name == "full"), None)
    reached = goals.reached(lines, found)
    tables = [
        (table.HEAD, [table.cells(line, full) for line in lines]),
        (limited.HEAD, [each.cells() for each in found]),
        (goals.HEAD, reached),
    ]
    stored = about | {
        "entries": [table.as_json(line, full) for line in lines],
        "limited": [each.as_json() for each in found],
        "goals": goals.as_json(reached),
    }
    store("latest", tables, stored)


def store(name: str, tables: Sequence[Table], stored: dict[str, Any]) -> None:
    """Print the tables that are not empty, and keep them and everything that is known under a name."""
    RESULTS.mkdir(exist_ok=True)
    drawn = [(head, body) for head, body in tables if body]
    print("\n" + "\n\n".join(table.plain(head, body) for head, body in drawn))
    (RESULTS / f"{name}.json").write_text(json.dumps(stored, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text("\n".join(table.markdown(head, body) for head, body in drawn))
    print(f"\nstored in {RESULTS}")
