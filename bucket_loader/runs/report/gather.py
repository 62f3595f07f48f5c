"""Gather a report: all that is known of a run, as one value.

ledger, plan, dead letters --Known--> ending, flows, rejections, traffic, chunks, the last runs, audit --> Report
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

from bucket_loader.model import BucketLoaderError, Counts, StateUnavailableError, UsageError, counted, wire_timestamp
from bucket_loader.reporting import Column, Commands, Report, Secrets, Stamp
from bucket_loader.runs.audit import Audit, audit_run
from bucket_loader.runs.job import Job
from bucket_loader.runs.lifecycle import find_run
from bucket_loader.runs.report.ending import ending_of, ending_of_none, facts_of, gone_of
from bucket_loader.runs.report.flows import STREAMS_MAX, flows_of
from bucket_loader.runs.report.known import TEXT_MAX, Known, ReportAsked, cut
from bucket_loader.runs.report.rejections import rejections_of
from bucket_loader.runs.report.rows import rows_of
from bucket_loader.runs.report.sending import repeated_of, traffic_of, unknown_of
from bucket_loader.state import RunRow, State, look_at_state

RUNS_MAX: Final = 60
_FINDINGS_MAX: Final = 20


def gather(job: Job, asked: ReportAsked) -> Report:
    """Return all that is known of a run; of what could not begin, why.

    Raises:
        UsageError: there is no such run.
        StateError: the state cannot be read.
    """
    state = look_at_state(job.pipeline, job.state_place)
    if state is None:
        _require_after(asked)
        return _told(job, asked, _without_run(job, asked))
    with closing(state):
        row = _row(state, asked)
        if row is None:
            found = replace(_without_run(job, asked), columns=_columns(state, None))
        else:
            found = _gathered(Known(job, state, row, asked))
    return _told(job, asked, found)


def _require_after(asked: ReportAsked) -> None:
    """Refuse to tell of a run where there is no state.

    Raises:
        UsageError: a run is asked for.
    """
    if not asked.is_after:
        raise UsageError("there is no run yet", hint="`bucket-loader run PIPELINE` makes the first")


def _row(state: State, asked: ReportAsked) -> RunRow | None:
    """Return the run that is asked for; None where a command ended without one."""
    if asked.run_name is None:
        return None
    return state.ledger.run(asked.run_name) if asked.is_after else find_run(state, asked.run_name)


def _without_run(job: Job, asked: ReportAsked) -> Report:
    return Report(
        pipeline=job.pipeline.name,
        run="",
        environment=_environment(job),
        made_at=wire_timestamp(job.outside.clock.utc()),
        ending=ending_of_none(asked),
        facts=() if asked.error is None else (("exit code", str(asked.error.exit_code)),),
    )


def _gathered(known: Known) -> Report:
    return Report(
        pipeline=known.job.pipeline.name,
        run=known.row.run,
        environment=_environment(known.job),
        made_at=wire_timestamp(known.job.outside.clock.utc()),
        ending=ending_of(known),
        facts=facts_of(known),
        gone=gone_of(known),
        flows=flows_of(known),
        more_flows=max(0, len(known.counts) - STREAMS_MAX),
        rejections=rejections_of(known),
        traffic=traffic_of(known),
        unknown=unknown_of(known),
        repeated=repeated_of(known),
        columns=_columns(known.state, known.row.run),
        stamp=_stamp(known),
        rows=rows_of(known) if known.asked.with_rows else None,
    )


def _environment(job: Job) -> str:
    return f"{job.pipeline.destination.environment} at {job.pipeline.destination.host.rpartition('@')[2]}"


def _columns(state: State, run: str | None) -> tuple[Column, ...]:
    """Return the last runs, the oldest first."""
    folded = state.ledger.folded_runs()
    return tuple(
        Column(
            run=row.run,
            status=row.status,
            began=row.created_at,
            counts=sum(state.ledger.counts(row.run).values(), start=Counts()),
            requests=row.requests,
            is_this=row.run == run,
            is_folded=row.run in folded,
        )
        for row in reversed(state.ledger.newest(RUNS_MAX))
    )


def _stamp(known: Known) -> Stamp:
    """Return what an audit says of the run, made now."""
    try:
        found = audit_run(known.job, known.row.run)
    except StateUnavailableError:
        raise
    except BucketLoaderError as error:
        return Stamp(is_sound=None, said=f"It could not be audited: {cut(error.message, TEXT_MAX)}")
    return _stamped(found)


def _stamped(found: Audit) -> Stamp:
    findings, not_proved = (
        tuple(cut(text, TEXT_MAX) for text in texts[:_FINDINGS_MAX]) for texts in (found.findings, found.not_proved)
    )
    if findings:
        return Stamp(
            is_sound=False,
            said="This run does not add up: its plan or the ledger was changed.",
            findings=findings,
            not_proved=not_proved,
        )
    said = f"Audited: {counted(found.records, 'record')} in {counted(found.chunks, 'chunk')}, each accounted for once."
    return Stamp(is_sound=True, said=said, not_proved=not_proved)


# --- what may be told ------------------------------------------------------------------------------------------------


def _told(job: Job, asked: ReportAsked, found: Report) -> Report:
    """Return a report without a secret, and with commands that can be pasted."""
    secrets, commands = Secrets(), Commands()
    secrets.add(job.pipeline)
    commands.pipeline = asked.named
    report: Report = _mapped(found, lambda text: secrets.scrubbed(commands.filled(text)))
    return report


def _mapped(value: Any, told: Callable[[str], str]) -> Any:  # noqa: ANN401  # any part of a report
    """Return a value with every text in it told in another way."""
    if isinstance(value, str):
        return told(value)
    if isinstance(value, tuple):
        return tuple(_mapped(one, told) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: _mapped(getattr(value, one.name), told) for one in fields(value)})
    return value
