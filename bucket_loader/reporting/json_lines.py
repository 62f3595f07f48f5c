"""What a program reads on stderr: JSON objects, one a line.

An object has `at`, `level`, `event` and `message`, and where they apply `pipeline`, `run`, `stream` and `chunk`. Ours
hold no key and no value of a row. Of what a library says only the words in its code are written, not what it fills in,
since that may be a row; known secrets are taken out of those as well.
"""

import json
import logging
import math
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, assert_never

from bucket_loader.model import counted, wire_timestamp
from bucket_loader.reporting import events
from bucket_loader.reporting.commands import Commands
from bucket_loader.reporting.progress import GrowingPace, Pace
from bucket_loader.reporting.redaction import Secrets
from bucket_loader.reporting.summary import Summary, ending, next_step_after
from bucket_loader.reporting.terminal import boxed_lines
from bucket_loader.reporting.text import PERIOD_S, REASONS_SHOWN
from bucket_loader.state import dead_letters


class Objects:
    """Makes the lines: what all objects have in common is here."""

    def __init__(self, commands: Commands | None = None) -> None:
        self.pipeline = ""
        self.secrets = Secrets()
        self._commands = commands or Commands()

    def line(self, level: int, event: str, message: str, *, at_s: float, members: dict[str, Any]) -> str:
        """Return an object, in one line of ASCII: any collector and any locale takes that."""
        found: dict[str, Any] = {
            "at": datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": logging.getLevelName(level).lower(),
            "event": event,
            "message": self._commands.filled(message),
        }
        if self.pipeline:
            found["pipeline"] = self.pipeline
        told = {name: self._commands.filled(one) if isinstance(one, str) else one for name, one in members.items()}
        return self.secrets.scrubbed(json.dumps(found | told, default=str))

    def formatter(self) -> logging.Formatter:
        """Return what makes an object of each record of a log."""
        return _LogObjects(self)


