"""What is drawn over time: the requests of a run, and the last runs."""

from collections.abc import Iterator
from typing import Final

from bucket_loader.model import counted, spoken, spoken_time
from bucket_loader.reporting.html import Html, element, facts, folded, paragraph, section, table, wide
from bucket_loader.reporting.report.bars import Bar, bars, curves, legend
from bucket_loader.reporting.report.value import CLASSES, Column, Moment, Traffic

_COLOURS: Final = ("accent-bar", "warn-bar", "calm-bar", "bad-bar", "faint-bar")  # of `CLASSES`
_MINUTE_S: Final = 60
_LIMITED: Final = CLASSES.index("asked to wait")
_OF_RUNS: Final = (("delivered", "accent-bar"), ("rejected", "bad-bar"), ("pending", "warn-bar"))


def traffic_section(traffic: Traffic) -> Html:
    """Return the part about requests."""
    return section("Requests", *_requests(traffic))


def _requests(traffic: Traffic) -> Iterator[Html | None]:
    if not traffic.attempts:
        yield paragraph("Nothing was sent.")
        return
    yield facts(_sums(traffic))
    if traffic.unseen:
        said = f"When {traffic.unseen:,} of them ended, and how long they took, is not kept."
        yield paragraph(said, class_="quiet")
    if not traffic.moments:
        return
    each, ends = spoken(traffic.each_s), (spoken_time(traffic.began), f"{_after(traffic, len(traffic.moments))} later")
    shown = [(name, colour) for name, colour, count in zip(CLASSES, _COLOURS, traffic.counts, strict=True) if count]
    yield element("figure",
        element("figcaption", f"Requests, each column {each}"),
        bars(f"Requests over time, each column {each}", [_bar(traffic, place) for place in range(len(traffic.moments))],
             ends),
        legend(*((colour, name) for name, colour in shown)),
    )  # fmt: skip
    yield _latency(traffic)
    yield folded("The numbers", wide(_numbers(traffic), "requests over time"))


def _sums(traffic: Traffic) -> Iterator[tuple[str, str]]:
    yield "requests", f"{traffic.attempts:,}"
    if traffic.records_per_s:
        yield "records a second", f"{traffic.records_per_s:,.0f}"
    if traffic.moments:
        yield "half took no longer than", f"{traffic.middle_ms:,} ms"
        yield "95 of 100 took no longer than", f"{traffic.slow_ms:,} ms"
    for place, (name, count) in enumerate(zip(CLASSES, traffic.counts, strict=True)):
        if count and place:
            yield (f"{name} (429)" if place == _LIMITED else name), f"{count:,}"


def _bar(traffic: Traffic, place: int) -> Bar:
    moment = traffic.moments[place]
    said = ", ".join(f"{count:,} {name}" for name, count in zip(CLASSES, moment.counts, strict=True) if count)
    return Bar(tuple(zip(_COLOURS, moment.counts, strict=True)), f"after {_after(traffic, place)}: {said or 'none'}")


def _latency(traffic: Traffic) -> Html:
    middle, slow = ([_ms(moment, kind) for moment in traffic.moments] for kind in ("middle_ms", "slow_ms"))
    return element(
        "figure",
        element("figcaption", "How long a request took: the line is half of them, the dashed one 95 of 100"),
        curves("Latency over time", [("", middle), ("far", slow)], "ms"),
    )


def _ms(moment: Moment, kind: str) -> int | None:
    return int(getattr(moment, kind)) if sum(moment.counts) else None


def _numbers(traffic: Traffic) -> Html:
    header = ["after", *CLASSES, "half within", "95 of 100 within"]
    rows = [
        [_after(traffic, place), *(f"{count:,}" for count in moment.counts), f"{moment.middle_ms:,} ms",
         f"{moment.slow_ms:,} ms"]
        for place, moment in enumerate(traffic.moments) if sum(moment.counts)
    ]  # fmt: skip
    return table(header, rows, numbers=range(1, len(header)))


def _after(traffic: Traffic, place: int) -> str:
    seconds = place * traffic.each_s
    return f"{seconds:.1f} s" if traffic.each_s < 1 and seconds < _MINUTE_S else spoken(seconds) if place else "0 s"


# --- the last runs ---------------------------------------------------------------------------------------------------


def runs_section(columns: tuple[Column, ...], run: str) -> Html:
    """Return the part about the last runs, the oldest first; `run` is the one of the page, or empty."""
    if len(columns) == 1 and columns[0].is_this:
        return section("The last runs", paragraph("This is the only run so far."))
    title = f"The last {counted(len(columns), 'run')}" if len(columns) > 1 else "The last run"
    return section(title, *_runs(columns, run))


def _runs(columns: tuple[Column, ...], run: str) -> Iterator[Html]:
    ends = (spoken_time(columns[0].began)[:16], spoken_time(columns[-1].began)[:16] if len(columns) > 1 else "")
    shown = [(colour, name) for name, colour in _OF_RUNS if any(getattr(one.counts, name) for one in columns)]
    if any(one.is_folded for one in columns):
        shown.append(("faint-bar", "delivered, of a run of which only the counts are left"))
    is_there = any(one.is_this for one in columns)
    yield element("figure",
        element("figcaption", "Records of each run, the newest last"
                              + (". The line below marks the run of this page." if is_there else "")),
        bars("Records of the last runs", [_of_run(one) for one in columns], ends, height=60),
        legend(*shown),
    )  # fmt: skip
    if run and not is_there:
        yield paragraph("The run of this page is older than these.", class_="quiet")
    yield folded("The numbers", wide(_of_runs(columns), "the last runs"))


def _of_run(one: Column) -> Bar:
    counts = ", ".join(f"{getattr(one.counts, name):,} {name}" for name, _ in _OF_RUNS)
    folded_away = ", folded" if one.is_folded else ""
    said = f"{one.run}: {one.status}, {counts}{folded_away}"
    colours = ("faint-bar" if one.is_folded and name == "delivered" else colour for name, colour in _OF_RUNS)
    parts = tuple(zip(colours, (getattr(one.counts, name) for name, _ in _OF_RUNS), strict=True))
    return Bar(parts, said, mark=one.is_this)


def _of_runs(columns: tuple[Column, ...]) -> Html:
    header = ["run", "began", "status", "read", "delivered", "rejected", "pending", "requests"]
    names = ("read", "delivered", "rejected", "pending")
    rows = [
        [one.run, spoken_time(one.began), one.status + (", folded" if one.is_folded else ""),
         *(f"{getattr(one.counts, name):,}" for name in names), f"{one.requests:,}"]
        for one in reversed(columns)
    ]  # fmt: skip
    return table(header, rows, numbers=range(3, len(header)))
