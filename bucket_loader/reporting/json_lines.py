"""What stderr is while a command runs: lines for people, or JSON objects for programs, one a line.

An object has `at`, `level`, `event` and `message`, and where they apply `pipeline`, `run`, `stream` and `chunk`. Ours
hold no key and no value of a row. Of what a library says only the words in its code are told, not what it fills in,
since that may be a row; known secrets are taken out of those as well.
"""

import contextlib
import json
import logging
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from bucket_loader.model import BucketLoaderError
from bucket_loader.reporting.events import ChunkHeld, ChunkRetried, ChunksUnknown, Event
from bucket_loader.reporting.redaction import Secrets
from bucket_loader.reporting.terminal import give_up_stderr
from bucket_loader.reporting.text import REASONS_SHOWN, Progressing, Reporter, Summary, ending, next_step_after
from bucket_loader.state import dead_letters

if TYPE_CHECKING:
    from bucket_loader.config import Pipeline

FORMATS: Final = ("text", "json")
VARIABLE: Final = "BUCKET_LOADER_LOG_FORMAT"
HELD_MAX: Final = 200  # lines of a quiet run that may still fail
OURS: Final = "bucket_loader"

log = logging.getLogger(f"{OURS}.report")


def asked_for(words: Sequence[str], variables: Mapping[str, str]) -> str:
    """Find the format in a command's words, before they are understood: a mistake in them is told in it, too."""
    for before, word in pairwise(["", *words]):
        name, _, value = word.partition("=")
        if name == "--log-format" and value in FORMATS:
            return value
        if before == "--log-format" and word in FORMATS:
            return word
    return "json" if variables.get(VARIABLE, "").lower() == "json" else "text"


class Output:
    """Owns what is logged while a command runs: as text or as JSON, at once or, in a quiet run, only when it fails."""

    def __init__(self, form: str = "text") -> None:
        self.is_json = form == "json"
        self.pipeline = ""
        self.secrets = Secrets()
        self._handler = _Handler()
        self._handler.addFilter(lambda record: record.levelno >= logging.WARNING or record.name.startswith(OURS))
        self._handler.setFormatter(_Objects(self) if self.is_json else logging.Formatter("%(levelname)s %(message)s"))

    def __enter__(self) -> Self:
        """Begin to write what is logged."""
        if sys.stderr is None:  # else the next file that is opened would be stderr to every library
            give_up_stderr()
        ours = logging.getLogger(OURS)
        self._before = ours.level, threading.excepthook
        ours.setLevel(logging.INFO if self.is_json else logging.WARNING)
        logging.getLogger().addHandler(self._handler)
        if self.is_json:
            logging.captureWarnings(capture=True)
            threading.excepthook = _thread_crashed
        return self

    def __exit__(self, *_: object) -> None:
        """Leave everything as it was."""
        logging.getLogger().removeHandler(self._handler)
        level, threading.excepthook = self._before
        logging.getLogger(OURS).setLevel(level)
        if self.is_json:
            logging.captureWarnings(capture=False)

    def hold(self) -> None:
        """Keep lines back until `release`: a quiet run that succeeds says nothing."""
        self._handler.held = deque(maxlen=HELD_MAX)

    def release(self) -> None:
        """Write what was kept back, and from now on at once."""
        held, self._handler.held = self._handler.held or (), None
        for line in held:
            self._handler.write(line)

    def belongs_to(self, pipeline: "Pipeline") -> None:
        """Name the pipeline in every object, and let none of its secrets pass."""
        self.pipeline = pipeline.name
        self.secrets.add(pipeline)

    def failed(self, error: BucketLoaderError) -> None:
        """Tell what ended a command that has no summary."""
        self.release()
        if self.is_json:
            tell("error", error.message, level=logging.ERROR, hint=error.hint, exit_code=error.exit_code)
            return
        self._handler.write(f"error: {error.message}")
        if error.hint:
            self._handler.write(f"  hint: {error.hint}")

    def complain(self, message: str) -> None:
        """Tell what went wrong beside a run, which has ended as it has ended all the same."""
        self.release()
        if self.is_json:
            tell("error", message, level=logging.ERROR)
        else:
            self._handler.write(f"error: {message}")


