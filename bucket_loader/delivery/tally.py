"""How far a delivery is: counted by its workers, read by whoever shows progress, and by what stops a run early.

A mapping that is wrong is told from rows that are bad: when the first records of a stream are all refused, others are
tried at places spread over what is new of it, its end included. Rows that were refused before say nothing of that.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bucket_loader.model import SYSTEM, BucketLoaderError, Chunk, Clock, SystemicRejectionError, Wait

# A mapping mistake, not bad rows (DESIGN: small decisions).
SYSTEMIC_FIRST: Final = 50
SYSTEMIC_PLACES: Final = 5
SYSTEMIC_JUDGED: Final = 1_000
SYSTEMIC_SHARE: Final = 0.9


@dataclass
class StreamTally:
    """How far a stream is.

    Attributes:
        stream: its name.
        records: how many it has.
        delivered, rejected: how many of those ended so, in this call and before.
        began_s: when this call began with it, by the clock of the run.
        took_s: how long that took; None while it is being sent.
    """

    stream: str = ""
    records: int = 0
    delivered: int = 0
    rejected: int = 0
    began_s: float = 0.0
    took_s: float | None = None


@dataclass
class Tally:
    """What one call of `deliver` has done so far; read without a lock.

    Attributes:
        records: how many records each stream of the plan has.
        streams: those that were begun, in order; what is set aside is taken up again.
        now: the one that is being sent.
        requests, retries: of this call.
        served: how many of those the API did something with.
        reached: whether anything was there where the run sends to.
        waits: returns what stands in the way.
    """

    run: str = ""
    records: dict[str, int] = field(default_factory=dict)
    streams: dict[str, StreamTally] = field(default_factory=dict)
    now: StreamTally = field(default_factory=StreamTally)
    requests: int = 0
    retries: int = 0
    served: int = 0
    reached: bool = False
    waits: Callable[[], Wait | None] = lambda: None

    def begin(self, stream: StreamTally) -> None:
        """Begin a stream, or take it up again."""
        if (before := self.streams.get(stream.stream)) is not None:
            stream.began_s = before.began_s
        self.streams[stream.stream] = self.now = stream

    def end(self, now_s: float) -> None:
        """Say that all of the stream was gone through."""
        self.now.took_s = now_s - self.now.began_s


def place_of(sequence: int, new: range) -> int:
    """Return in which fifth of what is new a record stands."""
    return (sequence - new.start) * SYSTEMIC_PLACES // len(new) if new else SYSTEMIC_PLACES


@dataclass
class Spread:
    """Where in a stream records were refused.

    Attributes:
        stream: its name.
        new: the sequences of its records that are new; those behind them were refused before.
        look: called once, with the places that were not tried yet, when the first records were all refused.
        refused: the fifths of what is new in which a record was refused.
        looks: whether `look` was called.
    """

    stream: str = ""
    new: range = range(0)
    look: Callable[[frozenset[int]], None] = lambda _places: None
    refused: set[int] = field(default_factory=set)
    looks: bool = False

    def place(self, sequence: int) -> int:
        """Return in which fifth of what is new a record stands."""
        return place_of(sequence, self.new)

    def add(self, refused: Iterable[int]) -> None:
        """Add records that were refused, by their sequences; those that are not new say nothing."""
        self.refused.update(self.place(sequence) for sequence in refused if sequence < self.new.stop)

    @property
    def missing(self) -> frozenset[int]:
        """The fifths in which no record was refused so far."""
        return frozenset(range(SYSTEMIC_PLACES)) - self.refused


class Judged(NamedTuple):
    """What new records came to.

    Attributes:
        good, bad: how many were taken, and refused.
        missing: the fifths of what is new in the stream in hand in which none was refused.
    """

    good: int
    bad: int
    missing: frozenset[int]

    @property
    def is_none_taken(self) -> bool:
        """Whether all of the first were refused."""
        return self.good == 0 and self.bad >= SYSTEMIC_FIRST

    @property
    def is_systemic(self) -> bool:
        """Whether it is the mapping that is wrong, and not some rows."""
        judged = self.good + self.bad
        is_nearly_none = judged >= SYSTEMIC_JUDGED and self.bad >= SYSTEMIC_SHARE * judged
        return is_nearly_none or (self.is_none_taken and not self.missing)


@dataclass
class Standing:
    """How a delivery stands: its tally, and what ends it.

    Attributes:
        tally: what happened.
        stopped: set to drain: no new chunk is begun, what is in flight is finished.
        failure: the first error that ends the run; None as long as there is none.
        spread: where in the stream in hand records were refused.
        of_all: returns what all who send the run have come to; None for one who sends it alone.
    """

    tally: Tally
    stopped: threading.Event
    clock: Clock = SYSTEM
    failure: BucketLoaderError | None = None
    spread: Spread = field(default_factory=Spread)
    of_all: Callable[[], Judged] | None = None
    _good: int = field(default=0, init=False)
    _bad: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._lock = self.clock.threading.Lock()

    @property
    def judged(self) -> int:
        """How many new records were taken or refused so far."""
        return self._good + self._bad

    def fail(self, error: BucketLoaderError) -> None:
        """Remember the first failure, and drain."""
        with self._lock:
            self.failure = self.failure or error
        self.stopped.set()

    def count_request(self, *, again: bool) -> None:
        """Count a request; `again` when the chunk was sent before."""
        with self._lock:
            self.tally.requests += 1
            self.tally.retries += again

    def resume(self, *, good: int, bad: int) -> None:
        """Go on with what earlier calls for this run have judged of what is new."""
        self._good += good
        self._bad += bad

    def begin_stream(self, spread: Spread, refused: Iterable[int]) -> None:
        """Judge another stream, of which some records, by their sequences, were refused in earlier calls."""
        spread.add(refused)
        self.spread = spread

    def accepted(self, chunk: Chunk) -> None:
        """Count a chunk's records as delivered."""
        count = len(chunk.sequences)
        with self._lock:
            self.tally.now.delivered += count
            self._good += count if chunk.sequences[0] < self.spread.new.stop else 0

    def refused(self, chunk: Chunk) -> None:
        """Count a record as rejected; stop when it is the mapping that is wrong."""
        sequence, spread = chunk.sequences[0], self.spread
        with self._lock:
            self.tally.now.rejected += 1
            if sequence >= spread.new.stop:
                return
            self._bad += 1
            spread.refused.add(spread.place(sequence))
            mine = Judged(self._good, self._bad, spread.missing)
            looks = mine.is_none_taken and not spread.looks
            spread.looks = spread.looks or looks
        if mine.is_systemic:
            if self._is_so_for_all():
                self.fail(self._systemic())
        elif looks:
            spread.look(spread.missing)

    def _is_so_for_all(self) -> bool:
        """Whether it is so too with what others send; their counts are gone on with."""
        if self.of_all is None:
            return True
        found = self.of_all()
        with self._lock:
            self._good, self._bad = found.good, found.bad
        return found.is_systemic

    def _systemic(self) -> SystemicRejectionError:
        where = (
            "" if self._good else f", at {SYSTEMIC_PLACES} places from the first to the last of {self.spread.stream!r}"
        )
        return SystemicRejectionError(
            f"the API refused {self._bad:,} of the {self.judged:,} new records tried so far{where}: "
            "this is a mapping mistake, not bad rows",
            hint="look at the reasons in the dead letters, mend `fields:`, and run again",
        )
