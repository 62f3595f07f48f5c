"""What the hand-written pages say of commands and messages exists."""

import ast
import re
from pathlib import Path

import click
import error_pages
import pytest

from bucket_loader.cli.commands import main
from bucket_loader.runs.init.exports import EXPORTS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^ *```(?:console|sh|text)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_TEXTS = ast.JoinedStr | ast.Constant
_CALL = re.compile(r"(?<![\w.-])(?<!install )bucket-loader ((?:[^\n#|>\\`]|\\\n)+)")


def called():
    """Return each call of the program that a page shows: the page, and its words."""
    for page in PAGES:
        text = page.read_text("utf-8")
        if page.name not in {"cli.md", "decisions.md"}:
            blocks = "\n".join(_BLOCK.findall(text))
            inline = re.findall(r"`(bucket-loader [^`]+)`", text)
            for found in _CALL.findall("\n".join([blocks, *inline])):
                yield page.relative_to(ROOT).as_posix(), found.replace("\\\n", " ").split()


def unknown(words):
    """Return what a call has that the command line does not know."""
    command, given = main, list(words)
    while isinstance(command, click.Group):
        if not given or given[0].startswith("-"):
            return None
        name, *given = given
        if name not in command.commands:
            return name
        command = command.commands[name]
    known = {option for parameter in command.params for option in parameter.opts} | {"-h", "--help"}
    options = [word.partition("=")[0].rstrip(",.;:)'\"") for word in given if re.match(r"--\w", word)]
    return next((option for option in options if option not in known), None)


def test_every_command_that_a_page_shows_exists_with_its_options():
    """No page shows a command, or an option of it, that the program does not have."""
    calls = [(page, words) for page, words in called() if re.fullmatch(r"[a-z]+", words[0])]

    assert len(calls) > 80
    assert [f"{page}: {' '.join(words)}" for page, words in calls if unknown(words)] == []


@pytest.fixture(scope="module")
def told():
    """Every text in the code, f-strings whole, as one."""
    trees = [ast.parse(file.read_text("utf-8")) for file in error_pages.PACKAGE.rglob("*.py")]
    return "\n".join(error_pages.words(node) for tree in trees for node in ast.walk(tree) if isinstance(node, _TEXTS))


def test_a_message_that_troubleshooting_quotes_is_one_of_ours(told):
    """What a heading quotes, but for numbers and names, is what the program says."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    quoted = [text for line in re.findall(r"^### (.+)$", page, re.MULTILINE) for text in re.findall(r"`([^`]+)`", line)]
    pieces = [
        piece.strip() for text in quoted for piece in re.split(r"\.\.\.|\d+(?: fields,)?|[A-Z_]{4,}|\(|\)|: ", text)
    ]

    missing = [piece for piece in pieces if piece.count(" ") >= 2 and piece not in told.replace("`", "")]

    assert len(pieces) > 15
    assert missing == ["command not found"]  # what the shell says


def test_every_tool_whose_exports_init_knows_has_its_page():
    """The tools of the table of signatures are named on the page that lists the pages of exports."""
    page = (ROOT / "docs" / "how-to" / "exports" / "index.md").read_text("utf-8")
    tools = {re.match(r"[A-Z]\w+(?: (?:or )?[A-Z]\w+)*", one.tool)[0] for one in EXPORTS}
    names = {name for tool in tools for name in tool.split(" or ")}

    assert len(names) > 10
    assert [name for name in sorted(names) if name not in page] == []
