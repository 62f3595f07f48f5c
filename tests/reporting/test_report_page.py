"""The page of a report: what it draws is to scale and true, and it stays small whatever is put into it."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from bucket_loader.model import Counts
from bucket_loader.reporting import (
    Changes,
    Column,
    Ending,
    Flow,
    Moment,
    NamedChunk,
    NamedChunks,
    Rejection,
    Rejections,
    Report,
    Rows,
    Stamp,
    Traffic,
    report_page,
)
from bucket_loader.reporting.report.flow import HEIGHT, SEEN, bands, picture

HOSTILE = '<img src=x onerror=alert(1)>" style="x\u202e&amp;'
AT = "2026-01-01T03:00:00.000Z"


def whole(text=HOSTILE):
    """Return a report with everything in it that a report can hold."""
    counts = Counts(read=1_000_000, delivered=990_000, rejected=10_000)
    moment = Moment((10, 2, 1, 3, 1), 50, 900)
    chunks = NamedChunks(tuple(NamedChunk(text, text, 100, 3, text) for _ in range(25)), more=7)
    return Report(
        pipeline=text, run=text, environment=text, made_at=AT,
        ending=Ending("error", text, why=text, hint=text, steps=(f"`{text}`", text), exit_code=4),
        facts=((text, text),) * 9,
        gone=(text,) * 3,
        flows=tuple(Flow(text, counts, text, text, Changes(5, 4, ((text, 3),) * 7)) for _ in range(40)),
        rejections=Rejections(10_000, tuple(
            Rejection(text, text, text, text, 5, text, (text,) * 5, text) for _ in range(25)
        ), 3, text, (text,), text),
        traffic=Traffic(AT, 60.0, (moment,) * 100, (1_000, 200, 100, 300, 100), 50, 900, 1_234.5, 1_800, 100),
        unknown=chunks, repeated=chunks,
        columns=tuple(Column(text, "rejected", AT, counts, 10_000, is_this=place == 59, is_folded=place < 30)
                      for place in range(60)),
        stamp=Stamp(is_sound=False, said=text, findings=(text,) * 20, not_proved=(text,) * 5),
        rows=Rows(((text, text),) * 20, ((text, text),) * 20, text),
    )  # fmt: skip


def test_whatever_a_name_holds_is_a_text_on_the_page():
    """No element, no attribute and no turned word comes of it."""
    page = report_page(whole())

    assert not re.search(r"<img|<script|<link| style=\"|\u202e", page)
    assert "&lt;img src=x" in page


def test_a_page_with_all_that_one_can_hold_stays_under_300_kb():
    """Names of eighty characters and sentences of that length, everywhere, and a hundred stretches of time."""
    small, full = report_page(whole("name")), report_page(whole("ü" * 80))

    assert len(full.encode()) < 300_000
    assert len(small.encode()) < 250_000
    assert (small.count("rejected, folded"), full.count("rejected, folded")) == (30, 0)
    assert "And 24 more chunks" in full


def test_bands_are_to_scale_and_what_would_be_too_thin_is_a_dashed_line():
    """A half is half as high as all; three rows of a million are drawn, and are told from what is to scale."""
    counts = Counts(read=1_000_000, delivered=500_000, unchanged=499_997, rejected=3)
    found = {band.name: band for band in bands(counts)}
    drawn = picture(Flow("users", counts))

    assert found["delivered"].thick == pytest.approx(HEIGHT / 2)
    assert sum(band.thick for band in found.values()) == pytest.approx(HEIGHT)
    assert [name for name, band in found.items() if band.is_thin] == ["rejected"]
    assert found["rejected"].thick < SEEN
    assert drawn.count("thin") == 1
    assert "under 0.1%" in drawn


def test_no_band_and_no_word_lies_on_another():
    """Six ways out, however thin: each has room for its words."""
    found = bands(Counts(read=1_005, delivered=1_000, rejected=1, pending=1, unchanged=1, superseded=1, filtered=1))

    for above, below in pairwise(found):
        assert above.right + above.thick <= below.right
        assert below.label - above.label >= 20


def test_the_picture_of_the_docs_is_small():
    """It is there, and no burden on whoever clones the project."""
    assert 20_000 < (Path(__file__).parents[2] / "docs" / "report.png").stat().st_size < 250_000


def test_a_report_of_nothing_is_a_page_too():
    """No run, no stream, no request."""
    page = report_page(Report("nightly", "", "", AT, Ending("error", "No new run was made.", why="there is no file")))

    assert "there is no file" in page
    assert "Requests" not in page
