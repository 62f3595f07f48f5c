"""The page of `explain` in a real browser with the network off: hostile values, by day and by night, on a phone too."""

import pytest
from axe import everywhere
from browser import tab_without_network
from workplace import COMPANIES

pytestmark = pytest.mark.browser
HOSTILE = '<img src=//x.invalid onerror="document.title=1">'


@pytest.fixture(scope="module")
def page():
    """Return a tab of one browser without a network."""
    with tab_without_network() as tab:
        yield tab


@pytest.fixture
def file(workplace, emulator):
    """Return the page of a company that was refused, sent again, changed, rejected, and would be sent now."""
    emulator.faults({"kind": "poison", "match": "bad", "status": 400})
    typed = COMPANIES.replace('attributes: "*"', 'attributes: {"*": {}, seats: {column: seats, type: integer}}')
    workplace.pipeline(typed)
    for name, seats in (("bad", 1), (HOSTILE, 2), ("Acme " * 200, 3), ("Acme", "x")):
        workplace.write("accounts.csv", f"id,name,seats\n00123,{name},{seats}\n1,x,1\n".replace('"', "'"))
        workplace.run()
    written = workplace.folder / "why.html"
    workplace.write("accounts.csv", "id,name,seats\n00123,Beta,4\n")
    workplace.command("explain", "--company", "00123", "--now", "--html", str(written))
    return written


@pytest.mark.clients  # for axe
def test_the_page_is_accessible_asks_for_nothing_and_runs_nothing(page, file):
    """All that folds out of it is open; nothing sticks out of a phone."""
    page.requested.clear()
    page.complaints.clear()
    page.open(file.as_uri())
    page.wait_for("document.querySelector('main section')")
    page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")

    assert [url for url in page.requested if url != file.as_uri()] == []
    assert page.complaints == []
    assert page.run("document.title") == "company 00123: test"
    assert page.run("document.querySelectorAll('section').length") >= 5
    assert everywhere(page) == {}
    page.resize(360, 740)
    assert page.run("document.documentElement.scrollWidth") <= 360
