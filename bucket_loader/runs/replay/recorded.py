"""Replay as recorded: the very records that were rejected, from the plan that they were in."""

import json
from collections.abc import Sequence
from hashlib import sha256

from msgspec import structs

from bucket_loader.model import (
    SYNCS,
    Counts,
    StateError,
    StateUnavailableError,
    UsageError,
    wire_timestamp,
)
from bucket_loader.planning import Plan, PlannedStream, plan_file
from bucket_loader.reporting import Note
from bucket_loader.runs.replay.letters import has_record, number_of
from bucket_loader.runs.replay.overtaken import are_known, are_overtaken, keys_of, nowhere, select_records
from bucket_loader.runs.replay.replaying import Replaying
from bucket_loader.state import Entry, Replay, records_file


def recorded_plan(replaying: Replaying) -> tuple[Plan, list[Replay]]:
    """Return the plan of the very records that were rejected, from the plan that they were in."""
    job, letters = replaying.job, replaying.letters
    if not any(has_record(entry) for entry in letters.entries):
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
        created_at=wire_timestamp(job.outside.clock.utc()),
        after=replaying.state.ledger.last_number(),
        chunk_records=chunk.records,
        chunk_bytes=max(chunk.bytes, before.manifest.chunk_bytes),
        streams=tuple(streams),
        sources={str(letters.file.absolute()): sha256(letters.file.read_bytes()).hexdigest()},
    )
    return plan_file.finish(replaying.folder, manifest), replays


def _recorded_stream(
    replaying: Replaying, before: Plan, old: PlannedStream, position: int
) -> tuple[PlannedStream, dict[str, int | None]]:
    everything, fresh = replaying.letters.of(old.name), replaying.fresh(old.name)
    recorded = {int(number_of(entry)): entry for entry in fresh if has_record(entry)}
    sequences = sorted(recorded)
    _require_as_recorded(before, old, recorded, sequences)
    keys = keys_of(before, old, sequences)
    overtaken = are_overtaken(replaying, old, keys)
    known = are_known(replaying.state, old.name, keys) if SYNCS[old.mode].once else nowhere(keys)
    chosen = [n for n, late, sent in zip(sequences, overtaken, known, strict=True) if not (late or sent)]
    final = replaying.folder / records_file(position, old.name)
    select_records(before.records(old), chosen, keys_of(before, old, chosen), final)
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
        refused=0,
        known_refused=None,
        changed_fields={},
        facts=None,  # no source was read: the last reading stays what the next one is compared with
        parts=plan_file.parts_of(final),
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
