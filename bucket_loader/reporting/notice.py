"""What a webhook is told of how a run ended: a JSON object, whose `text` a chat shows. No value of a row is in it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from bucket_loader.model import Counts, counted
from bucket_loader.reporting.summary import COLUMNS, Summary, next_step_after

_STREAMS_SHOWN: Final = 20
_LENGTH_MAX: Final = 2_000  # characters of a message or a hint
_ESCAPED: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})  # a chat takes them for its own signs


def notice_of(on: str, environment: str, summary: Summary, spelt: Callable[[str], str]) -> bytes:
    """Return what is posted (docs/notify.md).

    Args:
        on: the word of `notify:` that asks for it.
        environment: the destination's.
        summary: how the run ended; one without a name ended before there was a run.
        spelt: takes secrets out of a line, and fills in the commands that it names.
    """
    error = summary.error
    message = "" if error is None else spelt(error.message)[:_LENGTH_MAX]
    next_step = spelt(next_step_after(summary) if error is None else error.hint)[:_LENGTH_MAX]
    lines = [f"{summary.pipeline} ({environment}) {_ending(on, summary)}", message, *_went(summary.streams)]
    lines += [f"next: {next_step}" if next_step else "", f"run {summary.run}" if summary.run else ""]
    members = {
        "text": "\n".join(filter(None, lines)).translate(_ESCAPED),
        "on": on,
        "pipeline": summary.pipeline,
        "environment": environment,
        "run": summary.run or None,
        "status": summary.status,
        "exit_code": summary.exit_code,
        "as_of": summary.as_of or None,
        "streams": _as_json(summary.streams),
        "resumed": [{"run": one.run, "streams": _as_json(one.streams)} for one in summary.resumed],
        "message": message or None,
        "next": next_step or None,
    }
    return json.dumps(members).encode()


def _ending(on: str, summary: Summary) -> str:
    """Return how a run ended, for a person."""
    if on == "recovered":
        return "works again"
    ended = {
        "stopped": "was stopped",
        "rejected": "finished, and some rows were rejected",
        "held": "waits for a person: records are held",
        "failed": {"unfinished": "did not finish", "interrupted": "was interrupted"}.get(summary.status, "failed"),
    }
    return f"{ended[on]} (exit {summary.exit_code})"


def _went(streams: Mapping[str, Counts]) -> Iterator[str]:
    """Yield where the rows of each stream went, for a person."""
    for name, counts in list(streams.items())[:_STREAMS_SHOWN]:
        told = [one for one in COLUMNS if getattr(counts, one) or one in {"read", "delivered"}]
        yield f"{name}: " + ", ".join(f"{getattr(counts, one):,} {one.replace('_', ' ')}" for one in told)
    if (more := len(streams) - _STREAMS_SHOWN) > 0:
        yield f"and {counted(more, 'more stream')}"


def _as_json(streams: Mapping[str, Counts]) -> dict[str, Any]:
    return {name: asdict(counts) for name, counts in streams.items()}
