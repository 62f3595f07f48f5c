"""What a run came to: where every row went, how it ended, and the words for that."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.model import COUNTS, BucketLoaderError, Counts, LimitError, RejectedRowsError, UsageError, counted
from bucket_loader.reporting import html
from bucket_loader.reporting.report.document import Document
from bucket_loader.state import StateLayout, dead_letters

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: Final = tuple(count.name for count in COUNTS if count.shown != "never")
_RUN_AGAIN: Final = (75, 129, 130, 143)
_HELD_SHOWN: Final = 3  # chunks
_REASONS_SHOWN: Final = 20
Reasons = Sequence[dead_letters.Group]
_ALWAYS: Final = {count.name for count in COUNTS if count.shown == "always"}


@dataclass(frozen=True)
class Resumed:
    """An earlier run that this call finished."""

    run: str
    streams: dict[str, Counts]
    dead_letters: str | None = None


@dataclass(frozen=True)
class HeldChunk:
    """A chunk that waits for a person: it was sent, and whether it arrived is unknown."""

    run: str
    stream: str
    chunk: str
    records: int


@dataclass(frozen=True)
class RefusedRows:
    """Rows of a plan that an earlier run saw refused, with the same bytes.

    Attributes:
        stream: their stream.
        again: how many are sent once more, after all that is new.
        waiting: how many are not; they count as rejected.
        run: the first run that saw one of them refused.
        day: the day of that run's plan.
    """

    stream: str
    again: int
    waiting: int
    run: str
    day: str

    @property
    def text(self) -> str:
        """The line that a person reads."""
        since = f"were refused before, first on {self.day} by run {self.run}"
        again = f"{self.again:,} are sent once more, after all that is new"
        waiting = f"{self.waiting:,} are not sent again now and count as rejected (once a day, or with --retry-refused)"
        said = [text for count, text in ((self.again, again), (self.waiting, waiting)) if count]
        return f"{self.stream}: {counted(self.again + self.waiting, 'row')} {since}; {', '.join(said)}"


@dataclass(frozen=True)
class StuckChunk:
    """A chunk that is set aside: it met only server errors, and nobody can tell whether it is itself what brings them.

    Attributes:
        since: since when (wire time).
        waits: whether it was not attempted, since it names whom such a chunk names.
    """

    run: str
    stream: str
    chunk: str
    records: int
    since: str
    waits: bool = False


@dataclass(frozen=True, repr=False)
class Summary:
    """What a run came to (DESIGN section 5).

    Attributes:
        status: succeeded, rejected, stopped, failed, unfinished, interrupted; `empty` when there was nothing to do
            and exit 99 was asked for.
        streams: where every row of the new run went, by stream.
        resumed: earlier runs that were finished first.
        dead_letters: the absolute path of what was rejected, None when nothing was.
        error: what ended the run early.
        held: what this state holds for a person, of whatever run.
        only_held: whether nothing else is pending, so that running again cannot help.
        refused: rows that earlier runs saw refused, by stream.
        stuck: what this state has set aside, of whatever run, and what waits for that.
        only_waits: whether nothing is pending but what is held or set aside.
        served: how many requests the API did something with.
        impact: which features the new run changes, in a line; empty where nobody asked.
        document: makes the report of the run, with rows or without; None where nobody can.
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
    held: tuple[HeldChunk, ...] = ()
    only_held: bool = False
    refused: tuple[RefusedRows, ...] = ()
    stuck: tuple[StuckChunk, ...] = ()
    only_waits: bool = False
    served: int = 0
    impact: str = ""
    document: Callable[[bool], Document] | None = field(default=None, compare=False)

    @property
    def retry(self) -> bool:
        """Whether running again can help."""
        return self.exit_code in _RUN_AGAIN and not self.only_held

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
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
        if self.held:
            found["held"] = [asdict(one) for one in self.held]
        if self.refused:
            found["refused_before"] = [asdict(one) for one in self.refused]
        if self.impact:
            found["impact"] = self.impact
        if self.stuck:
            found["stuck"] = [asdict(one) for one in self.stuck]
        if self.exit_code in _RUN_AGAIN or self.only_held:
            found["retry"] = self.retry
        if self.error is not None:
            error: dict[str, Any] = {"message": self.error.message, "hint": self.error.hint}
            if isinstance(self.error, LimitError):
                error["gates"] = [asdict(stop) for stop in self.error.stops]
            found["error"] = error
        return found

    @property
    def letters(self) -> list[Path]:
        """The files of what was rejected that are there: of the run, and of the runs that it finished first."""
        files = [self.dead_letters, *(one.dead_letters for one in self.resumed)]
        return [Path(file) for file in files if file is not None and Path(file).exists()]

    def raise_for_status(self) -> None:
        """Raise what ended the run early, or that rows were rejected; do nothing when all was delivered.

        Raises:
            BucketLoaderError: with the exit code that the command line would have had.
        """
        if self.error is not None:
            raise self.error
        if self.exit_code == RejectedRowsError.exit_code:
            why = f"they and why: {self.dead_letters}" if self.dead_letters else _refused_words(self)
            raise RejectedRowsError("some rows were rejected", hint=why)

    def report(self, *, with_rows: bool = False) -> Document:
        """Return all that is known of the run as a page: a notebook shows it, and `save(file)` writes it.

        Args:
            with_rows: whether some dead letters and records are shown; without them no value of a row is in it.

        Raises:
            UsageError: this summary was stored, or its run's state is gone, as after a rehearsal.
            StateError: the state cannot be read.
        """
        if self.document is None:
            raise UsageError(
                "this summary knows no state that a report could be made from",
                hint=f"`bucket-loader report PIPELINE {self.run} -o FILE.html` makes it where the state is, and "
                "`bucket-loader rehearse PIPELINE --report FILE.html` that of a rehearsal",
            )
        return self.document(with_rows)

    def __getstate__(self) -> dict[str, Any]:
        """Return what of it can be stored: what makes the report cannot."""
        return {**self.__dict__, "document": None}

    def to_frame(self) -> "pd.DataFrame":
        """Return where every row went as a DataFrame: one row a stream; `as_json()` has all counts."""
        return counts_frame(self.streams)

    def __repr__(self) -> str:
        counts = sum(self.streams.values(), Counts())
        went = ", ".join(
            f"{getattr(counts, name):,} {name}"
            for name in ("delivered", "rejected", "pending")
            if getattr(counts, name)
        )
        return f"<Summary {self.pipeline} {self.run}: {self.status}, {went or 'nothing to send'}, {self.seconds:.1f} s>"

    def reasons(self) -> Reasons:
        """Return why rows were rejected, from the files of dead letters; no value of a row is in it."""
        return [group for file in self.letters for group in dead_letters.grouped(file)]

    def _repr_html_(self) -> str:
        return summary_html(self, self.reasons())


