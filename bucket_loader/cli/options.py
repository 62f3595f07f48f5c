"""What words may mean, and the options that several commands share.

The name of an option of a run is the name of its field in `RunOptions`.
"""

import functools
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click

from bucket_loader.cli.pipelines import RUN, PipelineArgument, PipelineFile, stream_names
from bucket_loader.cli.warmup import import_libraries
from bucket_loader.cli.words import Word
from bucket_loader.model import EDITIONS, UsageError

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]


class Moment(click.ParamType[datetime]):
    """A moment: ISO 8601, with a zone, or UTC where it has none."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read the moment."""
        if isinstance(value, datetime):
            return value
        from bucket_loader.model import read_time

        try:
            return read_time(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time; write for example 2026-01-31 or 2026-01-31T08:00:00Z", param, ctx)


class Place(click.ParamType[str]):
    """A place of the state. The variable may hold several."""

    name = "place"

    def split_envvar_value(self, rv: str) -> list[str]:
        """Return the places that the variable holds."""
        from bucket_loader.runs import places_in

        return places_in(rv)


def read_document(text: str | None) -> Any:  # noqa: ANN401  # JSON of any shape
    """Return the JSON that an option is, or that the file holds which it names.

    Raises:
        UsageError: it is none, or the file cannot be read.
    """
    if text is None:
        return None
    try:
        return json.loads(text if text.lstrip().startswith(("{", "[")) else Path(text).read_text("utf-8"))
    except OSError as error:
        raise UsageError(
            f"cannot read {text}: {error.strerror}", hint="paths start from where the command runs"
        ) from None
    except ValueError as error:
        raise UsageError(f"is not JSON: {error}", hint="quote it for the shell, or give a file") from None


def spelt(name: str, *value: object) -> str:
    """Return an option as the command line spells it: `--as-of`, or `--limit 5` with its value."""
    return " ".join(["--" + name.replace("_", "-"), *map(str, value)])


def all_of(*options: Decorator[Any]) -> Decorator[Any]:
    """Return one decorator that adds several options; `--help` lists them in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _starts_with_libraries(command: Command) -> Command:
    @functools.wraps(command)
    def started(*arguments: Any, **words: Any) -> Any:  # noqa: ANN401  # click's own
        import_libraries()
        return command(*arguments, **words)

    return cast("Command", started)


pipeline_argument: Final = click.argument("pipeline", cls=PipelineArgument, type=PipelineFile(), required=False)
run_argument: Final = click.argument(RUN, metavar="RUN")
streams_option: Final = click.option(
    "--stream", "streams", multiple=True, shell_complete=stream_names, help="Only this stream; may be repeated."
)
patience_option: Final = click.option(
    "--patience", metavar="DURATION", help="How long to wait in an outage, for example 10s or 2h."
)
wait_option: Final = click.option(
    "--wait-for-lock",
    metavar="DURATION",
    help="How long to wait for another copy to end. [default: do not wait, exit 75]",
)
metrics_option: Final = click.option(
    "--metrics", type=click.Path(path_type=Path), envvar="BUCKET_LOADER_METRICS", show_envvar=True, metavar="FILE",
    help="Replace this file (*.prom) with the run's numbers, for Prometheus.",
)  # fmt: skip


lineage_option: Final = click.option(
    "--lineage", metavar="URL|FILE",
    help="Send OpenLineage events there, or add them to a file. [default: as OPENLINEAGE_URL and the other variables "
         "of its client say]",
)  # fmt: skip


def output_option(does: str) -> Decorator[Any]:
    """Return the option `-o`, for a command that prints a file where it is not given."""
    path = click.Path(path_type=Path, dir_okay=False)
    return click.option("-o", "--output", "file", type=path, metavar="FILE", help=does)


def allow_rejected_option(what: str = "rejected rows still count as success (exit 0)") -> Decorator[Any]:
    """Return the option `--allow-rejected`."""
    return click.option("--allow-rejected", metavar="N|%", help=f"This many {what}.")


engine_option: Final = click.option(
    "--engine", type=Word(["local", "spark"]),
    help="What makes the plan: this machine, or the tasks of a Spark session (the one that SPARK_REMOTE names, or that "
    "spark-submit started, or a local one). [default: local]",
)  # fmt: skip
retry_option: Final = click.option(
    "--retry-refused/--no-retry-refused", default=None,
    help="Whether to send rows again that were refused before and have not changed. [default: once a day]",
)  # fmt: skip


processes_option: Final = click.option(
    "--processes", type=click.IntRange(min=1), metavar="N",
    help="Plan in so many processes of this machine. They take as many times the memory of one. [default: what helps]",
)  # fmt: skip

# Every command has these that works on a state; it begins with the libraries that all of them use.
state_options: Final = all_of(
    click.option("--state", type=Place(), multiple=True, envvar="BUCKET_LOADER_STATE", metavar="PLACE",
                 show_envvar=True,
                 help="Where the memory of runs is kept: a folder; or postgresql://... for the ledger, and with it "
                 "s3://... for the files. May be repeated. [default: .bucket_loader beside the pipeline file]"),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line of stdout."),
    click.option("--quiet", "-q", is_flag=True, help="Say nothing when all goes well."),
    click.option("--log-format", type=Word(["text", "json"]), envvar="BUCKET_LOADER_LOG_FORMAT",
                 default="text", show_default=True, expose_value=False, show_envvar=True,
                 help="How stderr is written: text for people, or one JSON object a line."),
    _starts_with_libraries,
)  # fmt: skip

restored_option: Final = click.option(
    "--accept-restored", is_flag=True,
    help="Continue from a state that is an old copy: what was delivered since is not known, and events are sent again.",
)  # fmt: skip

plan_options: Final = all_of(
    click.option("--as-of", type=Moment(),
                 help="The time for records that have no time of their own. [default: the interval's end, or now]"),
    click.option("--interval-start", type=Moment(),
                 help="The start of the interval: `:interval_start` in queries and paths."),
    click.option("--interval-end", type=Moment(), help="The end of the interval, not included: `:interval_end`."),
    streams_option,
    click.option("--limit", type=click.IntRange(min=1),
                 help="Read at most this many rows of each stream. No cursor moves, nothing is removed."),
    click.option("--full", is_flag=True,
                 help="Send every user and company, changed or not. Events that were sent are not sent again."),
    click.option("--expect-state", is_flag=True,
                 help="Refuse to start when there is no state of an earlier run: it may have been lost."),
    click.option("--key-rotated", is_flag=True,
                 help="Accept a new key: the key was replaced, and the environment is still the same."),
)  # fmt: skip

run_options: Final = all_of(
    click.option("--accept-changes", is_flag=True,
                 help="Continue although the source is empty or more has changed than `limits:` allow. "
                      "It lifts neither `rejected` nor `fresh`."),
    click.option("--accept-flips", is_flag=True,
                 help="Continue although more features change, or more answers are unknown, than `limits:` allow."),
    click.option("--impact", is_flag=True,
                 help="Say which features change, and hold some predictions against the API once the run is done."),
    click.option("--accept-mapping", is_flag=True,
                 help="Continue although the mapping of events has changed: without `key:` all rows are sent; with it, "
                      "rows whose key is known stay as they were sent."),
    click.option("--allow-held", is_flag=True,
                 help="Records that are held for a person do not keep the run from being done."),
    click.option("--exit-6-when-held", is_flag=True,
                 help="Exit 6 instead of 75 when only records that are held for a person are left: running again "
                      "cannot help."),
    allow_rejected_option(),
    patience_option,
    click.option("--exit-99-when-empty", is_flag=True, help="Exit 99 when there was nothing to do."),
)  # fmt: skip


evaluation_option: Decorator[Any] = click.option(
    "--evaluation",
    type=Word(EDITIONS),
    default="2026",
    show_default=True,
    help="How the emulator evaluates rules and keeps lists: as the API does since autumn 2026, or as before.",
)
