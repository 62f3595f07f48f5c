"""Replay through today's mapping: the rows of the letters are planned as `run` plans those of a source."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import groupby
from pathlib import Path

import msgspec
import pyarrow as pa
from msgspec import structs

from bucket_loader.config import JsonLinesSource
from bucket_loader.model import Counts, InputBatch, Reading, Source, UsageError
from bucket_loader.planning import Part, Plan, PlannedStream, PlanRequest, plan_file, planner
from bucket_loader.runs.arrays import form_of_lists
from bucket_loader.runs.job import Interval
from bucket_loader.runs.replay.letters import number_of
from bucket_loader.runs.replay.overtaken import are_overtaken, keys_of, select_records
from bucket_loader.runs.replay.replaying import Replaying
from bucket_loader.sources import SourceContext, open_source
from bucket_loader.state import Entry, Replay, RunRow


def remapped_plan(replaying: Replaying) -> tuple[Plan, list[Replay]]:
    """Return the plan of the letters' rows, without what a later run has overtaken."""
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
        sources[name] = _LetterRows(replaying.rows(name), replaying.folder / f"letters-{len(sources)}.jsonl")
    made = planner.make_plan(
        PlanRequest(
            pipeline=job.pipeline, base=job.base, folder=replaying.folder, run=replaying.name,
            as_of=datetime.fromisoformat(replaying.row.as_of), interval=_interval(replaying.row), streams=tuple(names),
            after=state.ledger.last_number(), memory=state.memory(), instead=sources,
            progress=job.progress, arrays=form_of_lists(job.pipeline, state.ledger),
        )
    )  # fmt: skip
    return _without_overtaken(replaying, made)


def _interval(row: RunRow) -> Interval | None:
    if row.interval_start is None or row.interval_end is None:
        return None
    return datetime.fromisoformat(row.interval_start), datetime.fromisoformat(row.interval_end)


def _without_overtaken(replaying: Replaying, made: Plan) -> tuple[Plan, list[Replay]]:
    streams: list[PlannedStream] = []
    replays: list[Replay] = []
    for stream in made.manifest.streams:
        sequences = range(stream.records)
        overtaken = are_overtaken(replaying, stream, keys_of(made, stream, sequences))
        chosen = [sequence for sequence, late in zip(sequences, overtaken, strict=True) if not late]
        before, after = len(replaying.letters.of(stream.name)), stream
        if len(chosen) < stream.records:
            left_out = Counts(superseded=sum(overtaken), pending=len(chosen) - stream.records)
            after = structs.replace(stream, counts=stream.counts + left_out, parts=_narrowed(made, stream, chosen))
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


def _narrowed(made: Plan, stream: PlannedStream, chosen: Sequence[int]) -> tuple[Part, ...]:
    """Let a stream have only some of its records, in one part."""
    records = made.records(stream)
    narrowed = records.files[0].with_suffix(".narrowed")
    select_records(records, chosen, keys_of(made, stream, chosen), narrowed)
    for file in records.files:
        file.unlink()
    return plan_file.parts_of(narrowed.rename(records.files[0]))


def _places(made: Plan, stream: PlannedStream) -> dict[tuple[str, int], int]:
    rows = made.rows(stream, range(stream.records), ["source", "ordinal"])
    return {(row["source"], row["ordinal"]): place for place, row in enumerate(rows)}


class _LetterRows:
    """The rows of dead letters as a source: each keeps the origin that it had."""

    def __init__(self, entries: Sequence[Entry], file: Path) -> None:
        self._entries = entries
        self._file = file

    def fingerprint(self) -> str:
        """Identify the rows."""
        return sha256(msgspec.json.encode([entry.id for entry in self._entries])).hexdigest()

    def read(self) -> Reading:
        """Return the rows, in the letters' order."""
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
