"""What people and programs are told: progress while it runs, a summary at its end. People read stderr, programs stdout.

On a terminal there is a bar with rate and time left; elsewhere plain lines, one every few seconds at the most. What
cannot be told (stderr is a closed pipe, or a file on a full disk) is not: a run ends as it ends all the same.
"""

import logging
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from bucket_loader.model import BucketLoaderError, Counts, RejectedRowsError
from bucket_loader.reporting.events import ChunkRetried, Event
from bucket_loader.reporting.terminal import give_up_stderr, table
from bucket_loader.state import StateLayout, dead_letters

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.progress import Progress, TaskID

PLAIN_PERIOD_S: Final = 10.0
REASONS_SHOWN: Final = 20
WINDOWS_SHOWN: Final = 5
COLUMNS: Final = (
    "read",
    "removed",
    "delivered",
    "rejected",
    "unchanged",
    "superseded",
    "filtered",
    "pending",
    "unknown",
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resumed:
    """An earlier run that this call finished."""

    run: str
    streams: dict[str, Counts]
    dead_letters: str | None = None


@dataclass(frozen=True)
class Summary:
    """What a run came to (DESIGN section 5).

    Attributes:
        status: succeeded, rejected, stopped, failed, unfinished, interrupted; `empty` when there was nothing to do
            and exit 99 was asked for.
        streams: where every row of the new run went, by stream.
        resumed: earlier runs that were finished first.
        dead_letters: the absolute path of what was rejected, None when nothing was.
        error: what ended the run early.
    """

    run: str
    pipeline: str
    status: str
    exit_code: int
    as_of: str
    streams: dict[str, Counts]
    resumed: tuple[Resumed, ...] = ()
    requests: int = 0
    retries: int = 0
    dead_letters: str | None = None
    seconds: float = 0.0
    error: BucketLoaderError | None = field(default=None, compare=False)

    def as_json(self) -> dict[str, Any]:
        """Give the object that `--json` prints."""
        found = {
            "run": self.run,
            "pipeline": self.pipeline,
            "status": self.status,
            "exit_code": self.exit_code,
            "as_of": self.as_of,
            "resumed": [
                {"run": one.run, "streams": {name: asdict(counts) for name, counts in one.streams.items()}}
                for one in self.resumed
            ],
            "streams": {name: asdict(counts) for name, counts in self.streams.items()},
            "requests": self.requests,
            "retries": self.retries,
            "dead_letters": self.dead_letters,
            "seconds": round(self.seconds, 3),
        }
        if self.error is not None:
            found["error"] = {"message": self.error.message, "hint": self.error.hint}
        return found

    @property
    def letters(self) -> list[Path]:
        """The files of what was rejected: of the run, and of the runs that it finished first."""
        files = [self.dead_letters, *(one.dead_letters for one in self.resumed)]
        return [Path(file) for file in files if file is not None]

    def raise_for_status(self) -> None:
        """Raise what ended the run early, or that rows were rejected; do nothing when all was delivered.

        Raises:
            BucketLoaderError: with the exit code that the command line would have had.
        """
        if self.error is not None:
            raise self.error
        if self.exit_code == RejectedRowsError.exit_code:
            raise RejectedRowsError("some rows were rejected", hint=f"they and why: {self.dead_letters}")

    def to_frame(self) -> "pd.DataFrame":
        """Give the counts as a DataFrame: one row a stream."""
        import pandas as pd

        return pd.DataFrame([{"stream": name, **asdict(counts)} for name, counts in self.streams.items()])


class Progressing(Protocol):
    """What a progress display is told of a delivery; `delivery.Tally` has these."""

    run: str
    stream: str
    records: int
    delivered: int
    rejected: int
    requests: int
    retries: int
    state: str


class Reporter:
    """Tells a person how far a run is. `quiet` tells only what went wrong; a rehearsal throws its files away."""

    def __init__(self, console: "Console", *, quiet: bool = False, throws_away: bool = False) -> None:
        self.console = console
        self.quiet = quiet
        self.throws_away = throws_away
        self._last_told = 0.0
        self._planning: tuple[Progress, dict[str, TaskID]] | None = None

    def tell(self, event: Event) -> None:
        """Log what happens to a chunk: a program that calls `load` finds it in its own log."""
        log.log(logging.INFO if isinstance(event, ChunkRetried) else logging.WARNING, "%s", event.text)

    def say(self, text: str) -> None:
        """Say one line."""
        if not self.quiet:
            self._line(text)

    def show(self, record: str) -> None:
        """Show a record to whoever asked to see it: it is row data, and goes to no log."""
        self.say(f"    {record}")

    @contextmanager
    def planning(self) -> Iterator[None]:
        """Show the reading: rows as they come; their number is not known beforehand."""
        if self.quiet or not self.console.is_terminal:
            yield
            return
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            self._planning = progress, {}
            try:
                yield
            finally:
                self._planning = None

    def read(self, stream: str, rows: int, rejected: int) -> None:
        """Tell how many rows of a stream were read."""
        text = f"planning {stream}: {rows:,} rows read" + (f", {rejected:,} rejected" if rejected else "")
        now = time.monotonic()
        if self._planning is not None:
            progress, tasks = self._planning
            if stream not in tasks:
                tasks[stream] = progress.add_task(text, total=None)
            progress.update(tasks[stream], description=text)
        elif now - self._last_told >= PLAIN_PERIOD_S:
            if self._last_told:
                self._tell_reading(text, stream, rows, rejected)
            self._last_told = now

    def _tell_reading(self, text: str, stream: str, rows: int, rejected: int) -> None:  # noqa: ARG002  # for a log
        self.say(text)

    @contextmanager
    def delivering(self, tally: Progressing) -> Iterator[None]:
        """Show a delivery while it runs: a thread of its own looks at the tally."""
        if self.quiet:
            yield
            return
        import threading

        ended = threading.Event()
        show = self._show_bar if self.console.is_terminal else self._show_plain
        thread = threading.Thread(target=show, args=(tally, ended), name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _show_plain(self, tally: Progressing, ended: Any) -> None:  # noqa: ANN401  # threading.Event
        began, before = time.monotonic(), None
        while not ended.wait(PLAIN_PERIOD_S):
            done = tally.delivered + tally.rejected
            before = done if before is None else before
            self._tell_progress(tally, done, (done - before) / max(time.monotonic() - began, 0.001))

    def _tell_progress(self, tally: Progressing, done: int, rate: float) -> None:
        state = f" ({tally.state})" if tally.state else ""
        self.say(f"delivering {tally.stream}: {done:,} of {tally.records:,} records, {rate:,.0f}/s{state}")

    def _show_bar(self, tally: Progressing, ended: Any) -> None:  # noqa: ANN401  # threading.Event
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(),
            TextColumn("{task.fields[state]}", style="yellow"),
        )  # fmt: skip
        with Progress(*columns, console=self.console) as progress:
            tasks: dict[str, TaskID] = {}
            while True:
                last = ended.wait(0.1)
                if tally.stream and tally.records:
                    if tally.stream not in tasks:
                        tasks[tally.stream] = progress.add_task(tally.stream, total=tally.records, rate="", state="")
                    task = progress.tasks[tasks[tally.stream]]
                    speed = f"{task.speed:,.0f}/s" if task.speed else ""
                    progress.update(
                        task.id, total=tally.records, completed=tally.delivered + tally.rejected, rate=speed,
                        state="" if last else tally.state[:60],
                    )  # fmt: skip
                if last:
                    return

    def ended(self, summary: Summary) -> None:
        """Tell how a run ended, and why when it ended early."""
        self.summary(summary)
        if summary.error is not None:
            self.error(summary.error)

    def window(self, text: str, summary: Summary) -> None:  # noqa: ARG002  # for a log
        """Tell how one of many runs ended."""
        self.say(text)

    def windows_ended(self, summaries: Sequence[Summary], *, skipped: int, exit_code: int) -> None:  # noqa: ARG002
        """Tell how those of many runs ended that did not succeed."""
        failed = [summary for summary in summaries if summary.exit_code]
        for summary in failed[-WINDOWS_SHOWN:]:
            self.ended(summary)
        if len(failed) > WINDOWS_SHOWN:
            self._line(f"... and {len(failed) - WINDOWS_SHOWN:,} more windows before them: `bucket-loader status`")

    def summary(self, summary: Summary) -> None:
        """Tell how a run ended: a table of where every row went, and what to do next."""
        if self.quiet and summary.exit_code == 0:
            return
        for line in textwrap.wrap(f"{summary.pipeline}: run {summary.run}", self.console.width):
            self._line(line, style="bold")
        header, *rows = _rows(summary)
        for number, line in enumerate(table(header, rows, self.console.width) if rows else ()):
            self._line(line, style="bold" if number == 0 else None)
        self._line(ending(summary))
        twice = sum(counts.possibly_duplicated for counts in summary.streams.values())
        if twice:
            self._line(f"{twice:,} records may be there twice: an attempt had no answer, or a 5xx, and was repeated")
        for file in summary.letters:
            self.rejected(file)
        if next_step := "" if self.throws_away else next_step_after(summary):
            self._line(f"  next: {next_step}")

    def rejected(self, file: Path) -> None:
        """Say what was rejected and why: by reason, with the first rows of each."""
        groups = dead_letters.grouped(file)
        self._line("rejected rows and why:" if self.throws_away else f"rejected rows and why: {file}")
        for group in groups[:REASONS_SHOWN]:
            self._line(f"    {group}")
        if len(groups) > REASONS_SHOWN:
            self._line(f"    ... and {len(groups) - REASONS_SHOWN:,} more reasons in the file")

    def _line(self, text: str, style: str | None = None) -> None:
        try:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True, style=style)
        except OSError:
            give_up_stderr()

    def error(self, error: BucketLoaderError) -> None:
        """Tell what ended a run, and what to do next."""
        self._line(f"error: {error.message}")
        if error.hint:
            self._line(f"  hint: {error.hint}")


