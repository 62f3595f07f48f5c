"""The page of a diff in a real browser with the network off: it asks for nothing, and everybody can read it."""

import pytest
from axe import everywhere
from browser import tab_without_network
from test_diff_forms import harmful

from bucket_loader.reporting import diff_page

pytestmark = [pytest.mark.browser, pytest.mark.clients]  # the clients for axe


def test_the_page_stands_alone_and_is_accessible(tmp_path):
    """With values that are meant to harm, by day and by night, on a phone and on a screen."""
    file = tmp_path / "diff.html"
    file.write_text(diff_page(harmful(), str), "utf-8")
    with tab_without_network() as page:
        page.open(file.as_uri())
        page.wait_for("document.querySelector('section')")
        assert [url for url in page.requested if url != file.as_uri()] == []
        assert page.complaints == []
        assert everywhere(page) == {}
