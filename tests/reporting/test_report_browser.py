"""The report in a real browser with the network off: of a million rows with 10,000 rejections, and of all that fits."""

import pytest
from axe import everywhere
from browser import tab_without_network
from test_report_page import whole

from bucket_loader.reporting import report_page

ROWS, REJECTED = 1_000_000, 10_000
STREAM = """
- name: companies
  record: company
  source: {type: parquet, path: accounts.parquet}
  fields:
    companyId: id
    attributes: {name: name, seats: {column: seats, type: integer}, since: {column: since, type: date}}
"""
PLANTED = ("PLANTED", "Secret Company", "x-5", "31.12.2024")
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page():
    """Return a tab of one browser without a network."""
    with tab_without_network() as tab:
        yield tab


def looked_at(page, file):
    """Open a page from the disk, with all that folds out of it; return what it has asked for beside itself."""
    page.requested.clear()
    page.complaints.clear()
    page.open(file.as_uri())
    page.wait_for("document.querySelector('footer')")
    page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    return [url for url in page.requested if url != file.as_uri()]


@pytest.mark.clients  # for axe
@pytest.mark.long
def test_of_a_million_rows_it_is_small_alone_accessible_and_without_a_value(workplace, page):
    """At most 300 KB, no request, no violation by day and by night on a phone and on a screen, and nothing planted."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    every = ROWS // REJECTED
    seats = [("x-5" if number % (2 * every) else "y") if number % every == 0 else "7" for number in range(ROWS)]
    since = ["31.12.2024" if number == 1 else "2024-01-02" for number in range(ROWS)]
    names = {"id": [f"PLANTED{number:07d}" for number in range(ROWS)], "name": ["Secret Company"] * ROWS}
    pq.write_table(pa.table({**names, "seats": seats, "since": since}), workplace.folder / "accounts.parquet")
    workplace.pipeline(STREAM)
    file = workplace.folder / "report.html"

    ran = workplace.run("--report", str(file))
    text = file.read_text("utf-8")

    assert ran.summary["streams"]["companies"]["rejected"] == REJECTED + 1
    assert file.stat().st_size <= 300_000
    assert [planted for planted in (*PLANTED, workplace.key) if planted in text] == []
    assert looked_at(page, file) == []
    assert page.complaints == []
    assert everywhere(page) == {}


@pytest.mark.clients
def test_whatever_a_report_can_hold_is_accessible_and_loads_nothing(page, tmp_path):
    """All parts at once, with hostile names: nothing of them runs, and no violation by day and by night."""
    file = tmp_path / "whole.html"
    file.write_text(report_page(whole()), "utf-8", "replace")

    assert looked_at(page, file) == []
    assert page.complaints == []
    assert everywhere(page) == {}


def test_on_a_phone_nothing_sticks_out_and_words_keep_their_size(page, tmp_path):
    """At 360 points the page is as wide as the screen, and the words of pictures can be read."""
    file = tmp_path / "whole.html"
    file.write_text(report_page(whole("companies")), "utf-8")
    page.resize(360, 740)
    looked_at(page, file)

    assert page.run("document.documentElement.scrollWidth") <= 360
    assert page.run("getComputedStyle(document.querySelector('svg text')).fontSize") == "13px"
    assert page.run("document.querySelector('svg text').getBoundingClientRect().height") >= 12
