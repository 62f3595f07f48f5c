"""Past runs as a person reads them: one a line where the screen is wide enough, else a few lines each."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from bucket_loader.model import spoken
from bucket_loader.reporting import events
from bucket_loader.reporting.terminal import STYLES, Marks

if TYPE_CHECKING:
    from rich.text import Text

_STYLES: Final = {
    "succeeded": "good", "empty": "good", "abandoned": "dim", "never run": "dim", "stopped": "error",
    "failed": "error", "cannot be read": "error",
}  # fmt: skip
_COLUMNS: Final = ("when", "state", "sent", "rejected", "pending", "took")
_NUMBERS: Final = {"sent", "rejected", "pending", "took"}
# From the widest to the narrowest: whether what is pending has a column, and how a time is written.
_LAYOUTS: Final = (
    (True, "%Y-%m-%d %H:%M:%S"), (True, "%Y-%m-%d %H:%M"), (True, "%m-%d %H:%M"),
    (False, "%Y-%m-%d %H:%M"), (False, "%m-%d %H:%M"),
)  # fmt: skip


def listed(event: events.RunsListed, width: int, marks: Marks) -> "Iterator[Text]":
    """Return the lines of past runs, none wider than the screen, and of what is drawn of them."""
    yield from _runs(event, width, marks)
    if event.trends:
        yield from _trends(event.trends, width, marks)


def _runs(event: events.RunsListed, width: int, marks: Marks) -> "Iterator[Text]":
    is_pending = any(run.pending for run in event.runs)
    for has_pending, form in _LAYOUTS:
        columns = [name for name in _COLUMNS if name != "pending" or (has_pending and is_pending)]
        lines = list(_table(event, columns, form, marks))
        if max(line.cell_len for line in lines) <= width:
            yield from lines
            return
    for run in event.runs:
        yield from _block(run, marks)


def heading(past: events.PastRun, marks: Marks) -> str:
    """Return how a run ended, and when it was."""
    took = "" if past.seconds is None else f", took {spoken(past.seconds)}"
    began = "" if past.began is None else f": began {past.began.astimezone():%Y-%m-%d %H:%M:%S}{took}"
    return f"{_state(past, marks)}{began}"


def style_of(past: events.PastRun) -> str:
    """Return the style of a run's state."""
    return _STYLES.get(past.status, "warning")


def _state(past: events.PastRun, marks: Marks) -> str:
    return f"{marks.of(style_of(past))} {past.status}"


def _cells(past: events.PastRun, form: str, marks: Marks) -> dict[str, str]:
    if past.began is None:
        return dict.fromkeys(_COLUMNS, "") | {"state": _state(past, marks)}
    return {
        "when": format(past.began.astimezone(), form),
        "state": _state(past, marks),
        "sent": f"{past.sent:,}",
        "rejected": f"{past.rejected:,}",
        "pending": f"{past.pending:,}",
        "took": "" if past.seconds is None else spoken(past.seconds),
    }


def _table(event: events.RunsListed, columns: Sequence[str], form: str, marks: Marks) -> "Iterator[Text]":
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    rows = [(run, [run.name, *map(_cells(run, form, marks).__getitem__, columns)]) for run in event.runs]
    header = [event.what, *columns]
    widths = [max(map(cell_len, column)) for column in zip(header, *(cells for _, cells in rows), strict=True)]

    def line(cells: Sequence[str], state: str) -> Text:
        found = Text()
        for name, cell, size in zip(header, cells, widths, strict=True):
            padded = cell.rjust(size) if name in _NUMBERS else set_cell_size(cell, size)
            found.append(padded, STYLES[state] if name == "state" else "").append("  ")
        found.rstrip()
        return found

    first = line(header, "head")
    first.stylize(STYLES["head"])
    yield first
    for run, cells in rows:
        yield line(cells, style_of(run))


def _block(past: events.PastRun, marks: Marks) -> "Iterator[Text]":
    from rich.text import Text

    yield Text(past.name, style=STYLES["head"])
    yield Text(f"  {_state(past, marks)}", style=STYLES[style_of(past)])
    if past.began is not None:
        took = "" if past.seconds is None else f", took {spoken(past.seconds)}"
        yield Text(f"  {past.began.astimezone():%Y-%m-%d %H:%M}{took}")
        parts = [f"{past.sent:,} sent", *(f"{count:,} {name}" for count, name in
                 ((past.rejected, "rejected"), (past.pending, "pending")) if count)]  # fmt: skip
        yield Text(f"  {', '.join(parts)}")


def _trends(trends: Sequence[events.Trend], width: int, marks: Marks) -> "Iterator[Text]":
    """Return a line for each trend: how it went, and where the screen is wide enough its most and its last."""
    from rich.text import Text

    longest = max(len(trend.name) for trend in trends)
    room = max(1, width - longest - 2)
    yield Text("")
    yield Text("from the oldest run to the newest:", STYLES["dim"])
    for trend in trends:
        drawn, ends = marks.drawn(trend.values[-room:]), _ends(trend)
        line = Text.assemble(f"{trend.name:<{longest}}  ", (drawn, STYLES["moving"]))
        yield line if line.cell_len + len(ends) > width else line.append(ends)


def _ends(trend: events.Trend) -> str:
    known = [value for value in trend.values if value is not None]
    say = spoken if trend.unit == "seconds" else _count
    return f"  most {say(max(known))}, last {say(known[-1])}" if known else ""


def _count(value: float) -> str:
    return f"{value:,.0f}"
