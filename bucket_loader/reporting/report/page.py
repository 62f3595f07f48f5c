"""A report as one page: how the run ended first, then where its rows went, why, how it was sent, and what proves it."""

from collections.abc import Iterator
from typing import Final

from bucket_loader.model import counted
from bucket_loader.reporting.html import (
    Html,
    command,
    element,
    facts,
    folded,
    in_code,
    joined,
    listed,
    page,
    paragraph,
    section,
    table,
    wide,
)
from bucket_loader.reporting.report.flow import bands, parts, picture, table_of
from bucket_loader.reporting.report.over_time import runs_section, traffic_section
from bucket_loader.reporting.report.shortened import shortened
from bucket_loader.reporting.report.value import (
    Changes,
    Ending,
    Flow,
    NamedChunks,
    Rejection,
    Rejections,
    Report,
    Stamp,
)

PAGE_MAX: Final = 300_000  # bytes
PICTURES_MAX: Final = 12  # streams; the table has the others
_MOODS: Final = {"good": "good", "warning": "warn", "error": "bad"}


def report_page(report: Report) -> Html:
    """Return the page: one of at most 300 KB, whatever names and sentences are in it."""
    page = _page(report)
    return page if len(page.encode()) <= PAGE_MAX else _page(shortened(report))


def _page(report: Report) -> Html:
    name = f"run {report.run}" if report.run else "no run"
    return page(
        f"{report.pipeline}: {name}",
        _head(report, name),
        _flows(report) if report.flows else None,
        _changes(report.flows) if any(flow.changes for flow in report.flows) else None,
        _rejections(report.rejections) if report.rejections.rows else None,
        _rows(report) if report.rows is not None else None,
        traffic_section(report.traffic) if report.run else None,
        _chunks(report) if report.unknown.chunks or report.repeated.chunks else None,
        runs_section(report.columns, report.run) if report.columns else None,
        _stamp(report.stamp) if report.stamp is not None else None,
        _foot(report),
    )


def _head(report: Report, name: str) -> Html:
    ending = report.ending
    return element(
        "header",
        _of_rows(report),
        paragraph(f"{report.environment}, {name}" if report.environment else name, class_="over"),
        element("h1", report.pipeline),
        paragraph(ending.verdict, class_=f"verdict {_MOODS[ending.mood]}"),
        *_why(ending),
        *_steps(ending.steps, "Next"),
        facts(report.facts) if report.facts else None,
        *(element("p", in_code(text), class_="quiet") for text in report.gone),
    )


def _of_rows(report: Report) -> Html | None:
    if report.rows is None:
        return None
    return paragraph(
        "This page shows rows with their values, since it was made with --with-rows: "
        f"{counted(len(report.rows.letters), 'dead letter')} and {counted(len(report.rows.records), 'record')}. "
        "Give it only to those who may see them.",
        class_="notice",
    )


def _why(ending: Ending) -> Iterator[Html]:
    yield from (element("p", in_code(line.strip())) for line in ending.why.splitlines() if line.strip())
    if ending.hint:
        yield element("p", element("span", "What to do: ", class_="quiet"), in_code(ending.hint))


def _steps(steps: tuple[str, ...], title: str) -> Iterator[Html]:
    """Yield what to do next: words, or a command alone, which can be pasted."""
    for number, step in enumerate(steps):
        is_command = step.startswith("`") and step.endswith("`") and step.count("`") == 2  # noqa: PLR2004  # one pair
        head = element("span", f"{title}: ", class_="quiet") if number == 0 else None
        if not is_command:
            yield element("p", head, in_code(step))
        else:
            yield from ([element("p", head)] if head else [])
            yield command(step.strip("`"))


# --- rows ------------------------------------------------------------------------------------------------------------


def _flows(report: Report) -> Html:
    header, rows = table_of(report.flows)
    more = len(report.flows) - PICTURES_MAX
    return section(
        "Where the rows went",
        *(part for flow in report.flows[:PICTURES_MAX] for part in _flow(flow)),
        _scale(report.flows[:PICTURES_MAX]),
        paragraph(f"The table has the other {counted(more, 'stream')} too.", class_="quiet") if more > 0 else None,
        wide(table(header, rows, numbers=range(1, len(header))), "where the rows of each stream went"),
        paragraph(f"And {counted(report.more_flows, 'more stream')}: `status --json` has them.", class_="quiet")
        if report.more_flows
        else None,
    )


def _flow(flow: Flow) -> Iterator[Html | None]:
    words = ", ".join(filter(None, (f"records of kind {flow.kind}" if flow.kind else "", _mode(flow.mode))))
    yield element("h3", flow.stream, element("span", f"  {words}", class_="quiet") if words else None)
    drawn = picture(flow)
    yield drawn if drawn is not None else paragraph("No row came.", class_="quiet")
    yield from (paragraph(text, class_="quiet") for text in parts(flow.counts))


