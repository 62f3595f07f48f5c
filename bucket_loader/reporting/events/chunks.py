"""What is told of chunks that have no certain answer, or are sent again."""

from collections.abc import Sequence
from dataclasses import dataclass

from bucket_loader.model import counted


@dataclass(frozen=True, slots=True)
class ChunksUnknown:
    """A crash left chunks that were sent and whose answer nobody read: they are held, or sent again.

    Attributes:
        run: the run.
        stream: the name of the stream.
        chunks: the names of the chunks, in order.
        records: how many records are in them.
        held: whether they wait for a person; else they are sent again.
    """

    run: str
    stream: str
    chunks: tuple[str, ...]
    records: int
    held: bool

    @property
    def text(self) -> str:
        """The line that a person reads."""
        return (
            f"stream {self.stream}: the answer to {counted(self.records, 'record')} that went out before the crash is "
            f"unknown; {'held' if self.held else 'sent again'}: {_named(self.chunks)}"
        )


def _named(chunks: Sequence[str]) -> str:
    return f"{'chunk' if len(chunks) == 1 else 'chunks'} {' '.join(chunks)}"


@dataclass(frozen=True, slots=True)
class ChunkRetried:
    """A chunk is about to be sent again.

    Attributes:
        run: the run.
        stream: the name of the stream.
        chunk: the name of the chunk.
        attempts: how many requests were made for it so far.
        answer: the status, or what went wrong where there was no answer.
        ambiguous: whether the attempt may have been applied, so that the next may apply it twice.
    """

    run: str
    stream: str
    chunk: str
    attempts: int
    answer: str
    ambiguous: bool

    @property
    def text(self) -> str:
        """The line that a person reads."""
        twice = "; it may be applied twice" if self.ambiguous else ""
        return f"stream {self.stream}: chunk {self.chunk} is sent again after {self.answer}{twice}"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A chunk stays with its run.

    Attributes:
        run: the run.
        stream: the name of the stream.
        chunk: the name of the chunk.
        answer: the status, or what went wrong where there was no answer.
    """

    run: str
    stream: str
    chunk: str
    answer: str


class ChunkHeld(_Kept):
    """A chunk had no certain answer, and waits for a person."""

    @property
    def text(self) -> str:
        """The line that a person reads."""
        return f"stream {self.stream}: chunk {self.chunk} is held: {self.answer}"


class ChunkSetAside(_Kept):
    """A chunk brings only server errors: others that do not name its users or companies go on."""

    @property
    def text(self) -> str:
        """The line that a person reads."""
        return f"stream {self.stream}: chunk {self.chunk} is set aside, and tried again after all others: {self.answer}"
