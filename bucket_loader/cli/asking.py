"""Questions to a person who sits at a terminal. Stdout may be a file; they go to stderr."""

import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from bucket_loader.runs import Question

_WIDTH_MAX: Final = 100
_NAME_MAX: Final = 24


def can_ask() -> bool:
    """Whether a person reads stderr and can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: "Question") -> str:
    """Ask a person; return one of the answers, or the guess where Enter alone is pressed."""
    width = min(shutil.get_terminal_size().columns, _WIDTH_MAX) - 1
    click.echo(err=True)
    for line in textwrap.wrap(question.text, width, break_long_words=False, break_on_hyphens=False):
        click.secho(line, bold=True, err=True)
    names = [name for name, _ in question.answers]
    column = min(max(map(len, names)), _NAME_MAX)
    for name, shown in question.answers:
        line = f"  {name:{column}}  {shown}".rstrip()
        click.echo(line if len(line) <= width else f"{line[: width - 1]}…", err=True)
    choice = click.Choice(names, case_sensitive=False)
    # Without a guess Enter is an answer as well: nobody has to know.
    default = question.guess or ""
    answered: str = click.prompt(
        "Enter takes" if default else "Enter for none",
        type=choice,
        default=default,
        value_proc=None if default else lambda text: choice.convert(text, None, None) if text else "",
        show_choices=False,
        show_default=bool(default),
        err=True,
    )
    return answered
