"""`plan`: what a run would send, from Python."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bucket_loader.model import Counts, UsageError, counted
from bucket_loader.reporting import counts_frame
from bucket_loader.runs.from_python.words import given, with_options
from bucket_loader.runs.inspect import plan_job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    import pandas as pd

    from bucket_loader.model import Stop
    from bucket_loader.planning import Plan
    from bucket_loader.runs.from_python.words import PlanWords, Table

_READ_TOGETHER = 1_000


@dataclass(frozen=True, repr=False)
class Planned:
    """A plan that stands on disk. `load(what, plan=planned.folder)` sends exactly it.

    Attributes:
        run: the name of the run that it would be.
        folder: where it is.
        digest: identifies it: the sha256 of its manifest.
        streams: where every row would go, by stream.
        would_stop: what is outside of `limits:`, so that a run would send nothing.
    """

    run: str
    folder: Path
    digest: str
    streams: dict[str, Counts]
    would_stop: "Sequence[Stop]"
    _plan: "Plan"

    def records(self, stream: str | None = None) -> "Iterator[dict[str, Any]]":
        """Yield the records of a stream in order, as they would be sent; without a name those of all streams.

        Raises:
            UsageError: there is no such stream.
        """
        import json

        if stream is not None and stream not in self.streams:
            raise UsageError(f"the plan has no stream {stream!r}", hint=f"it has {', '.join(self.streams)}")
        for planned in self._plan.manifest.streams:
            if stream in {None, planned.name}:
                for first in range(0, planned.records, _READ_TOGETHER):
                    together = range(first, min(first + _READ_TOGETHER, planned.records))
                    yield from (json.loads(row["record"]) for row in self._plan.rows(planned, together, ["record"]))

    def as_json(self) -> dict[str, Any]:
        """Return the counts as plain data."""
        streams = {name: asdict(counts) for name, counts in self.streams.items()}
        stops = [asdict(stop) for stop in self.would_stop]
        found = {"run": self.run, "plan": str(self.folder), "digest": self.digest}
        return {**found, "streams": streams, "would_stop": stops}

    def to_frame(self) -> "pd.DataFrame":
        """Return the counts as a DataFrame: one row a stream."""
        return counts_frame(self.streams)

    def __repr__(self) -> str:
        pending = sum(counts.pending for counts in self.streams.values())
        return f"<Planned {self.run}: {counted(pending, 'record')} to send>"

    def _repr_html_(self) -> str:
        return str(self.to_frame().to_html(index=False))


@with_options
def plan(
    what: "str | Path | Table",
    *,
    destination: "str | Mapping[str, Any] | None" = None,
    name: str | None = None,
    quiet: bool = True,
    **words: "Unpack[PlanWords]",
) -> Planned:
    """Plan a run, and return what it would send. Sends nothing.

        plan("nightly.yaml").to_frame()

    Args:
        what: as for `load`.
        destination: as for `load`.
        name: as for `load`.
        quiet: as for `load`.
        words: the options below that concern a plan; and a table's words, as for `load`.

    Returns:
        The plan, which is kept.

    Raises:
        BucketLoaderError: it cannot be made.
    """
    made = plan_job(given(what, destination, name, quiet=quiet, words=words).job())
    plan = made.plan
    return Planned(plan.manifest.run, plan.folder, plan.digest(), made.streams, made.stops, plan)
