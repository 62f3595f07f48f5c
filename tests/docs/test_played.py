"""The tutorial and the pages of exports: their commands print what stands there, word by word."""

import re

import play
import pytest

TUTORIAL = play.PAGES[0]


@pytest.mark.rehearsal
@pytest.mark.parametrize("path", play.PAGES, ids=lambda path: path.stem)
def test_a_page_runs_word_by_word(path, tmp_path):
    """Every command of a page, in its order, prints what stands below it (`python docs/play.py` writes it anew)."""
    page = path.read_text("utf-8")

    assert play.steady(play.played(page, tmp_path)) == play.steady(page)


def test_what_differs_at_every_run_does_not_count_and_all_else_does():
    """Names of runs, times, seconds and sizes may differ; a count may not."""
    said = "run 20260101T030000000Z\nsucceeded in 1.3 s, 12 requests; 80.6 GB are free"

    assert play.steady(said) == play.steady(said.replace("1.3 s", "0.9 s").replace("20260101", "20271231"))
    assert play.steady(said) != play.steady(said.replace("12 requests", "13 requests"))


def test_every_block_of_the_tutorial_is_run_but_the_installation():
    """A block in another language would be text that nobody tries."""
    kinds = re.findall(r"^```(\w+)$", TUTORIAL.read_text("utf-8"), flags=re.MULTILINE)

    assert kinds.count("sh") == 1
    assert set(kinds) == {"sh", "console", "yaml"}
    assert kinds.count("console") >= 10
