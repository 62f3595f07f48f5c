"""What `plan --diff` takes, and how it is printed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from bucket_loader.cli.call import Call
from bucket_loader.cli.options import all_of
from bucket_loader.cli.stdout import write_utf8
from bucket_loader.cli.words import Word, chosen_form
from bucket_loader.model import UsageError

if TYPE_CHECKING:
    from bucket_loader.reporting import Diff
    from bucket_loader.runs import Job, MadePlan

_ROWS: Final = 20
_ALL: Final = "all"


class Rows(click.ParamType[int | None]):
    """How many records: a number, or all, which is None."""

    name = "rows"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """Read the number."""
        text = str(value)
        if text == _ALL:
            return None
        if not (text.isascii() and text.isdigit()):
            self.fail(f"{text!r} is neither a whole number nor `all`", param, ctx)
        return int(text)


diff_options: Final = all_of(
    click.option("--diff", is_flag=True,
                 help="Print on stdout what would change, with values: whoever asks for it may see them."),
    click.option("--format", "form", type=Word(["text", "markdown", "json", "html"]),
                 help="How --diff is printed: for a terminal, for a comment on a pull request, for programs, or as a "
                 "page of one file. [default: text]"),
    click.option("--rows", type=Rows(), metavar="N|all", default=str(_ROWS), show_default=True,
                 help="Of how many records of each stream --diff prints the values: what changes first, then what is "
                 "removed, then what is new."),
)  # fmt: skip


@dataclass(frozen=True)
class AskedDiff:
    """In which form a diff is printed, and how many records of each stream; None is all."""

    form: str
    rows: int | None


def asked_diff(words: Mapping[str, object]) -> AskedDiff | None:
    """Return what is asked for; None where no diff is.

    Raises:
        UsageError: the words make no sense together.
    """
    form, rows = words["form"], words["rows"]
    given = [
        f"--{name}" for name, value, default in (("format", form, None), ("rows", rows, _ROWS)) if value != default
    ]
    if not words["diff"]:
        if given:
            raise UsageError(f"{given[0]} is for --diff", hint="`bucket-loader plan PIPELINE --diff` prints values")
        return None
    form = chosen_form(None if form is None else str(form), as_json=bool(words["as_json"]))
    return AskedDiff(form, rows if isinstance(rows, int) else None)


def write_diff(call: Call, job: "Job", asked: AskedDiff, *, show: int) -> "MadePlan":
    """Plan, and print what that changes; return the plan."""
    from bucket_loader.reporting import print_diff
    from bucket_loader.runs import plan_with_diff, tell_plan, tell_stops

    with plan_with_diff(job, asked.rows) as (made, diff):
        tell_plan(call.output, made, show=show)
        call.say(f"the plan: {made.plan.folder}")
        if asked.form == "text":
            print_diff(diff, call.output.commands.filled)
            return made
        tell_stops(call.output, made)
        write_utf8(_pieces(diff, asked.form, call.output.commands.filled))
    return made


def _pieces(diff: "Diff", form: str, filled: Callable[[str], str]) -> Iterable[str]:
    """Return what is printed."""
    from bucket_loader.reporting import diff_page, json_pieces, markdown

    if form == "json":
        return json_pieces(diff)
    return [markdown(diff, filled) if form == "markdown" else diff_page(diff, filled)]
