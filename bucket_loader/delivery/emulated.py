"""Which emulator a run sends to: the one that its state knows, or the first that answers; another ends the run."""

from typing import Final

from bucket_loader.delivery.course import emulator_gone
from bucket_loader.delivery.journal import Journal
from bucket_loader.delivery.tally import Standing
from bucket_loader.delivery.transport import Transport
from bucket_loader.model import Outcome
from bucket_loader.state import Meets


class Emulated:
    """Looks at who answers; any worker may call."""

    def __init__(self, known: str | None, transport: Transport, journal: Journal, standing: Standing) -> None:
        self._known = known
        self._transport: Final = transport
        self._journal: Final = journal
        self._standing: Final = standing
        self._lock: Final = standing.clock.threading.Lock()
        transport.means(known)

    def see(self, outcome: Outcome) -> None:
        """Look at who gave an answer, before anything of it is remembered."""
        if outcome.emulator in {None, self._known}:
            return
        with self._lock:
            if self._known is None and outcome.emulator is not None:
                self._journal.commit([Meets(outcome.emulator)])
                self._transport.means(outcome.emulator)
                self._known = outcome.emulator
        if outcome.emulator != self._known:
            self._standing.fail(emulator_gone())
