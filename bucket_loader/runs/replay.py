"""Replay: a dead-letter file again, as a run of its own: as recorded, or through today's mapping (`--remap`).

    letters --not taken up before--> plan of those records --not overtaken--> PLAN --> deliver, as any other run

The file says which rows; the plan that rejected them says what was recorded. A letter is taken up once: the run that
does is noted with it. What a later run has delivered under the same key is left alone.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import structs

from bucket_loader.config import JsonLinesSource
from bucket_loader.model import (
    KINDS,
    SYNCS,
    Counts,
    InputBatch,
    Reading,
    Source,
    StateError,
    StateUnavailableError,
    UsageError,
    file_digest,
)
from bucket_loader.planning import Plan, PlannedStream, PlanRequest, plan_file, planner
from bucket_loader.reporting import Note, Summary
from bucket_loader.runs import run
from bucket_loader.runs.job import Job
from bucket_loader.runs.settle import sent_sequences
from bucket_loader.sources import SourceContext, open_source
from bucket_loader.state import (
    Entry,
    Ledger,
    Replay,
    RunRow,
    State,
    StateLayout,
    dead_letters,
    look_at_state,
    records_file,
)

_SELECTED: Final = pa.schema([("position", pa.int64()), ("key", pa.binary(16))])
_PLANNING: Final = "p"  # what planning rejected is numbered `p0`, `p1` ..., and made no record


@dataclass(frozen=True)
class Letters:
    """The entries of one file, all of one run.

    Attributes:
        file: where they were read.
        run: the run that wrote them.
        entries: each id once, in the file's order.
    """

    file: Path
    run: str
    entries: tuple[Entry, ...]

    def streams(self) -> list[str]:
        """Give the streams that they are of."""
        return list(dict.fromkeys(entry.stream for entry in self.entries))

    def of(self, stream: str) -> list[Entry]:
        """Give those of a stream."""
        return [entry for entry in self.entries if entry.stream == stream]


def read(file: Path) -> Letters:
    """Read a dead-letter file, or a part of one that a person chose.

    Raises:
        UsageError: it is none, or its letters are of several runs.
    """
    try:
        entries = tuple(dead_letters.read(file))
    except OSError as error:
        raise UsageError(
            f"cannot read {file}: {error.strerror}", hint="`bucket-loader status PIPELINE --json` names the files"
        ) from None
    runs = sorted({entry.run for entry in entries})
    if len(runs) != 1:
        what = "holds no dead letter" if not runs else f"holds dead letters of {len(runs)} runs: {', '.join(runs[:3])}"
        raise UsageError(f"{file} {what}", hint="replay the file of one run at a time")
    return Letters(file, runs[0], entries)


def pipeline_file_of(file: Path) -> Path:
    """Give the pipeline file whose state a dead-letter file lies in.

    Raises:
        UsageError: it lies in none, or the state does not know.
    """
    path = StateLayout.of_letters(file).ledger
    hint = "say which pipeline it is of: --pipeline nightly.yaml"
    if not path.exists():
        raise UsageError(f"{file} does not lie in a pipeline's state", hint=hint)
    with closing(Ledger(path)) as ledger:
        known = ledger.meta("pipeline_file")
    if known is None or not Path(known).exists():
        raise UsageError(f"the pipeline file of {file} is not known, or has moved", hint=hint)
    return Path(known)


def replay_file(job: Job, file: Path, *, remap: bool) -> Summary:
    """Take up a file's dead letters again; what is rejected once more goes to the new run's own file.

    Raises:
        BucketLoaderError: nothing was sent: the file is no dead-letter file of this state, or its plan is gone.
    """
    letters = read(_brought(job, file))

    def new_run(job: Job, state: State) -> Summary:
        replaying = _Replaying(job, state, letters, _run_of(state, letters), run.new_run_name(datetime.now(UTC)))
        if not any(replaying.fresh(stream) for stream in letters.streams()):
            return replaying.nothing_to_do()
        with run.plan_written_to(replaying.folder):
            planned, replays = (_remapped if remap else _as_recorded)(replaying)
        run.begin(planned, state, job, replays)
        return run.deliver(job, state, planned)

    return run.run_job(job, new_run)


def _brought(job: Job, file: Path) -> Path:
    """Bring a run's dead letters from the state's store, where they are named and this disk lacks them."""
    state = None if file.exists() or job.state_place.store is None else look_at_state(job.pipeline, job.state_place)
    if state is None:
        return file
    with closing(state):
        here = state.fetch_letters(file.stem)
    return here if here.exists() else file


def _run_of(state: State, letters: Letters) -> RunRow:
    for row in state.ledger.runs():
        if row.run == letters.run:
            return row
    raise StateError(
        f"{letters.file} is of run {letters.run}, which this state does not know",
        hint="give the pipeline file and the --state that it was run with",
    )


@dataclass(frozen=True)
class _Replaying:
    """A replay that is being planned."""

    job: Job
    state: State
    letters: Letters
    row: RunRow
    name: str

    @property
    def folder(self) -> Path:
        """Where the new plan goes."""
        return self.state.plans / self.name

    def fresh(self, stream: str) -> list[Entry]:
        """Give a stream's letters that no run has taken up."""
        taken = self.state.ledger.replayed(self.letters.run)
        fresh = [entry for entry in self.letters.of(stream) if (stream, number_of(entry)) not in taken]
        return sorted(fresh, key=lambda entry: (str(entry.origin["source"]), int(entry.origin["row"])))

    def rows(self, stream: str) -> list[Entry]:
        """Give those of them that a row was read for: what is gone from the source has none to map."""
        return [entry for entry in self.fresh(stream) if entry.origin["source"] != plan_file.REMOVED]

    def replays(self, stream: str, taken_up: dict[str, int | None]) -> list[Replay]:
        """Give what is to be noted: numbers of letters, and their sequences in the new plan."""
        return [Replay(self.letters.run, stream, number, sequence) for number, sequence in taken_up.items()]

    def nothing_to_do(self) -> Summary:
        """Say that all was taken up before."""
        taken_up = f"all {len(self.letters.entries):,} dead letters were taken up before"
        self.job.listener.tell(Note(f"{taken_up}; nothing is sent"))
        counts = {name: len(self.letters.of(name)) for name in self.letters.streams()}
        return Summary(
            run=self.name,
            pipeline=self.job.pipeline.name,
            status="succeeded",
            exit_code=0,
            as_of=self.row.as_of,
            streams={name: Counts(read=count, unchanged=count) for name, count in counts.items()},
        )