class JsonListener:
    """Writes an object for each event: notes, progress now and then, what was rejected; the summary last."""

    def __init__(
        self, objects: Objects, write: Callable[[str], None], *, quiet: bool = False, period_s: float = PERIOD_S
    ) -> None:
        self.quiet = quiet
        self.period_s = None if quiet else period_s
        self._objects = objects
        self._write_line = write
        self._reading_pace = Pace(period_s)
        self._wait_pace = GrowingPace()
        self._waits = False  # whether a wait was written that is not over
        self._run = ""
        self._stream = ""  # that progress was written of

    def tell(self, event: events.Event) -> None:
        """Write what an event says."""
        if isinstance(event, events.Ending):
            self._end(event)
        elif isinstance(event, events.Moving):
            if not self.quiet:
                self._moves(event)
        elif isinstance(event, events.Answer):
            self._answer(event)
        else:
            self._remark(event)

    def _remark(self, event: events.Remark) -> None:  # a case for each event, and nothing else
        match event:
            case events.ChunksUnknown() | events.ChunkHeld() | events.ChunkSetAside() | events.ChunkRetried():
                self._chunk(event)
            case events.Note() | events.RunResumed() | events.StreamPlanned():
                self._note(event.text)
            case events.WindowEnded():
                self._summary("window", event.text, event.summary)
            case events.Doubt():
                if not self.quiet:
                    self._write("doubt", event.sentence, level=logging.WARNING, stream=event.stream, doubt=event.name)
            case events.Complaint():
                self._write("error", event.text, level=logging.ERROR)
            case events.NotTold():
                if not (self.quiet and event.ended_well):
                    self._write("not_told", event.text, level=logging.WARNING, host=event.host)
            case events.ThreadCrashed():
                where = crash(event.kind, event.places)
                self._write("crash", "a bug in a thread: please report it", level=logging.CRITICAL, **where)
            case _:
                assert_never(event)

    def _end(self, event: events.Ending) -> None:
        match event:
            case events.RunEnded():
                self._summary("summary", ending(event.summary), event.summary, are_kept=not event.thrown_away)
            case events.WindowsEnded():
                self._windows_ended(event)
            case events.AssertionsEnded():
                self._assertions(event)
            case events.CommandFailed():
                error = event.error
                self._write("error", error.message, level=logging.ERROR, hint=error.hint, exit_code=event.exit_code)
            case events.CommandCrashed():
                where = crash(type(event.error), event.error.__traceback__)
                message = "a bug: please report it; `--log-format text` shows its message"
                self._write("crash", message, level=logging.CRITICAL, **where)
            case events.CommandInterrupted():
                pass
            case _:
                assert_never(event)

    def _write(self, name: str, message: str, *, level: int = logging.INFO, **members: Any) -> None:  # noqa: ANN401  # JSON
        """Write one object; empty members are left out."""
        kept = {name: value for name, value in members.items() if value not in (None, "")}
        self._write_line(self._objects.line(level, name, message, at_s=time.time(), members=kept))

    def _answer(self, event: events.Answer) -> None:
        match event:
            case events.RecordShown() | events.Lines():
                pass  # it is row data
            case events.PlanRejected():
                if not self.quiet:
                    self._rejected(event.file)
            case events.RunsListed():
                for past in event.runs:
                    self._past(past, {event.what: past.name})
            case events.RunShown():
                self._past(event.past, {"run": event.past.name, "next": event.next_step})
            case events.Table() | events.QueryResult():
                for line in boxed_lines(event.columns, event.rows):
                    self._write("note", line)

    def _past(self, past: events.PastRun, members: dict[str, Any]) -> None:
        """Write what a run came to."""
        began = None if past.began is None else wire_timestamp(past.began)
        self._write(
            "run", f"{past.name}: {past.status}", status=past.status, began=began, seconds=past.seconds,
            sent=past.sent, rejected=past.rejected, pending=past.pending, **members,
        )  # fmt: skip

    def _note(self, text: str) -> None:
        if not self.quiet and text.strip():
            self._write("note", text.strip(), run=self._run)

    def _chunk(
        self, event: events.ChunksUnknown | events.ChunkHeld | events.ChunkSetAside | events.ChunkRetried
    ) -> None:
        where: dict[str, Any] = {"run": event.run, "stream": event.stream}
        match event:
            case events.ChunksUnknown():
                name = "held" if event.held else "unknown"
                self._write(name, event.text, level=logging.WARNING, **where, chunks=list(event.chunks))
            case events.ChunkHeld():
                self._write("held", event.text, level=logging.WARNING, **where, chunk=event.chunk)
            case events.ChunkSetAside():
                self._write("set_aside", event.text, level=logging.WARNING, **where, chunk=event.chunk)
            case events.ChunkRetried():
                self._write("retry", event.text, **where, chunk=event.chunk, attempts=event.attempts)

    def _moves(self, event: events.Moving) -> None:
        match event:
            case events.DeliveryBegan():
                self._run = event.run
            case events.RowsRead():
                if self._reading_pace.is_due():
                    self._write("planning", event.text, stream=event.stream, read=event.rows, rejected=event.rejected)
            case events.DeliveryProgress():
                self._progress(event)
            case events.StreamDelivered():
                if event.stream == self._stream:  # else the summary says it soon enough
                    self._write(
                    "delivered", event.text, run=event.run, stream=event.stream, total=event.records,
                    delivered=event.delivered, rejected=event.rejected, seconds=round(event.seconds, 3),
                )  # fmt: skip
            case events.Waits() | events.WaitEnded():
                self._wait(event)
            case events.PlanningEnded() | events.DeliveryEnded():
                pass

    def _progress(self, event: events.DeliveryProgress) -> None:
        self._stream = event.stream
        left_s = None if event.left_s is None else round(event.left_s, 1)
        self._write(
            "progress", event.text, run=event.run, stream=event.stream, done=event.done, total=event.records,
            per_second=round(event.per_second, 1), left_s=left_s, delivered=event.delivered, rejected=event.rejected,
            requests=event.requests, retries=event.retries,
        )  # fmt: skip

    def _wait(self, event: events.Waits | events.WaitEnded) -> None:
        """Write what is waited for, more and more seldom; and that it is over, if that was written."""
        if isinstance(event, events.WaitEnded):
            if self._waits:
                self._write("waited", event.text, run=self._run)
            self._waits = False
        elif self._wait_pace.is_due():
            self._waits = True
            wait = event.wait
            next_s = None if wait.next_s is None else round(wait.next_s, 1)
            left_s = None if math.isinf(wait.left_s) else round(wait.left_s, 1)
            self._write(
                "waiting", event.text, level=logging.WARNING, run=event.run, stream=event.stream, cause=wait.cause,
                tries=wait.tries, waited_s=round(wait.waited_s, 1), next_in_s=next_s, left_s=left_s,
                hint=wait.hint,
            )  # fmt: skip

    def _summary(self, name: str, message: str, summary: Summary, *, are_kept: bool = True) -> None:
        """Write what was rejected and then how a run ended; its error is part of the summary."""
        if self.quiet and summary.exit_code == 0:
            return
        for file in summary.letters:
            self._rejected(file, is_kept=are_kept)
        members = {**summary.as_json(), "next": next_step_after(summary)}
        if summary.resumed:
            members["resumed_dead_letters"] = [one.dead_letters for one in summary.resumed if one.dead_letters]
        self._write(name, message, level=_level(summary.exit_code), **members)

    def _assertions(self, event: events.AssertionsEnded) -> None:
        """Write each thing that a test expects and is not so, then how many they are."""
        if self.quiet and not event.failed:
            return
        for failed in event.failed:
            self._write("assertion", failed.text, level=logging.ERROR, **asdict(failed))
        level = logging.ERROR if event.failed else logging.INFO
        told = {"checked": event.checked, "failed": len(event.failed), "exit_code": event.exit_code}
        self._write("assertions", event.text, level=level, file=event.file, **told)

    def _windows_ended(self, event: events.WindowsEnded) -> None:
        """Write how many runs ended; each was written when it did."""
        if self.quiet and event.exit_code == 0:
            return
        summaries = event.summaries
        self._write(
            "summary", f"{counted(len(summaries), 'window')}, and {event.skipped:,} loaded before",
            level=_level(event.exit_code), exit_code=event.exit_code, windows=len(summaries), skipped=event.skipped,
            requests=sum(one.requests for one in summaries), retries=sum(one.retries for one in summaries),
            seconds=round(sum(one.seconds for one in summaries), 3),
        )  # fmt: skip

    def _rejected(self, file: Path, *, is_kept: bool = True) -> None:
        """Write what was rejected, by reason."""
        groups = dead_letters.grouped(file)
        if len(groups) > REASONS_SHOWN:
            message = f"{len(groups):,} reasons; the first {REASONS_SHOWN} follow, all are in {file}"
            self._write("note", message, run=file.stem)
        for group in groups[:REASONS_SHOWN]:
            self._write(
                "rejected", str(group), level=logging.WARNING, run=file.stem, stream=group.stream, source=group.source,
                records=group.count, dead_letters=str(file) if is_kept else None,
            )  # fmt: skip


