"""How a run ended, in words: a verdict, what stopped it, and what a person does next."""

from collections.abc import Iterator
from shlex import quote
from typing import Final

from bucket_loader.model import Counts, counted, read_time, spoken, spoken_time
from bucket_loader.reporting import Ending, Mood
from bucket_loader.runs.impact.looked import looked_at
from bucket_loader.runs.report.known import WHY_MAX, Known, ReportAsked, cut
from bucket_loader.runs.status import next_step, run_as_json
from bucket_loader.runs.waiting import UNFINISHED

_MOODS: Final[dict[str, Mood]] = {
    "succeeded": "good", "rejected": "warning", "running": "warning", "unfinished": "warning", "abandoned": "warning",
    "stopped": "error", "failed": "error",
}  # fmt: skip
_ERRORS: Final = (1, 2, 5)  # exit codes after which running again alone does not help
_NOTHING_LEFT: Final = "Nothing is left to do."


def ending_of(known: Known) -> Ending:
    """Return how a run ended."""
    row, (why, hint) = known.row, _why(known)
    steps = () if known.asked.thrown_away else tuple(_steps(known, has_hint=bool(hint)))
    return Ending(
        mood="error" if row.exit_code in _ERRORS else _MOODS[row.status],
        verdict=_verdict(row.status, known.total),
        why=cut(why, WHY_MAX),
        hint="" if known.asked.thrown_away else cut(hint, WHY_MAX),
        steps=steps,
        exit_code=row.exit_code,
    )


def ending_of_none(asked: ReportAsked) -> Ending:
    """Return how a command ended that has made no run."""
    if asked.error is None:
        return Ending("good", "There was nothing to do, and no run was made.")
    message, hint = cut(asked.error.message, WHY_MAX), cut(asked.error.hint, WHY_MAX)
    verdict = "No new run was made."
    return Ending("error", verdict, message, hint, exit_code=asked.error.exit_code)


def _why(known: Known) -> tuple[str, str]:
    """Return what ended a run early, and what its error says is to be done; empty where it ended by itself."""
    if known.asked.error is not None:
        return known.asked.error.message, known.asked.error.hint
    return known.state.ledger.why(known.row.run) or ("", "")


def _verdict(status: str, counts: Counts) -> str:
    left, delivered = counted(counts.pending, "record"), counted(counts.delivered, "record")
    match status:
        case "succeeded" if counts.delivered == 0:
            return "Succeeded: there was nothing to send."
        case "succeeded":
            return f"Succeeded: {delivered} delivered{_rejected(counts)}."
        case "rejected":
            return f"Finished: {delivered} delivered{_rejected(counts)}."
        case "stopped" if counts.delivered == 0:
            return "Stopped: nothing was sent."
        case "stopped":
            return f"Stopped on the way: {delivered} delivered, {left} not sent."
        case "abandoned":
            return f"Closed by a person: {delivered} delivered, {left} not sent or not answered."
        case "running":
            return f"Under way, or died: {delivered} delivered so far, {left} still to be sent."
        case "failed":
            return f"Failed: {delivered} delivered, {left} not sent."
        case _:
            return f"Not finished: {delivered} delivered, {left} still to be sent."


def _rejected(counts: Counts) -> str:
    return f", {counted(counts.rejected, 'row')} rejected" if counts.rejected else ""


def _steps(known: Known, *, has_hint: bool) -> Iterator[str]:
    """Yield what a person does next, but for what an error's hint says; what is rejected stands with the reasons."""
    row = known.row
    if row.status in UNFINISHED:
        yield next_step(run_as_json(known.state, row))
    elif row.status in {"stopped", "failed"}:
        if not has_hint:
            yield "`bucket-loader plan PIPELINE --show 5`"
            yield "The next run plans anew: what was not sent is not lost."
    elif not known.total.rejected:
        yield _NOTHING_LEFT
    elif known.letters_left:
        yield f"Mend the rows or `fields:`; what is wrong stands below. Then {replay_of(known)}."
    else:
        yield _NOTHING_LEFT


def replay_of(known: Known) -> str:
    """Return the command that takes a run's dead letters up again."""
    return f"`bucket-loader replay {quote(str(known.letters))} --remap --pipeline PIPELINE`"


# --- facts -----------------------------------------------------------------------------------------------------------


def facts_of(known: Known) -> tuple[tuple[str, str], ...]:
    """Return what else there is to say of a run in a few words."""
    return tuple(_facts(known))


def _facts(known: Known) -> Iterator[tuple[str, str]]:
    row = known.row
    yield "began", spoken_time(row.created_at)
    if row.ended_at:
        yield "took", spoken((read_time(row.ended_at) - read_time(row.created_at)).total_seconds())
    yield "as of", spoken_time(row.as_of)
    if row.interval_start and row.interval_end:
        yield "interval", f"{spoken_time(row.interval_start)} to {spoken_time(row.interval_end)}"
    yield "status", row.status + ("" if row.exit_code is None else f" (exit code {row.exit_code})")
    retried = f", {counted(row.retries, 'retry', 'retries')}" if row.retries else ""
    yield "sent in", f"{counted(row.requests, 'request')}{retried}"
    if known.planned is not None and (looked := looked_at(known.planned)) is not None:
        yield "impact", looked.line
    if taken_up := known.state.ledger.taken_up_by(row.run):
        yield "a replay of", ", ".join(taken_up)
    if takers := known.state.ledger.takers_of(row.run):
        yield "its dead letters were taken up by", ", ".join(takers)


def gone_of(known: Known) -> tuple[str, ...]:
    """Return what can no longer be told of a run."""
    return tuple(_gone(known))


def _gone(known: Known) -> Iterator[str]:
    if known.planned is None:
        yield (
            "Its plan is gone, by `keep:`, `prune` or `forget`, or cannot be read: what its records were, and in "
            "which fields they changed, can no longer be told."
        )
    if known.folded:
        yield (
            f"It is older than `keep:`: its {counted(known.folded, 'chunk')} are folded, and when each was sent can no "
            "longer be told."
        )
    if known.state.ledger.is_gone(known.row.number):
        yield "It was sent to an emulator that is gone."
