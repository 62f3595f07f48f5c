"""What a plan changes: its records beside what is remembered of them, gathered for `plan --diff`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from bucket_loader.config import Stream
from bucket_loader.model import SYNCS
from bucket_loader.planning import NOTHING, Change, Effects, Plan, PlannedStream, What, changes, effects_of
from bucket_loader.reporting import Diff, RecordDiff, StreamDiff, short_name
from bucket_loader.runs.inspect import MadePlan, plan_in
from bucket_loader.runs.job import Job, opened
from bucket_loader.state import State, snapshots

_ORDER: Final[tuple[What, ...]] = ("changed", "removed", "created")
_AT_ONCE: Final = 1 << 15  # records that are held beside what they were


@contextmanager
def plan_with_diff(job: Job, rows: int | None) -> Iterator[tuple[MadePlan, Diff]]:
    """Make a plan as `plan` does, and return what it changes; its records can be read within the `with`.

    Args:
        job: what is asked.
        rows: of how many records of each stream the values are shown; None for all.
    """
    with opened(job) as state:
        made = plan_in(job, state)
        planned = made.plan
        asked = {stream.name: stream for stream in job.pipeline.streams}
        streams = [_stream(state, planned, stream, asked[stream.name], rows) for stream in planned.manifest.streams]
        yield made, Diff(job.pipeline.name, planned.manifest.run, tuple(streams), tuple(made.stops), made.impact)


def _stream(state: State, planned: Plan, stream: PlannedStream, asked: Stream, rows: int | None) -> StreamDiff:
    memory = state.memory_of(stream.name) if SYNCS[stream.mode].compares else snapshots.Memory()
    is_timed = "timestamp" in asked.fields.given()
    effects = effects_of(planned.records(stream), memory, is_timed=is_timed)
    created, changed, removed = (effects.count(what) for what in ("created", "changed", "removed"))
    fields = sorted(effects.fields.items(), key=lambda one: (-one[1], one[0]))
    sent = created + changed + removed
    return StreamDiff(
        name=stream.name,
        kind=stream.kind,
        created=created,
        changed=changed,
        removed=removed,
        unchanged=stream.counts.unchanged + effects.count("unchanged"),
        rejected=stream.counts.rejected,
        unknown=effects.unknown,
        fields={short_name(path): count for path, count in fields},
        records=_Records(planned, stream, effects, memory, is_timed, sent if rows is None else min(rows, sent)),
        shown=sent if rows is None else min(rows, sent),
        remembers_values=stream.remembers_values,
    )


@dataclass(frozen=True)
class _Records:
    """The records of a stream that are shown: first what changes, then what is gone, then what is new.

    They are read when they are asked for: a plan may have millions of them.
    """

    planned: Plan
    stream: PlannedStream
    effects: Effects
    memory: snapshots.Memory
    is_timed: bool
    most: int

    def __iter__(self) -> Iterator[RecordDiff]:
        """Yield them, each kind in the plan's order."""
        left = self.most
        for what in _ORDER:
            sequences = self.effects.sequences(what)[:left]
            left -= len(sequences)
            for first in range(0, len(sequences), _AT_ONCE):
                some = sequences[first : first + _AT_ONCE].tolist()
                rows = self.planned.table(self.stream, some, ["key", "content", "record"])
                for change in changes(rows, self.memory, is_timed=self.is_timed):
                    yield _record(change, self.stream.kind)


def _record(change: Change, kind: str) -> RecordDiff:
    ids, pairs = change.ids(kind), change.fields()
    fields = None if pairs is None else {path: _pair(*pair) for path, pair in pairs.items() if path not in ids}
    return RecordDiff(ids, change.what, fields)


def _pair(old: object, new: object) -> dict[str, object]:
    return {word: value for word, value in (("old", old), ("new", new)) if value is not NOTHING}
