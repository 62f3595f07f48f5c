"""What is known of a stream's last whole reading, for the next one to be compared with; the ledger keeps it as a note.

It is committed when the stream is settled. No run that was stopped or abandoned leaves one, and no reading of a part.
"""

from datetime import timedelta

import msgspec

from bucket_loader.model import Counts, read_time
from bucket_loader.planning.manifest import Manifest, PlannedStream


class Baseline(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stream's last whole reading.

    Attributes:
        run: the run that read.
        made: how many rows made a record.
        known: how many records were known before.
        changed: how many of those had changed.
        known_ids: how many were known with their ids.
        age_s: how many seconds before the run's time the latest of its times was; None where nobody asked.
        nulls: how many records lacked a field, for the fields that limits asked for.
        lacking: the fields with limits that no record had.
        spread: the columns that a `*` has sent; None where there was none.
        beside: the columns that were there beside these, or were left out by name.
    """

    run: str
    counts: Counts
    made: int = 0
    known: int = 0
    changed: int = 0
    known_ids: int = 0
    age_s: float | None = None
    nulls: dict[str, int] = msgspec.field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    spread: tuple[str, ...] | None = None
    beside: tuple[str, ...] = ()


def age_of(manifest: Manifest, stream: PlannedStream) -> timedelta | None:
    """Return how long before the plan's time the latest of a stream's times is; None where there is none."""
    if stream.facts is None or stream.facts.latest is None:
        return None
    return read_time(manifest.as_of) - read_time(stream.facts.latest)


def baseline_of(manifest: Manifest, stream: PlannedStream) -> str | None:
    """Return what is to be known of a stream's reading, spelt for the ledger; None where it was not whole."""
    facts, age = stream.facts, age_of(manifest, stream)
    if facts is None or not facts.whole:
        return None
    found = Baseline(
        run=manifest.run,
        counts=stream.counts,
        made=facts.made,
        known=stream.known,
        changed=stream.changed,
        known_ids=stream.known_ids,
        age_s=None if age is None else age.total_seconds(),
        nulls=facts.nulls,
        lacking=facts.lacking,
        spread=facts.spread,
        beside=facts.beside,
    )
    return msgspec.json.encode(found).decode()


def read(text: str) -> Baseline:
    """Read what `baseline_of` spelt."""
    return msgspec.json.decode(text, type=Baseline)
