"""What is told of past runs: it was asked for, so a quiet command tells it as well."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class PastRun:
    """What a run came to, or the last run of a pipeline.

    Attributes:
        name: the run's, or the pipeline file's.
        status: how it ended.
        began: when it began; None where there was no run.
        seconds: how long it took; None where it has not ended.
        sent, rejected, pending: how many records went where.
    """

    name: str
    status: str
    began: datetime | None = None
    seconds: float | None = None
    sent: int = 0
    rejected: int = 0
    pending: int = 0


@dataclass(frozen=True, slots=True)
class Trend:
    """How something went from run to run, oldest first; None where it is not known."""

    name: str
    values: tuple[float | None, ...]
    unit: Literal["records", "seconds"] = "records"


@dataclass(frozen=True, slots=True)
class RunsListed:
    """Past runs, newest first; or pipelines, each with its last run.

    Attributes:
        what: which of the two.
        runs: they.
        trends: what is drawn of them.
    """

    what: Literal["run", "pipeline"]
    runs: tuple[PastRun, ...]
    trends: tuple[Trend, ...] = ()


@dataclass(frozen=True, slots=True)
class RunShown:
    """All that is known of a run.

    Attributes:
        past: how it ended.
        facts: pairs: what it is, and a text.
        header, rows: where the rows of each stream went.
        next_step: what a person does next; empty when there is nothing to do.
    """

    past: PastRun
    facts: tuple[tuple[str, str], ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    next_step: str
