"""Erasing one user or company, as a person asks: from memory, refusals, dead letters and plans, here and in the store.

What is known of it is looked for in all of them, and told; then it goes in an order in which a death in between is no
harm, since what is left is found again: memory and refusals in one commit, dead letters, and last the plans, which know
what else there is to find.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bucket_loader.config import FieldSpec, Pipeline
from bucket_loader.model import StateError, StateUnavailableError, UsageError, counted, file_digest
from bucket_loader.planning import Plan, PlannedStream, plan_file, refused
from bucket_loader.reporting import Note
from bucket_loader.runs.about import Subject, is_about
from bucket_loader.runs.forget import Agreed, require_finished, rewritten
from bucket_loader.runs.job import Job, opened
from bucket_loader.state import REJECTED, SnapshotFile, State, refusals, refusals_file, snapshots

Keys = dict[str, set[bytes]]
"""What records are known by, by stream."""
_WORDS: Final = {
    "memory": ("row of memory", "rows of memory"),
    "refusals": ("remembered refusal", "remembered refusals"),
    "dead_letters": ("dead letter", "dead letters"),
    "plans": (
        "plan, which goes whole: `audit` of its run proves less then, `replay` of its dead letters needs --remap",
        "plans, which go whole: `audit` of their runs proves less then, `replay` of their dead letters needs --remap",
    ),
    "checks": ("file of rows that the last check rejected, which goes whole", ""),
}
OUT_OF_REACH: Final = (
    "Bucket itself: have it deleted there",
    "the source: a row that is still there is sent as new with the next run",
    "backups and copies of the state, and older versions of objects in its store",
    "logs and files of other programs",
    "events and feedback of runs whose plans are gone: they are remembered by hashes of all that they hold",
)


@dataclass
class Found:
    """What is known of a subject.

    Attributes:
        memory, refused: the keys of its records, by stream.
        letters: how many dead letters name it, by run.
        plans: the runs whose plans hold it.
        checked: whether it is among the rows that the last check rejected.
    """

    memory: Keys = field(default_factory=dict)
    refused: Keys = field(default_factory=dict)
    letters: dict[str, int] = field(default_factory=dict)
    plans: list[str] = field(default_factory=list)
    checked: bool = False

    def counts(self) -> dict[str, int]:
        """Return how much there is, by what it is."""
        return {
            "memory": sum(map(len, self.memory.values())),
            "refusals": sum(map(len, self.refused.values())),
            "dead_letters": sum(self.letters.values()),
            "plans": len(self.plans),
            "checks": int(self.checked),
        }


def erase(job: Job, subject: Subject, agreed: Agreed) -> dict[str, Any]:
    """Erase what is known of a user or a company; return what `--json` prints.

    Raises:
        UsageError: a run is unfinished, or holds something for a person: its plan is needed.
    """
    with opened(job) as state:
        require_finished(state)
        for row in state.ledger.runs_that_hold():
            raise UsageError(
                f"run {row.run} holds records for a person, and its plan is needed for them",
                hint=f"decide over them with `bucket-loader release PIPELINE {row.run}`; then erase",
            )
        found = _find(state, job.pipeline, subject)
        counts = found.counts()
        _tell(job, *_told(counts))
        is_meant = any(counts.values()) and agreed()
        with state.swept():  # also what a death has left after the commit of an earlier erasure
            if is_meant:
                _erase(state, job.pipeline, subject, found)
            elif (lost := state.lost()) is not None:
                raise lost
        beyond = [*OUT_OF_REACH, *_unclear(state, job.pipeline, subject)]
    ended = "erased" if is_meant else "nothing was erased"
    _tell(job, ended, "what this cannot reach:", *(f"  {place}" for place in beyond))
    return {"erased": is_meant, "found": counts, "not_reached": beyond}


def _told(counts: dict[str, int]) -> Iterator[str]:
    """Say what was found, a line each."""
    if not any(counts.values()):
        yield "nothing is known of it here"
        return
    yield "what is known of it here, and is erased:"
    for what, (one, several) in _WORDS.items():
        if count := counts[what]:
            yield f"  {count:,} {one if count == 1 else several}"


def _tell(job: Job, *lines: str) -> None:
    for line in lines:
        job.listener.tell(Note(line))


# --- finding -------------------------------------------------------------------------------------------------------


def _find(state: State, pipeline: Pipeline, subject: Subject) -> Found:
    keys = defaultdict[str, set[bytes]](subject.keys)
    checked = _names_any(state.layout.checked, pipeline, subject)
    found = Found(plans=_find_in_plans(state, pipeline, subject, keys), checked=checked)
    for stream in state.ledger.files():
        found.memory[stream] = _in_memory(state, stream, subject, keys[stream])
        known = refusals.read(state.refusals_of(stream))["key"].to_pylist()
        found.refused[stream] = keys[stream] & set(known)
    found.memory = {stream: some for stream, some in found.memory.items() if some}
    found.refused = {stream: some for stream, some in found.refused.items() if some}
    for run in state.runs_in(state.layout.dead_letters):
        lines = _lines(state, run)
        if count := len(lines) - sum(1 for _ in _others(lines, pipeline, subject)):
            found.letters[run] = count
    return found


def _find_in_plans(state: State, pipeline: Pipeline, subject: Subject, keys: Keys) -> list[str]:
    """Return the runs whose plans hold the subject, or cannot be read; note the keys of its records."""
    holds, others = list[str](), list[tuple[str, Plan]]()
    for run in state.runs_in(state.layout.plans):
        try:
            planned = plan_file.read(state.plan_folder(run), verify=True)
        except StateUnavailableError:
            raise
        except StateError:  # half of one, which a death has left, or a damaged one
            holds.append(run)
            continue
        found = {stream.name: _keys_in(planned, stream, subject) for stream in planned.manifest.streams}
        for stream, some in found.items():
            keys[stream] |= some
        is_held = any(found.values()) or _names_any(planned.folder / REJECTED, pipeline, subject)
        holds += [run] if is_held else []
        others += [] if is_held else [(run, planned)]
    return holds + [run for run, planned in others if _waits(planned, keys)]


def _keys_in(planned: Plan, stream: PlannedStream, subject: Subject) -> set[bytes]:
    """Return what the records of a plan are known by that name the subject."""
    named, first = list[int](), 0
    for batch in planned.keys(stream, records=True):
        named += [first + place for place, one in enumerate(batch["record"].to_pylist()) if subject.names(one)]
        first += batch.num_rows
    return set(refused.identities(planned, stream, named)["key"].to_pylist())


def _waits(planned: Plan, keys: Keys) -> bool:
    """Whether a plan names one of some records as refused before."""
    streams = planned.manifest.streams
    return any(keys[one.name] & set(planned.waiting(one)["key"].to_pylist()) for one in streams)


def _in_memory(state: State, stream: str, subject: Subject, keys: set[bytes]) -> set[bytes]:
    """Return those keys that a stream remembers, and those of rows whose ids name the subject."""
    memory = state.memory_of(stream)
    if not memory.parts:
        return set()
    wanted = np.unique(np.array(sorted(keys), "S16"))
    there = {key for key in memory.find(wanted)["key"].to_pylist() if key in keys}
    for column in {"ids", "record"} & set(memory.schema.names):
        for batch in snapshots.merged(memory, snapshots.part_schema(ids=column == "ids", records=column == "record")):
            named = [one is not None and subject.names(one) for one in batch[column].to_pylist()]
            there |= set(batch["key"].filter(pa.array(named, pa.bool_())).to_pylist())
    return there


# --- dead letters --------------------------------------------------------------------------------------------------


def _lines(state: State, run: str) -> list[bytes]:
    path = state.fetch_letters(run)
    return path.read_bytes().splitlines(keepends=True) if path.exists() else []


def _names_any(file: Path, pipeline: Pipeline, subject: Subject) -> bool:
    """Whether any dead letter of a file names the subject."""
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    return sum(1 for _ in _others(lines, pipeline, subject)) < len(lines)


def _others(lines: list[bytes], pipeline: Pipeline, subject: Subject) -> Iterator[bytes]:
    """Yield the dead letters that do not name the subject; half a line that a death has left is none of them."""
    tells = {stream.name: stream.fields.given().get(subject.field) for stream in pipeline.streams}
    for line in lines:
        try:
            letter = json.loads(line)
        except ValueError:
            continue
        if not is_about(letter, subject, tells.get(letter["stream"])):
            yield line


def _unclear(state: State, pipeline: Pipeline, subject: Subject) -> Iterator[str]:
    """Say of how many dead letters nobody can tell whom they name: an expression makes the id, or a secret hash."""
    specs = {stream.name: stream.fields.given().get(subject.field) for stream in pipeline.streams}
    made = {name for name, one in specs.items() if isinstance(one, FieldSpec) and (one.sql or one.hash == "hmac")}
    lines = (line for run in state.runs_in(state.layout.dead_letters) for line in _lines(state, run))
    letters = (json.loads(line) for line in _others(list(lines), pipeline, subject))
    if count := sum(letter["record"] is None and letter["stream"] in made for letter in letters):
        yield (
            f"{counted(count, 'dead letter')} without a record, of streams whose id `sql:` or a secret hash makes: "
            "their rows may hold it in another form"
        )


# --- erasing -------------------------------------------------------------------------------------------------------


def _erase(state: State, pipeline: Pipeline, subject: Subject, found: Found) -> None:
    memory = {stream: rewritten(state, stream, _without(keys)) for stream, keys in found.memory.items()}
    refused = {stream: _refusals(state, stream, keys) for stream, keys in found.refused.items()}
    state.ledger.erase(memory, refused)
    for run in found.letters:
        state.replace_letters(run, b"".join(_others(_lines(state, run), pipeline, subject)))
    if found.checked:
        state.layout.checked.unlink(missing_ok=True)
    for run in found.plans:
        state.remove_plan(run)
        plan_file.remove(state.plans / run)
        if (state.plans / run).exists():
            shutil.rmtree(state.plans / run)  # says why it cannot


def _without(keys: set[bytes]) -> Callable[[pa.RecordBatch], pa.Array]:
    gone = pa.array(sorted(keys), pa.binary(16))
    return lambda batch: pc.invert(pc.is_in(batch["key"], value_set=gone))


def _refusals(state: State, stream: str, keys: set[bytes]) -> SnapshotFile:
    """Write what was refused of a stream, without some keys; the ledger does not name it yet."""
    known = refusals.read(state.refusals_of(stream))
    left = known.filter(pc.invert(pc.is_in(known["key"], value_set=pa.array(sorted(keys), pa.binary(16)))))
    name = state.ledger.refusals()[stream].file
    file = refusals_file(int(name.partition("-")[0]), stream, state.ledger.newest(1)[0].run, f"{state.owner}-erased")
    if not len(left):
        return SnapshotFile(file, 0)
    path = state.layout.snapshot(file)
    refusals.write(path, left, state.disk)
    return state.keep_part(file, snapshots.Written(len(left), file_digest(path)))
