"""What a report is made from: a run's row of the ledger, and its plan and dead letters where they are still there."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from bucket_loader.model import BucketLoaderError, Counts, StateError
from bucket_loader.planning import Plan, plan_file
from bucket_loader.runs.job import Job
from bucket_loader.state import MANIFEST, ChunkRow, RunRow, State

NAME_MAX: Final = 80  # characters of a name; one may be as long as somebody likes
TEXT_MAX: Final = 600  # of a sentence
WHY_MAX: Final = 3_000  # of what ended a run early: several limits may, and a file may have many mistakes
_STATES: Final = ("queued", "intent", "delivered", "rejected", "split", "held", "dropped", "superseded")


@dataclass(frozen=True)
class ReportAsked:
    """What is asked of a report.

    Attributes:
        run_name: of which run: as `find_run` takes it; None where there is none, since it could not begin.
        is_after: whether a command just ended: its run goes by its whole name, and there may be none.
        error: what ended the command; None where the ledger is asked.
        with_rows: whether rows are shown.
        named: how commands name the pipeline.
        thrown_away: whether the state goes when the command ends: it was a rehearsal.
    """

    run_name: str | None
    is_after: bool = False
    error: BucketLoaderError | None = None
    with_rows: bool = False
    named: str = "PIPELINE"
    thrown_away: bool = False


@dataclass(frozen=True)
class Known:
    """A run, and what is still there of it."""

    job: Job
    state: State
    row: RunRow
    asked: ReportAsked

    @cached_property
    def counts(self) -> dict[str, Counts]:
        """Where every row went, by stream."""
        return self.state.ledger.counts(self.row.run)

    @cached_property
    def total(self) -> Counts:
        """The same of all streams together."""
        return sum(self.counts.values(), Counts())

    @cached_property
    def planned(self) -> Plan | None:
        """The run's plan; None where it is gone, or cannot be read."""
        try:
            folder = self.state.plan_folder(self.row.run)
            return plan_file.read(folder, verify=False) if (folder / MANIFEST).exists() else None
        except StateError:
            return None

    @cached_property
    def letters(self) -> Path | None:
        """The file of its dead letters; None where there are none, or they are gone."""
        if self.state.letters_place(self.row.run) is None:
            return None
        return self.state.fetch_letters(self.row.run)

    @cached_property
    def letters_left(self) -> int:
        """How many of its dead letters are there, and nobody has taken up again or dropped."""
        if self.letters is None:
            return 0
        decided = self.state.ledger.replayed(self.row.run) | self.state.ledger.dropped(self.row.run)
        return max(0, self.total.rejected - self.total.refused_before - len(decided))

    @cached_property
    def chunks(self) -> list[tuple[str, ChunkRow]]:
        """Its chunks, each with the name of its stream."""
        return list(self._chunks())

    def _chunks(self) -> Iterator[tuple[str, ChunkRow]]:
        for position, name in enumerate(self.counts):
            for row in self.state.ledger.chunks(self.row.run, position, *_STATES):
                yield name, row

    @property
    def folded(self) -> int:
        """How many of its chunks are folded."""
        return sum(row.folded or 0 for _, row in self.chunks)


def cut(text: str, most: int) -> str:
    """Return a text that is no longer than so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
