"""Which emulator a run sends to: the one that its state knows, or the first that answers; another ends the run.

What took records and has no name is no emulator. A memory is of the one or of the other, never of both.
"""

from typing import Final

from bucket_loader.delivery.course import emulator_gone
from bucket_loader.delivery.journal import Journal
from bucket_loader.delivery.place import Place
from bucket_loader.delivery.tally import Standing
from bucket_loader.delivery.transport import Transport
from bucket_loader.model import NO_EMULATOR, Outcome, Verdict
from bucket_loader.state import Meets


class Emulated:
    """Looks at who answers; any worker may call."""

    def __init__(
        self, known: str | None, transport: Transport, journal: Journal, standing: Standing, place: Place
    ) -> None:
        self._known = known
        self._transport: Final = transport
        self._journal: Final = journal
        self._standing: Final = standing
        self._place: Final = place
        self._lock: Final = standing.clock.threading.Lock()
        transport.means(known)

    def see(self, outcome: Outcome) -> None:
        """Look at who gave an answer, before anything of it is remembered."""
        took = NO_EMULATOR if outcome.verdict is Verdict.DELIVERED else None
        there = outcome.emulator or took
        if there in {None, self._known}:
            return
        with self._lock:
            if self._known is None and there is not None:
                self._meet(there)
        if there == self._known:
            return
        if there == NO_EMULATOR:
            self._standing.fail(self._place.is_no_emulator())
        else:
            self._standing.fail(self._place.is_an_emulator() if self._known == NO_EMULATOR else emulator_gone())

    def _meet(self, there: str) -> None:
        if there != NO_EMULATOR:
            self._journal.commit([Meets(there)])
        self._transport.means(there)
        self._known = there