def counts_frame(streams: Mapping[str, Counts]) -> "pd.DataFrame":
    """Return where the rows of each stream went: one row a stream, and a column for each place that they can go to."""
    import pandas as pd

    columns = [count.name for count in COUNTS if count.side]
    rows = [
        {"stream": name, **{column: getattr(counts, column) for column in columns}} for name, counts in streams.items()
    ]
    return pd.DataFrame(rows, columns=["stream", *columns])


# --- words of a summary --------------------------------------------------------------------------------------------


def ending(summary: Summary) -> str:
    """Return how a run ended, in one line."""
    retried = f" ({counted(summary.retries, 'retry', 'retries')})" if summary.retries else ""
    ended = "finished, and some rows were rejected," if summary.status == "rejected" else summary.status
    return f"{ended} in {summary.seconds:.1f} s, {counted(summary.requests, 'request')}{retried}"


def next_step_after(summary: Summary) -> str:
    """Return what a person does next where no error's hint says so."""
    if summary.error is not None:
        return ""
    if summary.status == "rejected" and summary.letters:
        file = Path(summary.letters[0])
        # Where the ledger does not lie beside it, nothing else says whose letters these are.
        whose = "" if StateLayout.of_letters(file).ledger.exists() else " --pipeline PIPELINE"
        return f"mend the rows or `fields:`, then `bucket-loader replay {quote(str(file))} --remap{whose}`"
    if summary.status == "rejected" and summary.refused:
        return _refused_words(summary)
    if not summary.only_waits:
        return ""
    said = [_held_words(summary.held) if summary.held else "", stuck_words(summary.stuck) if summary.stuck else ""]
    return "; ".join(filter(None, said))


