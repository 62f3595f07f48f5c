"""The command `explain`: the life of one row. It sends nothing and changes nothing."""

from pathlib import Path
from typing import Any

import click

from bucket_loader.cli.call import Call
from bucket_loader.cli.group import main
from bucket_loader.cli.options import Moment, pipeline_argument, state_options, streams_option
from bucket_loader.model import UsageError


@main.command()
@pipeline_argument
@click.option("--user", metavar="ID", help="This user, by its id in Bucket.")
@click.option("--company", metavar="ID", help="This company, likewise.")
@click.option("--key", "values", multiple=True, metavar="VALUE",
              help="The record with these values of its `key:`, or its ids; once for each of them.")  # fmt: skip
@streams_option
@click.option("--now", is_flag=True, help="Also read the source afresh, and say what a run would do with it, and why.")
@click.option("--interval-start", type=Moment(), help="With --now: what `:interval_start` is.")
@click.option("--interval-end", type=Moment(), help="With --now: what `:interval_end` is.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write it as a page that stands alone. It holds the values of the row.")  # fmt: skip
@state_options
@click.pass_obj
def explain(
    call: Call, /, *, pipeline: Path, user: str | None, company: str | None, values: tuple[str, ...], **words: Any  # noqa: ANN401  # click's
) -> None:  # fmt: skip
    """Tell the life of one row: what each run knows of a user, a company or a record.

    For each run, newest first: where the row stood in the source, its columns, each field of the record with the rule
    that it came from, what it was compared with, the chunk that carried it and each attempt, its dead letters; and
    whether it is remembered now. Of events and feedback, all that a user or company sent. The values are shown, since
    you ask for them.

    It looks into the plans that `keep:` and `prune` have left; those in a store are brought here first. It may be
    called while a run goes on. With --now the source is read as a run would read it: whole, of one stream.

    \b
    Examples:
      bucket-loader explain nightly.yaml --company 00123
      bucket-loader explain nightly.yaml --user u-4711 --stream people --now
      bucket-loader explain usage.yaml --key 20260101 --key 17 --json
      bucket-loader explain nightly.yaml --company 00123 --html why.html
    """
    from bucket_loader.runs import Sought, Subject, explain_row

    if sum((user is not None, company is not None, bool(values))) != 1:
        raise UsageError("explain what?", hint="give one of --user ID, --company ID and --key VALUE")
    if "" in {user, company, *values}:
        raise UsageError("an id is empty", hint="give the id as Bucket has it")
    subject = Subject("userId", user) if user is not None else None
    subject = Subject("companyId", company) if company is not None else subject
    now, page = bool(words.pop("now")), words.pop("html")
    job = call.job(pipeline, words, needs_key=False)
    found = explain_row(job, Sought(subject, values), now=now, page=page, is_told=not call.as_json)
    call.answer(found)
