"""The rows of the ledger, as the rest of the program sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from bucket_loader.model import Attempt, Chunk, Counts, ranges, read_attempts, read_ranges

RunStatus = Literal["running", "succeeded", "rejected", "unfinished", "stopped", "failed", "abandoned"]
ChunkState = Literal["queued", "intent", "delivered", "rejected", "split", "held", "dropped", "superseded"]


@dataclass(frozen=True)
class RunRow:
    """A run as the ledger knows it."""

    run: str
    number: int
    status: RunStatus
    as_of: str
    interval_start: str | None
    interval_end: str | None
    plan_digest: str
    created_at: str
    ended_at: str | None
    exit_code: int | None
    requests: int
    retries: int


@dataclass(frozen=True)
class NewStream:
    """What the ledger keeps of a planned stream; the records to be sent are those that are `pending`."""

    position: int
    name: str
    mapping: str
    counts: Counts


@dataclass(frozen=True)
class Replay:
    """A dead letter that a run takes up again.

    Attributes:
        letters: the run that wrote it.
        stream: its stream's name.
        number: the last part of its id.
        sequence: its record in the run that takes it up; None when it made none.
    """

    letters: str
    stream: str
    number: str
    sequence: int | None


SELECT_CHUNK: Final = (
    "SELECT stream, members, records, state, attempts, ambiguous, digest, aside, folded, tries FROM chunk"
)


@dataclass(frozen=True)
class ChunkRow:
    """A chunk as the ledger knows it.

    Attributes:
        aside: since when a queued one comes after all others (wire time): it met nothing but server errors, or, when
            it was never attempted, it names whom such a one names.
        folded: how many chunks it stands for; None for one that is itself.
        tries: its attempts as `spell_attempts` spells them; empty where they were not recorded, or are folded.
    """

    stream: int
    members: str
    records: int
    state: ChunkState
    attempts: int
    ambiguous: int
    digest: bytes
    aside: str | None = None
    folded: int | None = None
    tries: str = ""

    @property
    def sequences(self) -> tuple[int, ...]:
        """The sequences that it carries."""
        return read_ranges(self.members)

    @property
    def tried(self) -> tuple[Attempt, ...]:
        """Its attempts that are known one by one, oldest first; of very many the first few and the last few are."""
        return read_attempts(self.tries)

    def carries(self, sequence: int) -> bool:
        """Whether it carries a sequence."""
        return any(first <= sequence <= last for first, last in ranges(self.members))


# --- what is committed of a chunk ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Intent:
    """A chunk is about to be sent."""

    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """An attempt may have been applied, and the chunk is sent again.

    Attributes:
        chunk: which one.
        attempts: how many were made since the last commit, that one included.
        tries: those, one by one.
    """

    chunk: Chunk
    attempts: int = 1
    tries: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class Concluded:
    """What became of a chunk.

    Attributes:
        chunk: which one.
        state: what it is from now on.
        attempts: how many were made since the last commit.
        ambiguous: how many of those may have been applied without our knowing.
        status: the HTTP status of the last answer; None when there was none.
        aside: when it is queued to come after all others: since when (wire time).
        tries: the attempts since the last commit, one by one.
    """

    chunk: Chunk
    state: ChunkState
    attempts: int
    ambiguous: int = 0
    status: int | None = None
    aside: str | None = None
    tries: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class Behind:
    """A chunk is queued to come after one that was set aside, since it names the same users or companies.

    Attributes:
        chunk: which one.
        since: when that was (wire time).
    """

    chunk: Chunk
    since: str


@dataclass(frozen=True, slots=True)
class SplitInto:
    """A chunk is replaced by its parts, each queued: they are intents of their own.

    Attributes:
        was: the chunk, concluded as `split`.
        parts: together they are all of it.
    """

    was: Concluded
    parts: Sequence[Chunk]


@dataclass(frozen=True, slots=True)
class Meets:
    """What answers is an emulator: what is remembered from here on counts for that one alone."""

    emulator: str


Entry = Intent | Ambiguous | Concluded | SplitInto | Behind | Meets


class SnapshotFile(NamedTuple):
    """A file of a stream's memory: its name, its rows, and the sha256 of its bytes where it was noted."""

    file: str
    rows: int
    digest: str | None = None