def _scale(flows: tuple[Flow, ...]) -> Html:
    dashed = " A dashed line is a band that would be too thin to be seen."
    is_thin = any(band.is_thin for flow in flows for band in bands(flow.counts))
    each = "Bands are to scale" + (", each picture to its own." if len(flows) > 1 else ".")
    return paragraph(each + dashed * is_thin, class_="quiet")


def _mode(mode: str) -> str:
    return f"sync: {mode}" if mode else ""


def _changes(flows: tuple[Flow, ...]) -> Html:
    return section("What changed", *(part for flow in flows if flow.changes for part in _changed(flow, flow.changes)))


def _changed(flow: Flow, changes: Changes) -> Iterator[Html]:
    yield element("h3", flow.stream)
    if not changes.known:
        yield paragraph("Nothing was known of this stream before: every record is new.")
        return
    yield paragraph(
        f"{changes.changed:,} of {counted(changes.known, 'known record')} have another content than before."
    )
    if changes.fields is None:
        text = (
            "By field it cannot be told: what is remembered are hashes. With `remember: values` on this stream in the "
            "pipeline file, later reports say how many records change in each field."
        )
        yield element("p", in_code(text), class_="quiet")
    elif changes.fields:
        rows = [[name, f"{count:,}"] for name, count in changes.fields]
        yield table(["field", "records that change in it"], rows, numbers=[1])
    if changes.more:
        yield paragraph(f"And {counted(changes.more, 'more field')}.", class_="quiet")


# --- rejections ------------------------------------------------------------------------------------------------------


def _rejections(found: Rejections) -> Html:
    verb = "was" if found.rows == 1 else "were"
    return section(
        "Rejected",
        paragraph(f"{counted(found.rows, 'row')} {verb} rejected. A row may have more than one reason.")
        if found.reasons
        else None,
        element("p", in_code(found.gone)) if found.gone else None,
        *(_reason(one) for one in found.reasons),
        paragraph(f"And {counted(found.more, 'more reason')} in the dead letters.", class_="quiet")
        if found.more
        else None,
        *_steps(found.steps, "When they are mended"),
        paragraph(f"Dead letters: {found.file}", class_="quiet") if found.file else None,
    )


def _reason(one: Rejection) -> Html:
    where = ", ".join(filter(None, (one.stream, one.field)))
    shapes = joined(
        part for place, shape in enumerate(one.shapes) for part in (", " if place else "", element("code", shape))
    )
    return element(
        "section",
        element("h3", f"{counted(one.rows, 'row')}: ", in_code(one.message)),
        paragraph(f"{where}, {one.places}", class_="quiet"),
        element("p", "These values look like ", shapes, " (9 is any digit, a or A any letter).")
        if one.shapes
        else None,
        element("p", in_code(one.mend)) if one.mend else None,
    )


def _rows(report: Report) -> Html | None:
    rows = report.rows
    if rows is None:
        return None
    return section(
        "Rows, as asked for",
        paragraph(rows.gone, class_="quiet") if rows.gone else None,
        *_values("Dead letters", rows.letters),
        *_values("Records of the plan", rows.records),
    )


def _values(title: str, found: tuple[tuple[str, str], ...]) -> Iterator[Html]:
    if found:
        yield element("h3", title)
        yield from (folded(name, element("pre", text, tabindex=0)) for name, text in found)


# --- chunks and proof ------------------------------------------------------------------------------------------------


def _chunks(report: Report) -> Html:
    return section(
        "Chunks to know of",
        *_named("Got no answer", "Whether they arrived is not known.", report.unknown),
        *_named("Sent more than once", "", report.repeated),
    )


def _named(title: str, said: str, found: NamedChunks) -> Iterator[Html]:
    if not found.chunks:
        return
    yield element("h3", title)
    if said:
        yield paragraph(said)
    rows = [[one.stream, one.chunk, f"{one.records:,}", f"{one.attempts:,}", one.said] for one in found.chunks]
    header = ["stream", "chunk (records of the plan)", "records", "attempts", "what became of it"]
    yield wide(table(header, rows, numbers=(2, 3)), title.lower())
    if found.more:
        yield paragraph(f"And {counted(found.more, 'more chunk')}.", class_="quiet")


def _stamp(stamp: Stamp) -> Html:
    mood = {True: "good", False: "bad", None: "warn"}[stamp.is_sound]
    return section(
        "The proof",
        element("p", in_code(stamp.said), class_=f"verdict {mood}"),
        listed(map(in_code, stamp.findings)) if stamp.findings else None,
        *(
            (paragraph("Not proved:", class_="quiet"), listed(map(in_code, stamp.not_proved)))
            if stamp.not_proved
            else ()
        ),
    )


def _foot(report: Report) -> Html:
    rows = "" if report.rows is not None else " No value of a row, no id and no key is on it."
    return element("footer", paragraph(f"Made by bucket-loader at {report.made_at}.{rows}", class_="quiet"))
