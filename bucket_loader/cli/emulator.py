"""The command `emulator`: a local Bucket API."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bucket_loader.cli.call import Call
from bucket_loader.cli.group import main
from bucket_loader.cli.options import evaluation_option, read_document
from bucket_loader.model import UsageError

if TYPE_CHECKING:
    from bucket_loader.runs import RejectedRows


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8123, show_default=True, help="0 takes a free one.")
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="NAME",
    help="A name to answer to beside `localhost` and loopback addresses; may be repeated.",
)
@click.option(
    "--secret-key", help="The secret key to accept. [default: one of this port or --data; with --port 0 a random one]"
)
@click.option("--publishable-key", help="The publishable key to accept. [default: likewise]")
@click.option("--features", type=click.Path(path_type=Path), help="A file with the body of GET /features.")
@click.option(
    "--features-from",
    metavar="URL",
    help="Before that, write the file: read the definitions of the Bucket environment whose secret key is in "
    "BUCKET_SECRET_KEY, from https://front.bucket.co or another address.",
)
@click.option("--faults", help="What should go wrong, as JSON or a file.")
@click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path),
    help="Keep what is loaded in this folder. [default: in memory]",
)
@click.option(
    "--state",
    "state_dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Show on the page also the rows that the loader itself rejected: FOLDER is where its runs keep their state, "
    "for example .bucket_loader.",
)
@click.option(
    "--ends-with-stdin",
    is_flag=True,
    help="Also end when stdin, a pipe, does: a program that starts an emulator does not leave it behind.",
)
@evaluation_option
@click.option("--strict", is_flag=True, help="Refuse what Bucket takes, and then drops or changes without an error.")
@click.pass_obj
def emulator(
    call: Call,
    /,
    features_from: str | None,
    state_dir: Path | None,
    **words: Any,  # noqa: ANN401  # what `serve` takes
) -> None:
    """Run a local Bucket API, and print its address and keys as one JSON line.

    \b
    Examples:
      bucket-loader emulator
      bucket-loader emulator --port 0 --faults \\
        '{"faults": [{"kind": "status", "status": 500, "rate": 0.05}]}'
      bucket-loader emulator --evaluation 2025
      bucket-loader emulator --state .bucket_loader
      bucket-loader emulator --features features.json --features-from https://front.bucket.co
    """
    from bucket_loader.emulator import serve

    if features_from is not None:
        _save_features(call, features_from, words["features"])
    if state_dir is not None:
        words["rejected"] = _rejected_rows(call, state_dir)
    serve(**words | {"faults": read_document(words["faults"])})


def _rejected_rows(call: Call, folder: Path) -> "RejectedRows":
    from bucket_loader.runs import RejectedRows

    if not folder.exists():
        call.say(f"there is no {folder} yet; the page shows what is rejected as soon as there is")
    return RejectedRows(folder)


def _save_features(call: Call, base_url: str, file: Path | None) -> None:
    from bucket_loader.runs import save_features

    if file is None:
        raise UsageError("--features-from needs a file to write", hint="name it with --features FILE")
    call.say(save_features(base_url, file))
