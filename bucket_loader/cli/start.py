"""Commands for a first evening: `init`, `check`, `rehearse`, `schema`."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bucket_loader.cli.asking import ask, can_ask
from bucket_loader.cli.call import Call
from bucket_loader.cli.group import main
from bucket_loader.cli.options import (
    all_of,
    evaluation_option,
    output_option,
    pipeline_argument,
    plan_options,
    read_document,
    run_options,
    state_options,
)
from bucket_loader.cli.reporting import Reported, report_option
from bucket_loader.cli.words import Word
from bucket_loader.model import KINDS, UsageError

if TYPE_CHECKING:
    from bucket_loader.runs import DbtName


dbt_options = all_of(
    click.option("--project", metavar="FOLDER", help="The project of dbt that the model is of. [default: this folder]"),
    click.option("--manifest", metavar="FILE", help="Its manifest. [default: target/manifest.json of the project]"),
    click.option("--profile", metavar="NAME", help="How to connect, in dbt's profiles.yml. [default: the project's]"),
    click.option("--target", metavar="NAME", help="The target of the profile. [default: the profile's]"),
)


@main.command()
@click.argument("source")
@click.option(
    "--record",
    type=Word(KINDS),
    help="What a row is. [default: guessed]",
)
@click.option("--name", help="The pipeline's name. [default: from the source]")
@output_option("Write FILE instead of printing, when nothing stands in the way. Its paths are relative to it.")
@click.option("--force", is_flag=True, help="Replace FILE where there is one.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing: every guess is taken.")
@dbt_options
def init(source: str, file: Path | None, *, force: bool, yes: bool, **words: Any) -> None:  # noqa: ANN401  # options
    """Guess a first pipeline file for SOURCE: a file of any kind, a folder of exports, a database, or a model of dbt.

    A database is a file or a URL, with #table for one table of it. Of a folder each export, of a database each table,
    and of a workbook each sheet is looked at; what is no record of Bucket is named in a comment. A model is dbt:NAME.

    It looks at the first rows: what a row is, where ids, times and scores are, and what is about persons, which is left
    out. Each guess is marked, with its reason. Where something stands in the way, the file is printed all the same,
    with the problem marked in it, and the exit code is 2; with -o nothing is written then.

    On a terminal it asks what is in doubt, six questions at most, each with values of yours; Enter takes the guess.
    With -o it then checks the file, and offers a rehearsal. With --yes or without a terminal nothing is asked.

    \b
    Examples:
      bucket-loader init exports/accounts.csv -o accounts.yaml
      bucket-loader init exports/ -o pipeline.yaml
      bucket-loader init postgresql://localhost/app -o app.yaml
      bucket-loader init 'app.db#events' --record event > events.yaml
      bucket-loader init dbt:dim_accounts --project ../dbt -o accounts.yaml
    """
    from bucket_loader.runs import first_pipeline, write_first

    is_asking, record, name = not yes and can_ask(), words.pop("record"), words.pop("name")
    place = _place(source, {word: value for word, value in words.items() if value is not None})
    first = first_pipeline(place, record=record, name=name, file=file, ask=ask if is_asking else None)
    if file is None:
        click.echo(first.text, nl=False)
    if first.problem is not None:
        raise first.problem
    if file is not None:
        write_first(first, file, force=force)
        then = "" if is_asking else f", then\n  bucket-loader rehearse {file}"
        click.echo(f"wrote {file}: look at each guess{then}", err=True)
        if is_asking:
            _try_out(file)


def _place(source: str, words: Mapping[str, str]) -> "str | DbtName":
    """Return what a person has named: a path or URL, or a model of dbt with the options that go with it.

    Raises:
        UsageError: the options are given without a model.
    """
    from bucket_loader.runs import DbtName

    kind, colon, name = source.partition(":")
    if kind == "dbt" and colon:
        return DbtName(name, words)
    if words:
        raise UsageError(f"--{next(iter(words))} is for a model of dbt", hint="name it: dbt:dim_accounts")
    return source


def _try_out(file: Path) -> None:
    """Check a file that was just written, and rehearse it where a person wants to."""
    context = click.get_current_context()
    with suppress(click.exceptions.Exit):
        context.invoke(check, pipeline=file)
    click.echo(err=True)
    if click.confirm("Rehearse it now?", default=True, err=True):
        context.invoke(rehearse, pipeline=file)


@main.command()
@pipeline_argument
@click.option("--all", "whole", is_flag=True, help="Look at every row. [default: a sample of each stream]")
@plan_options
@state_options
@click.pass_obj
def check(call: Call, /, pipeline: Path, *, whole: bool, **words: object) -> None:
    """Look at the file, its sources, and what is doubtful in their rows; then at the host and the key. Sends nothing.

    Rows are mapped as a run would map them: of a file the first 100,000, and some of all that follow; of a database the
    first 10,000. The key is tried with a read (GET /features). Without a key the host is not asked. The exit code is 3
    when more rows would be rejected than `limits:` allow.

    \b
    Examples:
      bucket-loader check nightly.yaml
      bucket-loader check nightly.yaml --all --json
    """
    from bucket_loader.config import lacks_key, taken_names
    from bucket_loader.runs import check_job

    job = call.job(pipeline, words, needs_key=not lacks_key(pipeline))
    for complaint in taken_names(type(job.pipeline.source_of(stream)) for stream in job.pipeline.streams):
        call.say(complaint)
    found = check_job(job, whole=whole)
    call.answer(found)
    raise click.exceptions.Exit(found["exit_code"])


@main.command()
@pipeline_argument
@click.option(
    "--keep",
    is_flag=True,
    help="Leave the emulator running after the run, until Ctrl-C, so that you can look around in it.",
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME=FILE",
    help="Read FILE (CSV, Parquet, JSON Lines) in place of the source or stream NAME; may be repeated. No warehouse is "
    "asked then, and no variable of a source or of the destination is needed.",
)
@click.option(
    "--assert",
    "assert_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Hold what came of it against FILE: counts, users, companies, events, rejected rows, features. What is not as "
    "it says is shown, and the exit code is 3.",
)
@click.option("--features", metavar="FILE", help="What features there are: a file with the body of GET /features.")
@click.option("--faults", help="Faults for the emulator, as JSON or a file (see `emulator --help`).")
@evaluation_option
@plan_options
@run_options
@state_options
@report_option
@click.pass_obj
def rehearse(call: Call, /, pipeline: Path, *, keep: bool, **words: Any) -> None:  # noqa: ANN401  # many options
    """Do a whole run against a private emulator, with a temporary state. Needs no key and no network.

    \b
    Examples:
      bucket-loader rehearse nightly.yaml
      bucket-loader rehearse nightly.yaml --faults faults.json
      bucket-loader rehearse nightly.yaml --source accounts=tests/accounts.csv
      bucket-loader rehearse nightly.yaml --assert tests/nightly.assert.yml
    """
    from bucket_loader.config import load_assertions
    from bucket_loader.reporting import RunEnded
    from bucket_loader.runs import Asked, read_fixtures, rehearsed, wait_for_a_person

    call.obey(words)
    call.names(pipeline, words)
    asked = Asked(
        fixtures=read_fixtures(words["sources"]),
        faults=read_document(words["faults"]),
        evaluation=words["evaluation"],
        features=read_document(words["features"]),
        assertions=load_assertions(words["assert_file"]) if words["assert_file"] is not None else None,
    )
    with (
        Reported(call, pipeline, words) as reported,
        rehearsed(pipeline, call.options(words), call.output, asked) as (rehearsal, summary),
    ):
        ended = RunEnded(summary, thrown_away=True)
        for event in [*rehearsal.told, ended] if call.output.is_json else [ended, *rehearsal.told]:
            call.output.tell(event)  # for a program, the summary is the last object
        asserted = {} if rehearsal.asserted is None else {"assertions": rehearsal.asserted.as_json()}
        call.answer(summary.as_json() | asserted)
        reported.ended(rehearsal.job, summary, thrown_away=True)
        if keep:
            wait_for_a_person(rehearsal)
    raise click.exceptions.Exit(summary.exit_code)


@main.command()
@click.option("--assert", "of_tests", is_flag=True, help="That of the assert file of `rehearse`.")
def schema(*, of_tests: bool) -> None:
    """Print the JSON Schema of the pipeline file, for editors.

    \b
    Example:
      bucket-loader schema > pipeline.schema.json
      # then, as the first line of a pipeline file:
      # yaml-language-server: $schema=pipeline.schema.json
    """
    from bucket_loader.config import assert_schema, complaints, json_schema

    for complaint in () if of_tests else complaints():
        click.echo(f"left out: {complaint}", err=True)
    click.echo(json.dumps(assert_schema() if of_tests else json_schema(), indent=2))
