"""What one pass of a delivery goes through: a stream, or a part of it where several processes send a run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bucket_loader.planning import Part, Plan, PlannedStream
from bucket_loader.state import NewPart


@dataclass(frozen=True)
class Span:
    """Some of a stream's records.

    Attributes:
        stream: which stream.
        part: the part that they are; None for all of the stream.
    """

    stream: PlannedStream
    part: NewPart | None = None

    @property
    def sequences(self) -> range:
        """The sequences of the records."""
        return range(self.stream.records) if self.part is None else self.part.sequences

    @property
    def new(self) -> range:
        """Those of records that were not refused before."""
        return range(self.sequences.start, min(self.sequences.stop, self.stream.refused_from))

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the plan that they are."""
        return self.stream.parts if self.part is None else (self.stream.parts[self.part.number],)

    def chunks(self, plan: Plan) -> Iterator[tuple[range, Sequence[bytes]]]:
        """Yield the plan's chunks of them, in order."""
        for part in self.parts:
            yield from plan.chunks(self.stream, part)
