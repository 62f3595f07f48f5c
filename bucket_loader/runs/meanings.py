"""What dotted names mean: a column of that name, or what is inside of another; a stream keeps to what it has sent."""

import json

from bucket_loader.config import Pipeline, Stream
from bucket_loader.model import StateError
from bucket_loader.planning import Plan, PlannedStream
from bucket_loader.state import Ledger


def require_same_meanings(planned: Plan, pipeline: Pipeline, ledger: Ledger) -> None:
    """Refuse a plan in which a dotted name is read from another column than in the run before.

    Raises:
        StateError: one is.
    """
    for stream, found in _of_plan(planned, pipeline):
        before: dict[str, str] = json.loads(ledger.meta(_note(stream)) or "{}")
        for name in sorted(found.keys() & before.keys()):
            if found[name] != before[name]:
                raise StateError(
                    f"stream {stream.name!r}: {name!r} was read from the column {before[name]!r}, and would be read "
                    f"from {found[name]!r} now, as another value",
                    hint=f"is the export whole? go on with --accept-mapping if {name!r} means this from now on",
                )


def note_meanings(planned: Plan, pipeline: Pipeline, ledger: Ledger) -> None:
    """Note from which columns dotted names are read; a name that is in no use now keeps what it meant."""
    for stream, found in _of_plan(planned, pipeline):
        before = ledger.meta(_note(stream))
        known = json.dumps(json.loads(before or "{}") | found, sort_keys=True)
        if found and known != before:
            ledger.note(**{_note(stream): known})


def _note(stream: PlannedStream) -> str:
    return f"columns of {stream.name}"


def _of_plan(planned: Plan, pipeline: Pipeline) -> list[tuple[PlannedStream, dict[str, str]]]:
    """Return the streams of a plan, each with the columns that its dotted names begin at."""
    written = {stream.name: stream for stream in pipeline.streams}
    found = []
    for stream in planned.manifest.streams:
        dotted = [name for name in _names(written[stream.name]) if "." in name] if stream.name in written else []
        schema = planned.records(stream).schema if dotted else None
        if schema is not None and "row" in schema.names:
            found.append((stream, _columns(dotted, [field.name for field in schema.field("row").type])))
    return found


def _columns(dotted: list[str], there: list[str]) -> dict[str, str]:
    """Return the column that each dotted name begins at: the longest beginning of it that is one."""
    found: dict[str, str] = {}
    for name in dotted:
        column = name
        while column not in there and "." in column:
            column = column.rpartition(".")[0]
        found[name] = column
    return found


def _names(stream: Stream) -> list[str]:
    """Return the columns that the words of a stream name."""
    specs = stream.fields.by_path().values()
    cursor = [stream.cursor.column] if stream.cursor is not None else []
    return [*(spec.column for spec in specs if spec.column is not None), *(stream.key or ()), *cursor]
