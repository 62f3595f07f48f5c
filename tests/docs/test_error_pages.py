"""The pages about errors: none of them lacks its cause, or what mends it."""

import re
from typing import get_args

import error_pages
import pytest

from bucket_loader.model import REASONS, Code, Verdict

# They print no hint of their own: the first tells mistakes that have hints, the others say in their words what to do.
WITHOUT_A_HINT = {"ConfigError", "InterruptedRunError", "ThreadsError"}


@pytest.mark.parametrize("kind", list(error_pages.tree()))
def test_every_error_says_its_cause_and_what_mends_it(kind):
    """The docstring of each error of the tree has a first sentence, a cause and a mend, each a whole sentence."""
    assert [part for part in error_pages.meaning(kind) if not re.fullmatch(r"\S.{15,}\.", part)] == []


def test_every_verdict_says_what_a_person_does():
    """Each verdict is in the table, with what happened, what follows and what is left to do."""
    rows = error_pages.verdicts()

    assert {row[0] for row in rows} == set(Verdict)
    assert [row for row in rows if len(row) != 4 or not all(row)] == []


def test_every_reason_says_its_cause_and_what_mends_it():
    """Each code that a rejected row may have (mypy knows no other) has its line in the table, in whole sentences."""
    assert set(REASONS) == set(get_args(Code))
    texts = [text for meant in REASONS.values() for text in (meant.cause, meant.mend)]
    assert [text for text in texts if not re.fullmatch(r"[A-Z`].{15,}[.]", text)] == []


def test_every_message_has_a_hint():
    """Whatever raises an error says what to do, unless the words are those of others."""
    raised = list(error_pages.raised())

    assert len(raised) > 300
    assert [
        one for one in raised if one.hint is None and re.search(r"\w\w", one.text) and one.kind not in WITHOUT_A_HINT
    ] == []


def test_every_line_of_the_list_of_messages_is_one_message():
    """What is filled in shows as `\u2026`, and no sign of a message is read as Markdown."""
    lines = [line for line in error_pages.messages().splitlines() if line.startswith("- ")]

    assert len(lines) > 250
    assert [line for line in lines if not re.fullmatch(r"- \*\*.+\*\* \((\w+Error|`\w+`)\)(<br>.+)?", line)] == []
