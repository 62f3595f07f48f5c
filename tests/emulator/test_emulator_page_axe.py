"""WCAG AA: axe finds nothing on any view, by day and by night, on a phone and on a screen."""

import json
import sys

import pytest
from browser import running_browser
from tiers import CLIENTS, ROOT

from bucket_loader.emulator.http.server import running

sys.path.insert(0, str(ROOT / "docs"))
from screenshot import EMPTY, FAULTS, FEATURES, LOST, VIEWS, load

pytestmark = [pytest.mark.browser, pytest.mark.clients, pytest.mark.long]
AXE = CLIENTS / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIZES = {"phone": (390, 844), "screen": (1440, 900)}


@pytest.fixture(scope="module")
def page():
    """Return a tab of one browser for the whole file."""
    with running_browser() as browser, browser.page() as tab:
        yield tab


def violations(page):
    """Let axe look at what is shown; return what it objects to, and where."""
    if not page.run("typeof axe === 'object'"):
        page.run(AXE.read_text("utf-8"))
    options = json.dumps({"runOnly": {"type": "tag", "values": RULES}})
    found = page.run(f"axe.run(document, {options}).then((found) => JSON.stringify(found.violations))")
    return [
        (one["id"], [node["target"] + [node["failureSummary"]] for node in one["nodes"]]) for one in json.loads(found)
    ]


def everywhere(page):
    """Look by day and by night, in both sizes."""
    found = {}
    for size, (width, height) in SIZES.items():
        for dark in (False, True):
            page.resize(width, height, dark=dark)
            page.run("new Promise(requestAnimationFrame).then(() => 1)")
            found[size, dark] = violations(page)
    return {where: objections for where, objections in found.items() if objections}


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
