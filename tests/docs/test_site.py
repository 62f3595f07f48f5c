"""The docs site: whole, without dead links, and alone: it asks no other host for anything, and opens from a disk."""

import itertools
import os
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe import RULES, SIZES, violations
from browser import running_browser

ROOT = Path(__file__).parents[2]
PUBLISH = ROOT / "docs" / "publish.py"
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
NOT_LOADED = {"canonical", "next", "prev", "alternate"}


class Links(HTMLParser):
    """What an HTML page links to, what it loads, and the names that one can link to in it."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.names = [], [], {""}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Take in a tag."""
        given = dict(attrs)
        self.names |= {given.get("id"), given.get("name")}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        wanted = given.get(LOADED.get(tag, ""))
        if wanted and not NOT_LOADED & set((given.get("rel") or "").split()):
            self.loads.append(wanted)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built strictly."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, PUBLISH, "--build", folder],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "docs"


@pytest.fixture(scope="module")
def pages(site):
    """Every page of the site, taken apart."""
    return {file: Links(file.read_text("utf-8")) for file in site.rglob("*.html") if file.name != "404.html"}


@pytest.mark.site
def test_no_link_of_the_site_is_dead(site, pages):
    """Every link leads to a file of the site, and to a name that this file has."""
    dead = []
    for file, page in pages.items():
        for link in [*page.links, *page.loads]:
            parts = urlsplit(link)
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if parts.scheme:
                continue
            if not target.is_file() or (target in pages and unquote(parts.fragment) not in pages[target].names):
                dead.append(f"{file.relative_to(site)}: {link}")

    assert len(pages) > 20
    assert dead == []


@pytest.mark.site
@pytest.mark.browser
@pytest.mark.clients
def test_no_kind_of_page_has_a_violation_of_wcag_aa(site):
    """A page with a table, one with commands, one with a picture: axe objects to nothing, in both themes and sizes."""
    with running_browser() as browser, browser.page(hurried=False) as page:
        found = {}
        for name in ("index", "tutorial", "concepts"):
            for dark, (width, height) in itertools.product((False, True), SIZES.values()):
                page.resize(width, height, dark=dark)
                page.open("about:blank")  # colours that change slowly are not looked at half-way
                page.open(f"{site.as_uri()}/{name}.html")
                page.wait_for("document.readyState === 'complete' && document.querySelector('h1')")
                found[name, dark, width] = violations(page, [rule for rule in RULES if rule.startswith("wcag")])

    assert {where: objections for where, objections in found.items() if objections} == {}


@pytest.mark.site
def test_no_page_loads_anything_from_another_host(site, pages):
    """Scripts, styles, fonts and pictures are files of the site."""
    all_pages = [*pages.values(), Links((site / "404.html").read_text("utf-8"))]
    foreign = {link for page in all_pages for link in page.loads if urlsplit(link).netloc}
    styles = [text for file in site.rglob("*.css") for text in re.findall(r"url\(([^)]+)\)", file.read_text("utf-8"))]

    assert foreign == set()
    assert [text for text in styles if "//" in text and not text.strip("\"'").startswith("data:")] == []


@pytest.mark.site
@pytest.mark.browser
def test_the_site_and_its_search_work_from_a_disk(site):
    """Opened as a file, without a server, a page finds what is searched, asks no host, and complains of nothing."""
    with running_browser() as browser, browser.page(hurried=False) as page:
        page.open(f"{site.as_uri()}/index.html")
        page.wait_for("document.querySelector('.md-search__button')")
        # What has the focus then hides the field from scripts. Before the scripts are ready, a click does nothing.
        page.wait_for(
            "document.activeElement.tagName === 'DIV' || document.querySelector('.md-search__button').click()"
        )
        page.type("this state belongs to another key")
        until_s = time.monotonic() + 30
        while page.run("location.pathname").endswith("/index.html") and time.monotonic() < until_s:
            page.press("Enter", "\r")  # goes to the first that was found; the list itself is closed to scripts
            time.sleep(0.1)
        found = page.run("location.pathname")

        asked = [url for url in page.requested if urlsplit(url).scheme not in {"file", "data", "blob", "about"}]

    assert asked == []
    assert page.complaints == []
    assert found.endswith("/troubleshooting.html")
