"""What is kept of the values that a stream has delivered: only what it remembers on purpose, and still sends.

A file of memory is written anew where it holds more than that: without records, or with fewer values in them.
"""

import json
from collections.abc import Callable

import pyarrow as pa

from bucket_loader.planning import Names, PlannedStream, pruned, way_of
from bucket_loader.state import Ledger, State, merged_file, snapshots

Kept = Callable[[pa.Array], pa.Array]
"""Returns what is kept of some records: JSON each."""


def _note(stream: str) -> str:
    return f"values of {stream}"


def kept_of(ledger: Ledger, stream: str) -> Names:
    """Return the fields of a stream of which values are kept; nothing where it keeps hashes alone."""
    found: Names = json.loads(ledger.meta(_note(stream)) or "{}")
    return found


def let_go_of_values(state: State, stream: PlannedStream) -> None:
    """Write anew what a stream remembers where it holds values that are not kept any more, and note what is kept.

    The older files come first: what is written after the note holds nothing else. A death in between does it again.
    """
    before = kept_of(state.ledger, stream.name)
    if before == stream.names:
        return
    stays = _stays(before, stream.names)
    for file in state.ledger.parts().get(stream.name, []):
        part = state.part_of(stream.name, file)
        if "record" not in part.index.schema.names:
            continue
        columns = {"key", "content", "ids", *(["record"] if stream.names else [])}
        name = merged_file(file.file)
        written = snapshots.reshaped(part, state.layout.snapshot(name), columns, pruned(stays), state.disk)
        state.replace_parts(stream.name, [file.file], name, written)
    state.ledger.note(**{_note(stream.name): json.dumps(stream.names) if stream.names else ""})


def _stays(before: Names, now: Names) -> Callable[[str], bool]:
    """Return what tells whether the value of a path stays: it is still sent, and made as it was."""

    def stays(path: str) -> bool:
        way = way_of(path, now)
        return way is not None and way == way_of(path, before)

    return stays


def kept_values(ledger: Ledger, stream: PlannedStream) -> Kept | None:
    """Return what is kept of the records of a plan; None where no values are.

    A plan of another day may hold more: one that is replayed, or was not finished before the file changed.
    """
    kept = kept_of(ledger, stream.name)
    if not kept:
        return None
    return (lambda records: records) if kept == stream.names else pruned(_stays(stream.names, kept))
