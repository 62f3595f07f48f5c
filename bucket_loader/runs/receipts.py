"""Interval receipts: what the runs of an interval have sent, their counts, and a digest of it."""

import hashlib
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import pyarrow as pa

from bucket_loader.model import wire_timestamp
from bucket_loader.reporting import Listener, Note
from bucket_loader.runs.job import Interval, Job
from bucket_loader.state import RunRow, State, look_at_state

_LANES: Final = 4
# Odd numbers without a pattern, a lane each: the binary digits of the roots of 2, 3, 5 and 7.
_ODD: Final = np.array(
    [0x6A09E667F3BCC909, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1], dtype=np.uint64
)
_SHIFT: Final = np.uint64(29)


Chosen = tuple[pa.RecordBatch, np.ndarray[tuple[int], np.dtype[np.bool_]]]
"""`key` and `content` of some records, and which of them are chosen."""


def digest(batches: Iterable[Chosen]) -> str | None:
    """Return the digest of some records of a plan: the same for the same records, in whatever order they come.

    It is a sum over the records, so it needs no memory; what is summed are hashes of keys and contents, in which the
    time of the run has no part.

    Args:
        batches: the records, a batch at a time.

    Returns:
        64 hexadecimal digits; None when none is chosen.
    """
    total, count = np.zeros(_LANES, np.uint64), 0
    for batch, here in batches:
        count += int(np.count_nonzero(here))
        words = np.hstack([_words(batch["key"])[here], _words(batch["content"])[here]])
        for odd in _ODD:  # each round lets every word reach every lane
            words = (words ^ (words >> _SHIFT)) * odd
            words = words + np.roll(words, 1, axis=1)
        total += words.sum(axis=0, dtype=np.uint64)
    return hashlib.sha256(total.tobytes() + count.to_bytes(8, "little")).hexdigest() if count else None


def _words(column: pa.Array) -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
    buffer = column.buffers()[1]
    return np.frombuffer(buffer, np.uint64).reshape(-1, 2)[column.offset : column.offset + len(column)]


def interval_receipts(job: Job, interval: Interval) -> dict[str, Any]:
    """Return the receipts of an interval, oldest first: a run each."""
    start, end = map(wire_timestamp, interval)
    state = look_at_state(job.pipeline, job.state_place)
    found: list[dict[str, Any]] = []
    if state is not None:
        with closing(state):
            found = [_receipt(state, row) for row in state.ledger.runs_of(start, end)]
    return {"pipeline": job.pipeline.name, "interval": [start, end], "receipts": found}


def _receipt(state: State, row: RunRow) -> dict[str, Any]:
    sent = state.ledger.sent(row.run)
    return {
        "run": row.run,
        "status": row.status,
        "exit_code": row.exit_code,
        "as_of": row.as_of,
        "created_at": row.created_at,
        "ended_at": row.ended_at,
        "plan_digest": row.plan_digest,
        "requests": row.requests,
        "retries": row.retries,
        "streams": {
            name: asdict(counts) | {"digest": sent.get(name)} for name, counts in state.ledger.counts(row.run).items()
        },
    }


def tell_receipts(listener: Listener, found: dict[str, Any]) -> None:
    """Say what the runs of an interval have sent."""
    start, end = found["interval"]

    def say(text: str) -> None:
        listener.tell(Note(text))

    if not found["receipts"]:
        say(f"no run of {start} to {end}")
    for receipt in found["receipts"]:
        say(f"run {receipt['run']} of {start} to {end}: {receipt['status']}, as of {receipt['as_of']}, "
            f"plan {receipt['plan_digest'][:12]}")  # fmt: skip
        for name, stream in receipt["streams"].items():
            parts = [f"{stream[what]:,} {what}" for what in ("read", "delivered")]
            parts += [f"{count:,} {what}" for what, count in stream.items() if what not in _TOLD and count]
            say(f"    {name}: {', '.join(parts)}; digest {(stream['digest'] or 'none')[:12]}")


_TOLD: Final = ("read", "delivered", "digest")
