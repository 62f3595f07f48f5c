"""What `limits:` ask of the rows while they are mapped, and how the column of `fresh:` is read."""

from dataclasses import dataclass
from typing import Final

from bucket_loader.config import FieldSpec, Stream

FRESH: Final = "limits.fresh"


@dataclass(frozen=True)
class Asked:
    """What limits ask of the rows.

    Attributes:
        nulls: the fields that a record should have.
        fresh: the column of which the latest time is wanted.
    """

    nulls: tuple[str, ...] = ()
    fresh: str | None = None


NOTHING_ASKED: Final = Asked()


def spec_of_fresh(column: str, stream: Stream) -> FieldSpec:
    """Return how a column is read as a time: as a field reads it that says how, else as ISO 8601."""
    words = ("format", "unit", "timezone", "dst", "null_values")
    for spec in stream.fields.by_path().values():
        said = {word: value for word in words if (value := getattr(spec, word)) is not None}
        if spec.column == column and said:
            return FieldSpec(column=column, **said)
    return FieldSpec(column=column)