# --- words of a summary --------------------------------------------------------------------------------------------


def ending(summary: Summary) -> str:
    """Say how a run ended, in one line."""
    retried = f" ({summary.retries:,} retries)" if summary.retries else ""
    ended = "finished, and some rows were rejected," if summary.status == "rejected" else summary.status
    return f"{ended} in {summary.seconds:.1f} s, {summary.requests:,} requests{retried}"


def next_step_after(summary: Summary) -> str:
    """Say what a person does next where no error's hint says so."""
    if summary.error is not None:
        return ""
    if summary.status == "rejected" and summary.letters:
        file = Path(summary.letters[0])
        # Where the ledger does not lie beside it, nothing else says whose letters these are.
        whose = "" if StateLayout.of_letters(file).ledger.exists() else " --pipeline FILE"
        return f"mend the rows or `fields:`, then `bucket-loader replay {file} --remap{whose}`"
    if summary.status == "unfinished":
        return (
            "some records are held, since their answer never came: `bucket-loader status --json` names them, "
            "`bucket-loader release` sends or drops them"
        )
    return ""


def _rows(summary: Summary) -> list[list[str]]:
    """Give the table: its header, then a row for each stream. Columns that are 0 everywhere are mostly left out."""
    named = [(f"{stream} (resumed)", counts) for one in summary.resumed for stream, counts in one.streams.items()]
    named += summary.streams.items()
    always = {"read", "delivered", "rejected"}
    shown = [name for name in COLUMNS if name in always or any(getattr(counts, name) for _, counts in named)]
    rows = [[stream, *(f"{getattr(counts, name):,}" for name in shown)] for stream, counts in named]
    return [["stream", *shown], *rows]
