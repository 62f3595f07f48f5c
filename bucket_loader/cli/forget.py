"""The command `forget`: streams that count as new, or one user or company that is erased."""

import sys
from collections.abc import Callable
from pathlib import Path

import click

from bucket_loader.cli.call import Call
from bucket_loader.cli.group import main
from bucket_loader.cli.options import pipeline_argument, state_options, wait_option
from bucket_loader.model import UsageError


@main.command()
@pipeline_argument
@click.option("--stream", "streams", multiple=True, metavar="NAME", help="Forget only this stream; may be repeated.")
@click.option("--user", metavar="ID", help="Erase this user from all that is kept here, by its id in Bucket.")
@click.option("--company", metavar="ID", help="Erase this company likewise.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@wait_option
@state_options
@click.pass_obj
def forget(call: Call, /, *, pipeline: Path, user: str | None, company: str | None, **words: object) -> None:
    """Forget what was delivered, so that it is sent again; or erase one user or company.

    First it says how much will be sent again, or is erased, and asks. What was sent without an answer stays claimed. A
    stream of events or feedback has to be named: Bucket holds them twice afterwards. While a run is unfinished, nothing
    is forgotten.

    With --user or --company, what is known of one is erased from memory, refusals, dead letters and plans, here and in
    the store. The command says what it cannot reach.

    \b
    Examples:
      bucket-loader forget nightly.yaml --stream companies
      bucket-loader forget nightly.yaml --user u-4711 --yes
    """
    from bucket_loader.runs import Subject, erase, forget_streams

    streams = tuple(map(str, words.pop("streams")))  # type: ignore[call-overload]
    if bool(user is not None) + bool(company is not None) + bool(streams) > 1:
        raise UsageError("give one of --stream, --user and --company", hint="each is a matter of its own")
    if "" in {user, company}:
        raise UsageError("an id is empty", hint="give the id as Bucket has it")
    job, agreed = call.job(pipeline, words, needs_key=False), _agreed(yes=bool(words["yes"]))
    if user is not None:
        call.answer(erase(job, Subject("userId", user), agreed))
    elif company is not None:
        call.answer(erase(job, Subject("companyId", company), agreed))
    else:
        call.answer(forget_streams(job, streams, agreed))


def _agreed(*, yes: bool) -> Callable[[], bool]:
    """Return what asks a person, unless that is answered already."""

    def ask() -> bool:
        if yes:
            return True
        if sys.stdin is None or not sys.stdin.isatty():
            raise UsageError("nobody is here to ask", hint="--yes says that it is meant")
        try:
            return click.confirm("Go on?", err=True)
        except click.Abort:  # Ctrl-C and Ctrl-D mean no
            click.echo(err=True)
            return False

    return ask
