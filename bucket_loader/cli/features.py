"""The commands `features list` and `features evaluate`: what Bucket has defined. They only read."""

from pathlib import Path
from typing import Final

import click

from bucket_loader.cli.call import Call
from bucket_loader.cli.group import main
from bucket_loader.cli.options import all_of, pipeline_argument

_answer_options: Final = all_of(
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table, on stdout."),
    click.option("--quiet", "-q", is_flag=True, help="Print only what was asked for, and what went wrong."),
)


@main.group()
def features() -> None:
    """Read which features are defined in Bucket, and which of them a company has. Writes nothing.

    \b
    Examples:
      bucket-loader features list nightly.yaml
      bucket-loader features evaluate nightly.yaml --company 00123 --attribute company.plan=pro
    """


@features.command("list")
@pipeline_argument
@_answer_options
@click.pass_obj
def list_features(call: Call, /, pipeline: Path, **words: object) -> None:
    """Show the features that are defined where PIPELINE's destination is. Needs the secret key.

    \b
    Example:
      bucket-loader features list nightly.yaml --json
    """
    from bucket_loader.runs import defined_features, tell_defined

    job = call.job(pipeline, words)
    found = defined_features(job.pipeline.destination)
    if not call.as_json:
        tell_defined(call.output, found)
    call.answer(found)


@features.command("evaluate")
@pipeline_argument
@click.option("--company", required=True, metavar="ID", help="The company that is asked about.")
@click.option("--user", metavar="ID", help="A user of the company.")
@click.option("--attribute", "attributes", multiple=True, metavar="NAME=TEXT",
              help="More of the context, by its dotted name: company.plan=pro; may be repeated.")  # fmt: skip
@click.option("--explain", is_flag=True,
              help="Show why: each rule, and each condition in it with the value that it met.")  # fmt: skip
@_answer_options
@click.pass_obj
def evaluate_features(
    call: Call, /, pipeline: Path, *, company: str, user: str | None, attributes: tuple[str, ...], **words: object
) -> None:
    """Show which features a company has.

    Bucket uses what it has stored of the company, and what is given here. It may count this as an evaluation, as it
    does for every application that asks.

    With --explain, an emulator tells every value that was compared. Bucket tells the result of each rule. What follows
    from that is marked, and what does not is marked as not told.

    \b
    Examples:
      bucket-loader features evaluate nightly.yaml --company 00123
      bucket-loader features evaluate nightly.yaml --company 00123 --user u1 --attribute user.role=admin
      bucket-loader features evaluate nightly.yaml --company 00123 --explain
    """
    from bucket_loader.runs import (
        evaluated_features,
        evaluation_context,
        explained_features,
        tell_evaluated,
        tell_explained,
    )

    job = call.job(pipeline, words)
    context = evaluation_context(company, user, attributes)
    if words["explain"]:
        explained = explained_features(job.pipeline.destination, context)
        if not call.as_json:
            tell_explained(call.output, explained)
        call.answer(explained.as_json())
        return
    found = evaluated_features(job.pipeline.destination, context)
    if not call.as_json:
        tell_evaluated(call.output, found)
    call.answer(found)
