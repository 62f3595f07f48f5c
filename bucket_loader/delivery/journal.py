"""What a delivery promises to remember, in one interface; and the journal that keeps it in the ledger.

- An `Intent` is durable before the first byte of its chunk leaves.
- An `Ambiguous` attempt is durable before its chunk is sent again.
- Which emulator it is that answers (`Meets`) is durable before anything that it took.
- A `DeadLetter` is written and synced before the outcome that goes with it is committed.
- An outcome and the next intents may share one commit.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bucket_loader.model import Chunk, Origin, Outcome, Reason, Rejection, row_as_json
from bucket_loader.planning import REMOVED, Plan, PlannedStream
from bucket_loader.state import (
    Ambiguous,
    Behind,
    Concluded,
    DeadLetters,
    Intent,
    Ledger,
    Meets,
    SplitInto,
    dead_letters,
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The one record of a chunk will not be delivered.

    Attributes:
        chunk: which one.
        reason: why.
        outcome: what the API answered.
    """

    chunk: Chunk
    reason: Reason
    outcome: Outcome


Entry = Intent | Ambiguous | Concluded | SplitInto | Behind | Meets | DeadLetter


class Journal(Protocol):
    """Where a worker writes down what it is about to do, and what came of it."""

    def commit(self, entries: Sequence[Entry]) -> None:
        """Make entries durable, all together, dead letters before the rest; return only when they are."""

    def wait_until_held(self) -> None:
        """Return at once while nobody else can send for this state; else wait until that is so again, or raise."""


class LedgerJournal:
    """The journal of a run: its dead letters, and the ledger."""

    def __init__(self, plan: Plan, ledger: Ledger, letters: DeadLetters) -> None:
        self._plan = plan
        self._run = plan.manifest.run
        self._ledger = ledger
        self._letters = letters

    def commit(self, entries: Sequence[Entry]) -> None:
        """Write and sync the dead letters, then commit the rest as one transaction."""
        rest = [entry for entry in entries if not isinstance(entry, DeadLetter)]
        if len(rest) < len(entries):
            self._letters.append([self._letter(entry) for entry in entries if isinstance(entry, DeadLetter)])
        self._ledger.commit(self._run, rest)

    def _letter(self, letter: DeadLetter) -> dead_letters.Entry:
        chunk, stream = letter.chunk, self._plan.manifest.streams[letter.chunk.stream]
        response = {"status": letter.outcome.status, "body": letter.outcome.details}
        (rejection,) = rejections(self._plan, stream, chunk.sequences, letter.reason, response)
        return dead_letters.entry(rejection, run=self._run, stream=stream.name, number=str(chunk.sequences[0]))

    def wait_until_held(self) -> None:
        """Ask the ledger's database: another may have the state by now, and send the same."""
        self._ledger.database.wait_until_held()


def rejections(
    plan: Plan, stream: PlannedStream, sequences: Sequence[int], reason: Reason, response: dict[str, Any] | None = None
) -> Iterator[Rejection]:
    """Return the rejections of records that will not be delivered, with the rows they were made from."""
    columns = plan.rows(stream, sequences, ["source", "ordinal", "record"])
    for sequence, found, batch in zip(sequences, columns, plan.inputs(stream, sequences), strict=True):
        yield Rejection(
            stage="deliver",
            origin=Origin(found["source"], found["ordinal"]),
            reasons=(reason,),
            row={} if found["source"] == REMOVED else row_as_json(batch, 0),
            record=json.loads(found["record"]),
            response=response,
            sequence=sequence,
        )
