"""What became of a record: the chunks that carried it, each attempt, and where that leaves it."""

from typing import Final

from bucket_loader.model import counted, ranges, wire_of_ms
from bucket_loader.reporting import Attempt, Chunk, Fate
from bucket_loader.runs.waiting import UNFINISHED
from bucket_loader.state import ChunkRow, Ledger, RunRow

_TEXTS: Final[dict[str, str]] = {
    "delivered": "delivered",
    "rejected": "rejected: the API refused it",
    "held": "held for a person, who decides with `bucket-loader release`: it was sent, and no answer came",
    "dropped": "dropped: a person decided so",
    "superseded": "superseded: a newer row took its place before it was sent",
    "unknown": "unknown: it was sent, and no answer has come",
}


def chunks_of(ledger: Ledger, run: str, stream: int, sequence: int) -> list[Chunk]:
    """Return the chunks that carry a record of a run, or did before they were cut."""
    rows = ledger.chunks_with(run, stream, sequence)
    first = ranges(rows[0].members)[0][0] if rows and rows[0].folded is None else None
    number = None if first is None else 1 + ledger.chunks_before(run, stream, first)
    return [_chunk(row, None if place else number) for place, row in enumerate(rows)]


def _chunk(row: ChunkRow, number: int | None) -> Chunk:
    tried = [Attempt(wire_of_ms(one.at_ms), one.status, one.ms / 1000) for one in row.tried]
    return Chunk(number, row.members, row.records, row.state, row.attempts, row.ambiguous, tried, row.folded, row.aside)


def fate_of(row: RunRow | None, chunks: list[Chunk], overtaken_by: str | None = None) -> tuple[Fate, str]:
    """Return where a record is, as a word and as a sentence.

    Args:
        row: the run, as the ledger has it; None where it was only planned.
        chunks: those that carry the record.
        overtaken_by: of a plan that was not run, the first run after it.
    """
    if row is None:
        if overtaken_by is not None:
            return "planned", f"planned, and not sent; run {overtaken_by} came after it, so it cannot be sent any more"
        return "planned", "planned, and not sent: `bucket-loader run --plan` sends what is planned"
    leaves = [one for one in chunks if one.state != "split"]
    if not leaves:
        return _never_begun(row)
    leaf = leaves[-1]
    if leaf.state == "queued":
        return _queued(row, leaf)
    fate: Fate = "unknown" if leaf.state == "intent" else leaf.state  # type: ignore[assignment]
    text = _TEXTS[fate]
    if fate == "delivered" and leaf.ambiguous:
        text += f", possibly more than once: {counted(leaf.ambiguous, 'attempt')} before that had no clear answer"
    return fate, text


def _never_begun(row: RunRow) -> tuple[Fate, str]:
    if row.status in UNFINISHED:
        return "pending", "pending: it was not sent yet"
    return "not sent", f"not sent: the run ended before ({row.status}), and the next plan decided again"


def _queued(row: RunRow, leaf: Chunk) -> tuple[Fate, str]:
    if row.status not in UNFINISHED:
        if leaf.ambiguous:
            return "unknown", f"unknown: it was sent, and no clear answer came before the run was {row.status}"
        return "not sent", f"not sent: the run was {row.status}, and the next plan decided again"
    if leaf.aside is not None:
        return "stuck", f"stuck: the API fails with its chunk since {leaf.aside}; it is tried again after all others"
    return "pending", "pending: it waits to be sent" + (" again" if leaf.attempts else "")