def _level(exit_code: int) -> int:
    goes_well, again_or_looked_at = {0, 99}, {3, 6, 75, 129, 130, 143}
    if exit_code in goes_well:
        return logging.INFO
    return logging.WARNING if exit_code in again_or_looked_at else logging.ERROR


# --- what others say -----------------------------------------------------------------------------------------------


class _LogObjects(logging.Formatter):
    """Makes one JSON object of each record of a library's log; what is ours to say is events."""

    def __init__(self, objects: Objects) -> None:
        super().__init__()
        self._objects = objects

    def format(self, record: logging.LogRecord) -> str:
        """Return the object's line."""
        members: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            members |= crash(record.exc_info[0], record.exc_info[2])
        return self._objects.line(record.levelno, "log", _template(record), at_s=record.created, members=members)


def _template(record: logging.LogRecord) -> str:
    """Return what a library says without what it fills in; of a warning its first line's end: the kind of it."""
    if record.name != "py.warnings":
        return str(record.msg)
    place, _, kind = record.getMessage().partition("\n")[0].partition(": ")
    return f"{Path(place).name}: {kind.partition(':')[0]}"


def crash(kind: type[BaseException], places: TracebackType | None) -> dict[str, Any]:
    """Return what of an exception that is not ours can hold no row: its type, and where it was raised."""
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(places)]
    return {"exception": f"{kind.__module__}.{kind.__qualname__}", "frames": frames}
