"""The command line: words in, one call of the line, words out. What is heavy is imported by the command that needs it.

Exit codes (DESIGN section 5): 0 done, 2 a mistake and nothing sent, 3 some rows rejected, 4 stopped by a limit,
5 the key or the host is refused, 75 run again later, 130 and 143 interrupted, 1 a bug.
"""

import functools
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from bucket_loader import __version__
from bucket_loader.cli.warmup import import_libraries
from bucket_loader.model import BucketLoaderError, UsageError

if TYPE_CHECKING:
    from bucket_loader.config import Pipeline
    from bucket_loader.reporting import Output, Reporter, Summary
    from bucket_loader.runs import Job, RunOptions

Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_CODES = """\b
Exit codes:
  0    all delivered, or nothing to do
  2    a mistake in the command, the file, the sources or the state; nothing was sent
  3    finished, and some rows were rejected
  4    stopped by `limits:`, or because the API refuses everything
  5    the key was refused, or what answers is not Bucket: do not retry
  75   run again later: an outage outlived patience, or another copy is running
  130, 143  interrupted, drained; running again continues
  1    a bug: please report it with its traceback"""


class Moment(click.ParamType[datetime]):
    """A moment: ISO 8601, with a zone, or UTC where it has none."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read the moment."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time; write for example 2026-01-31 or 2026-01-31T08:00:00Z", param, ctx)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


class Place(click.ParamType[str]):
    """A place of the state. In the variable several are parted by blanks; a single folder may hold blanks."""

    name = "place"

    def split_envvar_value(self, rv: str) -> list[str]:
        """Part what the variable holds."""
        return rv.split() if "://" in rv else [rv]


class Group(click.Group):
    """Turns our errors into a message and their exit code; a bug keeps its traceback, unless stderr is JSON."""

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
        from bucket_loader.reporting import json_lines as logs

        ctx.meta["began"] = time.monotonic()
        with logs.Output(logs.asked_for(ctx.meta["words"], os.environ)) as output:
            ctx.meta["output"] = output
            try:
                return super().invoke(ctx)
            except BucketLoaderError as error:
                _fail(ctx, error)
            except KeyboardInterrupt:  # before a run listens to it, or after
                _measure(ctx, 128 + signal.SIGINT)
                sys.exit(128 + signal.SIGINT)
            except BrokenPipeError:
                sys.stderr.close()
                ctx.exit(0)
            except (click.exceptions.Exit, click.Abort):
                raise
            except click.UsageError as error:
                if not output.is_json:
                    raise
                _fail(ctx, UsageError(error.format_message()))
            except Exception as error:
                output.release()
                _measure(ctx, 1)
                if not output.is_json:
                    raise
                logs.crashed(error)
                sys.exit(1)


def _fail(ctx: click.Context, error: BucketLoaderError) -> None:
    output: Output = ctx.meta["output"]
    output.failed(error)
    _measure(ctx, error.exit_code)
    if ctx.meta.get("as_json"):
        found = {"status": "failed", "exit_code": error.exit_code,
                 "error": {"message": error.message, "hint": error.hint}}  # fmt: skip
        click.echo(json.dumps(found))
    sys.exit(error.exit_code)


def _measure(ctx: click.Context, exit_code: int, summaries: "Sequence[Summary] | None" = None) -> None:
    """Write the metrics, where they were asked for. That they cannot be written does not change how the run ended."""
    textfile = ctx.meta.get("metrics")
    if textfile is None:
        return
    from bucket_loader.reporting import LastRun, together

    if summaries is None:
        run = LastRun(exit_code, time.monotonic() - ctx.meta["began"])
    else:
        streams = [streams for one in summaries for streams in (one.streams, *(old.streams for old in one.resumed))]
        run = LastRun(
            exit_code,
            sum(one.seconds for one in summaries),
            together(streams),
            sum(one.requests for one in summaries),
            sum(one.retries for one in summaries),
        )
    try:
        textfile.write(run)
    except OSError as error:
        ctx.meta["output"].complain(f"the metrics cannot be written to {textfile.path}: {error.strerror}")


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


def _state_options(command: Command) -> Command:
    """Give a command the options that all have that work on a state; it begins with what they all import."""

    @functools.wraps(command)
    def begun(*arguments: Any, **words: Any) -> Any:  # noqa: ANN401  # click's own
        import_libraries()
        return command(*arguments, **words)

    wrapped = cast("Command", begun)
    for option in reversed((
        click.option("--state", type=Place(), multiple=True, envvar="BUCKET_LOADER_STATE", metavar="PLACE",
                     help="Where the memory of runs lies: a folder; postgresql://... for the ledger, and with it "
                     "s3://... for the files. May be repeated. [default: .bucket_loader beside the pipeline file]"),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line of stdout."),
        click.option("--quiet", "-q", is_flag=True, help="Say nothing when all goes well."),
        click.option("--log-format", type=click.Choice(["text", "json"]), envvar="BUCKET_LOADER_LOG_FORMAT",
                     default="text", show_default=True, expose_value=False, show_envvar=True,
                     help="What stderr is: lines for people, or JSON objects, one a line."),
    )):  # fmt: skip
        wrapped = option(wrapped)
    return wrapped


_wait_option = click.option(
    "--wait-for-lock", metavar="DURATION", help="Wait so long for another copy to end. [default: refuse, exit 75]"
)


_metrics_option = click.option(
    "--metrics", type=click.Path(path_type=Path), envvar="BUCKET_LOADER_METRICS", show_envvar=True,
    metavar="FILE",
    help="Replace this file (*.prom) with the run's numbers, for Prometheus.",
)  # fmt: skip


def _plan_options(command: Command) -> Command:
    for option in reversed((
        click.option("--as-of", type=Moment(),
                     help="The time that records without one get. [default: the interval's end, or now]"),
        click.option("--interval-start", type=Moment(),
                     help="From when; bound as :interval_start in queries and paths."),
        click.option("--interval-end", type=Moment(), help="Until when, itself not included; bound as :interval_end."),
        click.option("--stream", "streams", multiple=True, help="Only this stream; may be repeated."),
        click.option("--limit", type=click.IntRange(min=1),
                     help="Read only so many rows of each stream; no cursor moves, nothing is removed."),
        click.option("--full", is_flag=True,
                     help="Send every user and company, changed or not; never what was appended before."),
        click.option("--expect-state", is_flag=True,
                     help="Refuse to start without the state of an earlier run: it may have been lost."),
        click.option("--key-rotated", is_flag=True,
                     help="Accept another key than before: it was replaced, the environment is the same."),
    )):  # fmt: skip
        command = option(command)
    return command


def _run_options(command: Command) -> Command:
    for option in reversed((
        click.option("--accept-changes", is_flag=True, help="Go on although more has changed than `limits:` allow."),
        click.option("--accept-mapping", is_flag=True,
                     help="Go on although a stream without `key:` is mapped anew, and send all its rows."),
        click.option("--allow-rejected", metavar="N|%", help="So many rejected rows still count as success (exit 0)."),
        click.option("--patience", metavar="DURATION", help="How long to wait out an outage, for example 10s or 2h."),
        click.option("--exit-99-when-empty", is_flag=True, help="Exit 99 when there was nothing to do."),
    )):  # fmt: skip
        command = option(command)
    return command


@main.command()
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.option(
    "--plan", "plan", type=click.Path(path_type=Path), help="Send exactly this plan: the folder that `plan` named."
)
@_plan_options
@_run_options
@_wait_option
@_state_options
@_metrics_option
@click.pass_context
def run(ctx: click.Context, /, pipeline: Path, **words: Any) -> None:  # noqa: ANN401  # click's own
    """Finish what an earlier run left, plan what is to be sent, and send it.

    \b
    Examples:
      bucket-loader run nightly.yaml
      bucket-loader run usage.yaml --interval-start 2026-01-01 --interval-end 2026-01-02
      bucket-loader run nightly.yaml --allow-rejected 1% --patience 10s --json
    """
    from bucket_loader.runs import run as run_job

    job = _job(ctx, pipeline, words)
    _end(ctx, job, run_job(job))


def _print_json(ctx: click.Context, found: object) -> None:
    """Write what programs read; when nobody takes it, what has happened has happened all the same."""
    try:
        click.echo(json.dumps(found))
    except OSError as error:
        ctx.meta["output"].complain(f"the summary cannot be written to stdout: {error.strerror}")
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  # so that nothing is flushed at exit


def _end(ctx: click.Context, job: "Job", summary: "Summary") -> None:
    if summary.exit_code:
        ctx.meta["output"].release()
    job.reporter.ended(summary)
    _measure(ctx, summary.exit_code, [summary])
    if ctx.meta["as_json"]:
        _print_json(ctx, summary.as_json())
    ctx.exit(summary.exit_code)


@main.command()
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.option("--from", "start", type=Moment(), required=True, help="Where the history begins.")
@click.option("--to", "end", type=Moment(), required=True, help="Where it ends; not loaded itself.")
@click.option("--every", metavar="WINDOW", default="month", show_default=True,
              help="hour, day, week, month, quarter, year, or a duration such as 6h.")  # fmt: skip
@click.option(
    "--again", is_flag=True, help="Read windows that were loaded before once more; what was sent is not sent twice."
)
@click.option("--stream", "streams", multiple=True, help="Only this stream; may be repeated.")
@click.option("--allow-rejected", metavar="N|%", help="So many rejected rows of a window still count as success.")
@click.option("--patience", metavar="DURATION", help="How long to wait out an outage, for example 10s or 2h.")
@_wait_option
@_state_options
@_metrics_option
@click.pass_context
def backfill(ctx: click.Context, /, pipeline: Path, start: datetime, end: datetime, every: str, **words: Any) -> None:  # noqa: ANN401  # click's own
    """Load the history of events and feedback in windows, each a run of its own.

    Each window is bound as :interval_start and :interval_end. Interrupted, the same command goes on where it stopped;
    what a window has sent is not sent again.

    \b
    Examples:
      bucket-loader backfill events.yaml --from 2022-01-01 --to 2024-01-01 --every month
      bucket-loader backfill events.yaml --from 2024-01-01 --to 2024-02-01 --every day --again
    """
    from bucket_loader.runs import backfill as backfilling

    again = words.pop("again")
    job = _job(ctx, pipeline, words)
    found = backfilling.backfill(job, start, end, every, again=again)
    summaries = [summary for _, summary in found.done]
    if found.exit_code:
        ctx.meta["output"].release()
    job.reporter.windows_ended(summaries, skipped=found.skipped, exit_code=found.exit_code)
    _measure(ctx, found.exit_code, summaries)
    if ctx.meta["as_json"]:
        _print_json(ctx, found.as_json())
    ctx.exit(found.exit_code)


@main.command()
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.option("--show", type=click.IntRange(min=0), default=0, help="Print so many records of each stream, on stderr.")
@_plan_options
@_wait_option
@_state_options
@click.pass_context
def plan(ctx: click.Context, /, pipeline: Path, show: int, **words: Any) -> None:  # noqa: ANN401  # click's own
    """Do everything but send, and say what `run` would do.

    \b
    Examples:
      bucket-loader plan nightly.yaml --show 5
      bucket-loader run nightly.yaml --plan .bucket_loader/.../plans/20260101T030000000Z
    """
    from bucket_loader.runs import inspect as inspection

    job = _job(ctx, pipeline, words)
    planned, streams = inspection.plan(job)
    inspection.tell_plan(job.reporter, planned, streams, show=show)
    job.reporter.say(f"the plan: {planned.folder}")
    if ctx.meta["as_json"]:
        _print_json(ctx, inspection.plan_as_json(planned, streams))


@main.command()
@click.argument("pipeline", type=click.Path(path_type=Path))
@_plan_options
@_state_options
@click.pass_context
def check(ctx: click.Context, /, pipeline: Path, **words: Any) -> None:  # noqa: ANN401  # click's own
    """Look at the file, the sources, the columns and types, the host and the key. Sends nothing.

    The first 1,000 rows of each stream are mapped, and the key is tried with a read (GET /features).

    \b
    Example:
      bucket-loader check nightly.yaml
    """
    from bucket_loader.runs import inspect as inspection

    job = _job(ctx, pipeline, words)
    found = inspection.check(job)
    if ctx.meta["as_json"]:
        click.echo(json.dumps(found))


@main.command()
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.option("--keep", is_flag=True, help="Leave the emulator running afterwards, until Ctrl-C, to look around in.")
@click.option("--faults", help="Faults for the emulator, as JSON or a file (see `emulator --help`).")
@_plan_options
@_run_options
@_state_options
@click.pass_context
def rehearse(ctx: click.Context, /, pipeline: Path, keep: bool, faults: str | None, **words: Any) -> None:  # noqa: ANN401, FBT001  # click's own
    """Do a whole run against a private emulator, with a throw-away state. Needs no key and no network.

    \b
    Examples:
      bucket-loader rehearse nightly.yaml
      bucket-loader rehearse nightly.yaml --faults faults.json
    """
    from bucket_loader.runs import rehearse as rehearsal

    file, words["state"] = pipeline, None
    options = _options(words)
    reporter = _reporter(ctx, words, throws_away=True)
    ctx.meta["as_json"] = words["as_json"]
    with rehearsal.rehearsed(file, options, reporter, patience=words["patience"], faults=_document(faults)) as (
        job,
        summary,
    ):
        output: Output = ctx.meta["output"]
        if summary.exit_code:
            output.release()
        if output.is_json:  # the summary is the last object
            rehearsal.tell(job)
        reporter.ended(summary)
        if not output.is_json:
            rehearsal.tell(job)
        if ctx.meta["as_json"]:
            _print_json(ctx, summary.as_json())
        if keep:
            rehearsal.wait(job)
    ctx.exit(summary.exit_code)


@main.command()
@click.argument("source")
@click.option(
    "--record", type=click.Choice(["user", "company", "event", "feedback"]), help="What a row is. [default: guessed]"
)
@click.option("--name", help="The pipeline's name. [default: from the source]")
def init(source: str, record: str | None, name: str | None) -> None:
    """Print a first pipeline file for SOURCE: a file of any kind, or a database URL with #table.

    It looks at the first rows, and marks what is a guess as one.

    \b
    Examples:
      bucket-loader init exports/accounts.csv > accounts.yaml
      bucket-loader init 'sqlite:///app.db#events' --record event > events.yaml
    """
    from bucket_loader.runs import init as first_pipeline

    click.echo(first_pipeline.write(source, record=record, name=name), nl=False)


@main.command()
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many runs to show.")
@click.option("--interval", nargs=2, type=Moment(), metavar="START END",
              help="What its runs have sent: counts, and a digest that is equal for equal records.")  # fmt: skip
@_state_options
@click.pass_context
def status(ctx: click.Context, /, pipeline: Path, last: int, **words: Any) -> None:  # noqa: ANN401  # click's own
    """Show past runs, newest first, and what is unfinished; or the receipts of an interval.

    \b
    Examples:
      bucket-loader status nightly.yaml --json
      bucket-loader status usage.yaml --interval 2026-01-01 2026-01-02
    """
    from bucket_loader.runs import inspect as inspection, receipts

    job, interval = _job(ctx, pipeline, words, needs_key=False), words["interval"]
    found = receipts.of_interval(job, interval) if interval else inspection.status(job, last=last)
    if ctx.meta["as_json"]:
        click.echo(json.dumps(found))
    else:
        (receipts.tell if interval else inspection.tell_status)(job.reporter, found)


@main.command()
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.argument("run_name", metavar="RUN")
@_wait_option
@_state_options
@click.pass_context
def abandon(ctx: click.Context, /, pipeline: Path, run_name: str, **words: Any) -> None:  # noqa: ANN401  # click's own
    """Close an unfinished RUN: its unsent rows return to the next plan, its unknowns stay claimed.

    \b
    Example:
      bucket-loader abandon nightly.yaml 20260101T030000000Z
    """
    from dataclasses import asdict

    from bucket_loader.runs import lifecycle as ends

    job = _job(ctx, pipeline, words, needs_key=False)
    streams = ends.abandon(job, run_name)
    pending = sum(counts.pending for counts in streams.values())
    job.reporter.say(f"run {run_name} is abandoned; {pending:,} records return to the next plan or stay claimed")
    if ctx.meta["as_json"]:
        found = {name: asdict(counts) for name, counts in streams.items()}
        click.echo(json.dumps({"run": run_name, "status": "abandoned", "streams": found}))


@main.command()
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.argument("run_name", metavar="RUN")
@_state_options
@click.pass_context
def audit(ctx: click.Context, /, pipeline: Path, run_name: str, **words: Any) -> None:  # noqa: ANN401  # click's own
    """Prove that every record of RUN is accounted for, from its plan and the ledger alone.

    \b
    Example:
      bucket-loader audit nightly.yaml 20260101T030000000Z
    """
    from bucket_loader.runs import audit as auditing

    job = _job(ctx, pipeline, words, needs_key=False)
    found = auditing.audit(job, run_name)
    if not found.findings:
        job.reporter.say(f"run {run_name} is sound: {found.records:,} records, {found.chunks:,} chunks")
    if ctx.meta["as_json"]:
        _print_json(ctx, found.as_json())
        ctx.exit(1 if found.findings else 0)
    found.raise_if_unsound()


@main.command()
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.argument("run_name", metavar="RUN")
@click.option("--chunk", "members", help="Only this chunk, as `status --json` names it.")
@click.option("--drop", is_flag=True, help="Do not send them; they go to the dead letters and stay claimed.")
@_wait_option
@_state_options
@click.pass_context
def release(ctx: click.Context, /, pipeline: Path, run_name: str, **words: Any) -> None:  # noqa: ANN401  # click's own
    """Decide what becomes of the records that RUN holds: the next run sends them, or they are dropped.

    They were sent and never answered, and their stream says `on_unknown: hold`.

    \b
    Examples:
      bucket-loader release events.yaml 20260101T030000000Z
      bucket-loader release events.yaml 20260101T030000000Z --chunk 1700-1799 --drop
    """
    from bucket_loader.runs import lifecycle as ends

    job = _job(ctx, pipeline, words, needs_key=False)
    records = ends.release(job, run_name, members=words["members"], drop=words["drop"])
    job.reporter.say(f"{records:,} records are {'dropped' if words['drop'] else 'sent again by the next run'}")
    if ctx.meta["as_json"]:
        click.echo(json.dumps({"run": run_name, "records": records, "dropped": words["drop"]}))


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--remap", is_flag=True, help="Map the rows anew, through the pipeline file as it is today.")
@click.option("--pipeline", type=click.Path(path_type=Path),
              help="The pipeline file. [default: the one whose state FILE lies in]")  # fmt: skip
@click.option("--allow-rejected", metavar="N|%", help="So many rejected rows still count as success (exit 0).")
@click.option("--patience", metavar="DURATION", help="How long to wait out an outage, for example 10s or 2h.")
@_wait_option
@_state_options
@_metrics_option
@click.pass_context
def replay(ctx: click.Context, /, file: Path, remap: bool, pipeline: Path | None, **words: Any) -> None:  # noqa: ANN401, FBT001  # click's own
    """Take up the dead letters in FILE again: as they were recorded, or through today's mapping.

    It is a run of its own: what is rejected once more goes to a new file. A dead letter is taken up once, and never
    over what a later run has sent of the same user or company. FILE may be a part of a dead-letter file.

    \b
    Examples:
      bucket-loader replay .bucket_loader/nightly@production@front.bucket.co/dead_letters/20260101T030000000Z.jsonl
      bucket-loader replay rejected.jsonl --pipeline nightly.yaml --remap
    """
    from bucket_loader.runs import replay as replaying

    if pipeline is None:
        pipeline = replaying.pipeline_file(file)
        words["state"] = (str(file.absolute().parents[2]),)
    job = _job(ctx, pipeline, words)
    _end(ctx, job, replaying.replay(job, file, remap=remap))


@main.command()
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.option("--older-than", metavar="DURATION", default="30d", show_default=True, help="What is younger stays.")
@_wait_option
@_state_options
@click.pass_context
def prune(ctx: click.Context, /, pipeline: Path, older_than: str, **words: Any) -> None:  # noqa: ANN401  # click's own
    """Remove old plans and dead letters, never what is unfinished or remembers what was sent.

    \b
    Example:
      bucket-loader prune nightly.yaml --older-than 7d
    """
    from bucket_loader.runs import lifecycle as ends

    job = _job(ctx, pipeline, words, needs_key=False)
    removed = ends.prune(job, _duration(older_than, "--older-than"))
    job.reporter.say(f"removed {removed['plans']} plans and {removed['dead_letters']} dead-letter files")
    if ctx.meta["as_json"]:
        click.echo(json.dumps(removed))


@main.command()
def schema() -> None:
    """Print the JSON Schema of the pipeline file, for editors.

    \b
    Example:
      bucket-loader schema > pipeline.schema.json
      # then, as the first line of a pipeline file:
      # yaml-language-server: $schema=pipeline.schema.json
    """
    from bucket_loader.config import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8123, show_default=True, help="0 takes a free one.")
@click.option("--secret-key", help="The secret key to accept. [default: a random one]")
@click.option("--publishable-key", help="The publishable key to accept. [default: a random one]")
@click.option("--features", type=click.Path(path_type=Path), help="A file with the body of GET /features.")
@click.option("--faults", help="What should go wrong, as JSON or a file.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Keep what is loaded in this folder. [default: in memory]"
)
def emulator(**words: Any) -> None:  # noqa: ANN401  # click's own
    """Run a local Bucket API, and print its address and keys as one JSON line.

    \b
    Examples:
      bucket-loader emulator
      bucket-loader emulator --port 0 --faults \\
        '{"faults": [{"kind": "status", "status": 500, "rate": 0.05}]}'
    """
    from bucket_loader.emulator import serve

    serve(
        host=words["host"],
        port=words["port"],
        secret_key=words["secret_key"],
        publishable_key=words["publishable_key"],
        features=words["features"],
        faults=_document(words["faults"]),
        data_dir=words["data"],
    )


@main.group()
def features() -> None:
    """Read what features are defined in Bucket, and which of them a company has. Writes nothing.

    \b
    Examples:
      bucket-loader features list nightly.yaml
      bucket-loader features evaluate nightly.yaml --company 00123 --attribute company.plan=pro
    """


def _read_options(command: Command) -> Command:
    for option in reversed((
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table, on stdout."),
        click.option("--quiet", "-q", is_flag=True, help="Say only what was asked, and what went wrong."),
    )):  # fmt: skip
        command = option(command)
    return command


@features.command("list")
@click.argument("pipeline", type=click.Path(path_type=Path))
@_read_options
@click.pass_context
def list_features(ctx: click.Context, /, pipeline: Path, **words: Any) -> None:  # noqa: ANN401  # click's own
    """Show the features that are defined where PIPELINE's destination is. Needs the secret key.

    \b
    Example:
      bucket-loader features list nightly.yaml --json
    """
    from bucket_loader.runs import features as reading

    job = _job(ctx, pipeline, words)
    found = reading.defined(job.pipeline.destination)
    if ctx.meta["as_json"]:
        click.echo(json.dumps(found))
    else:
        reading.tell_defined(job.reporter, found)


@features.command("evaluate")
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.option("--company", required=True, metavar="ID", help="The company that is asked about.")
@click.option("--user", metavar="ID", help="A user of it.")
@click.option("--attribute", "attributes", multiple=True, metavar="NAME=TEXT",
              help="More of the context, by its dotted name: company.plan=pro; may be repeated.")  # fmt: skip
@_read_options
@click.pass_context
def evaluate_features(ctx: click.Context, /, pipeline: Path, **words: Any) -> None:  # noqa: ANN401  # click's own
    """Show which features a company has: with what Bucket has stored of it, and what is given here.

    Bucket may count it as an evaluation, as it does for every application that asks.

    \b
    Examples:
      bucket-loader features evaluate nightly.yaml --company 00123
      bucket-loader features evaluate nightly.yaml --company 00123 --user u1 --attribute user.role=admin
    """
    from bucket_loader.runs import features as reading

    job = _job(ctx, pipeline, words)
    context = reading.context_of(words["company"], words["user"], words["attributes"])
    found = reading.evaluated(job.pipeline.destination, context)
    if ctx.meta["as_json"]:
        click.echo(json.dumps(found))
    else:
        reading.tell_evaluated(job.reporter, found)


# --- from words to a job -------------------------------------------------------------------------------------------


def _job(ctx: click.Context, file: Path, words: dict[str, Any], *, needs_key: bool = True) -> "Job":
    from bucket_loader.config import load_pipeline
    from bucket_loader.runs import Job

    ctx.meta["as_json"] = words["as_json"]
    reporter = _reporter(ctx, words)
    if (file_of_metrics := words.get("metrics")) is not None:
        from bucket_loader.reporting import Textfile

        ctx.meta["metrics"] = Textfile(file_of_metrics)
    # Past runs are looked at without the key; the state is found by name, host and environment.
    pipeline = load_pipeline(file, destination=None if needs_key else {"key": "pub_not-needed"})
    ctx.meta["output"].belongs_to(pipeline)
    if "metrics" in ctx.meta:
        ctx.meta["metrics"].belongs_to(pipeline.name, pipeline.destination.environment)
    return Job(
        pipeline=with_patience(pipeline, words.get("patience")),
        base=file.absolute().parent,
        options=_options(words),
        reporter=reporter,
        file=file,
        has_key=needs_key,
    )


def with_patience(pipeline: "Pipeline", patience: str | None) -> "Pipeline":
    """Give the pipeline with another patience, where the command line has one."""
    if patience is None:
        return pipeline
    destination = pipeline.destination.model_copy(update={"patience": _duration(patience, "--patience")})
    return pipeline.model_copy(update={"destination": destination})


def _options(words: dict[str, Any]) -> "RunOptions":
    from bucket_loader.config import share
    from bucket_loader.runs import RunOptions

    start, end = words.get("interval_start"), words.get("interval_end")
    if (start is None) != (end is None):
        raise UsageError("an interval has a start and an end", hint="give both --interval-start and --interval-end")
    if start is not None and end is not None and start >= end:
        raise UsageError(
            "the interval is empty: its end is not after its start", hint="is the schedule's interval set?"
        )
    allowed = words.get("allow_rejected")
    try:
        allow_rejected = share(allowed) if allowed is not None else None
    except ValueError as error:
        raise UsageError(f"--allow-rejected {allowed}: {error}") from None
    names = ("as_of", "limit", "full", "accept_changes", "accept_mapping", "expect_state", "key_rotated",
             "exit_99_when_empty", "plan", "state")  # fmt: skip
    given = {name: words[name] for name in names if words.get(name) is not None}
    if (wait := words.get("wait_for_lock")) is not None:
        given["wait_for_lock"] = _duration(wait, "--wait-for-lock")
    interval = (start, end) if start is not None and end is not None else None
    return RunOptions(
        interval=interval, streams=tuple(words.get("streams", ())), allow_rejected=allow_rejected, **given
    )


def _duration(text: str, option: str) -> float:
    from bucket_loader.config import duration_s

    try:
        return duration_s(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from None


def _reporter(ctx: click.Context, words: dict[str, Any], *, throws_away: bool = False) -> "Reporter":
    from bucket_loader.reporting import JsonReporter, Reporter, stderr_console

    output: Output = ctx.meta["output"]
    if words["quiet"]:
        output.hold()
    if output.is_json:
        return JsonReporter(quiet=words["quiet"], throws_away=throws_away)
    return Reporter(stderr_console(), quiet=words["quiet"], throws_away=throws_away)


def _document(text: str | None) -> Any:  # noqa: ANN401  # JSON of any shape
    """Read an option that is JSON, or a file of it."""
    if text is None:
        return None
    try:
        return json.loads(text if text.lstrip().startswith(("{", "[")) else Path(text).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {text}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"is not JSON: {error}", hint="quote it for the shell, or give a file") from None
