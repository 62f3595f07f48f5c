"""How far a delivery is: counted by its workers, read by whoever shows progress, and by what stops a run early."""

import threading
from dataclasses import dataclass, field
from typing import Final

from bucket_loader.model import SYSTEM, BucketLoaderError, Clock, SystemicRejectionError

# A mapping mistake, not bad rows (DESIGN: small decisions).
SYSTEMIC_FIRST: Final = 50
SYSTEMIC_JUDGED: Final = 1_000
SYSTEMIC_SHARE: Final = 0.9


@dataclass
class Tally:
    """What one call of `deliver` has done so far; read without a lock.

    Attributes:
        stream: the stream that is being sent, of `records` records.
        delivered, rejected: how many of those ended so, in this call and before.
        requests, retries: of this call.
        state: what an attempt that is repeated came to, for a person.
    """

    run: str = ""
    stream: str = ""
    records: int = 0
    delivered: int = 0
    rejected: int = 0
    requests: int = 0
    retries: int = 0
    state: str = ""


@dataclass
class Standing:
    """How a delivery stands: its tally, and what ends it.

    Attributes:
        tally: what happened.
        stopped: set to drain: no new chunk is begun, what is in flight is finished.
        failure: the first error that ends the run; None as long as there is none.
    """

    tally: Tally
    stopped: threading.Event
    clock: Clock = SYSTEM
    failure: BucketLoaderError | None = None
    _judged_good: int = field(default=0, init=False)
    _judged_bad: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._lock = self.clock.threading.Lock()

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

    def judge(self, *, good: int = 0, bad: int = 0) -> None:
        """Count records that were judged; stop when it is the mapping that is wrong."""
        with self._lock:
            self._judged_good += good
            self._judged_bad += bad
            self.tally.delivered += good
            self.tally.rejected += bad
            judged = self._judged_good + self._judged_bad
            first = self._judged_good == 0 and self._judged_bad >= SYSTEMIC_FIRST
            systemic = first or (judged >= SYSTEMIC_JUDGED and self._judged_bad >= SYSTEMIC_SHARE * judged)
        if systemic:
            self.fail(
                SystemicRejectionError(
                    f"the API refused {self._judged_bad:,} of the {judged:,} records judged so far: "
                    "this is a mapping mistake, not bad rows",
                    hint="look at the reasons in the dead letters, mend `fields:`, and run again",
                )
            )
