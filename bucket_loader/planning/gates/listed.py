"""The gates: each says of a case what is over its limit, as sentences without the stream's name, and what to do next.

To add one: a function of a `Case`, and its row in `GATES`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bucket_loader.model import counted, spoken
from bucket_loader.planning.gates.case import Case

_NAMED_MAX: Final = 5


@dataclass(frozen=True)
class Gate:
    """One gate.

    Attributes:
        name: its word in `limits:`, or what it is about where it holds without any.
        sentences: says what is over the limit, if anything.
        mend: what a person does next where `--accept-changes` does not let it pass; empty where it does.
    """

    name: str
    sentences: Callable[[Case], Iterator[str]]
    mend: str = ""


def _of(count: int | None, whole: int) -> str | None:
    return None if count is None else f"{count:,} of {whole:,}"


def _rejected(case: Case) -> Iterator[str]:
    limit, read = case.limits.rejected, case.stream.counts.read
    if limit is not None and not limit.allows(case.rejected, read):
        before = case.before(lambda last: _of(last.counts.rejected - last.counts.refused_before, last.counts.read))
        yield f"{_of(case.rejected, read)} rows are rejected, more than `limits: {{rejected: {limit}}}`{before}"


def _fresh(case: Case) -> Iterator[str]:
    limit, facts = case.limits.fresh, case.facts
    if limit is None or not case.shows_source:
        return
    words = f"`limits: {{fresh: {{column: {limit.column}, within: {_duration(limit.within)}}}}}`"
    if facts.fresh != limit.column:
        yield f"the plan was made before it said {words}: plan again"
    elif case.age is not None and case.age > timedelta(seconds=limit.within):
        before = case.before(lambda last: None if last.age_s is None else spoken(last.age_s))
        old = spoken(case.age.total_seconds())
        yield f"the latest {limit.column!r} is {old} before the run's time, more than {words}{before}"
    elif case.age is None and (case.stream.counts.read or (facts.whole and not case.has_empty_gate)):
        yield f"{limit.column!r} has no time up to a day after the run's, and {words} asks for one"


def _duration(seconds: float) -> str:
    """Spell a duration as the pipeline file does: in days from three on."""
    for unit, unit_s, least_s in (("d", 86_400, 3 * 86_400), ("h", 3_600, 3_600), ("m", 60, 60)):
        if seconds >= least_s and seconds % unit_s == 0:
            return f"{seconds / unit_s:g}{unit}"
    return f"{seconds:g}s"


def _empty(case: Case) -> Iterator[str]:
    """Hold without limits: an empty source beside a full memory is an export that failed."""
    if case.facts.remembered:
        before = case.before(lambda last: f"{last.counts.read:,}")
        yield f"its source is empty, and {case.facts.remembered:,} records are remembered of it{before}"


def _rows(case: Case) -> Iterator[str]:
    limit, read = case.limits.rows, case.stream.counts.read
    if limit is None or not case.shows_source:
        return
    before = case.before(lambda last: f"{last.counts.read:,}")
    said = "1 row was read" if read == 1 else f"{read:,} rows were read"
    if limit.min is not None and read < limit.min:
        yield f"{said}, fewer than `limits: {{rows: {{min: {limit.min}}}}}`{before}"
    if limit.max is not None and read > limit.max:
        yield f"{said}, more than `limits: {{rows: {{max: {limit.max}}}}}`{before}"
    was = case.last.counts.read if case.last is not None and case.facts.whole else 0
    changes = (("drop", limit.drop, was - read, "fewer"), ("growth", limit.growth, read - was, "more"))
    for word, share, more, than in changes if was else ():  # an empty source is nothing to compare with
        if share is not None and more > 0 and not share.allows(more, was):
            beside = f"{said}, {more:,} {than} than the last time ({100 * more / was:.1f}%)"
            yield f"{beside}, and `limits: {{rows: {{{word}: {share}}}}}` allow no more{before}"


def _superseded(case: Case) -> Iterator[str]:
    limit, count, made = case.limits.superseded, case.stream.counts.superseded, case.facts.made
    if limit is not None and case.shows_source and not limit.allows(count, made):
        before = case.before(lambda last: _of(last.counts.superseded, last.made))
        said = f"{_of(count, made)} rows are superseded by a later row of the same key"
        yield f"{said}, more than `limits: {{superseded: {limit}}}`{before}"


def _null(case: Case) -> Iterator[str]:
    made = case.facts.made
    for name, limit in case.nulls.items() if case.shows_source else ():
        words = f"`limits: {{null: {{{name}: {limit}}}}}`"
        count = made if name in case.facts.lacking else case.facts.nulls.get(name)
        if count is None:
            yield f"the plan was made before it said {words}: plan again"
        elif not limit.allows(count, made):
            yield f"{_of(count, made)} records have no {name!r}, more than {words}{_null_before(case, name)}"


def _null_before(case: Case, name: str) -> str:
    return case.before(lambda last: _of(last.nulls.get(name), last.made))


def _columns(case: Case) -> Iterator[str]:
    if case.limits.columns == "stop":
        yield from (f"{sentence}; `limits: {{columns: stop}}`" for sentence in other_columns(case))


def other_columns(case: Case) -> Iterator[str]:
    """Say which columns a `*` sends today, or does not, other than the last time; not what the file itself changes."""
    last, now = case.last, case.facts
    if last is None or last.spread is None or now.spread is None:
        return
    known_now, known_then = {*now.spread, *now.beside}, {*last.spread, *last.beside}
    gone = [name for name in last.spread if name not in known_now]
    new = [name for name in now.spread if name not in known_then]
    said = [f"{how} {_listed(names)}" for how, names in (("no longer sends", gone), ("newly sends", new)) if names]
    if said:
        yield f"`*` {', and '.join(said)} (last time {counted(len(last.spread), 'column')}, run {last.run})"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED_MAX:,} more" if len(names) > _NAMED_MAX else ""
    return ", ".join(map(repr, names[:_NAMED_MAX])) + more


def _changed(case: Case) -> Iterator[str]:
    limit, stream = case.limits.changed, case.stream
    if limit is not None and stream.known and not limit.allows(stream.changed, stream.known):
        before = case.before(lambda last: _of(last.changed, last.known))
        said = f"{_of(stream.changed, stream.known)} known records have changed"
        yield f"{said}, more than `limits: {{changed: {limit}}}`{before}"


def _removed(case: Case) -> Iterator[str]:
    stream, removed = case.stream, case.stream.counts.removed
    before = case.before(lambda last: _of(last.counts.removed, last.known_ids))
    if removed and removed == stream.known_ids:  # whatever the limit: an empty export, or other ids than yesterday
        yield f"all {removed:,} known records are gone from the source{before}"
    elif removed and not case.removed.allows(removed, stream.known_ids):
        said = f"{_of(removed, stream.known_ids)} known records are gone from the source"
        yield f"{said}, more than `on_removed: {{limit: {case.removed}}}`{before}"


# The cause before its effects: an export of last week has changed values, too.
GATES: Final = (
    Gate("rejected", _rejected, "look at the dead letters for the reasons; raise the limit if they are right"),
    Gate(
        "fresh",
        _fresh,
        "is the export of today there? `bucket-loader run PIPELINE` once it is; raise `within:` if it may be that old",
    ),
    Gate("empty", _empty),
    Gate("rows", _rows),
    Gate("superseded", _superseded),
    Gate("null", _null),
    Gate("columns", _columns),
    Gate("changed", _changed),
    Gate("removed", _removed),
)
