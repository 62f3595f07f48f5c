"""What a person reads on stderr: bars on a terminal, plain lines elsewhere, and how a run ended.

What cannot be written (stderr is a closed pipe, or a file on a full disk) is left out: a run ends as it ends all the
same.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, assert_never

from bucket_loader.model import BucketLoaderError, counted
from bucket_loader.reporting import events, notebook
from bucket_loader.reporting.commands import Commands
from bucket_loader.reporting.grid import gridded
from bucket_loader.reporting.moving import InLines, InPlace
from bucket_loader.reporting.notebook import InNotebook
from bucket_loader.reporting.past import heading, listed, style_of
from bucket_loader.reporting.summary import Summary, ending, next_step_after, table_of
from bucket_loader.reporting.terminal import Page, boxed, give_up_stderr, log_console, stderr_console
from bucket_loader.state import dead_letters

if TYPE_CHECKING:
    from rich.console import Console

BAR_PERIOD_S: Final = 0.1
PERIOD_S: Final = 10.0  # between two plain lines of progress
REASONS_SHOWN: Final = 20
WINDOWS_SHOWN: Final = 5
_WARNING: Final = "warning:"

log = logging.getLogger(__name__)


def on_stderr(commands: Commands | None = None, *, quiet: bool = False) -> "TextListener":
    """Return the listener of a person who looks at stderr."""
    return TextListener(stderr_console(), quiet=quiet, commands=commands)


def in_log(write: Callable[[str], None]) -> "TextListener":
    """Return a listener whose lines go to a log of another program."""
    return TextListener(log_console(write))


class TextListener:
    """Writes lines for a person; a quiet one only what went wrong, and what was asked for."""

    def __init__(
        self, console: "Console", *, quiet: bool = False, period_s: float = PERIOD_S, commands: Commands | None = None
    ) -> None:
        self.console = console
        self._commands = commands or Commands()
        self.quiet = quiet
        is_live = console.is_interactive  # a dumb terminal goes back to no line
        if console.is_jupyter:
            period_s = notebook.PERIOD_S
        self.period_s = None if quiet else BAR_PERIOD_S if is_live else period_s
        self._moving = self._moving_in(period_s, is_live=is_live)
        self._lock = threading.RLock()
        self._page = Page(console)

    def _moving_in(self, period_s: float, *, is_live: bool) -> InPlace | InLines | InNotebook:
        if self.console.is_jupyter:
            return InNotebook()
        return InPlace(self.console) if is_live else InLines(self._say, period_s)

    def tell(self, event: events.Event) -> None:
        """Write what an event says."""
        with self._lock:
            if isinstance(event, events.Ending):
                self._end(event)
            elif isinstance(event, events.Moving):
                self._moves(event)
            elif isinstance(event, events.Answer):
                self._answer(event)
            else:
                self._remark(event)

    def _moves(self, event: events.Moving) -> None:
        if self.quiet:
            return
        try:
            self._moving.tell(event)
        except OSError:  # the terminal is gone
            give_up_stderr()

    def _remark(self, event: events.Remark) -> None:  # a case for each event, and nothing else
        match event:
            case events.ChunksUnknown() | events.ChunkHeld():
                log.warning("%s", event.text)  # a program that calls `load` finds it in its own log
            case events.ChunkRetried() | events.ChunkSetAside():  # the wait, or the summary, says what comes of it
                log.info("%s", event.text)
            case events.Note() | events.RunResumed() | events.WindowEnded() | events.StreamPlanned():
                self._say(event.text)
            case events.Doubt():
                self._doubt(event)
            case events.Complaint():
                self._line(f"error: {event.text}", "error", head=6)
            case events.NotTold():
                if not (self.quiet and event.ended_well):
                    self._line(f"{_WARNING} {event.text}", "warning", head=len(_WARNING))
            case events.ThreadCrashed():
                pass  # Python prints the traceback
            case _:
                assert_never(event)

    def _answer(self, event: events.Answer) -> None:
        match event:
            case events.RecordShown():
                self._say(f"    {event.record}")
            case events.PlanRejected():
                if not self.quiet:
                    self._rejected(event.file)
            case events.RunsListed():
                self._page.show(listed(event, self.console.width, self._page.marks))
            case events.RunShown():
                self._run(event)
            case events.Lines():
                for line in event.lines:
                    self._line(line)
            case events.Table():
                self._table(event)
            case events.QueryResult():
                self._page.show(gridded(event, self.console.width))

    def _end(self, event: events.Ending) -> None:
        match event:
            case events.RunEnded():
                self._run_ended(event)
            case events.WindowsEnded():
                self._windows_ended(event)
            case events.AssertionsEnded():
                self._assertions(event)
            case events.CommandFailed():
                self._error(event.error)
            case events.CommandCrashed() | events.CommandInterrupted():
                pass  # Python prints the traceback; whoever interrupts a command knows it
            case _:
                assert_never(event)

    def _doubt(self, doubt: events.Doubt) -> None:
        if not self.quiet:
            first, *others = doubt.lines()
            self._line(first, "warning", head=len(first) - len(doubt.text))
            for line in others:
                self._line(line)

    # --- the end of a run ------------------------------------------------------------------------------------------

    def _run_ended(self, event: events.RunEnded) -> None:
        """Write where every row went, and what to do next."""
        summary = event.summary
        if not self.quiet or summary.exit_code:
            self._summary(summary)
            for file in summary.letters:
                self._rejected(file, is_kept=not event.thrown_away)
            if next_step := "" if event.thrown_away else next_step_after(summary):
                self._line(f"  next: {next_step}", "hint", head=7)
        if summary.error is not None and not event.raised:
            self._error(summary.error)

    def _run(self, event: events.RunShown) -> None:
        """Write all that is known of a past run."""
        self._line(f"run {event.past.name}", "head")
        self._line(heading(event.past, self._page.marks), style_of(event.past))
        longest = max(len(name) for name, _ in event.facts)
        for name, text in event.facts:
            self._line(f"  {name:<{longest}}  {text}", "dim", head=longest + 2)
        if event.rows:
            self._page.table(event.header, event.rows)
        if event.next_step:
            self._line(f"  next: {event.next_step}", "hint", head=7)

    def _windows_ended(self, event: events.WindowsEnded) -> None:
        """Write how those of many runs ended that did not succeed."""
        failed = [summary for summary in event.summaries if summary.exit_code]
        for summary in failed[-WINDOWS_SHOWN:]:
            self._run_ended(events.RunEnded(summary))
        if len(failed) > WINDOWS_SHOWN:
            self._line(
                f"... and {counted(len(failed) - WINDOWS_SHOWN, 'more window')} before: `bucket-loader status PIPELINE`"
            )

    def _assertions(self, event: events.AssertionsEnded) -> None:
        """Write what a test expects and is not so."""
        if not event.failed:
            self._say(event.text)
            return
        self._line(event.text, "error")
        for failed in event.failed:
            self._line("\n".join(f"    {line}" for line in failed.text.split("\n")))

    def _summary(self, summary: Summary) -> None:
        self._line(f"{summary.pipeline}: run {summary.run}", "head")
        header, *rows = table_of(summary)
        if rows:
            self._page.table(header, rows)
        if summary.impact:
            self._line(f"impact: {summary.impact}")
        for refused in summary.refused:
            self._line(refused.text)
        self._page.verdict(ending(summary), summary.exit_code)
        twice = sum(counts.possibly_duplicated for counts in summary.streams.values())
        if twice:
            self._line(
                f"{counted(twice, 'record')} may be there twice: an attempt had no answer, or a 5xx, and was repeated",
                "warning",
            )

    def _rejected(self, file: Path, *, is_kept: bool = True) -> None:
        """Write what was rejected and why: by source and reason, with the first rows of each."""
        groups = dead_letters.grouped(file)
        self._line(f"rejected rows and why: {file}" if is_kept else "rejected rows and why:", "warning", head=22)
        shown = groups[:REASONS_SHOWN]
        for stream, source in dict.fromkeys((one.stream, one.source) for one in shown):
            self._line(f"    {stream}, of {source}:")
            for group in (one for one in shown if (one.stream, one.source) == (stream, source)):
                self._line(f"      {counted(group.count, 'row')}: {group.why}")
        if len(groups) > REASONS_SHOWN:
            self._line(f"    ... and {counted(len(groups) - REASONS_SHOWN, 'more reason')} in the file")

    def _error(self, error: BucketLoaderError) -> None:
        first, *others = error.message.split("\n")
        self._line(f"error: {first}", "error", head=6)
        for line in [*others, *([f"  hint: {error.hint}"] if error.hint else [])]:
            before, hint, _ = line.partition("hint:")
            self._line(line, "hint", head=len(before + hint) if hint and not before.strip() else 0)

    # --- lines -----------------------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        if not self.quiet:
            is_warning = text.startswith(_WARNING)
            self._line(text, "warning" if is_warning else "", head=len(_WARNING) if is_warning else 0)

    def _line(self, text: str, style: str = "", *, head: int | None = None) -> None:
        self._page.write(self._commands.filled(text), style, head=head)

    def _table(self, table: events.Table) -> None:
        try:
            self.console.print(boxed(table.columns, table.rows))
        except OSError:
            give_up_stderr()