def _refused_words(summary: Summary) -> str:
    """Return what a person does about rows that were refused before."""
    runs = ", ".join(dict.fromkeys(one.run for one in summary.refused))
    return (
        f"the dead letters of run {runs} say why they were refused; mend the rows or `fields:`, and what changed is "
        "sent at once; or send them again as they are with --retry-refused"
    )


def _held_words(held: tuple[HeldChunk, ...]) -> str:
    """Return what is held, and what a person does about it."""
    records = sum(one.records for one in held)
    are = "is" if records == 1 else "are"
    return (
        f"{counted(records, 'record')} {are} held, since their answer never came: {_named(held)}; "
        "`bucket-loader release PIPELINE --all --dry-run` shows them; without --dry-run they are sent again, "
        "with --drop never"
    )


def stuck_words(stuck: Sequence[StuckChunk]) -> str:
    """Return what is set aside, and what becomes of it."""
    tried, behind = [one for one in stuck if not one.waits], sum(one.records for one in stuck if one.waits)
    records = sum(one.records for one in tried)
    waiting = (
        f"; waiting for that, since they name the same users or companies: {counted(behind, 'record')}"
        if behind
        else ""
    )
    return (
        f"{counted(records, 'record')} met only server errors so far, and nobody can tell yet whose fault that is: "
        f"{_named(tried)}{waiting}. Each run tries again, after all that is new; "
        f"`bucket-loader abandon PIPELINE {tried[0].run if tried else 'RUN'}` closes the run of such a record"
    )


def _named(chunks: Sequence[HeldChunk | StuckChunk]) -> str:
    named = [f"{one.stream} {one.chunk} of run {one.run}" for one in chunks[:_HELD_SHOWN]]
    more = f" and {counted(len(chunks) - _HELD_SHOWN, 'more chunk')}" if len(chunks) > _HELD_SHOWN else ""
    return ", ".join(named) + more


def table_of(summary: Summary) -> list[list[str]]:
    """Return the table: its header, then a row for each stream. Columns that are 0 everywhere are mostly left out."""
    named = [(f"{stream} (resumed)", counts) for one in summary.resumed for stream, counts in one.streams.items()]
    named += summary.streams.items()
    shown = [name for name in COLUMNS if name in _ALWAYS or any(getattr(counts, name) for _, counts in named)]
    rows = [[stream, *(f"{getattr(counts, name):,}" for name in shown)] for stream, counts in named]
    return [["stream", *shown], *rows]


def summary_html(summary: Summary, reasons: Reasons) -> str:
    """Return what a notebook shows of a summary, and of why rows were rejected; no value of a row is in it."""
    return "\n".join(_html(summary, reasons))


def _html(summary: Summary, reasons: Reasons) -> Iterator[str]:
    header, *rows = table_of(summary)
    yield html.paragraph(f"{summary.pipeline}: {ending(summary)} (run {summary.run})")
    yield html.table(header, rows)
    if summary.error is not None:
        yield from map(html.paragraph, [f"error: {summary.error.message}", f"hint: {summary.error.hint}"])
    if reasons:
        yield html.paragraph("rejected, and why:")
        yield html.table(["stream", "rows", "why", "where"], [_why(group) for group in reasons[:_REASONS_SHOWN]])
    if len(reasons) > _REASONS_SHOWN:
        yield html.paragraph(f"... and {len(reasons) - _REASONS_SHOWN:,} more reasons in {summary.dead_letters}")
    if step := next_step_after(summary):
        yield html.paragraph(f"next: {step}")


def _why(group: dead_letters.Group) -> list[str]:
    more = ", ..." if group.count > len(group.rows) else ""
    where = f"{group.source}, row {', '.join(map(str, group.rows))}{more}"
    return [group.stream, f"{group.count:,}", group.message, where]