def number_of(entry: Entry) -> str:
    """Give the last part of a letter's id."""
    return entry.id.rpartition("/")[2]


# --- as recorded ---------------------------------------------------------------------------------------------------


def _as_recorded(replaying: _Replaying) -> tuple[Plan, list[Replay]]:
    """Plan the very records that were rejected, from the plan that they were in."""
    job, letters = replaying.job, replaying.letters
    if all(number_of(entry).startswith(_PLANNING) for entry in letters.entries):
        raise UsageError(
            f"none of the {len(letters.entries):,} dead letters has a record that could be sent as it was recorded",
            hint="they were rejected before there was one: mend `fields:` and replay with --remap",
        )
    try:
        before = plan_file.read(replaying.state.plan_folder(letters.run), verify=True)
    except StateUnavailableError:
        raise
    except StateError as error:
        error.hint = "its plan holds what was recorded; without it, replay through today's mapping: --remap"
        raise
    replaying.folder.mkdir(mode=0o700)
    streams: list[PlannedStream] = []
    replays: list[Replay] = []
    for old in before.manifest.streams:
        if not replaying.fresh(old.name):
            continue
        stream, taken_up = _recorded_stream(replaying, before, old, len(streams))
        streams.append(stream)
        replays += replaying.replays(old.name, taken_up)
    chunk = job.pipeline.destination.chunk
    manifest = structs.replace(
        before.manifest,
        run=replaying.name,
        created_at=run.now(),
        after=max(row.number for row in replaying.state.ledger.runs()),
        chunk_records=chunk.records,
        chunk_bytes=max(chunk.bytes, before.manifest.chunk_bytes),
        streams=tuple(streams),
        sources={str(letters.file.absolute()): sha256(letters.file.read_bytes()).hexdigest()},
    )
    return plan_file.finish(replaying.folder, manifest), replays


def _recorded_stream(
    replaying: _Replaying, before: Plan, old: PlannedStream, position: int
) -> tuple[PlannedStream, dict[str, int | None]]:
    everything, fresh = replaying.letters.of(old.name), replaying.fresh(old.name)
    recorded = {int(number_of(entry)): entry for entry in fresh if not number_of(entry).startswith(_PLANNING)}
    sequences = sorted(recorded)
    _require_as_recorded(before, old, recorded, sequences)
    keys = _keys(before, old, sequences)
    overtaken = _overtaken(replaying, old, keys)
    known = _known(replaying.state, old.name, keys) if SYNCS[old.mode].once else _nowhere(keys)
    chosen = [n for n, late, sent in zip(sequences, overtaken, known, strict=True) if not (late or sent)]
    final = replaying.folder / records_file(position, old.name)
    _select(before.path(old), chosen, _keys(before, old, chosen), final)
    delivered = sum(sent and not late for late, sent in zip(overtaken, known, strict=True))
    stream = structs.replace(
        old,
        position=position,
        counts=Counts(
            read=len(everything),
            filtered=len(fresh) - len(recorded),
            superseded=sum(overtaken),
            unchanged=len(everything) - len(fresh) + delivered,
            pending=len(chosen),
        ),
        known=0,
        changed=0,
        known_ids=0,
        without_ids=0,
        nameless=0,
        file=final.name,
        digest=file_digest(final),
    )
    if stream.counts.filtered:
        left_out = f"{old.name}: {stream.counts.filtered:,} dead letters have no record to send again"
        replaying.job.listener.tell(Note(f"{left_out}; --remap maps their rows anew"))
    return stream, {str(sequence): place for place, sequence in enumerate(chosen)}


