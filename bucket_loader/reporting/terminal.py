"""What people look at: stderr, which may be a terminal of any width, a pipe, a file or nothing; and tables in it."""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
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


def stderr_console() -> "Console":
    """Make the console that people read."""
    from rich.console import Console

    class Stderr(Console):
        def on_broken_pipe(self) -> None:
            """Do not end the program for it, as rich would."""
            give_up_stderr()

    # A pipe has no width; 120 columns keep a table's row on one line in a log.
    columns = os.environ.get("COLUMNS", "")
    given = int(columns) if columns.isdecimal() and int(columns) > 0 else 120
    return Stderr(stderr=True, width=None if sys.stderr.isatty() else given)


def give_up_stderr() -> None:
    """Write to nowhere from now on, so that nothing is flushed at exit into what cannot be written."""
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123
