"""The latest rows that the loader itself rejected, as plain values for an emulator's page."""

import heapq
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bucket_loader.state import Entry, StateLayout, dead_letters

_LATEST: Final = 1000  # as many as the page keeps of calls
_CHARACTERS_MAX: Final = 2_000  # of one row
_BY_THE_API: Final = "deliver"  # the stage of what Bucket refused: the emulator has these calls itself


class RejectedRows:
    """Looks at the dead letters of a folder of states; what has not changed is not read again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: list[tuple[Path, int, int]] = []
        self._found: dict[str, Any] = {"rejected": [], "total": 0}

    def __call__(self) -> dict[str, Any]:
        """Return the latest rejected rows, and how many there are in all."""
        seen = [(file, stat.st_mtime_ns, stat.st_size) for file in self._files() for stat in [file.stat()]]
        if seen != self._seen:
            self._seen, self._found = seen, _rejected(file for file, _, _ in seen)
        return self._found

    def _files(self) -> list[Path]:
        """Return the files of dead letters: of this state, or of each that lies in the folder."""
        if not self._folder.is_dir():
            return []
        states = [self._folder, *(folder for folder in self._folder.iterdir() if folder.is_dir())]
        return sorted(file for state in states for file in StateLayout(state).all_letters())


def _rejected(files: Iterator[Path]) -> dict[str, Any]:
    total = 0

    def entries() -> Iterator[Entry]:
        nonlocal total
        for file in files:
            for entry in dead_letters.read(file):
                if entry.stage != _BY_THE_API:
                    total += 1
                    yield entry

    latest = heapq.nlargest(_LATEST, entries(), key=lambda entry: entry.at)
    return {"rejected": [_shown(entry) for entry in latest], "total": total}


def _shown(entry: Entry) -> dict[str, Any]:
    return {
        "at": entry.at,
        "run": entry.run,
        "stream": entry.stream,
        "source": str(entry.origin["source"]),
        "place": ", ".join(
            f"{name.replace('_', ' ')} {place}" for name, place in entry.origin.items() if name != "source"
        ),
        "reasons": [{"message": one["message"], "field": one.get("field")} for one in entry.reasons],
        "row": _cut(json.dumps(entry.row, ensure_ascii=False, separators=(",", ":"))),
    }


def _cut(text: str) -> str:
    """Return the beginning of a long text: a thousand rows have to fit into one call."""
    return text if len(text) <= _CHARACTERS_MAX else f"{text[:_CHARACTERS_MAX]}…"
