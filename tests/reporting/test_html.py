"""HTML that is safe by how it is made, and pages that stand alone."""

import base64
import hashlib
import re

from bucket_loader.reporting.html import Html, element, in_code, joined, page, table


def test_what_is_no_html_is_escaped_wherever_it_stands():
    """Texts, cells, attributes and titles; what was made of them is not escaped again."""
    hostile = "<script>alert('1')</script>\" onload=\"x"

    made = page(hostile, table([hostile], [[hostile]]), element("p", in_code(f"say `{hostile}`"), title=hostile))

    assert "<script" not in made
    assert 'onload="' not in made
    assert "<code>&lt;script&gt;" in made
    assert joined(["<", Html("<b>")]) == "&lt;<b>"


def test_signs_that_nobody_sees_are_shown():
    """A text that turns the words around it, or breaks the file, is not passed on: half a pair cannot be written."""
    made = element("p", "a\u202eb\x00c\ud800d\u00a0é")

    assert made == "<p>a�b�c�d\u00a0é</p>"
    assert made.encode()


def test_a_page_may_load_nothing_and_run_nothing():
    """Its policy names the digest of the one style that is in it; no word of it asks anybody for anything."""
    made = page("a page", element("p", "words"))

    (style,) = re.findall(r"<style>(.*?)</style>", made, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"content=\"default-src 'none'; style-src 'sha256-{digest}';" in made
    assert not re.search(r"url\(|@import|<link|<script|src=|href=| style=", made)
