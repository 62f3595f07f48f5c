"""Commands that plan and send: `run`, `plan`, `backfill`."""

from datetime import datetime
from pathlib import Path
from typing import Final

import click

from bucket_loader.cli.call import Call
from bucket_loader.cli.diff import asked_diff, diff_options, write_diff
from bucket_loader.cli.group import main
from bucket_loader.cli.options import (
    Moment,
    allow_rejected_option,
    engine_option,
    lineage_option,
    metrics_option,
    patience_option,
    pipeline_argument,
    plan_options,
    processes_option,
    restored_option,
    retry_option,
    run_argument,
    run_options,
    state_options,
    streams_option,
    wait_option,
)
from bucket_loader.cli.reporting import Reported, report_option
from bucket_loader.model import UsageError

_CHANGES: Final = 10


@main.command()
@pipeline_argument
@click.option("--plan", type=click.Path(path_type=Path), help="Send exactly this plan: the folder that `plan` named.")
@click.option("--max-age", metavar="DURATION", help="Refuse a --plan that is older, for example 24h.")
@click.option("--senders", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="Send with N processes of this machine; more than one need a ledger on PostgreSQL.")  # fmt: skip
@plan_options
@processes_option
@run_options
@engine_option
@restored_option
@retry_option
@wait_option
@state_options
@metrics_option
@lineage_option
@report_option
@click.pass_obj
def run(call: Call, /, pipeline: Path, **words: object) -> None:
    """Finish what earlier runs left unfinished, then plan a new run, and send it.

    \b
    Examples:
      bucket-loader run nightly.yaml
      bucket-loader run usage.yaml --interval-start 2026-01-01 --interval-end 2026-01-02
      bucket-loader run history.yaml --processes 4
      bucket-loader run nightly.yaml --engine spark
      bucket-loader run nightly.yaml --allow-rejected 1% --patience 10s --json
      bucket-loader run nightly.yaml --plan .bucket_loader/.../plans/20260101T030000000Z --max-age 24h
      bucket-loader run nightly.yaml --lineage https://marquez.example:5000
      bucket-loader run nightly.yaml --senders 4 --state postgresql://loader@db/bucket
    """
    from bucket_loader.runs import run_job

    with Reported(call, pipeline, words) as reported:
        reported.job = job = call.job(pipeline, words, tells=True)
        summary = run_job(job)
        reported.ended(job, summary)
    call.end_run(summary)


@main.command()
@pipeline_argument
@run_argument
@allow_rejected_option()
@patience_option
@wait_option
@state_options
@metrics_option
@report_option
@click.pass_obj
def deliver(call: Call, /, pipeline: Path, run_name: str, **words: object) -> None:
    """Send parts of RUN beside others that send it too, and end when the run has ended.

    RUN is a run, or a plan that `plan` made: the first who comes begins it. Start this as often as you like, on as many
    machines as you like. Nobody returns before the run has ended, and all exit with its exit code. Who dies is replaced
    by the others. The ledger must be on PostgreSQL; on several machines the files of the state must be in a store.

    \b
    Example:
      bucket-loader deliver nightly.yaml 20260101T030000000Z --state postgresql://loader@db/bucket
    """
    from bucket_loader.runs import deliver_job

    with Reported(call, pipeline, words) as reported:
        reported.job = job = call.job(pipeline, words, tells=True)
        summary = deliver_job(job, run_name)
        reported.ended(job, summary)
    call.end_run(summary)


@main.command()
@pipeline_argument
@click.option("--from", "start", type=Moment(), required=True, help="The start of the first window.")
@click.option("--to", "end", type=Moment(), required=True, help="The end of the last window, itself not included.")
@click.option("--every", metavar="WINDOW", default="month", show_default=True,
              help="hour, day, week, month, quarter, year, or a duration such as 6h.")  # fmt: skip
@click.option(
    "--again", is_flag=True, help="Read windows again that were loaded before. What was sent is not sent again."
)
@streams_option
@processes_option
@engine_option
@allow_rejected_option("rejected rows of a window still count as success")
@restored_option
@patience_option
@wait_option
@state_options
@metrics_option
@lineage_option
@report_option
@click.pass_obj
def backfill(call: Call, /, pipeline: Path, start: datetime, end: datetime, every: str, **words: object) -> None:
    """Load the history of events and feedback in windows, each a run of its own.

    Each window is the interval of its run: `:interval_start` and `:interval_end`. After an interruption the same
    command continues where it stopped. What a window has sent is not sent again.

    \b
    Examples:
      bucket-loader backfill events.yaml --from 2022-01-01 --to 2024-01-01 --every month
      bucket-loader backfill events.yaml --from 2024-01-01 --to 2024-02-01 --every day --again
    """
    from bucket_loader.reporting import WindowsEnded
    from bucket_loader.runs import run_windows

    with Reported(call, pipeline, words) as reported:
        reported.job = job = call.job(pipeline, words, tells=True)
        found = run_windows(job, start, end, every, again=bool(words["again"]))
        if found.done:
            reported.ended(job, found.done[-1][1])
    summaries = tuple(summary for _, summary in found.done)
    call.output.tell(WindowsEnded(summaries, found.skipped, found.exit_code))
    call.answer(found.as_json())
    raise click.exceptions.Exit(found.exit_code)


@main.command()
@pipeline_argument
@click.option(
    "--show", type=click.IntRange(min=0), default=0, help="Print this many records of each stream, on stderr."
)
@click.option("--exit-10-when-changes", is_flag=True, help="Exit 10 when there is something to send or to remove.")
@click.option("--keep-in-store", is_flag=True,
              help="Keep the plan in the state's store too, where `deliver` finds it on other machines.")  # fmt: skip
@plan_options
@processes_option
@engine_option
@retry_option
@wait_option
@diff_options
@state_options
@click.pass_obj
def plan(
    call: Call, /, pipeline: Path, show: int, *, exit_10_when_changes: bool, keep_in_store: bool, **words: object
) -> None:
    """Plan a run, and say what it would send. Sends nothing.

    --diff prints what would change, on stdout: how many records are created, changed or removed, in which fields, and
    the old and the new values of some. What values were is known of streams with `remember: values`.

    \b
    Examples:
      bucket-loader plan nightly.yaml --show 5
      bucket-loader plan nightly.yaml --diff
      bucket-loader plan nightly.yaml --diff --format markdown --rows 50 > comment.md
      bucket-loader run nightly.yaml --plan .bucket_loader/.../plans/20260101T030000000Z
      bucket-loader plan nightly.yaml --exit-10-when-changes --json
      bucket-loader plan nightly.yaml --keep-in-store --json
    """
    from bucket_loader.runs import plan_as_json, plan_job, tell_plan, tell_stops

    asked = asked_diff(words)
    if asked is not None and keep_in_store:
        raise UsageError("--diff does not go with --keep-in-store", hint="`plan --diff` is for looking only")
    job = call.job(pipeline, words)
    if asked is not None:
        made = write_diff(call, job, asked, show=show)
    else:
        made = plan_job(job, keep_in_store=keep_in_store)
        tell_plan(call.output, made, show=show)
        tell_stops(call.output, made)
        call.say(f"the plan: {made.plan.folder}")
        call.answer(plan_as_json(made))
    if exit_10_when_changes and any(counts.pending for counts in made.streams.values()):
        raise click.exceptions.Exit(_CHANGES)
