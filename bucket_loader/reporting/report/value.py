"""What a report says, as one frozen value of plain words and numbers; `runs/report` gathers it.

Lists are cut where they are gathered, so that a page stays small: `more` says how much was left out.
"""

from dataclasses import dataclass, field
from typing import Literal

from bucket_loader.model import Counts

Mood = Literal["good", "warning", "error"]


@dataclass(frozen=True)
class Ending:
    """How a run ended, and what to do next.

    Attributes:
        mood: how good that is.
        verdict: one sentence.
        why: what stopped it, with its figures; empty when nothing did.
        hint: what the error says is to be done.
        steps: what a person does next; a command stands between backticks.
        exit_code: what the command ended with; None where it has not ended.
    """

    mood: Mood
    verdict: str
    why: str = ""
    hint: str = ""
    steps: tuple[str, ...] = ()
    exit_code: int | None = None


@dataclass(frozen=True)
class Changes:
    """What differs from what was known of a stream.

    Attributes:
        known: how many keys were known.
        changed: how many of those are sent with another content.
        fields: how many of those change in each field, most first; None where values are not remembered.
        more: how many fields are left out.
    """

    known: int
    changed: int
    fields: tuple[tuple[str, int], ...] | None
    more: int = 0


@dataclass(frozen=True)
class Flow:
    """Where the rows of a stream went.

    Attributes:
        kind: what its records are; empty where the plan is gone.
        mode: its `sync:`; empty where the plan is gone.
        changes: None for a stream that does not compare, and where the plan is gone.
    """

    stream: str
    counts: Counts
    kind: str = ""
    mode: str = ""
    changes: Changes | None = None


@dataclass(frozen=True)
class Rejection:
    """Rows that are rejected for one reason.

    Attributes:
        places: where the first of them are.
        shapes: what the wrong values look like, without a letter or digit of them.
        mend: what a person does about it.
    """

    stream: str
    field: str
    code: str
    message: str
    rows: int
    places: str
    shapes: tuple[str, ...] = ()
    mend: str = ""


@dataclass(frozen=True)
class Rejections:
    """All that was rejected.

    Attributes:
        rows: how many rows and records.
        reasons: why, most first.
        more: how many reasons are left out.
        file: where the dead letters are; empty where there are none.
        steps: what a person does about them.
        gone: what can no longer be told of them.
    """

    rows: int
    reasons: tuple[Rejection, ...] = ()
    more: int = 0
    file: str = ""
    steps: tuple[str, ...] = ()
    gone: str = ""


@dataclass(frozen=True)
class Moment:
    """The attempts that ended in one stretch of time.

    Attributes:
        counts: how many of each class, in the order of `CLASSES`.
        middle_ms: half of them took no longer.
        slow_ms: 95 of 100 took no longer.
    """

    counts: tuple[int, ...]
    middle_ms: int
    slow_ms: int


CLASSES = ("taken", "asked to wait", "refused", "server errors", "no answer")
"""What an attempt came to: 2xx, 429, another status below 500, 5xx, none."""


@dataclass(frozen=True)
class Traffic:
    """The requests of a run over time.

    Attributes:
        began: when the first stretch begins (wire time); empty where nothing is known but sums.
        each_s: how long a stretch is.
        moments: the stretches, one after another.
        counts: how many attempts of each class there were in all.
        middle_ms, slow_ms: as of a moment, of all.
        records_per_s: how many records were delivered in a second, between the first attempt and the last.
        attempts: how many attempts the chunks count.
        unseen: of how many no time is known: an older version made them, they are folded, or amid very many.
    """

    began: str = ""
    each_s: float = 0.0
    moments: tuple[Moment, ...] = ()
    counts: tuple[int, ...] = (0,) * len(CLASSES)
    middle_ms: int = 0
    slow_ms: int = 0
    records_per_s: float = 0.0
    attempts: int = 0
    unseen: int = 0


@dataclass(frozen=True)
class NamedChunk:
    """A chunk that a person may have to know: its answer never came, or it was sent more than once."""

    stream: str
    chunk: str
    records: int
    attempts: int
    said: str


@dataclass(frozen=True)
class NamedChunks:
    """Chunks by name; `more` are left out."""

    chunks: tuple[NamedChunk, ...] = ()
    more: int = 0


@dataclass(frozen=True)
class Column:
    """One of the last runs.

    Attributes:
        began: when (wire time).
        is_this: whether the report is of it.
        is_folded: whether it is so old that nothing but its counts is left.
    """

    run: str
    status: str
    began: str
    counts: Counts
    requests: int
    is_this: bool = False
    is_folded: bool = False


@dataclass(frozen=True)
class Stamp:
    """What an audit of the run says.

    Attributes:
        is_sound: None where it could not be made.
        said: the sentence.
        findings: what is wrong.
        not_proved: what can no longer be told.
    """

    is_sound: bool | None
    said: str
    findings: tuple[str, ...] = ()
    not_proved: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rows:
    """Rows, since they were asked for: dead letters, and records that were planned; a name and its JSON each."""

    letters: tuple[tuple[str, str], ...] = ()
    records: tuple[tuple[str, str], ...] = ()
    gone: str = ""


@dataclass(frozen=True)
class Report:
    """All that is known of a run; of what could not even begin, why.

    Attributes:
        pipeline: its name.
        run: the run's; empty where there is none.
        environment: where it sends to.
        made_at: when this was gathered (wire time).
        facts: names, and what stands beside each.
        gone: what can no longer be told, or not here, a sentence each.
        rows: None where they were not asked for.
    """

    pipeline: str
    run: str
    environment: str
    made_at: str
    ending: Ending
    facts: tuple[tuple[str, str], ...] = ()
    gone: tuple[str, ...] = ()
    flows: tuple[Flow, ...] = ()
    more_flows: int = 0
    rejections: Rejections = field(default_factory=lambda: Rejections(0))
    traffic: Traffic = field(default_factory=Traffic)
    unknown: NamedChunks = field(default_factory=NamedChunks)
    repeated: NamedChunks = field(default_factory=NamedChunks)
    columns: tuple[Column, ...] = ()
    stamp: Stamp | None = None
    rows: Rows | None = None
