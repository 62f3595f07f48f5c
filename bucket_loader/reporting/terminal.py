"""What people look at: stderr, which may be a terminal of any width, a pipe, a file or nothing; and tables in it."""

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_HEIGHT: Final = 25  # lines; nothing is fitted to it, but rich believes a width only together with a height
WIDTH: Final = 120  # columns; keeps a table's row on one line where there is no terminal

# What each thing looks like, on light and on dark: the terminal's own colours, which its owner has chosen.
STYLES: Final = {
    "good": "green",
    "warning": "yellow",
    "error": "bold red",
    "hint": "cyan",
    "moving": "cyan",
    "head": "bold",
    "dim": "dim",
}


@dataclass(frozen=True)
class Marks:
    """Signs that say at a glance how something stands, in what a terminal's encoding has."""

    good: str
    bad: str
    attention: str
    bar: str
    rest: str
    cut: str
    arrow: str
    turning: str
    levels: str

    def of(self, style: str) -> str:
        """Return the sign that goes with a style."""
        return {"good": self.good, "error": self.bad}.get(style, self.attention)

    def turn(self, number: float) -> str:
        """Return the picture, of those that follow each other, of something that moves."""
        return self.turning[int(number) % len(self.turning)]

    def drawn(self, values: Sequence[float | None]) -> str:
        """Return a sparkline: a sign for each value, the lowest for zero alone, a blank for what is not known."""
        most, highest = max((value or 0.0 for value in values), default=0.0), len(self.levels) - 1
        heights = (
            None if value is None else min(highest, 1 + int(value / most * (highest - 1))) if value else 0
            for value in values
        )
        return "".join(" " if height is None else self.levels[height] for height in heights)

    def shortened(self, text: str, width: int) -> str:
        """Return a text in exactly so many columns, with a sign where it was cut."""
        from rich.cells import cell_len, set_cell_size

        if cell_len(text) <= width:
            return set_cell_size(text, width)
        return set_cell_size(text, width - len(self.cut)) + self.cut


_UNICODE: Final = Marks(
    good="✓", bad="✗", attention="!", bar="━", rest="─", cut="…", arrow="→", turning="⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", levels="▁▂▃▄▅▆▇█"
)
_ASCII: Final = Marks(
    good="+", bad="x", attention="!", bar="#", rest="-", cut="..", arrow="->", turning="|/-\\", levels="_.:-=+*#"
)


def marks_of(console: "Console") -> Marks:
    """Return the signs that can be written to a console."""
    return _UNICODE if console.encoding.lower().startswith("utf") else _ASCII


# --- consoles ------------------------------------------------------------------------------------------------------


def stderr_console() -> "Console":
    """Make the console that people read."""
    from rich.console import Console

    class Stderr(Console):
        def on_broken_pipe(self) -> None:
            """Do not end the program for it, as rich would."""
            give_up_stderr()

    width = _width_of(sys.stderr)
    return Stderr(stderr=True, width=width, height=None if width is None else _HEIGHT)


def stdout_console() -> "Console":
    """Make the console of what a person asked for, and may want to keep."""
    from rich.console import Console

    width = _width_of(sys.stdout)
    return Console(file=sys.stdout, width=width, height=None if width is None else _HEIGHT)


def _width_of(stream: TextIO | None) -> int | None:
    """Return how wide lines to a stream may be; None where rich asks the terminal itself."""
    columns = os.environ.get("COLUMNS", "")
    given = int(columns) if columns.isdecimal() and int(columns) > 0 else WIDTH
    return _dumb_width(stream) if stream is not None and stream.isatty() else given


def _dumb_width(stream: TextIO) -> int | None:
    """Return the width of a dumb terminal, which rich takes to be 80; None where rich asks the terminal itself."""
    if os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}:
        return None
    with contextlib.suppress(OSError):
        return os.get_terminal_size(stream.fileno()).columns or None
    return None


def give_up_stderr() -> None:
    """Write to nowhere from now on, so that nothing is flushed at exit into what cannot be written."""
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123


def log_console(write: Callable[[str], None]) -> "Console":
    """Make a console whose lines go to a log."""
    from rich.console import Console

    return Console(file=cast("TextIO", _Lines(write)), width=WIDTH, force_terminal=False, no_color=True)


