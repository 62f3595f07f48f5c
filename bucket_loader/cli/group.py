"""The group that all commands are in, and what becomes of an error: a message and its exit code.

Exit codes (DESIGN section 5): 0 done, 2 a mistake and nothing sent, 3 some rows rejected, 4 stopped by a limit,
5 the key or the host is refused, 75 run again later, 130 and 143 interrupted, 1 a bug.
"""

import os
import signal
import sys
from typing import Any

import click

from bucket_loader import __version__
from bucket_loader.cli.call import Call
from bucket_loader.cli.stdout import lenient_stdout, refusal
from bucket_loader.model import BucketLoaderError, ThreadsError, UsageError, require_utf8

EXIT_CODES = """\b
Exit codes:
  0    all delivered, or nothing to do
  2    a mistake in the command, the file, the sources or the state; nothing was sent
  3    finished, and some rows were rejected; or not all is as `rehearse --assert` expects
  4    stopped by `limits:`, or because the API refuses everything
  5    the key was refused, or what answers is not Bucket: do not retry
  75   run again later: an outage lasted longer than patience, another copy is running, or the disk lacks room
  130, 143  interrupted, drained; running again continues
  1    a bug: please report it with its traceback"""


class Group(click.Group):
    """Turns our errors into a message and their exit code; a bug keeps its traceback, unless stderr is JSON."""

    def main(self, *words: Any, **options: Any) -> Any:  # noqa: ANN401  # click's own signature
        """Start, with a stdout that stops nothing."""
        with lenient_stdout():
            return super().main(*words, **options)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remember the words: how stderr is written has to be known before they are understood."""
        ctx.meta["words"] = tuple(args)
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, each with the whole of its first sentence."""
        with formatter.section("Commands"):
            names = self.list_commands(ctx)
            formatter.write_dl([(name, self.commands[name].get_short_help_str(limit=500)) for name in names])

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # click's own signature
        """Run the command."""
        from bucket_loader.reporting import CommandInterrupted, Complaint, Output, asked_for

        with Output(asked_for(ctx.meta["words"], os.environ)) as output:
            ctx.obj = call = Call(output)
            try:
                for number, word in enumerate(ctx.meta["words"], start=1):
                    require_utf8(word, f"word {number} of the command line")
                return super().invoke(ctx)
            except BucketLoaderError as error:
                call.fail(error)
            except KeyboardInterrupt:  # before a run listens to it, or after
                output.tell(CommandInterrupted(128 + signal.SIGINT))
                sys.exit(128 + signal.SIGINT)
            except (click.exceptions.Exit, click.Abort):
                raise
            except click.UsageError as error:
                if not output.is_json:
                    raise
                call.fail(UsageError(error.format_message()))
            except Exception as error:
                _crashed(call, error)
                raise
            finally:
                if (why := refusal()) is not None:
                    output.tell(Complaint(f"stdout does not take what is written to it: {why}"))


def _crashed(call: Call, error: Exception) -> None:
    """Say what happened, and end, where it is not for a traceback to say."""
    from bucket_loader.reporting import CommandCrashed

    if str(error) == ThreadsError.REFUSED:
        call.fail(ThreadsError())
    call.output.tell(CommandCrashed(error))
    if call.output.is_json:
        sys.exit(1)


@click.group(
    cls=Group, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="bucket-loader")
def main() -> None:
    """Load what a company knows into Bucket: users, companies, events and feedback, every row accounted for.

    \b
    A first evening:
      bucket-loader init accounts.csv > accounts.yaml    look at a file, write a first pipeline
      bucket-loader check accounts.yaml                  is everything as the file says?
      bucket-loader rehearse accounts.yaml               the whole run, into a local Bucket
      bucket-loader run accounts.yaml                    for real
    """
