"""The flow of a stream's rows as a picture: from what was read to each place that rows went to, drawn to scale.

The height of a band is its share of the rows. One that would be too thin to be seen is a dashed line instead, and words
say so. Widths are shares of the screen's; texts keep their size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bucket_loader.model import COUNTS, Counts, counted
from bucket_loader.reporting.html import Html, element, joined
from bucket_loader.reporting.report.value import Flow

HEIGHT: Final = 150  # of all rows together
SEEN: Final = 2.0  # a band that is thinner is a dashed line
_LINE: Final = 24  # of a label
_TOP: Final = 30  # above the bands is what came
_BANDS: Final = "52%"  # of the width; then come the labels
_LABELS: Final = "54%"
_COLOURS: Final = {"delivered": "accent", "rejected": "bad", "pending": "warn"}
_PARTS: Final = {
    "delivered": (("possibly_duplicated", "may be there twice"),),
    "rejected": (("refused_before", "were refused before"),),
    "pending": (("unknown", "got no answer"),),
}
# What the readers of the page look for first stands first.
_ORDER: Final = ("delivered", "rejected", "pending", "unchanged", "superseded", "filtered")


@dataclass(frozen=True)
class Band:
    """One way out: how many rows, where its bar begins on either side, how thick it is, and where its words stand."""

    name: str
    rows: int
    left: float
    right: float
    thick: float
    label: float

    @property
    def is_thin(self) -> bool:
        """Whether it is drawn as a line, thicker than it would be."""
        return self.thick < SEEN


def bands(counts: Counts) -> list[Band]:
    """Return the ways out of a stream that rows took, from the top down."""
    ways = [(name, getattr(counts, name)) for name in _ORDER if getattr(counts, name)]
    came = sum(rows for _, rows in ways)
    found, left, right = [], float(_TOP), float(_TOP)
    for name, rows in ways:
        thick = HEIGHT * rows / came
        room = max(thick, _LINE)
        found.append(Band(name, rows, left, right + (room - thick) / 2, thick, right + room / 2))
        left, right = left + thick, right + room + 4
    return found


def picture(flow: Flow) -> Html | None:
    """Return the picture of a stream; None where no row came."""
    found = bands(flow.counts)
    if not found:
        return None
    height = f"{max(found[-1].label + _LINE / 2, found[-1].right + found[-1].thick, _TOP + HEIGHT) + 4:.0f}"
    drawn = element("svg", *map(_band, found), viewBox=f"0 0 100 {height}", preserveAspectRatio="none",
                    x=0, y=0, width=_BANDS, height=height)  # fmt: skip
    title = element("title", f"{flow.stream}: where {_came(flow.counts)} went")
    came = element("text", _came(flow.counts), x=0, y=16, class_="strong")
    return element("svg", title, came, drawn, *(_label(band, flow.counts) for band in found), role="img", height=height)


def _came(counts: Counts) -> str:
    removed = f" and {counts.removed:,} made for what vanished" if counts.removed else ""
    return f"{counted(counts.read, 'row')} read{removed}"


def _band(band: Band) -> Html:
    colour = _COLOURS.get(band.name, "calm")
    if band.is_thin:
        left, right = band.left + band.thick / 2, band.right + band.thick / 2
        way = f"M0 {left:.2f}C55 {left:.2f} 45 {right:.2f} 100 {right:.2f}"
        return element("path", d=way, class_=f"{colour}-band thin", vector_effect="non-scaling-stroke")
    ends = [f"{y:.2f}" for y in (band.left, band.right, band.right + band.thick, band.left + band.thick)]
    way = f"M1.5 {ends[0]}C55 {ends[0]} 45 {ends[1]} 98.5 {ends[1]}V{ends[2]}C45 {ends[2]} 55 {ends[3]} 1.5 {ends[3]}Z"
    sides = ((0, band.left), (98.5, band.right))
    return joined([
        element("path", d=way, class_=f"{colour}-band"),
        *(element("rect", x=x, y=f"{y:.2f}", width=1.5, height=f"{band.thick:.2f}", class_=f"{colour}-bar")
          for x, y in sides),
    ])  # fmt: skip


def _label(band: Band, counts: Counts) -> Html:
    words = element("tspan", f"{band.rows:,}", class_="strong")
    return element("text", words, f" {band.name} ", element("tspan", _share(band.rows, _all(counts)), class_="quiet"),
                   x=_LABELS, y=f"{band.label + 5:.1f}")  # fmt: skip


def _share(rows: int, of: int) -> str:
    """Return a share that is never told as all or as nothing where it is not."""
    if rows == of:
        return "all"
    thousandth = rows * 1_000 / of
    return "under 0.1%" if thousandth < 1 else "over 99.9%" if thousandth > 999 else f"{rows / of:.1%}"  # noqa: PLR2004


def _all(counts: Counts) -> int:
    return sum(getattr(counts, name) for name in _ORDER)


def parts(counts: Counts) -> Iterator[str]:
    """Yield what there is to say of the rows within a way out."""
    for name, found in _PARTS.items():
        for part, said in found:
            if rows := getattr(counts, part):
                yield f"Of those that are {name}, {rows:,} {said}."


def table_of(flows: Sequence[Flow]) -> tuple[list[str], list[list[str]]]:
    """Return where all rows went as a table: its header, and a row for each stream."""
    shown = [
        one.name for one in COUNTS if one.shown == "always" or any(getattr(flow.counts, one.name) for flow in flows)
    ]
    rows = [[flow.stream, *(f"{getattr(flow.counts, name):,}" for name in shown)] for flow in flows]
    return ["stream", *(name.replace("_", " ") for name in shown)], rows
