"""Commands that look at past runs: `status`, `audit`. They send nothing and change nothing."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from bucket_loader.cli.call import Call
from bucket_loader.cli.group import main
from bucket_loader.cli.options import Moment, pipeline_argument, state_options
from bucket_loader.cli.pipelines import RUN, AnyPipelineArgument, PipelineFile
from bucket_loader.model import UsageError, counted


@main.command()
@click.argument("pipeline", cls=AnyPipelineArgument, type=PipelineFile(), required=False)
@click.argument(RUN, metavar="[RUN]", required=False)
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many runs to show.")
@click.option("--interval", nargs=2, type=Moment(), metavar="START END",
              help="What the runs of this interval sent: counts, and a digest (equal for equal records).")  # fmt: skip
@state_options
@click.pass_obj
def status(call: Call, /, *, pipeline: Path | None, run_name: str | None, last: int, **words: Any) -> None:  # noqa: ANN401  # click's
    """Show past runs, newest first, and what is unfinished; or all of one RUN; or the receipts of an interval.

    RUN is the name of a run, a beginning of it, or `latest`. In a folder with several pipeline files, `status` alone
    shows the last run of each.

    \b
    Examples:
      bucket-loader status
      bucket-loader status nightly.yaml --json
      bucket-loader status nightly.yaml latest
      bucket-loader status usage.yaml --interval 2026-01-01 2026-01-02
    """
    from bucket_loader import runs

    interval: tuple[datetime, datetime] | None = words["interval"]
    if pipeline is None:
        if run_name is not None or interval:
            raise UsageError("of which pipeline?", hint="name its file: the folder has none, or several")
        call.obey(words)
        found, tell = runs.last_runs(Path.cwd(), call.options(words), call.output), runs.tell_pipelines
    elif interval:
        found, tell = runs.interval_receipts(call.job(pipeline, words, needs_key=False), interval), runs.tell_receipts
    else:
        found = runs.past_runs(call.job(pipeline, words, needs_key=False), last=last, run_name=run_name)
        tell = runs.tell_status if run_name is None else runs.tell_run
    if not call.as_json:
        tell(call.output, found)
    call.answer(found)


@main.command()
@pipeline_argument
@click.argument("run_name", metavar="[RUN]", required=False)
@click.option("--memory", is_flag=True, help="Read all that the pipeline remembers, and compare it with its digests.")
@state_options
@click.pass_obj
def audit(call: Call, /, pipeline: Path, run_name: str | None, *, memory: bool, **words: object) -> None:
    """Prove that every record of RUN is accounted for, from its plan and the ledger alone; or that the memory is sound.

    \b
    Examples:
      bucket-loader audit nightly.yaml 20260101T030000000Z
      bucket-loader audit nightly.yaml --memory
    """
    from bucket_loader.runs import audit_memory, audit_run

    call.names(pipeline, words)
    if run_name is None and not memory:
        raise UsageError("audit what?", hint="give --memory, or name a run; `bucket-loader status PIPELINE` lists them")
    job = call.job(pipeline, words, needs_key=False)
    answer: dict[str, Any] = {}
    if memory:
        answer["memory"] = kept = audit_memory(job)
        call.say(f"the memory is sound: {counted(kept['files'], 'file')}, {counted(kept['rows'], 'row')}")
    found = None if run_name is None else audit_run(job, run_name)
    if found is not None and not found.findings:
        call.say(f"run {found.run} is sound: {counted(found.records, 'record')}, {counted(found.chunks, 'chunk')}")
        for text in found.not_proved:
            call.say(f"not proved: {text}")
    if call.as_json:
        call.answer({**(found.as_json() if found else {}), **answer})
        raise click.exceptions.Exit(1 if found and found.findings else 0)
    if found is not None:
        found.raise_if_unsound()
