"""A case: one stream of a plan, the limits that hold for it, and its last whole reading."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from bucket_loader.config import Limits, Share
from bucket_loader.model import SYNCS
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
    def has_empty_gate(self) -> bool:
        """Whether an empty source is for another gate to tell, which a person may lift."""
        return SYNCS[self.stream.mode].compares

    @property
    def rejected(self) -> int:
        """How many rows are rejected today; those that were refused before are no mistake of today."""
        return self.stream.counts.rejected - self.stream.counts.refused_before

    def before(self, figure: Callable[[Baseline], str | None]) -> str:
        """Say what a figure was the last time; `figure` returns None where it was not counted."""
        if self.last is None:
            return " (no earlier run to compare with)"
        return f" (last time {figure(self.last) or 'not counted'}, run {self.last.run})"
