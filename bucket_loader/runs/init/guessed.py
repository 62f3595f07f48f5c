"""What was guessed of a source, as a value: streams and fields, each with its reason. `lines.py` writes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bucket_loader.model import Kind


@dataclass(frozen=True)
class GuessedField:
    """A field or an attribute.

    Attributes:
        name: on the wire.
        spelling: its value in the pipeline file: a column, or a mapping in braces.
        reason: what speaks for it, or what a person should look at; empty where it is a column as it stands.
        column: the name of the column that it is made from; empty for a constant.
        choices: other spellings that the sample allows as well.
    """

    name: str
    spelling: str
    reason: str = ""
    column: str = ""
    choices: Sequence[str] = ()


@dataclass(frozen=True)
class LeftOut:
    """A column that is not sent.

    Attributes:
        name: of the attribute that it would be.
        spelling: what to write to send it.
        reason: why it is left out.
        is_personal: whether it is so for being about a person.
    """

    name: str
    spelling: str
    reason: str
    is_personal: bool = False


@dataclass(frozen=True)
class Condition:
    """Which rows are sent: an expression, and why the others are left out."""

    sql: str
    reason: str


@dataclass(frozen=True)
class GuessedStream:
    """A stream.

    Attributes:
        name: of the stream.
        kind: of its records.
        reason: what speaks for that kind.
        fields: of the record, but for its attributes.
        attributes: what is sent beside them.
        left_out: what is not.
        where: which rows are sent; all conditions hold.
        key: the columns that tell two rows apart.
        key_reason: what speaks for them.
        timezone: of the times inside of nested columns, where they name none.
        missing: the fields that a record must have and that no column fits; then there is no run.
    """

    name: str
    kind: Kind
    reason: str
    fields: Sequence[GuessedField]
    attributes: Sequence[GuessedField] = ()
    left_out: Sequence[LeftOut] = ()
    where: Sequence[Condition] = ()
    key: Sequence[str] = ()
    key_reason: str = ""
    timezone: str | None = None
    missing: Sequence[str] = ()


@dataclass(frozen=True)
class Said:
    """What a person has said of a source; all else is guessed.

    Attributes:
        record: what a row is.
        columns: the column that a field is made from, by the field's name.
        ends: the least and the greatest score.
        sends_personal: whether what is about persons is sent.
    """

    record: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    ends: tuple[int, int] | None = None
    sends_personal: bool = False


@dataclass(frozen=True)
class Limit:
    """When a run stops before it sends anything, and why there."""

    name: str
    share: str
    reason: str
