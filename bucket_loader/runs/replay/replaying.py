"""A replay that is being planned: which letters are left to take up, and what is noted of those that are."""

from dataclasses import dataclass
from pathlib import Path

from bucket_loader.model import Counts
from bucket_loader.planning import plan_file
from bucket_loader.reporting import Note, Summary
from bucket_loader.runs.job import Job
from bucket_loader.runs.replay.letters import Letters, number_of
from bucket_loader.state import Entry, Replay, RunRow, State


@dataclass(frozen=True)
class Replaying:
    """A replay that is being planned.

    Attributes:
        job: what is asked.
        state: the state that the letters are of.
        letters: the letters of the file.
        row: the run that wrote them.
        name: the name of the new run.
    """

    job: Job
    state: State
    letters: Letters
    row: RunRow
    name: str

    @property
    def folder(self) -> Path:
        """Where the new plan goes."""
        return self.state.plans / self.name

    def fresh(self, stream: str) -> list[Entry]:
        """Return a stream's letters that no run has taken up."""
        taken = self.state.ledger.replayed(self.letters.run)
        fresh = [entry for entry in self.letters.of(stream) if (stream, number_of(entry)) not in taken]
        return sorted(fresh, key=lambda entry: (str(entry.origin["source"]), int(entry.origin["row"])))

    def rows(self, stream: str) -> list[Entry]:
        """Return those of them that have a row; what is gone from the source has none to map."""
        return [entry for entry in self.fresh(stream) if entry.origin["source"] != plan_file.REMOVED]

    def replays(self, stream: str, taken_up: dict[str, int | None]) -> list[Replay]:
        """Return what the ledger is to note: numbers of letters, and their sequences in the new plan."""
        return [Replay(self.letters.run, stream, number, sequence) for number, sequence in taken_up.items()]

    def nothing_to_do(self) -> Summary:
        """Return the summary of a replay whose letters were all taken up before."""
        taken_up = f"all {len(self.letters.entries):,} dead letters were taken up before"
        self.job.listener.tell(Note(f"{taken_up}; nothing is sent"))
        counts = {name: len(self.letters.of(name)) for name in self.letters.streams()}
        return Summary(
            run=self.name,
            pipeline=self.job.pipeline.name,
            status="succeeded",
            exit_code=0,
            as_of=self.row.as_of,
            streams={name: Counts(read=count, unchanged=count) for name, count in counts.items()},
        )