class _Handler(logging.Handler):
    """Writes to what stderr is at that moment: a progress bar puts itself in its place for a while."""

    held: "deque[str] | None" = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or keep it back."""
        try:
            line = self.format(record)
        except (TypeError, ValueError):  # a library filled its own words in wrongly
            line = f"{record.levelname} {record.name}: {record.msg!s}"
        if self.held is None:
            self.write(line)
        else:
            self.held.append(line)

    def write(self, line: str) -> None:
        """Write a line; where stderr takes none, the run goes on without."""
        try:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        except OSError:
            give_up_stderr()


class _Objects(logging.Formatter):
    """Makes one JSON object of each record."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def format(self, record: logging.LogRecord) -> str:
        """Give the object, in one line of ASCII: any collector and any locale takes that."""
        found: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": "log",
        }
        room = record.name.split(".")[0]
        message = record.getMessage() if room == OURS else _template(record)
        told = dict(getattr(record, "told", {}))
        if room != OURS:
            told["logger"] = record.name
        if record.exc_info and record.exc_info[0] is not None:
            told |= crash(record.exc_info[0], record.exc_info[2])
        found |= {"event": told.pop("event", "log"), "message": message}
        if self._output.pipeline:
            found["pipeline"] = self._output.pipeline
        return self._output.secrets.scrubbed(json.dumps(found | told, default=str))


def _template(record: logging.LogRecord) -> str:
    """Give what a library says without what it fills in; of a warning its first line's end: the kind of it."""
    if record.name != "py.warnings":
        return str(record.msg)
    place, _, kind = record.getMessage().partition("\n")[0].partition(": ")
    return f"{Path(place).name}: {kind.partition(':')[0]}"


# --- what is told --------------------------------------------------------------------------------------------------


def tell(event: str, message: str, *, level: int = logging.INFO, **told: Any) -> None:  # noqa: ANN401  # JSON
    """Write one object; empty members are left out."""
    kept = {name: value for name, value in told.items() if value not in (None, "")}
    log.log(level, "%s", message, extra={"told": {"event": event, **kept}})


