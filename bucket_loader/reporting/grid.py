"""What a query gave, as a person reads it: columns without borders, or where those do not fit a list for each row."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bucket_loader.reporting import events
from bucket_loader.reporting.terminal import STYLES

if TYPE_CHECKING:
    from rich.text import Text


def gridded(event: events.QueryResult, width: int) -> "Iterator[Text]":
    """Return the lines of some rows; a list has a name and a value in each line."""
    from rich.cells import cell_len
    from rich.text import Text

    columns = zip(event.columns, *event.rows, strict=True)
    widths = [max(map(cell_len, column)) for column in columns]
    if not event.rows:
        yield Text("no rows")
    elif sum(widths) + 2 * len(widths[1:]) <= width:
        yield Text(_line(event.columns, widths, event.numbers), STYLES["head"])
        for row in event.rows:
            yield Text(_line(row, widths, event.numbers))
    else:
        yield from _lists(event)
    if event.more:
        yield Text(f"... and {event.more:,} more: `--format csv` writes all rows", STYLES["dim"])


def _line(cells: tuple[str, ...], widths: list[int], numbers: frozenset[int]) -> str:
    padded = (_padded(cells[place], width, is_number=place in numbers) for place, width in enumerate(widths))
    return "  ".join(padded).rstrip()


def _padded(cell: str, width: int, *, is_number: bool) -> str:
    from rich.cells import cell_len

    blanks = " " * (width - cell_len(cell))
    return blanks + cell if is_number else cell + blanks


def _lists(event: events.QueryResult) -> "Iterator[Text]":
    from rich.text import Text

    longest = max(map(len, event.columns))
    for number, row in enumerate(event.rows, start=1):
        yield Text(f"row {number:,}", STYLES["head"])
        for name, cell in zip(event.columns, row, strict=True):
            yield Text.assemble((f"  {name:<{longest}}  ", STYLES["dim"]), cell)
