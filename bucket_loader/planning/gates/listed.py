"""The gates: each says of a case what is over its limit, as sentences without the stream's name, and what to do next.

To add one: a function of a `Case`, and its row in `GATES`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bucket_loader.config import FreshLimit
from bucket_loader.model import spoken
from bucket_loader.planning.gates.baseline import Baseline
from bucket_loader.planning.gates.case import Case

_NAMED_MAX: Final = 5


@dataclass(frozen=True)
class Gate:
    """One gate.

    Attributes:
        name: its word in `limits:`, or what it is about where it holds without any.
        sentences: says what is over the limit, if anything.
        hint: what a person does next.
        lifted: whether `--accept-changes` lets it pass.
    """

    name: str
    sentences: Callable[[Case], Iterator[str]]
    hint: str
    lifted: bool = True


def _rejected(case: Case) -> Iterator[str]:
    limit, read = case.limits.rejected, case.stream.counts.read
    if limit is not None and not limit.allows(case.rejected, read):
        last = case.last.counts if case.last is not None else None
        before = case.before(last.rejected - last.refused_before, last.read) if last is not None else ""
        yield f"{case.rejected:,} of {read:,} rows are rejected, more than `limits: {{rejected: {limit}}}`{before}"


def _empty(case: Case) -> Iterator[str]:
    """Hold without limits: an empty source beside a full memory is an export that failed."""
    if case.facts.remembered:
        before = case.before(case.last.counts.read if case.last is not None else None)
        yield f"its source is empty, and {case.facts.remembered:,} records are remembered of it{before}"


def _rows(case: Case) -> Iterator[str]:
    limit, read = case.limits.rows, case.stream.counts.read
    if limit is None or not case.shows_source:
        return
    was = case.last.counts.read if case.last is not None else None
    before = case.before(was)
    if limit.min is not None and read < limit.min:
        yield f"{read:,} rows were read, fewer than `limits: {{rows: {{min: {limit.min}}}}}`{before}"
    if limit.max is not None and read > limit.max:
        yield f"{read:,} rows were read, more than `limits: {{rows: {{max: {limit.max}}}}}`{before}"
    if not was or not case.facts.whole:
        return  # an empty source is nothing to compare with, and neither is a part of one with the whole
    for word, share, more, than in (
        ("drop", limit.drop, was - read, "fewer"),
        ("growth", limit.growth, read - was, "more"),
    ):
        if share is not None and more > 0 and not share.allows(more, was):
            beside = f"{read:,} rows were read, {more:,} {than} than the last time ({100 * more / was:.1f}%)"
            yield f"{beside}, and `limits: {{rows: {{{word}: {share}}}}}` allow no more{before}"


def _fresh(case: Case) -> Iterator[str]:
    limit, facts = case.limits.fresh, case.facts
    if limit is None or not case.shows_source:
        return
    if facts.fresh != limit.column:
        yield f"the plan was made before it said `{_fresh_words(limit)}`: plan again"
    elif case.age is None and (case.stream.counts.read or (facts.whole and case.stream.mode != "changes")):
        yield f"there is no time in {limit.column!r}, and `{_fresh_words(limit)}` asks for one"
    elif case.age is not None and case.age > timedelta(seconds=limit.within):
        age_s = case.last.age_s if case.last is not None else None
        before = "" if age_s is None else case.last_time(spoken(age_s))
        old = f"the latest {limit.column!r} is {spoken(case.age.total_seconds())} before the run's time"
        yield f"{old}, more than `{_fresh_words(limit)}`{before}"


def _fresh_words(limit: FreshLimit) -> str:
    return f"limits: {{fresh: {{column: {limit.column}, within: {_duration(limit.within)}}}}}"


def _duration(seconds: float) -> str:
    """Spell a duration as the pipeline file does: in days from three on."""
    for unit, unit_s, least_s in (("d", 86_400, 3 * 86_400), ("h", 3_600, 3_600), ("m", 60, 60)):
        if seconds >= least_s and seconds % unit_s == 0:
            return f"{seconds / unit_s:g}{unit}"
    return f"{seconds:g}s"


def _superseded(case: Case) -> Iterator[str]:
    limit, count, made = case.limits.superseded, case.stream.counts.superseded, case.facts.made
    if limit is not None and case.shows_source and not limit.allows(count, made):
        before = case.before(case.last.counts.superseded, case.last.made) if case.last is not None else ""
        said = f"{count:,} of {made:,} rows are superseded by a later row of the same key"
        yield f"{said}, more than `limits: {{superseded: {limit}}}`{before}"


def _null(case: Case) -> Iterator[str]:
    made = case.facts.made
    for name, limit in case.nulls.items() if case.shows_source else ():
        count = made if name in case.facts.lacking else case.facts.nulls.get(name)
        if count is None:
            yield f"the plan was made before it said `limits: {{null: {{{name}: {limit}}}}}`: plan again"
        elif not limit.allows(count, made):
            was = case.last.nulls.get(name) if case.last is not None else None
            before = case.before(was, case.last.made) if case.last is not None else ""
            said = f"{count:,} of {made:,} records have no {name!r}"
            yield f"{said}, more than `limits: {{null: {{{name}: {limit}}}}}`{before}"


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
        yield f"`*` {', and '.join(said)} (last time {len(last.spread):,} columns, run {last.run})"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED_MAX:,} more" if len(names) > _NAMED_MAX else ""
    return ", ".join(map(repr, names[:_NAMED_MAX])) + more


def _changed(case: Case) -> Iterator[str]:
    limit, stream = case.limits.changed, case.stream
    if limit is not None and stream.known and not limit.allows(stream.changed, stream.known):
        before = case.before(case.last.changed, case.last.known) if case.last is not None else ""
        said = f"{stream.changed:,} of {stream.known:,} known records have changed"
        yield f"{said}, more than `limits: {{changed: {limit}}}`{before}"


def _removed(case: Case) -> Iterator[str]:
    stream, removed = case.stream, case.stream.counts.removed
    before = _removed_before(case.last)
    if removed and removed == stream.known_ids:  # whatever the limit: an empty export, or other ids than yesterday
        yield f"all {removed:,} known records are gone from the source{before}"
    elif removed and not case.removed.allows(removed, stream.known_ids):
        said = f"{removed:,} of {stream.known_ids:,} known records are gone from the source"
        yield f"{said}, more than `on_removed: {{limit: {case.removed}}}`{before}"


def _removed_before(last: Baseline | None) -> str:
    if last is None:
        return ""
    return f" (last time {last.counts.removed:,} of {last.known_ids:,}, run {last.run})"


_IF_RIGHT: Final = "`bucket-loader run PIPELINE --accept-changes` sends"
_IS_WHOLE: Final = (
    "is the export whole? `bucket-loader plan PIPELINE --show 5` shows what would be sent; if it is right, "
    f"{_IF_RIGHT} it"
)
# The cause before its effects: an export of last week has changed values, too.
GATES: Final = (
    Gate(
        "rejected",
        _rejected,
        "look at the dead letters for the reasons; raise the limit if they are right",
        lifted=False,
    ),
    Gate(
        "fresh",
        _fresh,
        "is the export of today there? `bucket-loader run PIPELINE` once it is; raise `within:` if it may be that old",
        lifted=False,
    ),
    Gate("empty", _empty, _IS_WHOLE),
    Gate("rows", _rows, _IS_WHOLE),
    Gate("superseded", _superseded, _IS_WHOLE),
    Gate("null", _null, _IS_WHOLE),
    Gate("columns", _columns, _IS_WHOLE),
    Gate(
        "changed",
        _changed,
        f"`bucket-loader plan PIPELINE --show 5` shows them; if they are right, {_IF_RIGHT} them",
    ),
    Gate(
        "removed",
        _removed,
        f"is the export whole? if they are gone indeed, {_IF_RIGHT} what `on_removed:` says",
    ),
)