class JsonReporter(Reporter):
    """Tells what `Reporter` tells, as objects: notes, progress now and then, what was rejected; the summary last."""

    def __init__(self, *, quiet: bool = False, throws_away: bool = False) -> None:
        from rich.console import Console

        super().__init__(Console(file=_Notes(), width=120), quiet=quiet, throws_away=throws_away)  # type: ignore[arg-type]
        self._run = ""

    def tell(self, event: Event) -> None:
        """Write what happens to a chunk."""
        members: dict[str, Any] = {"run": event.run, "stream": event.stream}
        match event:
            case ChunksUnknown():
                name = "held" if event.held else "unknown"
                tell(name, event.text, level=logging.WARNING, **members, chunks=list(event.chunks))
            case ChunkRetried():
                tell("retry", event.text, **members, chunk=event.chunk, attempts=event.attempts)
            case ChunkHeld():
                tell("held", event.text, level=logging.WARNING, **members, chunk=event.chunk)

    def say(self, text: str) -> None:
        """Say one line."""
        if not self.quiet and text.strip():
            tell("note", text.strip(), run=self._run)

    def show(self, record: str) -> None:
        """Show nothing: a record is row data."""

    @contextlib.contextmanager
    def delivering(self, tally: Progressing) -> Iterator[None]:
        """Tell of a delivery now and then while it runs."""
        self._run = tally.run
        with super().delivering(tally):
            yield

    def _tell_reading(self, text: str, stream: str, rows: int, rejected: int) -> None:
        if not self.quiet:
            tell("planning", text, stream=stream, read=rows, rejected=rejected)

    def _tell_progress(self, tally: Progressing, done: int, rate: float) -> None:
        tell(
            "progress", f"delivering {tally.stream}: {done:,} of {tally.records:,} records, {rate:,.0f}/s",
            run=tally.run, stream=tally.stream, done=done, total=tally.records, per_second=round(rate, 1),
            delivered=tally.delivered, rejected=tally.rejected, requests=tally.requests, retries=tally.retries,
            state=tally.state,
        )  # fmt: skip

    def ended(self, summary: Summary) -> None:
        """Tell how a run ended; its error is part of the summary, which is the last object."""
        if self.quiet and summary.exit_code == 0:
            return
        for file in summary.letters:
            self.rejected(file)
        self._end("summary", ending(summary), summary)

    def window(self, text: str, summary: Summary) -> None:
        """Tell how one of many runs ended."""
        if self.quiet and summary.exit_code == 0:
            return
        for file in summary.letters:
            self.rejected(file)
        self._end("window", text, summary)

    def windows_ended(self, summaries: Sequence[Summary], *, skipped: int, exit_code: int) -> None:
        """Tell how many runs ended; each was told when it did."""
        if self.quiet and exit_code == 0:
            return
        message = f"{len(summaries):,} windows, and {skipped:,} were loaded before"
        tell("summary", message, level=_level(exit_code), exit_code=exit_code, windows=len(summaries), skipped=skipped,
             requests=sum(one.requests for one in summaries), retries=sum(one.retries for one in summaries),
             seconds=round(sum(one.seconds for one in summaries), 3))  # fmt: skip

    def _end(self, event: str, message: str, summary: Summary) -> None:
        told = {**summary.as_json(), "next": next_step_after(summary)}
        if summary.resumed:
            told["resumed_dead_letters"] = [one.dead_letters for one in summary.resumed if one.dead_letters]
        tell(event, message, level=_level(summary.exit_code), **told)

    def rejected(self, file: Path) -> None:
        """Tell what was rejected, by reason."""
        groups = dead_letters.grouped(file)
        if len(groups) > REASONS_SHOWN:
            tell("note", f"{len(groups):,} reasons; the first {REASONS_SHOWN} follow, all are in {file}", run=file.stem)
        for group in groups[:REASONS_SHOWN]:
            tell(
                "rejected", str(group), level=logging.WARNING, run=file.stem, stream=group.stream, source=group.source,
                records=group.count, dead_letters=None if self.throws_away else str(file),
            )  # fmt: skip

    def error(self, error: BucketLoaderError) -> None:
        """Tell what ended a run."""
        tell("error", error.message, level=logging.ERROR, hint=error.hint, exit_code=error.exit_code)


class _Notes:
    """A file whose lines are notes: what is printed past the reporter's own words, such as a table."""

    def __init__(self) -> None:
        self._begun = ""

    def write(self, text: str) -> int:
        """Tell every line that is whole."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in filter(str.strip, lines):
            tell("note", line.rstrip())
        return len(text)

    def flush(self) -> None:
        """Wait for the rest of the line."""


def _level(exit_code: int) -> int:
    goes_well, again_or_looked_at = {0, 99}, {3, 75, 130, 143}
    if exit_code in goes_well:
        return logging.INFO
    return logging.WARNING if exit_code in again_or_looked_at else logging.ERROR


# --- what others say -----------------------------------------------------------------------------------------------


def crash(kind: type[BaseException], places: TracebackType | None) -> dict[str, Any]:
    """Give what of an exception that is not ours can hold no row: its type, and where it was raised."""
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(places)]
    return {"exception": f"{kind.__module__}.{kind.__qualname__}", "frames": frames}


def crashed(error: BaseException) -> None:
    """Tell of a bug. Its message may quote a row, so it is not told; in the text format the traceback has it."""
    told = crash(type(error), error.__traceback__)
    tell("crash", "a bug: please report it; `--log-format text` shows its message", level=logging.CRITICAL, **told)


def _thread_crashed(args: threading.ExceptHookArgs) -> None:
    told = crash(args.exc_type, args.exc_traceback)
    tell("crash", "a bug in a thread: please report it", level=logging.CRITICAL, **told)
