"""What is told while records are sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bucket_loader.model import counted, spoken


@dataclass(frozen=True, slots=True)
class DeliveryBegan:
    """The records of a run begin to be sent.

    Attributes:
        run: the run.
        records: how many of them each stream has.
    """

    run: str
    records: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeliveryProgress:
    """How far a delivery is.

    Attributes:
        run: the run.
        stream: the stream that is sent now; empty before the first.
        records: how many the stream has.
        delivered, rejected: how many of them have come to an end.
        requests, retries: what this call has sent.
        per_second: records a second.
    """

    run: str
    stream: str
    records: int
    delivered: int
    rejected: int
    requests: int
    retries: int
    per_second: float

    @property
    def done(self) -> int:
        """How many records have come to an end."""
        return self.delivered + self.rejected

    @property
    def left_s(self) -> float | None:
        """How many seconds the rest will take at this rate; None when there is none."""
        return (self.records - self.done) / self.per_second if self.per_second > 0 else None

    @property
    def text(self) -> str:
        """The line that a person reads."""
        left = "" if self.left_s is None else f", {spoken(self.left_s)} left"
        return (
            f"delivering {self.stream}: {self.done:,} of {self.records:,} records, {self.per_second:,.0f}/s{left}"
            f"{_after(self.errors)}"
        )

    @property
    def errors(self) -> str:
        """What went wrong so far, for a person; empty when nothing did."""
        retries = counted(self.retries, "retry", "retries") if self.retries else ""
        return ", ".join(filter(None, (_rejected(self.rejected), retries)))


@dataclass(frozen=True, slots=True)
class StreamDelivered:
    """All of a stream was gone through; what is set aside is taken up again later, and then this is told again.

    Attributes:
        run: the run.
        stream: the stream.
        records: how many it has.
        delivered, rejected: how many of them have come to an end.
        seconds: how long it took.
    """

    run: str
    stream: str
    records: int
    delivered: int
    rejected: int
    seconds: float

    @property
    def done(self) -> int:
        """How many records have come to an end."""
        return self.delivered + self.rejected

    @property
    def text(self) -> str:
        """The line that a person reads."""
        pending = self.records - self.done
        return (
            f"delivered {self.stream}: {self.delivered:,} of {self.records:,} records in {spoken(self.seconds)}"
            f"{_after(self.errors)}{_after(f'{pending:,} pending' if pending else '')}"
        )

    @property
    def errors(self) -> str:
        """What went wrong, for a person; empty when nothing did."""
        return _rejected(self.rejected)


@dataclass(frozen=True, slots=True)
class DeliveryEnded:
    """Nothing more of a run is sent by this call."""

    run: str


def _rejected(count: int) -> str:
    return f"{count:,} rejected" if count else ""


def _after(text: str) -> str:
    return f", {text}" if text else ""
