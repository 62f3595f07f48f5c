"""What a plan changes, as a page: one file, that asks nobody for anything."""

from collections.abc import Callable, Iterator, Sequence

from bucket_loader.reporting import html
from bucket_loader.reporting.diff.showing import Showing
from bucket_loader.reporting.diff.values import NUMBERS, Diff, RecordDiff, StreamDiff, more_records, short_name
from bucket_loader.reporting.html import Html, element

_VALUE = Showing(300)


def diff_page(diff: Diff, filled: Callable[[str], str]) -> str:
    """Return the page; `filled` names the pipeline in commands."""
    title = f"What a run of {diff.pipeline} would change"
    rows = [[stream.name, *(f"{getattr(stream, word):,}" for word in NUMBERS)] for stream in diff.streams]
    return html.page(
        title,
        element("header", element("h1", title), html.paragraph(f"plan {diff.run}", class_="quiet")),
        _stopped(diff.on_stops, filled(diff.next_step)) if diff.stops else None,
        html.paragraph(f"Impact: {diff.impact}", class_="verdict") if diff.impact else None,
        html.wide(html.table(["stream", *NUMBERS], rows, numbers=range(1, len(NUMBERS) + 1)), "streams"),
        *(_stream(stream, filled) for stream in diff.streams if stream.sent),
    )


def _stopped(lines: Sequence[str], hint: str) -> Html:
    return element("div", *map(html.paragraph, lines), element("p", html.in_code(hint)), class_="notice")


def _stream(stream: StreamDiff, filled: Callable[[str], str]) -> Html:
    fields = [[_VALUE.text(name), f"{count:,}"] for name, count in stream.fields.items()]
    records = [row for record in stream.records for row in _rows(record)]
    header = [stream.kind, "change", "field", "old", "new"]
    return html.section(
        stream.name,
        element("p", html.in_code(filled(stream.on_unknown))) if stream.on_unknown else None,
        html.table(["field", f"changed {stream.plural}"], fields, numbers=[1]) if fields else None,
        html.wide(html.table(header, records), f"records of {stream.name}") if records else None,
        html.paragraph(f"... {more_records(stream.more)}") if stream.more else None,
    )


def _rows(record: RecordDiff) -> Iterator[list[str]]:
    """Yield the rows of a record: one for each field."""
    first = [" / ".join(_VALUE.text(str(one)) for one in record.ids.values()), record.change]
    if not record.fields:
        yield [*first, "", "not remembered" if record.fields is None else "", ""]
        return
    for path, field in record.fields.items():
        old, new = _VALUE.pair(field)
        yield [*first, _VALUE.text(short_name(path)), _code(old) or "(none)", _code(new) or "(no longer sent)"]
        first = ["", ""]


def _code(text: str) -> Html:
    return element("code", text) if text else Html()
