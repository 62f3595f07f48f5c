"""Columns and lines over time: as wide as the screen, all to one scale, with their words when they are pointed at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bucket_loader.reporting.html import Html, element, joined

_TOP: Final = 16  # for the number of the highest
_FOOT: Final = 20  # for the words below
_LEAST: Final = 12  # columns; fewer leave room at the right
_SEEN: Final = 1.0  # a part of a column that is not nothing is at least so high


@dataclass(frozen=True)
class Bar:
    """A column.

    Attributes:
        parts: how much of each colour, from the foot up.
        said: its words.
        mark: whether a line below it tells it from the others.
    """

    parts: tuple[tuple[str, int], ...]
    said: str
    mark: bool = False

    @property
    def total(self) -> int:
        """How much it is in all."""
        return sum(amount for _, amount in self.parts)


def bars(title: str, found: Sequence[Bar], ends: tuple[str, str], *, height: int = 90) -> Html:
    """Return a picture of columns.

    Args:
        title: what it shows.
        found: the columns, from the left.
        ends: what is said below the first and below the last.
        height: of the highest column.
    """
    most = max((bar.total for bar in found), default=0) or 1
    foot = _TOP + height
    drawn = [_column(bar, place, foot, height / most) for place, bar in enumerate(found)]
    plot = _stretched(drawn, len(found), foot + 6)
    below = _ends(ends, foot + _FOOT, is_full=len(found) >= _LEAST)
    return _framed(title, f"{most:,}", plot, foot, *below, height=foot + _FOOT + 6)


def _stretched(drawn: Sequence[Html], count: int, height: int) -> Html:
    """Return what is drawn as wide as the screen; a few leave room at the right."""
    return element("svg", *drawn, viewBox=f"0 0 {max(count, _LEAST)} {height}", preserveAspectRatio="none",
                   x=0, y=0, width="100%", height=height)  # fmt: skip


def _framed(title: str, most: str, plot: Html, foot: int, *below: Html, height: int) -> Html:
    """Return a picture: its name, the highest value, a line there and at the foot, and what stands below.

    Args:
        title: what it shows.
        most: the highest value.
        plot: what is drawn between the lines.
        foot: where the lower line is.
        below: what stands below that.
        height: of all of it.
    """
    return element(
        "svg",
        element("title", title),
        element("text", most, x=0, y=11, class_="quiet"),
        element("line", x1=0, y1=_TOP, x2="100%", y2=_TOP, class_="axis"),
        plot,
        element("line", x1=0, y1=foot, x2="100%", y2=foot, class_="axis"),
        *below,
        role="img",
        height=height,
    )


def _ends(ends: tuple[str, str], y: int, *, is_full: bool) -> list[Html]:
    """Return what is said below the columns: at both ends, or at the left where they do not reach the right."""
    if not is_full:
        return [element("text", " to ".join(filter(None, ends)), x=0, y=y, class_="quiet")]
    return [element("text", ends[0], x=0, y=y, class_="quiet"),
            element("text", ends[1], x="100%", y=y, class_="quiet end")]  # fmt: skip


def _column(bar: Bar, place: int, foot: float, scale: float) -> Html:
    drawn, top = [element("title", bar.said)], float(foot)
    for colour, amount in bar.parts:
        if amount:
            high = max(amount * scale, _SEEN)
            top -= high
            drawn.append(
                element("rect", x=f"{place + 0.1:.1f}", y=f"{top:.1f}", width=0.8, height=f"{high:.1f}", class_=colour)
            )
    if bar.mark:
        drawn.append(element("rect", x=place, y=foot + 2, width=1, height=3, class_="accent-bar"))
    return element("g", *drawn)


def legend(*named: tuple[str, str]) -> Html:
    """Return what the colours mean: pairs of a colour and its name."""
    return element("ul", *(
        element("li", element("svg", element("rect", width=11, height=11, class_=colour), aria_hidden="true",
                              width=11, height=11), name)
        for colour, name in named
    ), class_="legend")  # fmt: skip


def curves(title: str, lines: Sequence[tuple[str, Sequence[int | None]]], unit: str, *, height: int = 60) -> Html:
    """Return a picture of values over time: a line of each class; None is a gap.

    Args:
        title: what it shows.
        lines: pairs of a class and its values, all of one length.
        unit: of the values.
        height: of the greatest.
    """
    most = max((value for _, values in lines for value in values if value is not None), default=0) or 1
    count = max(len(values) for _, values in lines)
    foot = _TOP + height
    drawn = [
        element("polyline", points=points, class_=f"curve {kind}".strip(), vector_effect="non-scaling-stroke")
        for kind, values in lines
        for points in _stretches(values, foot, height / most)
    ]
    return _framed(title, f"{most:,} {unit}", _stretched(drawn, count, foot), foot, height=foot + 4)


def _stretches(values: Sequence[int | None], foot: float, scale: float) -> list[str]:
    """Return the points of each stretch without a gap; one that is alone is a short line."""
    found: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            found.append([])
        else:
            found[-1] += [f"{place + part:.2f},{foot - value * scale:.1f}" for part in (0.1, 0.9)]
    return [str(joined([" ".join(points)])) for points in found if points]
