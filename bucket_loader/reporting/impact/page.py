"""The impact of a plan, as a page: one file, that asks nobody for anything."""

from collections.abc import Iterator

from bucket_loader.reporting import html
from bucket_loader.reporting.diff.showing import Showing
from bucket_loader.reporting.html import Html, element
from bucket_loader.reporting.impact.shown import HEADER, attributes, becomes, more, rules, table_rows, whom, whys
from bucket_loader.reporting.impact.value import Impact

_VALUE = Showing(300)


def impact_page(impact: Impact) -> str:
    """Return the page."""
    title = f"Impact of a run of {impact.pipeline}"
    flips = list(_flips(impact))
    reasons = list(whys(impact, _VALUE))
    counts = html.table(HEADER, table_rows(impact, _VALUE), numbers=range(1, len(HEADER)))
    left = more(impact, len(flips))
    return html.page(
        title,
        element(
            "header",
            html.paragraph(f"bucket-loader impact, pipeline {impact.pipeline}, plan {impact.run}", class_="over"),
            element("h1", impact.line),
            html.paragraph("This page holds values of rows.", class_="quiet"),
        ),
        element("div", *map(html.paragraph, impact.notes), class_="notice") if impact.notes else None,
        html.section("What becomes of each feature", html.wide(counts, "features")),
        html.section(
            "Whom it changes for",
            html.wide(html.table(("feature", "becomes", "whom", "rule", "attributes"), flips), "changes"),
            html.paragraph(left) if left else None,
        )
        if flips
        else None,
        html.section("What is not known", html.listed(reasons)) if reasons else None,
    )


def _flips(impact: Impact) -> Iterator[tuple[str, ...]]:
    for flip in impact.flips:
        changes = "; ".join(filter(None, attributes(flip, _VALUE)))
        yield (
            _VALUE.text(flip["feature"]),
            becomes(flip, _VALUE),
            whom(flip, _VALUE),
            rules(flip, _VALUE),
            element("code", changes) if changes else Html(),
        )
