"""The group that all commands are in, and what becomes of an error: a message and its exit code.

Exit codes (DESIGN section 5): 0 done, 2 a mistake and nothing sent, 3 some rows rejected, 4 stopped by a limit,
5 the key or the host is refused, 75 run again later, 130 and 143 interrupted, 1 a bug.
"""

import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from bucket_loader import __version__
from bucket_loader.cli.call import Call
from bucket_loader.cli.pipelines import SUFFIXES
from bucket_loader.cli.stdout import lenient_stdout, refusal
from bucket_loader.cli.words import in_our_words, unknown_command
from bucket_loader.model import BucketLoaderError, ThreadsError, UsageError, nearest, require_utf8

EXIT_CODES: Final = {
    "0": "all delivered, or nothing to do",
    "2": "a mistake in the command, the file, the sources or the state; nothing was sent",
    "3": "finished, and some rows were rejected; or `check` finds more of them than `limits:` allow; or not all is as "
    "`rehearse --assert` expects; or the file is not as `exposures --check` expects",
    "4": "stopped by `limits:` or a `require:`, or because the API refuses everything",
    "5": "the key was refused, or what answers is not Bucket: do not retry",
    "10": "`plan --exit-10-when-changes`: there is something to send",
    "75": "run again later: an outage lasted longer than patience, another copy is running, or the disk lacks room",
    "129, 130, 143": "interrupted, drained; running again continues",
    "1": "a bug: please report it with its traceback",
}
VARIABLES: Final = {
    "BUCKET_SECRET_KEY": "the key; the pipeline file refers to it",
    "BUCKET_BASE_URL": "the address of the API, where the pipeline file refers to it",
    "BUCKET_LOADER_STATE": "as --state: where the memory of runs is kept",
    "BUCKET_LOADER_METRICS": "as --metrics: a file for Prometheus",
    "BUCKET_LOADER_LOG_FORMAT": "as --log-format: text or json",
    "NO_COLOR": "no colours",
}
_OURS: Final = "BUCKET_LOADER_"

# The families of commands, in the order of `--help`: the files of this folder that hold them.
FAMILIES: Final = {
    "Start": ("demo", "start", "exposures", "emulator", "completion"),
    "Run": ("run", "impact"),
    "Look back": ("look_back", "history", "explain", "reporting", "features"),
    "Repair": ("repair", "forget"),
}


class Family(click.Group):
    """A group of commands: what is none of them is refused with the one that was meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the words begin with."""
        if args[0] not in self.commands and not ctx.resilient_parsing:
            raise unknown_command(ctx, args[0], list(self.commands))
        return super().resolve_command(ctx, args)


class Group(Family):
    """Turns our errors into a message and their exit code; a bug keeps its traceback, unless stderr is JSON."""

    group_class = Family

    def main(self, *words: Any, **options: Any) -> Any:  # noqa: ANN401  # click's own signature
        """Start, with a stdout that stops nothing."""
        with lenient_stdout():
            return super().main(*words, **options)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remember the words: how stderr is written has to be known before they are understood. None asks for help."""
        from bucket_loader.reporting import Output

        ctx.meta["words"] = tuple(args)
        try:
            return super().parse_args(ctx, args or ["--help"])
        except click.UsageError as error:
            with Output(_form(ctx)) as output:
                _refuse(Call(output), ctx, error)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by their families, each with the whole of its first sentence."""
        for title, files in FAMILIES.items():
            found = [name for file in files for name, command in self.commands.items() if _file_of(command) == file]
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(limit=500)) for name in found])

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """List the variables that are read, and how a command may end."""
        for title, table in {"Environment variables": VARIABLES, "Exit codes": EXIT_CODES}.items():
            with formatter.section(title):
                formatter.write_dl(list(table.items()))

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # click's own signature
        """Run the command."""
        from bucket_loader.reporting import CommandInterrupted, Complaint, Output

        with Output(_form(ctx)) as output:
            ctx.obj = call = Call(output)
            try:
                _require_folder()
                _warn_of_variables(call)
                for number, word in enumerate(ctx.meta["words"], start=1):
                    require_utf8(word, f"word {number} of the command line")
                return super().invoke(ctx)
            except BucketLoaderError as error:
                call.fail(error)
            except (KeyboardInterrupt, click.Abort):  # before a run listens to it, or after; at a question, Ctrl-D too
                output.tell(CommandInterrupted(128 + signal.SIGINT))
                sys.exit(128 + signal.SIGINT)
            except click.exceptions.Exit:
                raise
            except click.UsageError as error:
                _refuse(call, ctx, error)
            except Exception as error:
                _crashed(call, error)
                raise
            finally:
                if (why := refusal()) is not None:
                    output.tell(Complaint(f"stdout does not take what is written to it: {why}"))


def _require_folder() -> None:
    """Refuse to work in a folder that was removed: no path leads anywhere from there.

    Raises:
        UsageError: it was.
    """
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UsageError("the current folder was removed", hint="`cd` into one that is there") from None


def _refuse(call: Call, ctx: click.Context, error: click.UsageError) -> NoReturn:
    """End with what is wrong with the words; a command that a hint names has the file that is among them."""
    words = [word.rpartition("=")[2] for word in ctx.meta["words"]]
    files = [word for word in words if Path(word).suffix in SUFFIXES]
    call.output.commands.pipeline = shlex.join(files[:1])
    call.fail(in_our_words(error))


def _form(ctx: click.Context) -> str:
    from bucket_loader.reporting import asked_for

    return asked_for(ctx.meta["words"], os.environ)


def _file_of(command: click.Command) -> str:
    """Return the file that a command stands in."""
    return str(getattr(command.callback, "__module__", "")).rpartition(".")[2]


def _warn_of_variables(call: Call) -> None:
    """Say that nothing reads a variable whose name is nearly one of ours."""
    known = [name.removeprefix(_OURS) for name in VARIABLES if name.startswith(_OURS)]
    for name in os.environ:
        meant = nearest(name.removeprefix(_OURS), known, likeness=0.75) if name.startswith(_OURS) else None
        if meant is not None and name not in VARIABLES:
            call.say(f"warning: nothing reads the variable {name}; did you mean `{_OURS}{meant}`?")


def _crashed(call: Call, error: Exception) -> None:
    """Say what happened, and end, where it is not for a traceback to say."""
    from bucket_loader.reporting import CommandCrashed

    if str(error) == ThreadsError.REFUSED:
        call.fail(ThreadsError())
    call.output.tell(CommandCrashed(error))
    if call.output.is_json:
        sys.exit(1)


@click.group(
    "bucket-loader",
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="bucket-loader")
def main() -> None:
    """Load what a company knows into Bucket: users, companies, events and feedback, every row accounted for.

    \b
    A first evening:
      bucket-loader init accounts.csv -o accounts.yaml  a first pipeline file
      bucket-loader rehearse                            all of it, locally
      bucket-loader check                               is all as it says?
      bucket-loader run                                 for real
    """
