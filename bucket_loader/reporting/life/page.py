"""A life as a page that stands alone. The values of the row are on it, since they were asked for."""

from collections.abc import Iterator, Sequence

from bucket_loader.model import spoken_time
from bucket_loader.reporting import html
from bucket_loader.reporting.html import Html, element, facts, folded, paragraph, section, table, wide
from bucket_loader.reporting.life.telling import (
    attempts,
    changed,
    chunk_text,
    is_brief,
    letter_texts,
    newest_first,
    place,
    run_text,
    shown,
    what,
)
from bucket_loader.reporting.life.told import Appearance, Life, Now, NowRow, RunOf


def page_of(life: Life) -> str:
    """Return the page of a life."""
    head = element(
        "header",
        paragraph(f"bucket-loader explain, pipeline {life.pipeline}", class_="over"),
        element("h1", life.title),
        *(paragraph(f"{one.stream}: {one.text}", class_="verdict") for one in life.remembered),
        None if life.runs else paragraph("nothing is known of it here", class_="verdict"),
        *(paragraph(text, class_="notice") for text in life.meant),
        paragraph("This page holds the values of the row.", class_="quiet"),
    )
    now = _now(life.now) if life.now is not None else None
    looked = section("Where it was looked for", html.listed([*life.looked, *life.gone]))
    return html.page(f"{life.title}: {life.pipeline}", head, now, *map(_run, life.runs), looked)


def _run(run: RunOf) -> Html:
    brief = [row for row in run.rows if is_brief(row)]
    rows = [_row(row) for row in run.rows if not is_brief(row)]
    return section(run_text(run), *rows, _brief(brief, run.run) if brief else None)


def _brief(rows: Sequence[Appearance], run: str) -> Html:
    """Return events and feedback that arrived, a line each."""
    header = ("stream", "what", "time", "where the row stood", "record")
    cells = ((row.stream, *what(row), place(row.origin), shown(row.record)) for row in newest_first(rows))
    return folded(f"{len(rows):,} delivered", wide(table(header, cells), f"what run {run} delivered"))


def _row(row: Appearance) -> Html:
    return element("div", element("h3", f"{row.stream}: {place(row.origin)}"), *_parts(row), class_="row")


def _parts(row: Appearance) -> Iterator[Html]:
    """Yield all that is told of a row."""
    yield paragraph(row.fate_text, class_="good" if row.fate == "delivered" else "warn")
    if row.compared is not None:
        yield paragraph(row.compared.text)
        if row.compared.changes:
            yield html.listed(list(map(changed, row.compared.changes)))
    if row.fields:
        rows = [(field.path, shown(field.value), field.rule) for field in row.fields]
        yield table(("field", "value", "from"), rows)
    if row.left_out:
        yield paragraph(f"left out, nothing stood there: {', '.join(row.left_out)}", class_="quiet")
    if not row.are_rules_of_then:
        yield paragraph("The rules are those of today's file; the record was made by others.", class_="notice")
    if row.input is not None:
        yield folded("the row as it was read", facts((name, shown(value)) for name, value in row.input.items()))
    for chunk in row.chunks:
        yield folded(f"chunk {chunk_text(chunk)}", html.listed(list(attempts(chunk)) or ["no attempt is recorded"]))
    for letter in row.letters:
        yield html.listed(list(letter_texts(letter)))


def _now(now: Now) -> Html:
    notes = html.listed(now.notes) if now.notes else None
    return section("What a run would do now", _read(now), *map(_now_row, now.rows), notes)


def _read(now: Now) -> Html:
    return paragraph(f"stream {now.stream}: {now.read:,} rows read, as of {spoken_time(now.as_of)}", class_="quiet")


def _now_row(row: NowRow) -> Html:
    reasons = [f"{one['message']} ({one['code']})" for one in row.reasons]
    changes = list(map(changed, row.changes or ()))
    values = facts((name, shown(value)) for name, value in (row.input or {}).items())
    return element(
        "div",
        element("h3", place(row.origin)),
        paragraph(row.text, class_="good" if row.verdict in {"sent", "unchanged"} else "warn"),
        html.listed([*reasons, *changes]) if reasons or changes else None,
        folded("the row as it is read", values) if row.input is not None else None,
        class_="row",
    )
