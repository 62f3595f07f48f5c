"""Commands with which a person decides: `replay`, `abandon`, `release`, `prune`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bucket_loader.cli.call import Call
from bucket_loader.cli.group import main
from bucket_loader.cli.options import (
    allow_rejected_option,
    lineage_option,
    metrics_option,
    patience_option,
    pipeline_argument,
    restored_option,
    run_argument,
    spelt,
    state_options,
    wait_option,
)
from bucket_loader.cli.reporting import Reported, report_option
from bucket_loader.model import UsageError, counted

if TYPE_CHECKING:
    from bucket_loader.runs import Chosen


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--remap", is_flag=True, help="Map the rows again, with the pipeline file as it is today.")
@click.option("--pipeline", type=click.Path(path_type=Path),
              help="The pipeline file. [default: the one that FILE's state belongs to]")  # fmt: skip
@allow_rejected_option()
@restored_option
@patience_option
@wait_option
@state_options
@lineage_option
@metrics_option
@report_option
@click.pass_obj
def replay(call: Call, /, *, file: Path, remap: bool, pipeline: Path | None, **words: object) -> None:
    """Send the dead letters in FILE again: as they were recorded, or with today's mapping.

    A replay is a run of its own: what is rejected once more goes to a new file. A dead letter is replayed once. It is
    left alone when a later run has sent the same user or company. FILE may be a part of a dead-letter file.

    \b
    Examples:
      bucket-loader replay .bucket_loader/nightly@production@front.bucket.co/dead_letters/20260101T030000000Z.jsonl
      bucket-loader replay rejected.jsonl --pipeline nightly.yaml --remap
    """
    from bucket_loader.runs import pipeline_file_of, replay_file

    if pipeline is None:
        pipeline = pipeline_file_of(file)
        words["state"] = (str(file.absolute().parents[2]),)
    with Reported(call, pipeline, words) as reported:
        reported.job = job = call.job(pipeline, words, tells=True)
        summary = replay_file(job, file, remap=remap)
        reported.ended(job, summary)
    call.end_run(summary)


@main.command()
@pipeline_argument
@run_argument
@wait_option
@state_options
@click.pass_obj
def abandon(call: Call, /, pipeline: Path, run_name: str, **words: object) -> None:
    """Close an unfinished RUN: rows that it has not sent return to the next plan.

    A record that was sent and got no answer stays claimed. The next plan sends a claimed user or company again, but
    never a claimed event or feedback.

    \b
    Example:
      bucket-loader abandon nightly.yaml 20260101T030000000Z
    """
    from dataclasses import asdict

    from bucket_loader.runs import abandon_run

    job = call.job(pipeline, words, needs_key=False)
    run_name, streams = abandon_run(job, run_name)
    pending = sum(counts.pending for counts in streams.values())
    returns = "returns to the next plan or stays" if pending == 1 else "return to the next plan or stay"
    call.say(f"run {run_name} is abandoned; {counted(pending, 'record')} {returns} claimed")
    found = {name: asdict(counts) for name, counts in streams.items()}
    call.answer({"run": run_name, "status": "abandoned", "streams": found})


@main.command()
@pipeline_argument
@click.argument("run_name", metavar="[RUN]", required=False)
@click.option("--all", "every_run", is_flag=True, help="What every run holds.")
@click.option(
    "--older-than", metavar="DURATION", help="With --all: only what has been held for so long, for example 2d."
)
@click.option("--chunk", "members", help="Only this chunk of RUN, as `status --json` names it.")
@click.option(
    "--drop", is_flag=True, help="Do not send them. They go to the dead letters, and no later plan sends them."
)
@click.option("--dry-run", is_flag=True, help="Only show them; decide nothing.")
@wait_option
@state_options
@click.pass_obj
def release(call: Call, /, *, pipeline: Path, drop: bool, dry_run: bool, **words: object) -> None:
    """Decide about the records that RUN, or every run, holds: the next run sends them, or they are dropped.

    These records were sent and got no answer, and their stream says `on_unknown: hold`. They are listed on stderr with
    what you need to look them up in Bucket.

    \b
    Examples:
      bucket-loader release events.yaml --all --dry-run
      bucket-loader release events.yaml --all --older-than 2d
      bucket-loader release events.yaml 20260101T030000000Z --chunk 1700-1799 --drop
    """
    from bucket_loader.runs import release_held

    job = call.job(pipeline, words, needs_key=False)
    found = release_held(job, _chosen(words), drop=drop, dry_run=dry_run)
    end = "held" if dry_run else "dropped" if drop else "sent again by the next run"
    call.say(f"{counted(found['records'], 'record')} {'is' if found['records'] == 1 else 'are'} {end}")
    call.answer(found)


def _chosen(words: Mapping[str, Any]) -> "Chosen":
    from bucket_loader.runs import Chosen, read_duration_s

    run_name, every_run, older_than = words["run_name"], words["every_run"], words["older_than"]
    if every_run == (run_name is not None):
        raise UsageError(
            "release what?", hint="give --all, or name one run; `bucket-loader status PIPELINE` lists them"
        )
    if every_run and words["members"] is not None:
        raise UsageError("--chunk does not go with --all", hint="name the run that the chunk is of")
    if older_than is not None and not every_run:
        raise UsageError("--older-than goes with --all", hint="a run that you name is released whatever its age")
    older_than_s = None if older_than is None else read_duration_s(older_than, "older_than", spelt)
    return Chosen(run_name, words["members"], older_than_s)


@main.command()
@pipeline_argument
@click.option("--older-than", metavar="DURATION", default="30d", show_default=True, help="Younger files stay.")
@wait_option
@state_options
@click.pass_obj
def prune(call: Call, /, pipeline: Path, older_than: str, **words: object) -> None:
    """Remove old plans and dead letters of ended runs.

    Nothing of an unfinished run is removed, and the memory of what was sent stays. Each run removes what is older than
    `keep:` of the pipeline file; dead letters that nobody has replayed or dropped are left to this command.

    \b
    Example:
      bucket-loader prune nightly.yaml --older-than 7d
    """
    from bucket_loader.runs import prune_state, read_duration_s

    job = call.job(pipeline, words, needs_key=False)
    removed = prune_state(job, read_duration_s(older_than, "older_than", spelt))
    call.say(f"removed {counted(removed['plans'], 'plan')} and {counted(removed['dead_letters'], 'dead-letter file')}")
    call.answer(removed)
