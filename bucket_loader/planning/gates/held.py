"""All gates against all streams of a plan."""

from collections.abc import Iterator, Mapping

from bucket_loader.config import OnRemoved, Pipeline, Share, may_send
from bucket_loader.model import LimitError, Stop
from bucket_loader.planning.gates import baseline
from bucket_loader.planning.gates.baseline import Baseline
from bucket_loader.planning.gates.case import Case
from bucket_loader.planning.gates.listed import GATES, other_columns
from bucket_loader.planning.manifest import Manifest, PlannedStream


def check(pipeline: Pipeline, manifest: Manifest, known: Mapping[str, str], *, accept_changes: bool) -> None:
    """Hold a plan against the limits, each stream by itself.

    Args:
        pipeline: what its limits are.
        manifest: the plan's.
        known: the last whole reading of each stream, as the ledger keeps it.
        accept_changes: whether the gates that it lifts are passed over.

    Raises:
        LimitError: streams are over them; it says all of it.
    """
    found = stops(pipeline, manifest, known)
    if kept := [one for one in found if not (accept_changes and one.lifted)]:
        raise LimitError(kept)


def stops(pipeline: Pipeline, manifest: Manifest, known: Mapping[str, str]) -> list[Stop]:
    """Return what is over a limit, in the order of the streams."""
    return [
        Stop(case.stream.name, gate.name, sentence, gate.hint, lifted=gate.lifted)
        for case in _cases(pipeline, manifest, known)
        for gate in GATES
        for sentence in gate.sentences(case)
    ]


def warnings(pipeline: Pipeline, manifest: Manifest, known: Mapping[str, str]) -> Iterator[str]:
    """Say what else is to be looked at: columns that are new or gone, and fields that nothing sends."""
    cases = list(_cases(pipeline, manifest, known))
    for case in cases:
        if case.limits.columns != "stop":
            yield from (f"{case.stream.name}: {sentence}" for sentence in other_columns(case))
    asked_nowhere = set(pipeline.limits.nulls()) - {name for case in cases for name in case.nulls}
    is_all = len(manifest.streams) == len(pipeline.streams) and all(case.stream.facts is not None for case in cases)
    for name in sorted(asked_nowhere) if is_all else ():
        yield f"`limits: null` names {name!r}, and no stream has a limit for it"


def _cases(pipeline: Pipeline, manifest: Manifest, known: Mapping[str, str]) -> Iterator[Case]:
    written = {stream.name: stream for stream in pipeline.streams}
    for planned in manifest.streams:
        stream = written.get(planned.name)
        last = baseline.read(known[planned.name]) if planned.name in known else None
        removal = None if stream is None else stream.on_removed
        yield Case(
            stream=planned,
            limits=pipeline.limits if stream is None else pipeline.limits_of(stream),
            nulls=_nulls(pipeline, manifest, planned, last),
            removed=removal.limit if removal is not None else OnRemoved.model_fields["limit"].default,
            age=baseline.age_of(manifest, planned),
            last=last,
        )


def _nulls(pipeline: Pipeline, manifest: Manifest, planned: PlannedStream, last: Baseline | None) -> dict[str, Share]:
    """Return the fields that are asked of a stream.

    A field that is named at the top is asked of the streams that send it, or did so the last time; where none does, of
    each that could.
    """
    stream = next((one for one in pipeline.streams if one.name == planned.name), None)
    if planned.facts is None or stream is None:
        return {}
    lacking, own = set(planned.facts.lacking), stream.limits.nulls()
    before = {*last.nulls, *(last.spread or ())} if last is not None else set()
    sent = {name for one in manifest.streams if one.facts is not None for name in one.facts.nulls}

    def is_asked(name: str) -> bool:
        if name in own or name not in lacking:
            return may_send(stream.fields.names(), name)
        return name in before or name not in sent

    return {name: share for name, share in pipeline.limits_of(stream).nulls().items() if is_asked(name)}
