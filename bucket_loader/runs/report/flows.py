"""Where the rows of a run went, by stream, and what changed of what was known."""

from typing import Final

from bucket_loader.model import SYNCS, Counts
from bucket_loader.planning import PlannedStream
from bucket_loader.reporting import Changes, Flow
from bucket_loader.runs.report.known import NAME_MAX, Known, cut

STREAMS_MAX: Final = 40
FIELDS_MAX: Final = 25  # of a stream
_FIELDS_OF_ALL: Final = 300


def flows_of(known: Known) -> tuple[Flow, ...]:
    """Return where rows went, by stream, as far as a page shows them."""
    planned = {} if known.planned is None else {one.name: one for one in known.planned.manifest.streams}
    shown = list(known.counts.items())[:STREAMS_MAX]
    fields = min(FIELDS_MAX, _FIELDS_OF_ALL // max(len(shown), 1))
    return tuple(_flow(name, counts, planned.get(name), fields) for name, counts in shown)


def _flow(name: str, counts: Counts, planned: PlannedStream | None, fields: int) -> Flow:
    if planned is None:
        return Flow(cut(name, NAME_MAX), counts)
    compares = SYNCS[planned.mode].compares
    changes = _changes(planned, fields) if compares else None
    return Flow(cut(name, NAME_MAX), counts, planned.kind, planned.mode, changes)


def _changes(planned: PlannedStream, most: int) -> Changes:
    if not planned.remembers_values:
        return Changes(planned.known, planned.changed, None)
    found = sorted(planned.changed_fields.items(), key=lambda one: (-one[1], one[0]))
    fields = tuple((cut(name, NAME_MAX), count) for name, count in found[:most])
    return Changes(planned.known, planned.changed, fields, more=len(found[most:]))
