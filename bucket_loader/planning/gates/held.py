"""All gates against all streams of a plan."""

from collections.abc import Iterator, Mapping, Sequence

from bucket_loader.config import OnRemoved, Pipeline, Share, Stream, may_send
from bucket_loader.model import LimitError, Stop, UsageError, nearest
from bucket_loader.planning.gates import baseline
from bucket_loader.planning.gates.baseline import Baseline
from bucket_loader.planning.gates.case import Case
from bucket_loader.planning.gates.listed import GATES, other_columns
from bucket_loader.planning.manifest import Manifest


def check(found: Sequence[Stop], *, accept_changes: bool) -> None:
    """Refuse a plan that is over a limit.

    Args:
        found: what is over one.
        accept_changes: whether the gates that it lifts are passed over.

    Raises:
        LimitError: streams are over them; it says all of it.
    """
    if kept := [one for one in found if not (accept_changes and one.lifted)]:
        raise LimitError(kept)


def stops(pipeline: Pipeline, manifest: Manifest, known: Mapping[str, str]) -> list[Stop]:
    """Return what is over a limit, in the order of the streams."""
    return [
        Stop(case.stream.name, gate.name, sentence, _hint(manifest, gate.mend), lifted=not gate.mend)
        for case in _cases(pipeline, manifest, known)
        for gate in GATES
        for sentence in gate.sentences(case)
    ]


def _hint(manifest: Manifest, mend: str) -> str:
    """Return what to do next, with commands for the same interval; `mend` is what a gate says that is not lifted."""
    has_values = any(stream.remembers_values for stream in manifest.streams)
    look = "--diff` shows what would change" if has_values else "--show 5` shows what would be sent"
    accept = (
        f"is the export whole, and the mapping right? `bucket-loader plan PIPELINE {look}; if so, "
        "`bucket-loader run PIPELINE --accept-changes` sends it"
    )
    if manifest.interval is None:
        return mend or accept
    start, end = manifest.interval
    return (mend or accept).replace("PIPELINE", f"PIPELINE --interval-start {start} --interval-end {end}")


def warnings(pipeline: Pipeline, manifest: Manifest, known: Mapping[str, str]) -> Iterator[str]:
    """Say which columns are new or gone, where that stops nothing."""
    for case in _cases(pipeline, manifest, known):
        if case.limits.columns != "stop":
            yield from (f"{case.stream.name}: {sentence}" for sentence in other_columns(case))


def require_fields(pipeline: Pipeline, manifest: Manifest, known: Mapping[str, str]) -> None:
    """Refuse a limit on a field that no record has and none had the last time: it would be misspelt, not missing.

    Raises:
        UsageError: there is one.
    """
    sent = _sent(manifest)
    for case in _cases(pipeline, manifest, known):
        for name in case.facts.lacking:
            if name in case.nulls and name not in _heard_of(case.last):
                near = nearest(name, [*(case.facts.spread or ()), *sent])
                raise UsageError(
                    f"stream {case.stream.name!r}: `limits: null` names {name!r}, which no record has",
                    hint=f"did you mean {near!r}?" if near else "write a field that the stream sends",
                )


def _cases(pipeline: Pipeline, manifest: Manifest, known: Mapping[str, str]) -> Iterator[Case]:
    written = {stream.name: stream for stream in pipeline.streams}
    lasts = {name: baseline.read(known[name]) for name in written if name in known}
    for planned in manifest.streams:
        stream = written.get(planned.name)
        removal = None if stream is None else stream.on_removed
        yield Case(
            stream=planned,
            limits=pipeline.limits if stream is None else pipeline.limits_of(stream),
            nulls={} if stream is None else _nulls(pipeline, manifest, stream, lasts),
            removed=removal.limit if removal is not None else OnRemoved.model_fields["limit"].default,
            age=baseline.age_of(manifest, planned),
            last=lasts.get(planned.name),
        )


def _nulls(pipeline: Pipeline, manifest: Manifest, stream: Stream, lasts: Mapping[str, Baseline]) -> dict[str, Share]:
    """Return the fields that are asked of a stream.

    A field that is named at the top is asked of the streams that send it, or did so the last time; where none does or
    did, of each that could.
    """
    facts = next(one.facts for one in manifest.streams if one.name == stream.name)
    if facts is None:
        return {}
    before = {name: _sent_before(last) for name, last in lasts.items()}
    anywhere = _sent(manifest).union(*before.values())

    def is_asked(name: str) -> bool:
        if name in stream.limits.nulls() or name not in facts.lacking:
            return may_send(stream.fields.names(), name)
        return name in before.get(stream.name, ()) or name not in anywhere

    return {name: share for name, share in pipeline.limits_of(stream).nulls().items() if is_asked(name)}


def _sent(manifest: Manifest) -> set[str]:
    """Return the fields with a limit that some stream sends."""
    return {name for one in manifest.streams if one.facts is not None for name in one.facts.nulls}


def _sent_before(last: Baseline) -> set[str]:
    """Return the fields that a stream has sent by its `*`, or has a limit for, the last time."""
    return {*last.nulls, *(name for column in last.spread or () for name in (column, f"attributes.{column}"))}


def _heard_of(last: Baseline | None) -> set[str]:
    """Return the same, and the fields that were gone already."""
    return set() if last is None else _sent_before(last) | set(last.lacking)
