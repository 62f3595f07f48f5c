"""What a plan changes, for a person at a terminal of any width."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from bucket_loader.reporting.diff.showing import Showing
from bucket_loader.reporting.diff.values import WOULD_STOP, Diff, RecordDiff, StreamDiff, more_records, short_name
from bucket_loader.reporting.terminal import STYLES, Page, stdout_console, wrapped

if TYPE_CHECKING:
    from rich.text import Text

FIELDS_SHOWN: Final = 30
_MOST: Final = 30  # signs of a value: an id, a name and two values stand in a line or two of 80
_WHOLE: Final = 1_000  # of a line that is ours, but may name a column
_SIGNS: Final = {"created": ("+", "good"), "changed": ("~", "warning"), "removed": ("-", "error")}
_ABSENT: Final = "(none)"
_NO_LONGER: Final = "(no longer sent)"

Line = tuple[str, str, int]
"""A line, its style, and how many of its first signs have that; 0 for all."""


def print_diff(diff: Diff, filled: Callable[[str], str]) -> None:
    """Write to stdout what a plan changes; `filled` names the pipeline in commands."""
    console = stdout_console()
    page = Page(console)
    showing = Showing(_MOST, cut=page.marks.cut, arrow=page.marks.arrow, encoding=console.encoding)
    width = console.width if console.is_terminal else 0
    for line in _lines(diff, showing):
        page.show(_broken((filled(line[0]), *line[1:]) if line[1] == "hint" else line, width))


def _broken(line: Line, width: int) -> "list[Text]":
    """Return a line as a console takes it, broken between words where it is too wide."""
    from rich.text import Text

    text, style, head = line
    texts = [Text(part) for part in (wrapped(text, width) if width else [text])]
    for part in texts[:1] if head else texts:
        part.stylize(STYLES.get(style, ""), 0, head or None)
    return texts


def _lines(diff: Diff, showing: Showing) -> Iterator[Line]:
    for line in diff.on_stops:
        yield replace(showing, most=_WHOLE).text(line), "error", len(WOULD_STOP)
    if diff.stops:
        yield f"  {diff.next_step}", "hint", 0
    if diff.impact:
        yield f"impact: {diff.impact}", "head", len("impact")
    for stream in diff.streams:
        yield from _stream(stream, showing)


def _stream(stream: StreamDiff, showing: Showing) -> Iterator[Line]:
    yield f"{stream.name} ({stream.kind}): {stream.numbers}", "head", len(stream.name)
    names = {showing.text(name): count for name, count in islice(stream.fields.items(), FIELDS_SHOWN)}
    longest, widest = max(map(len, names), default=0), max(map(len, map("{:,}".format, names.values())), default=0)
    for name, count in names.items():
        yield f"    {name:<{longest}}  {count:>{widest},} {stream.plural if count > 1 else stream.kind}", "", 0
    if (more := len(stream.fields) - len(names)) > 0:
        yield f"    ... and {more:,} more fields", "dim", 0
    if stream.on_unknown:
        yield f"  {stream.on_unknown}", "hint", 0
    for record in stream.records:
        yield from _record(record, showing)
    if stream.more:
        yield f"  ... {more_records(stream.more)}", "dim", 0


def _record(record: RecordDiff, showing: Showing) -> Iterator[Line]:
    sign, style = _SIGNS[record.change]
    head = f"  {sign} {' / '.join(showing.text(str(one)) for one in record.ids.values())}"
    says = list(_says(record, showing))
    yield f"{head}  {says[0]}" if says else head, style, len(head)
    for said in says[1:]:
        yield f"{' ' * len(head)}  {said}", "", 0


def _says(record: RecordDiff, showing: Showing) -> Iterator[str]:
    """Yield what a record says: a field that changes in a line, those of a new record one after another."""
    if record.fields is None:
        yield "what it was is not remembered"
    elif record.change == "created":
        values = (f"{_name(path, showing)}: {showing.value(field['new'])}" for path, field in record.fields.items())
        yield ", ".join(values)
    else:
        for path, field in record.fields.items():
            old, new = showing.pair(field)
            yield f"{_name(path, showing)}: {old or _ABSENT} {showing.arrow} {new or _NO_LONGER}"
        if not record.fields and record.change == "changed":
            yield "no value, only how the record is spelt"


def _name(path: str, showing: Showing) -> str:
    return showing.text(short_name(path))
