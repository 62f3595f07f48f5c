"""WCAG AA: axe finds nothing on any view, by day and by night, on a phone and on a screen."""

import sys

import pytest
from axe import everywhere
from browser import running_browser
from tiers import ROOT

from bucket_loader.emulator.http.server import running

sys.path.insert(0, str(ROOT / "docs"))
from screenshot import EMPTY, FAULTS, FEATURES, LOST, VIEWS, load

pytestmark = [pytest.mark.browser, pytest.mark.clients, pytest.mark.long]


@pytest.fixture(scope="module")
def page():
    """Return a tab of one browser for the whole file."""
    with running_browser() as browser, browser.page() as tab:
        yield tab


@pytest.fixture(scope="module")
def loaded():
    """Run one emulator, into which the quickstart pipeline and somebody's mistakes were sent."""
    with running(features=FEATURES, faults=FAULTS) as endpoint:
        load(endpoint)
        yield endpoint


@pytest.mark.parametrize("view", VIEWS)
def test_no_view_has_a_violation(loaded, page, view):
    """Each view, with what folds out of it open."""
    address, ready = VIEWS[view]
    page.open("about:blank")
    page.open(f"{loaded.url}/{address}")
    page.wait_for(ready)
    page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")

    assert everywhere(page) == {}


def test_nor_has_a_page_without_records_or_without_an_emulator(page):
    """The empty page, and the dimmed one."""
    with running() as endpoint:
        page.open("about:blank")
        page.open(endpoint.url)
        page.wait_for(EMPTY["empty"][1])
        assert everywhere(page) == {}
    page.wait_for(LOST["lost"][1])
    assert everywhere(page) == {}
    page.complaints.clear()
