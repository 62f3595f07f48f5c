"""The attempts of one chunk: paced, counted, and named in the ledger before an ambiguous one is repeated."""

import logging
from typing import TYPE_CHECKING

from bucket_loader.delivery.http.client import Client
from bucket_loader.delivery.http.pacing import Slot
from bucket_loader.delivery.http.retry import Case
from bucket_loader.model import Chunk, Outcome, Verdict
from bucket_loader.planning import PlannedStream
from bucket_loader.state import ChunkState, Conclusion

if TYPE_CHECKING:
    from bucket_loader.delivery.deliver import Delivery

log = logging.getLogger("bucket_loader.delivery.deliver")


class Attempts:
    """One chunk's attempts. The first may be begun and ended by a worker that has others in flight.

    Attributes:
        chunk: what is sent.
        case: what is known of it.
        last: what the last attempt came to; None before there was one.
    """

    def __init__(self, delivery: "Delivery", stream: PlannedStream, chunk: Chunk, case: Case) -> None:
        self.chunk = chunk
        self.case = case
        self.last: Outcome | None = None
        self._delivery = delivery
        self._stream = stream
        self._made = 0
        self._committed = 0

    def begin(self, client: Client, slot: Slot) -> None:
        """Send the chunk once."""
        self._delivery.ledger.database.wait_until_held()  # another may have the state by now, and send the same
        self._delivery.count_request(retry=self._made > 0)
        if not self.case.attempts:
            self._note_successes()
        self._made += 1
        self._client, self._slot = client, slot
        client.begin(self.chunk.body)

    def _note_successes(self) -> None:
        """Note what had succeeded when it was first sent; a part of a suspicious chunk inherits that of the whole."""
        self.case.began = self._delivery.patience.successes
        if not self.case.suspected:
            self.case.successes_before = self.case.began

    def end(self) -> Outcome:
        """Wait for the answer to what was begun."""
        self.last = outcome = self._client.end()
        self._delivery.pacer.release(self._slot, outcome)
        if outcome.verdict in {Verdict.DELIVERED, Verdict.REJECTED}:
            self._delivery.patience.answered()
        return outcome

    def end_first(self) -> Outcome:
        """Wait for the answer to the first attempt."""
        return self._delivery.retry.count(self.end(), self.case)

    def until_final(self, client: Client) -> Outcome:
        """Attempt until the outcome is final, or suspicious, or patience is over, or the run is stopped."""
        return self._delivery.retry.attempt_until_final(
            lambda: self._attempt(client), self._before_retry, self.case, made=self.last
        )

    def _attempt(self, client: Client) -> Outcome:
        slot = self._delivery.pacer.acquire()
        if slot is None:
            return self.last or Outcome(Verdict.NOT_SENT, message="stopped before it was sent")
        self.begin(client, slot)
        return self.end()

    def _enough(self) -> bool:
        return self._delivery.retry.suspicious(self.case) and not self.case.hold and self._delivery.goes_on()

    def proven_against(self) -> bool:
        """Whether its server errors are its own: others were served since, and the run is not being ended."""
        return self._enough() and self._delivery.retry.proven_against(self.case)

    def undecided(self) -> bool:
        """Whether something else should be tried before it is judged."""
        return self._enough() and self.case.yields

    def unproven_twice(self) -> bool:
        """Whether it came back, and there was nothing else to try."""
        return self.undecided() and self.case.postponed

    def _before_retry(self, outcome: Outcome) -> None:
        self._delivery.tally.state = f"{outcome.status or outcome.verdict.value} {outcome.message}".rstrip()
        if outcome.ambiguous:
            self._delivery.ledger.count_ambiguous(self._delivery.run, self.chunk)
            self._committed = self._made
        log.info(
            "stream %s: chunk %s is sent again after %s%s",
            self._stream.name, self.chunk.members, outcome.status or outcome.message,
            "; it may be applied twice" if outcome.ambiguous else "",
            extra={"told": {"event": "retry", "run": self._delivery.run, "stream": self._stream.name,
                            "chunk": self.chunk.members, "attempts": self._made}},
        )  # fmt: skip

    def conclusion(self, state: ChunkState, outcome: Outcome) -> Conclusion:
        """Give what is to be committed: the attempts since the last commit."""
        made, self._committed = self._made - self._committed, self._made
        return Conclusion(state, made, int(outcome.ambiguous and made > 0), outcome.status)
