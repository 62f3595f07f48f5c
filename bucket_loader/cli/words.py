"""Words that nothing on the command line is called: what was meant, or where it is to be found."""

from typing import Final

import click

from bucket_loader.model import UsageError, did_you_mean, nearest

# What other tools have an option for, and where it is here.
_INSTEAD: Final = {
    option: advice
    for options, advice in {
        "--dry-run --dryrun --noop -n": "`bucket-loader plan PIPELINE` says what a run would send, and sends nothing",
        "--config --file --pipeline -c -f": "the pipeline file needs no option: `bucket-loader run PIPELINE`",
        "--verbose -v --debug": "a command says what it does anyway; `--log-format json` says everything",
        "--key --api-key --token --secret-key": "the key comes from the environment: export BUCKET_SECRET_KEY=...",
        "--url --host --base-url": "the address stands in the pipeline file, which may refer to BUCKET_BASE_URL",
        "--output -o": "`--json` prints the summary as JSON on stdout; `--metrics FILE` writes the numbers",
        "--force --full-refresh": "`--full` sends every user and company again",
        "--select --only --table": "`--stream NAME` takes this stream alone",
        "--since --from --start": "`--interval-start TIME --interval-end TIME`, where the source uses the interval",
    }.items()
    for option in options.split()
}


class Word(click.Choice[str]):
    """One of some words; another one is refused with the word that was meant."""

    def get_invalid_choice_message(self, value: object, ctx: click.Context | None) -> str:  # noqa: ARG002  # click's
        """Return what to say of a word that is none of them."""
        meant = nearest(str(value), self.choices)
        advice = "" if meant is None else f"; did you mean `{meant}`?"
        return f"`{value}` is none of {', '.join(self.choices)}{advice}"


def chosen_form(form: str | None, *, as_json: bool) -> str:
    """Return how something is printed: as `--format` says, or `--json`; else as text.

    Raises:
        UsageError: the two disagree.
    """
    if as_json and form not in {None, "json"}:
        raise UsageError(f"--json prints JSON, and --format says {form}", hint="give one of the two")
    return "json" if as_json else form or "text"


def unknown_command(ctx: click.Context, word: str, known: list[str]) -> UsageError:
    """Return what to say of a command that there is not."""
    return UsageError(
        f"`{ctx.command_path}` has no command `{word}`",
        hint=did_you_mean(word, known, f"`{ctx.command_path} --help` lists them"),
    )


def in_our_words(error: click.UsageError) -> UsageError:
    """Return what click objects to, with what to do next."""
    path = "bucket-loader" if error.ctx is None else error.ctx.command_path
    listed = f"`{path} --help` shows how it is called"
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        known = [name for param in error.ctx.command.get_params(error.ctx) for name in param.opts]
        hint = did_you_mean(error.option_name, [name for name in known if name.startswith("--")], listed)
        return UsageError(f"`{path}` has no option `{error.option_name}`", hint=_INSTEAD.get(error.option_name, hint))
    message = " ".join(error.format_message().rstrip(".").split()).replace("a valid integer range", "a whole number")
    return UsageError(message[:1].lower() + message[1:], hint="" if "did you mean" in message else listed)