class _Lines:
    """A text file whose lines are given to a function, each when it is whole."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._rest = ""

    def write(self, text: str) -> int:
        """Take the lines that are whole; blank ones are left out."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in filter(str.strip, lines):
            self._take(line.rstrip())
        return len(text)

    def flush(self) -> None:
        """Do nothing: a line is taken when it is whole."""


def _here() -> str:
    """Return the current folder; something that no path is, where that was removed."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return "\0"


# --- lines ---------------------------------------------------------------------------------------------------------


class Page:
    """Writes lines to a console: with colours, and on a terminal broken between words alone."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._from_here = re.compile(rf"(?<![\w/]){re.escape(_here())}/")  # a path is short where it can be
        self.marks = marks_of(console)

    def write(self, text: str, style: str = "", *, head: int | None = None) -> None:
        """Write some lines.

        Args:
            text: the lines; each may be longer than the console is wide.
            style: one of `STYLES`.
            head: how many of the first characters have the style; all by default.
        """
        from rich.text import Text

        width = 0
        if self._console.is_terminal:
            width, text = self._console.width, self._from_here.sub("", text)
        lines = [Text(part) for line in text.split("\n") for part in (wrapped(line, width) if width else [line])]
        for line in lines if head is None else lines[:1]:
            line.stylize(STYLES.get(style, ""), 0, head)
        self.show(lines)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write names and numbers in columns, or where those do not fit as lists."""
        from rich.text import Text

        lines = list(map(Text, aligned(header, rows, self._console.width)))
        are_lists = len(lines) > len(rows) + 1
        for line in [one for one in lines if not one.plain.startswith(" ")] if are_lists else lines[:1]:
            line.stylize(STYLES["head"])
        self.show(lines)

    def show(self, lines: "Iterable[Text]") -> None:
        """Write lines as they are."""
        try:
            self._console.print(*lines, sep="\n", soft_wrap=True)
        except OSError:
            give_up_stderr()

    def verdict(self, text: str, exit_code: int) -> None:
        """Write how something ended; on a terminal with a sign before it."""
        style = verdict_of(exit_code)
        sign = f"{self.marks.of(style)} " if self._console.is_terminal else ""
        self.write(sign + text, style)


def verdict_of(exit_code: int) -> str:
    """Return the style of an ending: good, warning when it may go on or rows have to be looked at, or error."""
    if exit_code in {0, 99}:
        return "good"
    return "warning" if exit_code in {3, 6, 75, 129, 130, 143} else "error"


def wrapped(text: str, width: int) -> Iterator[str]:
    """Break a line between words, so that each part is at most so wide; a word that is wider stays whole.

    What follows is indented by two more than the line itself.
    """
    from rich.cells import cell_len

    indent = len(text) - len(text.lstrip(" "))
    line, *words = text.split(" ")
    for word in words:
        if cell_len(line) + 1 + cell_len(word) <= width or not line.strip():
            line += f" {word}"
        else:
            yield line
            line = " " * (indent + 2) + word
    yield line


# --- tables --------------------------------------------------------------------------------------------------------


def boxed(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> "Table":
    """Return a table with borders; what looks like markup in a cell is a text like any other."""
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def boxed_lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table with borders, for where no console is."""
    from rich.console import Console

    text = io.StringIO()
    Console(file=text, width=WIDTH, force_terminal=False).print(boxed(columns, rows))
    return [line.rstrip() for line in text.getvalue().split("\n") if line.strip()]


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Lay out names and numbers in `width` columns; where they do not fit, each row is a list of its own.

    Without borders: what is mailed by cron may be read in any font and any encoding.
    """
    from rich.cells import cell_len, set_cell_size

    widths = [max(cell_len(row[number]) for row in (header, *rows)) for number in range(len(header))]
    if sum(widths) + 2 * len(widths[1:]) <= width:
        for name, *numbers in (header, *rows):
            cells = (number.rjust(size) for number, size in zip(numbers, widths[1:], strict=True))
            yield "  ".join([set_cell_size(name, widths[0]), *cells])
        return
    wide = max(widths[1:])
    for name, *numbers in rows:
        yield name
        for column, number in zip(header[1:], numbers, strict=True):
            yield f"  {column:<{max(map(len, header[1:]))}}  {number:>{wide}}"
