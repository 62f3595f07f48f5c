"""The command that tells dbt of pipelines: `exposures`."""

import shlex
from pathlib import Path

import click

from bucket_loader.cli.call import Call
from bucket_loader.cli.group import main
from bucket_loader.cli.options import output_option
from bucket_loader.cli.pipelines import PipelineFile
from bucket_loader.model import UsageError

_DIFFERS = 3


@main.command()
@click.argument("pipelines", metavar="PIPELINE...", nargs=-1, required=True, type=PipelineFile())
@output_option("Write FILE, in a folder of dbt's models, instead of printing.")
@click.option(
    "--check", "checks", is_flag=True, help="Write nothing; end with 3 when FILE is not what would be written."
)
@click.pass_obj
def exposures(call: Call, /, pipelines: tuple[Path, ...], file: Path | None, *, checks: bool) -> None:
    """Write the exposures of dbt for pipelines that read its models: one for each stream, with what it depends on.

    Owner and description are those of the pipeline file (`owner: {name, email, url}`, `description:`). Nothing but
    the files is read, and no variable needs to be set. The same files make the same bytes.

    \b
    Examples:
      bucket-loader exposures nightly.yaml -o ../dbt/models/exposures.yml
      bucket-loader exposures pipelines/*.yaml -o models/exposures.yml --check
    """
    from bucket_loader.runs import exposures_of, is_written, write_exposures

    if checks and file is None:
        raise UsageError("--check compares with a file", hint="name it with -o")
    found = exposures_of(pipelines)
    for sentence in found.others:
        call.say(sentence)
    if file is None:
        click.echo(found.text, nl=False)
    elif not checks:
        write_exposures(found, file)
    elif not is_written(found, file):
        words = shlex.join(["bucket-loader", "exposures", *map(str, pipelines), "-o", str(file)])
        call.say(f"{file} is not what the pipelines say; `{words}` writes it")
        raise click.exceptions.Exit(_DIFFERS)
