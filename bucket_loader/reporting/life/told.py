"""What is told of a life, as values: what `--json` prints, and what a screen and a page are made of."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

Fate = Literal[
    "delivered", "rejected", "pending", "unknown", "held", "dropped", "superseded", "stuck", "not sent", "planned",
    "refused before",
]  # fmt: skip
"""Where a record is: those of the ledger's chunks, and what never came to a chunk."""


class Attempt(Struct, frozen=True):
    """A request that carried the record.

    Attributes:
        at: when it ended (wire time).
        status: the HTTP status; None where no answer came.
        seconds: how long it took.
    """

    at: str
    status: int | None
    seconds: float


class Chunk(Struct, frozen=True):
    """A chunk that carries the record, or did before it was cut.

    Attributes:
        number: its place among the chunks of its stream, from 1; None for a part, or where it is folded.
        members: the sequences that it carries.
        records: how many those are.
        state: what became of it.
        attempts: how many requests were made of it.
        ambiguous: how many of those may have been applied without an answer.
        tried: the requests, as far as they are known one by one.
        folded: for how many chunks it stands; None for one that is itself.
        aside: since when it comes after all others.
    """

    number: int | None
    members: str
    records: int
    state: str
    attempts: int
    ambiguous: int
    tried: list[Attempt]
    folded: int | None
    aside: str | None


class Field(Struct, frozen=True):
    """A field of a record, and the rule that it came from."""

    path: str
    value: Any
    rule: str


class Difference(Struct, frozen=True):
    """A field that changed; a side is missing where the record had no such field."""

    field: str
    old: Any | UnsetType = UNSET
    new: Any | UnsetType = UNSET


class Compared(Struct, frozen=True):
    """What a record was compared with, when it was planned.

    Attributes:
        text: what came of it, in a sentence.
        run: the run that delivered what it was compared with, where that is known.
        changes: what differs from that, where both are known.
    """

    text: str
    run: str | None = None
    changes: list[Difference] | None = None


class Letter(Struct, frozen=True):
    """A dead letter.

    Attributes:
        id: its name.
        stage: where it was rejected.
        reasons: why, each with `code`, `message` and `field`.
        at: when.
        response: what the API answered.
        replayed: the run that took it up again.
    """

    id: str
    stage: str
    reasons: list[dict[str, Any]]
    at: str
    response: dict[str, Any] | None
    replayed: str | None


class Appearance(Struct, frozen=True):
    """What one run knows of one row.

    Attributes:
        run: the run.
        stream, kind: the stream, and the kind of its records.
        fate: where the record is.
        fate_text: the same as a sentence, with what follows from it.
        origin: where the row stood: `source`, `row`, and where they are known `line` or `sheet_row`.
        sequence: its place in the run's plan; None where it made no record that is there.
        input: the columns that it was made from; None where they are not there, or were left out.
        record: what is sent.
        fields: the fields of the record, each with its rule.
        left_out: fields that the mapping has and this record has not: nothing stood there.
        are_rules_of_then: whether the record was made by today's rules; else the mapping has changed since.
        compared: what it was compared with.
        chunks: the chunks that carried it, the plan's own first.
        letters: its dead letters.
    """

    run: str
    stream: str
    kind: str
    fate: Fate
    fate_text: str
    origin: dict[str, Any]
    sequence: int | None = None
    input: dict[str, Any] | None = None
    record: dict[str, Any] | None = None
    fields: list[Field] = []
    left_out: list[str] = []
    are_rules_of_then: bool = True
    compared: Compared | None = None
    chunks: list[Chunk] = []
    letters: list[Letter] = []


class RunOf(Struct, frozen=True):
    """A run that knows what is sought."""

    run: str
    status: str
    began: str
    as_of: str
    rows: list[Appearance]


class Remembered(Struct, frozen=True):
    """What a stream remembers of it now.

    Attributes:
        stream: the stream.
        state: `remembered`, `claimed` (sent, without an answer), `removed`, `not remembered`, or
            `not known`: nobody can tell.
        run: the run that delivered what is remembered; None where that cannot be told.
        text: the same as a sentence.
    """

    stream: str
    state: Literal["remembered", "claimed", "removed", "not remembered", "not known"]
    text: str
    run: str | None = None


class NowRow(Struct, frozen=True):
    """A row of the source as it is now, and what a run would do with it."""

    origin: dict[str, Any]
    verdict: Literal["sent", "unchanged", "superseded", "filtered", "rejected", "refused before", "removed"]
    text: str
    reasons: list[dict[str, Any]] = []
    input: dict[str, Any] | None = None
    record: dict[str, Any] | None = None
    changes: list[Difference] | None = None


class Now(Struct, frozen=True):
    """What a run would do now with the rows of a stream."""

    stream: str
    as_of: str
    read: int
    rows: list[NowRow]
    notes: list[str]


class Life(Struct, frozen=True):
    """All that is known of what is sought.

    Attributes:
        pipeline: the pipeline's name.
        sought: what is sought, as JSON calls it.
        title: the same for a person.
        runs: the runs that know it, newest first.
        remembered: what is remembered of it now.
        looked: where it was looked for, a sentence each.
        gone: what can no longer be told, a sentence each.
        meant: what may be meant where nothing is known of it, a sentence each.
        now: what a run would do now; None where nobody asked.
    """

    pipeline: str
    sought: dict[str, Any]
    title: str
    runs: list[RunOf]
    remembered: list[Remembered]
    looked: list[str]
    gone: list[str]
    meant: list[str]
    now: Now | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found
