"""Commands that look at past runs: `status`, `audit`. They send nothing and change nothing."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from bucket_loader.cli.call import Call
from bucket_loader.cli.group import main
from bucket_loader.cli.options import Moment, pipeline_argument, state_options
from bucket_loader.model import UsageError


@main.command()
@pipeline_argument
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many runs to show.")
@click.option("--interval", nargs=2, type=Moment(), metavar="START END",
              help="What the runs of this interval sent: counts, and a digest (equal for equal records).")  # fmt: skip
@state_options
@click.pass_obj
def status(
    call: Call, /, pipeline: Path, last: int, interval: tuple[datetime, datetime] | None, **words: object
) -> None:
    """Show past runs, newest first, and what is unfinished; or the receipts of an interval.

    \b
    Examples:
      bucket-loader status nightly.yaml --json
      bucket-loader status usage.yaml --interval 2026-01-01 2026-01-02
    """
    from bucket_loader.runs import interval_receipts, past_runs, tell_receipts, tell_status

    job = call.job(pipeline, words, needs_key=False)
    found = interval_receipts(job, interval) if interval else past_runs(job, last=last)
    if not call.as_json:
        (tell_receipts if interval else tell_status)(call.output, found)
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

    if run_name is None and not memory:
        raise UsageError("audit what?", hint="name a run (`bucket-loader status` lists them), or give --memory")
    job = call.job(pipeline, words, needs_key=False)
    answer: dict[str, Any] = {}
    if memory:
        answer["memory"] = kept = audit_memory(job)
        call.say(f"the memory is sound: {kept['files']:,} files, {kept['rows']:,} rows")
    found = None if run_name is None else audit_run(job, run_name)
    if found is not None and not found.findings:
        call.say(f"run {run_name} is sound: {found.records:,} records, {found.chunks:,} chunks")
        for text in found.not_proved:
            call.say(f"not proved: {text}")
    if call.as_json:
        call.answer({**(found.as_json() if found else {}), **answer})
        raise click.exceptions.Exit(1 if found and found.findings else 0)
    if found is not None:
        found.raise_if_unsound()
