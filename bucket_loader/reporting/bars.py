"""What a terminal shows in place: rows as they are read, records as they are sent, and what is waited for.

One line moves; a stream that is done leaves a line of its own above it.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bucket_loader.model import spoken
from bucket_loader.reporting import events
from bucket_loader.reporting.terminal import STYLES, Marks, marks_of, wrapped

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.text import Text

BAR_LEAST: Final = 10  # columns; a shorter one says nothing
BAR_MOST: Final = 40
NAME_LEAST, NAME_MOST = 12, 30
_TURNS_S: Final = 0.1  # from one picture of what turns to the next


class Display:
    """The lines at the bottom of a terminal that change."""

    def __init__(self, console: "Console", records: Mapping[str, int] | None = None) -> None:
        """Begin to show them.

        Args:
            console: the terminal.
            records: how many records each stream has that will be sent.
        """
        from rich.live import Live

        self._marks = marks_of(console)
        self._layout = _Layout.of(records or {})
        self._moving: events.RowsRead | events.DeliveryProgress | None = None
        self._began_s = time.monotonic()
        self._waits = ""
        self._console = console
        self._live = Live(self, console=console, transient=True, refresh_per_second=10)
        self._live.start()

    def show(self, event: events.RowsRead | events.DeliveryProgress) -> None:
        """Show how far something is."""
        if self._moving is None or self._moving.stream != event.stream:
            self._began_s = time.monotonic()
        self._moving = event

    def wait(self, text: str) -> None:
        """Show what is waited for; nothing with an empty text."""
        self._waits = text

    def leave(self, event: events.StreamDelivered) -> None:
        """Leave a line for a stream that is done."""
        self._moving = None
        bar = _Bar.of_ended(event, self._marks)
        self._console.print(*self._layout.lines(bar, self._marks, self._console.width), sep="\n", soft_wrap=True)

    def end(self) -> None:
        """Take the lines away that change."""
        self._live.stop()

    def __rich_console__(self, _: "Console", options: "ConsoleOptions") -> "Iterator[Text]":
        """Draw the lines."""
        from rich.text import Text

        marks, turn = self._marks, self._marks.turn(time.monotonic() / _TURNS_S)
        if isinstance(self._moving, events.DeliveryProgress) and self._moving.records:
            bar = _Bar.of_moving(self._moving, turn, waits=bool(self._waits))
            yield from self._layout.lines(bar, marks, options.max_width)
        elif isinstance(self._moving, events.RowsRead):
            yield Text(f"{turn} {self._moving.text}, {spoken(time.monotonic() - self._began_s)}")
        if self._waits:
            yield Text(f"{marks.attention} {self._waits}", style=STYLES["warning"])


@dataclass(frozen=True)
class _Bar:
    """What the line of a stream says.

    Attributes:
        mark, style: whether it moves, is done, or has records left.
        share: how much of it is done, from 0 to 1.
        counts: how many records of how many.
        pace: how fast it goes and how long it will take; or how long it took.
        errors: what went wrong so far.
    """

    name: str
    mark: str
    style: str
    share: float
    counts: str
    pace: str
    errors: str

    @classmethod
    def of_moving(cls, event: events.DeliveryProgress, turn: str, *, waits: bool) -> "_Bar":
        left = "" if event.left_s is None else f", {spoken(event.left_s)} left"
        return cls(
            name=event.stream,
            mark=turn,
            style=STYLES["moving"],
            share=event.done / event.records,
            counts=f"{event.done:,}/{event.records:,}",
            pace="waiting" if waits else f"{event.per_second:,.0f}/s{left}",
            errors=event.errors,
        )

    @classmethod
    def of_ended(cls, event: events.StreamDelivered, marks: Marks) -> "_Bar":
        pending = event.records - event.done
        return cls(
            name=event.stream,
            mark=marks.attention if pending else marks.good,
            style=STYLES["warning"] if pending else STYLES["good"],
            share=event.done / event.records if event.records else 1.0,
            counts=f"{event.done:,}/{event.records:,}",
            pace=f"in {spoken(event.seconds)}",
            errors=", ".join(filter(None, (event.errors, f"{pending:,} pending" if pending else ""))),
        )


@dataclass(frozen=True)
class _Layout:
    """How wide the columns are that all streams of a run share."""

    name: int
    counts: int

    @classmethod
    def of(cls, records: Mapping[str, int]) -> "_Layout":
        from rich.cells import cell_len

        longest = max(map(cell_len, records), default=0)
        return cls(min(longest, NAME_MOST), max((2 * len(f"{count:,}") + 1 for count in records.values()), default=0))

    def lines(self, bar: _Bar, marks: Marks, width: int) -> "Iterator[Text]":
        """Return the line of a stream; two where one is not wide enough."""
        from rich.cells import cell_len
        from rich.text import Text

        said = ", ".join(filter(None, (bar.pace, bar.errors)))
        name, counts = marks.shortened(bar.name, min(self.name, max(NAME_LEAST, width // 4))), bar.counts
        line = Text.assemble((f"{bar.mark} ", bar.style), name)
        room = width - cell_len(line.plain) - self.counts - 4
        length = min(BAR_MOST, room - cell_len(said) - 2)
        if length >= BAR_LEAST:
            full = int(bar.share * length)
            line.append("  ").append(marks.bar * full, bar.style).append(marks.rest * (length - full), STYLES["dim"])
        line.append(f"  {counts:>{self.counts}}")
        if length >= BAR_LEAST or cell_len(said) <= room:
            yield line.append(f"  {said}")
        else:
            yield from (line, *map(Text, wrapped(f"  {said}", width)))
