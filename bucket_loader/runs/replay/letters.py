"""A dead-letter file as replay takes it: which letters of which run; and where such a file is, and whose."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bucket_loader.model import UsageError
from bucket_loader.runs.job import Job
from bucket_loader.state import Entry, StateLayout, dead_letters, look_at_file, look_at_state

_PLANNING: Final = "p"  # what planning rejected is numbered `p0`, `p1` ..., and made no record


@dataclass(frozen=True)
class Letters:
    """The entries of one file, all of one run.

    Attributes:
        file: where they were read.
        run: the run that wrote them.
        entries: each id once, in the file's order.
    """

    file: Path
    run: str
    entries: tuple[Entry, ...]

    def streams(self) -> list[str]:
        """Return the streams that they are of."""
        return list(dict.fromkeys(entry.stream for entry in self.entries))

    def of(self, stream: str) -> list[Entry]:
        """Return those of a stream."""
        return [entry for entry in self.entries if entry.stream == stream]


def read_letters(file: Path) -> Letters:
    """Read a dead-letter file, or a part of one that a person chose.

    Raises:
        UsageError: it is none, or its letters are of several runs.
    """
    try:
        entries = tuple(dead_letters.read(file))
    except OSError as error:
        raise UsageError(
            f"cannot read {file}: {error.strerror}", hint="`bucket-loader status PIPELINE --json` names the files"
        ) from None
    runs = sorted({entry.run for entry in entries})
    if len(runs) != 1:
        what = "holds no dead letter" if not runs else f"holds dead letters of {len(runs)} runs: {', '.join(runs[:3])}"
        raise UsageError(f"{file} {what}", hint="replay the file of one run at a time")
    return Letters(file, runs[0], entries)


def number_of(entry: Entry) -> str:
    """Return the last part of a letter's id."""
    return entry.id.rpartition("/")[2]


def has_record(entry: Entry) -> bool:
    """Whether there was a record of the row; planning rejects rows before there is one."""
    return not number_of(entry).startswith(_PLANNING)


def pipeline_file_of(file: Path) -> Path:
    """Return the pipeline file whose state a dead-letter file lies in.

    Raises:
        UsageError: it lies in none, or the state does not know.
    """
    path = StateLayout.of_letters(file).ledger
    hint = "say which pipeline it is of: --pipeline nightly.yaml"
    if (ledger := look_at_file(path)) is None:
        if not file.exists():
            raise UsageError(f"there is no file {file}", hint="`bucket-loader status PIPELINE RUN` names that of a run")
        raise UsageError(f"{file} does not lie in a pipeline's state", hint=hint)
    with closing(ledger):
        known = ledger.meta("pipeline_file")
    if known is None or not Path(known).exists():
        raise UsageError(f"the pipeline file of {file} is not known, or has moved", hint=hint)
    return Path(known)


def brought(job: Job, file: Path) -> Path:
    """Return the file; it is fetched from the state's store when this disk lacks it."""
    state = None if file.exists() or job.state_place.store is None else look_at_state(job.pipeline, job.state_place)
    if state is None:
        return file
    with closing(state):
        here = state.fetch_letters(file.stem)
    return here if here.exists() else file
