"""How a pipeline sends lists: as its file says, else as it has delivered before, else whole.

A state notes the form when a run begins. One without a note is of a version that knew dotted names alone, and goes on
with them until its file says otherwise: a changed form never sends history again by itself.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Final, cast, get_args

from bucket_loader.config import Pipeline
from bucket_loader.model import KINDS, ArrayForm, StateError
from bucket_loader.planning import Manifest, PlannedStream
from bucket_loader.reporting import Note
from bucket_loader.runs.job import Job
from bucket_loader.state import Ledger, look_at_state

_NOTE: Final = "arrays"
_NAMES_MAX: Final = 5


def form_of_lists(pipeline: Pipeline, ledger: Ledger) -> ArrayForm:
    """Return how a pipeline sends lists, given what its state knows."""
    if pipeline.destination.api != "front":
        return "flatten"
    return pipeline.arrays or _known(ledger) or "keep"


def as_delivered(job: Job) -> Job:
    """Return a job that sends lists as its real state does, for whoever runs it in another state."""
    if job.pipeline.arrays is not None or job.pipeline.destination.api != "front":
        return job
    try:
        state = look_at_state(job.pipeline, job.state_place)
    except StateError as error:
        job.listener.tell(Note(f"whether lists were delivered before is not known: {error.message}"))
        return job
    if state is None:
        return job
    with closing(state):
        known = _known(state.ledger)
    return replace(job, pipeline=job.pipeline.model_copy(update={"arrays": known}))


def _known(ledger: Ledger) -> ArrayForm | None:
    """Return how lists were sent so far; None where nothing was."""
    return _noted(ledger, _NOTE) or ("flatten" if ledger.has_runs() else None)


def _noted(ledger: Ledger, name: str) -> ArrayForm | None:
    found = ledger.meta(name)
    return cast("ArrayForm", found) if found in get_args(ArrayForm) else None


def _of(stream: PlannedStream) -> str:
    return f"{_NOTE} of {stream.name}"


def _before(stream: PlannedStream, ledger: Ledger) -> ArrayForm | None:
    """Return how a stream has sent lists so far; None where it has sent nothing."""
    return _noted(ledger, _of(stream)) or ("flatten" if ledger.last_mapping(stream.name) is not None else None)


def note_form(manifest: Manifest, ledger: Ledger) -> None:
    """Note how lists are sent, and for which streams that was told."""
    notes: dict[str, str] = {_NOTE: manifest.arrays}
    for stream in manifest.streams:
        # What there was nothing to tell of yet is told once there is.
        if stream.lists or _before(stream, ledger) in {None, manifest.arrays}:
            is_untold = not stream.lists and _noted(ledger, _of(stream)) is None and manifest.arrays == "flatten"
            notes |= {} if is_untold else {_of(stream): manifest.arrays}
    ledger.note(**notes)


def notes_on_lists(manifest: Manifest, pipeline: Pipeline, ledger: Ledger) -> Iterator[str]:
    """Say, once for each stream, what stays behind in Bucket when lists are sent in another form."""
    if pipeline.destination.api != "front":
        return
    for stream in manifest.streams:
        before = _before(stream, ledger)
        if not stream.lists or before is None:
            continue
        if before != manifest.arrays:
            yield f"{stream.name}: lists are sent as `arrays: {manifest.arrays}` from now on. {_left(stream, before)}"
        elif before == "flatten" and pipeline.arrays is None and _noted(ledger, _of(stream)) is None:
            yield (
                f"{stream.name}: lists are sent item by item ({_shown(stream, 'flatten')}), as before. Bucket stores "
                "lists whole since autumn 2026: `arrays: keep` sends them so, and `arrays: flatten` says that this is "
                f"meant. With `keep`: {_left(stream, before)}"
            )


def _left(stream: PlannedStream, form: ArrayForm) -> str:
    if not KINDS[stream.kind].ordered:
        return "What was sent stays as it is."
    return (
        f"What was sent stays in Bucket beside it: {_shown(stream, form)}, and more where a list was longer. To clear "
        "it, send null once under each of these names, in a stream with `nulls: send`: "
        f'`attributes: {{"{_names(stream, form)[0]}": {{value: null}}}}` (docs/sources.md, "lists")'
    )


def _names(stream: PlannedStream, form: ArrayForm) -> list[str]:
    return sorted(stream.lists) if form == "keep" else [f"{name}.0" for name in sorted(stream.lists)]


def _shown(stream: PlannedStream, form: ArrayForm) -> str:
    names = sorted(stream.lists)
    shown = []
    for name in names[:_NAMES_MAX]:
        last = stream.lists[name] - 1
        shown.append(name if form == "keep" else f"{name}.0" + (f" to {name}.{last}" if last > 0 else ""))
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and those of {more} more lists" if more else "")
