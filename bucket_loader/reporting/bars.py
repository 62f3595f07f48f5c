"""The bars that a terminal shows: rows as they are read, and records as they are sent."""

from typing import TYPE_CHECKING, Final

from bucket_loader.reporting import events

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

STATE_LENGTH_MAX: Final = 60  # characters; what stands in the way may be a whole sentence


class ReadingBar:
    """Rows as they come; how many there will be is not known. It is gone when the plan is made."""

    def __init__(self, console: "Console") -> None:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True)
        self._progress.start()
        self._tasks: dict[str, TaskID] = {}

    def show(self, event: events.Event) -> None:
        """Show how many rows of a stream were read."""
        if not isinstance(event, events.RowsRead):
            return
        if event.stream not in self._tasks:
            self._tasks[event.stream] = self._progress.add_task(event.text, total=None)
        self._progress.update(self._tasks[event.stream], description=event.text)

    def end(self, _: events.Event) -> None:
        """Take the bar away."""
        self._progress.stop()


class DeliveryBar:
    """Records of each stream as they come to an end, with rate and time left; the last picture stays."""

    def __init__(self, console: "Console") -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(),
            TextColumn("{task.fields[state]}", style="yellow"),
        )  # fmt: skip
        self._progress = Progress(*columns, console=console)
        self._progress.start()
        self._tasks: dict[str, TaskID] = {}

    def show(self, event: events.Event) -> None:
        """Show how far a stream is, and what stands in the way."""
        if isinstance(event, events.DeliveryProgress):
            self._update(event, event.state[:STATE_LENGTH_MAX])

    def end(self, event: events.Event) -> None:
        """Leave the bar as it is at the end."""
        if isinstance(event, events.DeliveryEnded):
            self._update(event.last, "")
        self._progress.stop()

    def _update(self, event: events.DeliveryProgress, state: str) -> None:
        if not event.stream or not event.records:
            return
        if event.stream not in self._tasks:
            task_id = self._progress.add_task(event.stream, total=event.records, rate="", state="")
            self._tasks[event.stream] = task_id
        task = self._progress.tasks[self._tasks[event.stream]]
        speed = f"{task.speed:,.0f}/s" if task.speed else ""
        self._progress.update(task.id, total=event.records, completed=event.done, rate=speed, state=state)
