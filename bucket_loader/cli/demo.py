"""The first command of all: `demo`."""

import contextlib
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from bucket_loader.cli.group import main
from bucket_loader.cli.start import rehearse

_NAME: Final = "bucket-loader"
_ALLOWED: Final = "5%"  # of the sample exports, which have bad rows on purpose


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option(
    "--keep/--no-keep",
    default=None,
    help="Leave the local Bucket running, until Ctrl-C. [default: on a terminal]",
)
def demo(folder: Path | None, *, keep: bool | None) -> None:
    """Load the sample exports of an invented company into a local Bucket, and show what happened.

    It needs no key, no account and no network. The exports and the pipeline file that loads them are put into FOLDER,
    which must be new or empty; without FOLDER into a temporary one, which goes when the demo ends. Some rows are bad on
    purpose: each is shown with its reason.

    \b
    Examples:
      bucket-loader demo
      bucket-loader demo boatyard
    """
    from bucket_loader.runs import lay_out_demo

    keep = sys.stdin.isatty() and sys.stderr.isatty() if keep is None else keep
    with _place(folder) as place:
        pipeline = lay_out_demo(place)
        click.echo(f"the exports and the pipeline file: {place}{'' if folder else ', until the demo ends'}", err=True)
        code = 0
        try:
            click.get_current_context().invoke(rehearse, pipeline=pipeline, allow_rejected=_ALLOWED, keep=keep)
        except click.exceptions.Exit as ended:
            code = ended.exit_code
    click.echo("\n".join(_next(folder, pipeline)), err=True)
    raise click.exceptions.Exit(code)


@contextlib.contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    """Yield the folder that was asked for, or one that goes afterwards."""
    if folder is not None:
        yield folder
        return
    with TemporaryDirectory(prefix="bucket_loader-demo-") as temporary:
        yield Path(temporary)


def _next(folder: Path | None, pipeline: Path) -> Iterator[str]:
    """Return what a person may do now, as commands to paste."""
    program = _program()
    if folder is None:
        yield f"to keep the exports and the pipeline file: {program} demo FOLDER"
    else:
        yield f"to change something and see: edit {pipeline}, then\n    {program} rehearse {shlex.quote(str(pipeline))}"
    yield f"next, with an export of your own: {program} init FILE"


def _program() -> str:
    """Return what starts this program: its name where the shell finds it, else its path as it was called."""
    called = sys.argv[0]
    is_lost = shutil.which(_NAME) is None and Path(called).name == _NAME
    return shlex.quote(called) if is_lost else _NAME
