"""Forgetting streams, as a person asks: what they have delivered counts as new, and what they claim stays claimed."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import pyarrow.compute as pc

from bucket_loader.config import Pipeline
from bucket_loader.model import UsageError, did_you_mean
from bucket_loader.reporting import Note
from bucket_loader.runs.job import Job, opened
from bucket_loader.runs.waiting import UNFINISHED
from bucket_loader.state import SnapshotFile, State, merged_file, snapshots

Agreed = Callable[[], bool]
"""Asks a person whether what was told is meant."""
_NOTHING: Final = SnapshotFile("", 0)


@dataclass(frozen=True)
class Forgettable:
    """What a stream remembers.

    Attributes:
        records: how many were delivered, and are sent again when the source still has them.
        claims: how many were sent without an answer; they stay claimed.
        once: whether its records are sent once, so that Bucket holds them twice afterwards.
    """

    records: int
    claims: int
    once: bool

    def told(self, stream: str) -> str:
        """Say what follows."""
        records = f"{self.records:,} record{'s' * (self.records != 1)}"
        twice = ", and Bucket will hold them twice" if self.once and self.records else ""
        stays = f"; what was sent without an answer stays claimed ({self.claims:,})" if self.claims else ""
        return f"{stream}: {records} will be sent again{twice}{stays}"


def forget_streams(job: Job, named: Sequence[str], agreed: Agreed) -> dict[str, Any]:
    """Forget what streams remember, all or those that are named; return what `--json` prints.

    Raises:
        UsageError: a run is unfinished; a stream is not known; one whose records would be in Bucket twice is not named.
    """
    with opened(job) as state:
        require_finished(state)
        found = {name: _forgettable(job.pipeline, state, name) for name in _chosen(job.pipeline, state, named)}
        _require_named(found, named)
        for name, one in found.items():
            job.listener.tell(Note(one.told(name)))
        is_meant = bool(found) and agreed()
        if is_meant:
            with state.swept():
                state.ledger.forget({name: _claims_alone(state, name, one) for name, one in found.items()})
    job.listener.tell(Note(_ended(found, is_meant=is_meant)))
    return {"forgotten": is_meant, "streams": {name: asdict(one) for name, one in found.items()}}


def require_finished(state: State) -> None:
    """Refuse to forget anything while a run is unfinished.

    Raises:
        UsageError: one is.
    """
    for row in state.ledger.runs(*UNFINISHED):
        raise UsageError(
            f"run {row.run} is unfinished, and what it has sent is not remembered yet",
            hint=f"`bucket-loader run PIPELINE` finishes it, `bucket-loader abandon PIPELINE {row.run}` closes it; "
            "then forget",
        )


def _ended(found: dict[str, Forgettable], *, is_meant: bool) -> str:
    if not found:
        return "nothing is remembered"
    return "forgotten" if is_meant else "nothing was forgotten"


def _chosen(pipeline: Pipeline, state: State, named: Sequence[str]) -> list[str]:
    """Return the streams that remember anything, of those that are named, or of all.

    Raises:
        UsageError: one that is named is neither in the file nor in the state.
    """
    ledger = state.ledger
    remembering = {*ledger.files(), *ledger.cursors(), *ledger.loaded_files()}
    known = list(dict.fromkeys([*(stream.name for stream in pipeline.ordered_streams()), *sorted(remembering)]))
    for name in named:
        if name not in known:
            hint = did_you_mean(name, known, f"there is: {', '.join(known)}")
            raise UsageError(f"no stream is named {name!r}", hint=hint)
    return [name for name in known if name in remembering and (not named or name in named)]


def _forgettable(pipeline: Pipeline, state: State, name: str) -> Forgettable:
    memory = state.memory_of(name)
    claims = snapshots.claims(memory)
    modes = [stream.mode for stream in pipeline.streams if stream.name == name]
    return Forgettable(memory.known - claims, claims, once=all(mode.once for mode in modes))


def _require_named(found: dict[str, Forgettable], named: Sequence[str]) -> None:
    """Refuse to forget, unless it is named, what Bucket would hold twice then; or a stream that is not in the file."""
    for name, one in found.items():
        if one.once and one.records and name not in named:
            raise UsageError(
                f"stream {name!r} sends its records once: forgotten, its {one.records:,} would be in Bucket twice",
                hint="name what is to be forgotten: " + " ".join(f"--stream {stream}" for stream in found),
            )


def _claims_alone(state: State, name: str, one: Forgettable) -> SnapshotFile:
    """Write what a stream claims as all that it remembers."""
    if not one.claims:
        return _NOTHING
    return rewritten(state, name, lambda batch: pc.is_null(batch["content"]))


def rewritten(state: State, stream: str, keeps: snapshots.Keeps) -> SnapshotFile:
    """Write those rows of what a stream remembers that stay, as one file; the ledger does not name it yet."""
    memory = state.memory_of(stream)
    file = merged_file(state.ledger.memory()[stream][-1])
    return state.keep_part(file, snapshots.rewrite(memory, state.layout.snapshot(file), keeps, state.disk))
