"""Progress and waits, told to a person: in place on a terminal, elsewhere a line now and then."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bucket_loader.reporting import events
from bucket_loader.reporting.bars import Display
from bucket_loader.reporting.progress import GrowingPace, Pace

if TYPE_CHECKING:
    from rich.console import Console


class InPlace:
    """Shows it at the bottom of a terminal."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._display: Display | None = None
        self._is_delivering = False

    def tell(self, event: events.Moving) -> None:
        """Show what an event says."""
        match event:
            case events.DeliveryBegan():
                self._end()
                self._is_delivering = True
                self._shown(event.records)
            case events.RowsRead() | events.DeliveryProgress():
                self._shown().show(event)
            case events.StreamDelivered():
                if event.records:
                    self._shown().leave(event)
            case events.Waits():
                self._shown().wait(event.text)
            case events.WaitEnded():
                if self._display is not None:
                    self._display.wait("")
                    if not self._is_delivering:
                        self._end()
            case events.PlanningEnded() | events.DeliveryEnded():
                self._end()

    def _shown(self, records: Mapping[str, int] | None = None) -> Display:
        if self._display is None:
            self._display = Display(self._console, records)
        return self._display

    def _end(self) -> None:
        if self._display is not None:
            self._display.end()
        self._display, self._is_delivering = None, False


class InLines:
    """Writes a line every few seconds; of a wait more and more seldom."""

    def __init__(self, say: Callable[[str], None], period_s: float) -> None:
        self._say = say
        self._reading_pace = Pace(period_s)
        self._wait_pace = GrowingPace()
        self._stream = ""  # that a line was written of
        self._waits = False

    def tell(self, event: events.Moving) -> None:
        """Write what an event says, if it is time for that."""
        match event:
            case events.RowsRead():
                if self._reading_pace.is_due():
                    self._say(event.text)
            case events.DeliveryProgress():
                self._stream = event.stream
                self._say(event.text)
            case events.StreamDelivered():
                if event.stream == self._stream:  # else the summary says it soon enough
                    self._say(event.text)
            case events.Waits() | events.WaitEnded():
                self._wait(event)
            case events.PlanningEnded() | events.DeliveryBegan() | events.DeliveryEnded():
                pass

    def _wait(self, event: events.Waits | events.WaitEnded) -> None:
        is_told = self._wait_pace.is_due() if isinstance(event, events.Waits) else self._waits
        if is_told:
            self._waits = isinstance(event, events.Waits)
            self._say(event.text)