def _require_as_recorded(
    before: Plan, stream: PlannedStream, recorded: dict[int, Entry], sequences: Sequence[int]
) -> None:
    """Refuse a record that a person has changed: what was recorded is in the plan, and that is what is sent."""
    for sequence, found in zip(sequences, before.rows(stream, sequences, ["record"]), strict=True):
        entry = recorded[sequence]
        if entry.record != json.loads(found["record"]):
            raise UsageError(
                f"the record of dead letter {entry.id} is not what was recorded",
                hint="a record is sent again as it was; mend the source or `fields:`, and replay with --remap",
            )


# --- through today's mapping ---------------------------------------------------------------------------------------


def _remapped(replaying: _Replaying) -> tuple[Plan, list[Replay]]:
    """Plan the rows of the letters as `run` plans a source's, then leave out what a later run has overtaken."""
    job, state, letters = replaying.job, replaying.state, replaying.letters
    known = [stream.name for stream in job.pipeline.ordered_streams()]
    if gone := sorted(set(letters.streams()) - set(known)):
        raise UsageError(
            f"the pipeline has no stream {gone[0]!r}, of which {letters.file} has dead letters",
            hint="give the stream its name back, or take its lines out of the file",
        )
    sources: dict[str, Source] = {}
    names = [name for name in known if replaying.rows(name)]
    if not names:
        raise UsageError(
            f"the dead letters of {letters.file} are of rows that are gone from the source: there is nothing to map",
            hint="replay them as recorded, without --remap; the next `run` tries them again as well",
        )
    for name in names:
        sources[name] = _Rows(replaying.rows(name), replaying.folder / f"letters-{len(sources)}.jsonl")
    made = planner.make_plan(
        PlanRequest(
            pipeline=job.pipeline, base=job.base, folder=replaying.folder, run=replaying.name,
            as_of=datetime.fromisoformat(replaying.row.as_of), interval=_interval(replaying.row), streams=tuple(names),
            after=max(row.number for row in state.ledger.runs()), memory=state.memory(), instead=sources,
            progress=job.progress,
        )
    )  # fmt: skip
    return _without_overtaken(replaying, made)


def _interval(row: RunRow) -> tuple[datetime, datetime] | None:
    if row.interval_start is None or row.interval_end is None:
        return None
    return datetime.fromisoformat(row.interval_start), datetime.fromisoformat(row.interval_end)


def _without_overtaken(replaying: _Replaying, made: Plan) -> tuple[Plan, list[Replay]]:
    streams: list[PlannedStream] = []
    replays: list[Replay] = []
    for stream in made.manifest.streams:
        sequences = range(stream.records)
        overtaken = _overtaken(replaying, stream, _keys(made, stream, sequences))
        chosen = [sequence for sequence, late in zip(sequences, overtaken, strict=True) if not late]
        before, after = len(replaying.letters.of(stream.name)), stream
        if len(chosen) < stream.records:
            narrowed = made.path(stream).with_suffix(".narrowed")
            _select(made.path(stream), chosen, _keys(made, stream, chosen), narrowed)
            narrowed.replace(made.path(stream))
            left_out = Counts(superseded=sum(overtaken), pending=len(chosen) - stream.records)
            after = structs.replace(stream, counts=stream.counts + left_out, digest=file_digest(made.path(stream)))
        # Those that were taken up before are counted, as what was known already; those without a row as filtered.
        rowless = len(replaying.fresh(stream.name)) - len(replaying.rows(stream.name))
        taken_up = before - after.counts.read - rowless
        more = Counts(read=before - after.counts.read, unchanged=taken_up, filtered=rowless)
        streams.append(structs.replace(after, counts=after.counts + more))
        places = _places(made, after)
        replays += replaying.replays(
            stream.name,
            {
                number_of(entry): places.get((str(entry.origin["source"]), int(entry.origin["row"])))
                for entry in replaying.rows(stream.name)
            },
        )
    manifest = structs.replace(made.manifest, streams=tuple(streams))
    return plan_file.finish(made.folder, manifest), replays


