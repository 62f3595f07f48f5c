"""`status`: past runs, from Python."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bucket_loader.model import Counts, counted
from bucket_loader.runs.from_python.words import given
from bucket_loader.runs.status import past_runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


@dataclass(frozen=True, repr=False)
class Status:
    """What past runs came to.

    Attributes:
        runs: newest first, each as `bucket-loader status --json` prints it.
        cursors: how far each stream's query was read.
    """

    runs: "Sequence[dict[str, Any]]"
    cursors: "Mapping[str, str]"

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a run: its name, when it began (UTC), how it ended, and what it sent and rejected."""
        import pandas as pd

        rows = []
        for run in self.runs:
            counts = sum((Counts(**found) for found in run["streams"].values()), Counts())
            rows.append(
                {"run": run["run"], "began": run["created_at"], "status": run["status"], "delivered": counts.delivered,
                 "rejected": counts.rejected, "pending": counts.pending}
            )  # fmt: skip
        frame = pd.DataFrame(rows, columns=["run", "began", "status", "delivered", "rejected", "pending"])
        return frame.assign(began=pd.to_datetime(frame["began"], utc=True))

    def __repr__(self) -> str:
        newest = f", the newest {self.runs[0]['run']} {self.runs[0]['status']}" if self.runs else ""
        return f"<Status: {counted(len(self.runs), 'run')}{newest}>"

    def _repr_html_(self) -> str:
        return str(self.to_frame().to_html(index=False))


def status(
    pipeline: "str | Path",
    *,
    destination: "str | Mapping[str, Any] | None" = None,
    state: "str | Path | Sequence[str] | None" = None,
    last: int = 20,
) -> Status:
    """Return what past runs of a pipeline came to. Needs no key.

        status("nightly.yaml").to_frame()

    Args:
        pipeline: the path of the pipeline file.
        destination: as for `load`: the state belongs to a host.
        state: where the memory of runs lies; `.bucket_loader` beside the pipeline file by default.
        last: how many runs, the newest first.

    Raises:
        BucketLoaderError: a mistake in the file, or the state cannot be read.
    """
    words = {} if state is None else {"state": state}
    found = past_runs(given(pipeline, destination, None, quiet=True, words=words).job(has_key=False), last=last)
    return Status(found["runs"], found["cursors"])
