"""The command `impact`: which features a plan would turn on and off, for whom. It sends nothing that is kept."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bucket_loader.cli.call import Call
from bucket_loader.cli.group import main
from bucket_loader.cli.options import evaluation_option, pipeline_argument, plan_options, state_options, wait_option
from bucket_loader.cli.stdout import write_utf8
from bucket_loader.cli.words import Word, chosen_form

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bucket_loader.reporting import Impact


@main.command()
@pipeline_argument
@click.option(
    "--plan", type=click.Path(path_type=Path), help="Look at exactly this plan: the folder that `plan` named."
)
@click.option("--features", "file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="The definitions, as GET /features gives them. [default: the API is asked for them]")  # fmt: skip
@click.option("--feature", "chosen", multiple=True, metavar="KEY", help="Only this feature; may be repeated.")
@click.option("--ask", type=click.IntRange(min=0), default=0, metavar="N",
              help="Hold this many predictions against what the API answers now. It may count them.")  # fmt: skip
@click.option("--format", "form", type=Word(["text", "markdown", "json", "csv", "html"]),
              help="How it is printed. [default: text]")  # fmt: skip
@evaluation_option
@plan_options
@wait_option
@state_options
@click.pass_obj
def impact(  # the options of the command
    call: Call, /, *, pipeline: Path, file: Path | None, chosen: tuple[str, ...], form: str | None, **words: Any  # noqa: ANN401
) -> None:  # fmt: skip
    """Say which features a run would turn on and off, for whom, before anything is sent.

    Each company and user that the plan touches is evaluated as it is remembered (`remember: values`) and as it would
    be. What depends on something that no stream sends is unknown, and it says on what. Values are printed, since you
    ask for them: those of attributes that decide.

    \b
    Examples:
      bucket-loader impact nightly.yaml
      bucket-loader impact nightly.yaml --feature checkout --format markdown > comment.md
      bucket-loader impact nightly.yaml --features features.json --plan .bucket_loader/.../plans/20260101T030000000Z
      bucket-loader impact nightly.yaml --ask 20 --json
    """
    from bucket_loader.reporting import print_impact
    from bucket_loader.runs import ImpactAsked, impact_job

    form = chosen_form(form, as_json=bool(words["as_json"]))
    ask = int(words.pop("ask"))
    asked = ImpactAsked(file, chosen, words.pop("evaluation"), form in {"json", "csv"}, ask)
    job = call.job(pipeline, words, needs_key=file is None or ask > 0)
    with impact_job(job, asked) as (plan, found):
        call.say(f"the plan: {plan.folder}")
        if form == "text":
            print_impact(found)
            return
        for note in found.notes:
            call.say(note)
        write_utf8(_pieces(found, form))


def _pieces(found: "Impact", form: str) -> "Iterable[str]":
    """Return what is printed."""
    from bucket_loader.reporting import impact_csv, impact_json, impact_markdown, impact_page

    if form in {"json", "csv"}:
        return impact_json(found) if form == "json" else impact_csv(found)
    return [impact_markdown(found) if form == "markdown" else impact_page(found)]