def _places(made: Plan, stream: PlannedStream) -> dict[tuple[str, int], int]:
    rows = made.rows(stream, range(stream.records), ["source", "ordinal"])
    return {(row["source"], row["ordinal"]): place for place, row in enumerate(rows)}


class _Rows:
    """The rows of dead letters as a source: each keeps the origin that it had."""

    def __init__(self, entries: Sequence[Entry], file: Path) -> None:
        self._entries = entries
        self._file = file

    def fingerprint(self) -> str:
        """Identify the rows."""
        return sha256(msgspec.json.encode([entry.id for entry in self._entries])).hexdigest()

    def read(self) -> Reading:
        """Give the rows, in the letters' order."""
        columns = list(dict.fromkeys(name for entry in self._entries for name in entry.row))
        self._file.touch(mode=0o600)
        with self._file.open("wb") as out:
            out.writelines(msgspec.json.encode(entry.row) + b"\n" for entry in self._entries)
        spec = JsonLinesSource(type="jsonl", path=self._file.name, columns=columns)
        reading = open_source(spec, SourceContext(self._file.parent)).read()
        return Reading(reading.schema, self._batches(reading))

    def _batches(self, reading: Reading) -> Iterator[InputBatch]:
        try:
            for batch in reading.batches:
                entries = [self._entries[ordinal - 1] for ordinal in batch.ordinals.to_pylist()]
                first = 0
                for source, some in groupby(entries, lambda entry: str(entry.origin["source"])):
                    rows = [int(entry.origin["row"]) for entry in some]
                    yield InputBatch(batch.data.slice(first, len(rows)), pa.array(rows, pa.int64()), source)
                    first += len(rows)
        finally:
            self._file.unlink(missing_ok=True)


# --- what came later -----------------------------------------------------------------------------------------------


def _overtaken(replaying: _Replaying, stream: PlannedStream, keys: pa.Array) -> list[bool]:
    """Tell for each key whether a later run has sent a user or a company of that key.

    Raises:
        StateError: nobody can know: a later run's plan is gone, and the stream has no memory.
    """
    found = _nowhere(keys)
    if not KINDS[stream.kind].ordered or not len(keys):
        return found
    state = replaying.state
    for row in state.ledger.runs():
        if row.number <= replaying.row.number:
            continue
        try:
            later = plan_file.read(state.plan_folder(row.run), verify=False)
        except StateUnavailableError:
            raise
        except StateError:
            if not stream.remembers:
                raise StateError(
                    f"the plan of run {row.run}, which came later, is gone, so that nobody can know which of stream "
                    f"{stream.name!r} it has sent",
                    hint="`sync: full` sends every row with each run: run the pipeline again instead",
                ) from None
            # Then whatever is remembered may be newer.
            found = [a or b for a, b in zip(found, _known(state, stream.name, keys), strict=True)]
            continue
        for other in later.manifest.streams:
            if other.name == stream.name:
                sent = _keys(later, other, sent_sequences(state.ledger, row.run, other))
                found = [a or b for a, b in zip(found, _is_in(keys, sent), strict=True)]
    return found


def _known(state: State, stream: str, keys: pa.Array) -> list[bool]:
    """Tell for each key whether the stream's memory holds it."""
    found = _nowhere(keys)
    for part in state.memory().get(stream, []):
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(columns=["key"]):
                found = [a or b for a, b in zip(found, _is_in(keys, batch.column(0)), strict=True)]
    return found


def _nowhere(keys: pa.Array) -> list[bool]:
    return [False] * len(keys)


def _is_in(keys: pa.Array, others: pa.Array) -> list[bool]:
    found: list[bool] = pc.is_in(keys, value_set=others).to_pylist()
    return found


def _keys(planned: Plan, stream: PlannedStream, sequences: Sequence[int]) -> pa.Array:
    """Give the keys of some sequences, ascending."""
    wanted, taken, first = pa.array(sequences, pa.int64()), [], 0
    for batch in planned.keys(stream):
        here = wanted.filter(pc.and_(pc.greater_equal(wanted, first), pc.less(wanted, first + batch.num_rows)))
        taken.append(batch["key"].take(pc.subtract(here, first)))
        first += batch.num_rows
    return pa.concat_arrays(taken) if taken else pa.array([], pa.binary(16))


def _select(source: Path, sequences: Sequence[int], keys: pa.Array, final: Path) -> None:
    selected = final.with_suffix(".selected")
    pq.write_table(pa.table([pa.array(sequences, pa.int64()), keys], schema=_SELECTED), selected)
    plan_file.select(source, selected, final)
    selected.unlink()
