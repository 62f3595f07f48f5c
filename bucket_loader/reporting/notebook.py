"""Progress and waits in a notebook: a few lines under the cell, changed in place. It needs no widgets."""

from typing import TYPE_CHECKING, Final

from bucket_loader.reporting import events, html

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

PERIOD_S: Final = 0.5  # each change is a message to the browser
_READING, _WAITING = " reading", " waiting"  # no stream has such a name


class InNotebook:
    """Shows it under the cell: a bar for each stream, and what is waited for."""

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None
        self._parts: dict[str, str] = {}

    def tell(self, event: events.Moving) -> None:
        """Show what an event says."""
        match event:
            case events.RowsRead():
                self._show(_READING, html.paragraph(event.text))
            case events.PlanningEnded():
                self._show(_READING, "")
            case events.DeliveryProgress() | events.StreamDelivered():
                if event.records:
                    self._show(event.stream, html.bar(event.done, event.records, event.text))
            case events.Waits():
                self._show(_WAITING, html.paragraph(event.text))
            case events.WaitEnded():
                self._show(_WAITING, "")
            case events.DeliveryBegan():
                pass
            case events.DeliveryEnded():  # what comes next stands below
                self._handle, self._parts = None, {}

    def _show(self, of: str, part: str) -> None:
        if self._parts.get(of, "") == part:
            return
        from IPython.display import HTML, display

        self._parts[of] = part
        shown = HTML("".join(self._parts.values()))
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)
