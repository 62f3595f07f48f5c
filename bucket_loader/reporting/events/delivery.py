"""What is told while records are sent."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeliveryBegan:
    """The records of a run begin to be sent."""

    run: str


@dataclass(frozen=True, slots=True)
class DeliveryProgress:
    """How far a delivery is.

    Attributes:
        run: the run.
        stream: the stream that is sent now; empty before the first.
        records: how many the stream has.
        delivered, rejected: how many of them have come to an end.
        requests, retries: what this call has sent.
        state: what stands in the way, for example the last answer that was no success.
        per_second: records a second.
    """

    run: str
    stream: str
    records: int
    delivered: int
    rejected: int
    requests: int
    retries: int
    state: str
    per_second: float

    @property
    def done(self) -> int:
        """How many records have come to an end."""
        return self.delivered + self.rejected

    @property
    def text(self) -> str:
        """The line that a person reads."""
        return f"delivering {self.stream}: {self.done:,} of {self.records:,} records, {self.per_second:,.0f}/s"


@dataclass(frozen=True, slots=True)
class DeliveryEnded:
    """Nothing more of a run is sent by this call.

    Attributes:
        last: how far it came.
    """

    last: DeliveryProgress
