"""A case: one stream of a plan, the limits that hold for it, and its last whole reading."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from bucket_loader.config import Limits, Share
from bucket_loader.planning.facts import Facts
from bucket_loader.planning.gates.baseline import Baseline
from bucket_loader.planning.manifest import PlannedStream


@dataclass(frozen=True)
class Case:
    """What gates are held against.

    Attributes:
        stream: the stream of the plan.
        limits: the limits that hold for it.
        nulls: how many records may lack a field, for the fields that are asked of this stream.
        removed: how many records may be gone from its source.
        age: how long before the run's time the latest of its times is; None where there is none.
        last: its last whole reading; None before the first.
    """

    stream: PlannedStream
    limits: Limits
    nulls: Mapping[str, Share]
    removed: Share
    age: timedelta | None
    last: Baseline | None

    @property
    def facts(self) -> Facts:
        """What is known of its reading."""
        return self.stream.facts or Facts()

    @property
    def shows_source(self) -> bool:
        """Whether its reading says something of the source's rows: there was one, and nobody asked for a few rows."""
        return self.stream.facts is not None and not self.facts.limited

    @property
    def rejected(self) -> int:
        """How many rows are rejected today; those that were refused before are no mistake of today."""
        return self.stream.counts.rejected - self.stream.counts.refused_before

    def before(self, count: int | None, whole: int | None = None) -> str:
        """Say what a figure was the last time; nothing where that is not known."""
        if self.last is None or count is None:
            return ""
        of = "" if whole is None else f" of {whole:,}"
        return self.last_time(f"{count:,}{of}")

    def last_time(self, text: str) -> str:
        """Say what was the last time, and in which run."""
        return "" if self.last is None else f" (last time {text}, run {self.last.run})"
