"""One source mapped to one kind of record."""

from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from bucket_loader.config.any_source import SourceOrName
from bucket_loader.config.limits import NO_LIMITS, Limits
from bucket_loader.config.mapping import Fields
from bucket_loader.config.scalars import Columns, Duration, Model, Name, Share, ShareOf, Timezone
from bucket_loader.model import KINDS, SYNCS, Kind, RecordKind, Sync, SyncMode


def _start(value: object) -> object:
    """Read where a cursor starts: a time (UTC where it has no zone), a whole number, or any other text."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001  # the zone comes below
    if isinstance(value, str):
        with suppress(ValueError):
            value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError("is no time, whole number or text")  # noqa: TRY004  # pydantic reports ValueErrors
    return value


class Cursor(Model):
    """Where a stream's query reads on: `:cursor` is the greatest value that was loaded, less the lookback."""

    column: Annotated[str, Field(min_length=1)]
    lookback: Duration = Field(default=0.0, description="how late a row may come")
    start: Annotated[datetime | int | str, BeforeValidator(_start), WithJsonSchema({"type": ["string", "integer"]})] = (
        Field(description="what `:cursor` is before the first run")
    )


class OnRemoved(Model):
    """What is sent for a user or a company whose row is no longer in the source."""

    attributes: dict[str, str | bool | int | float] = Field(min_length=1, description="constants, by name")
    limit: ShareOf = Field(
        default=Share(amount=5, percent=True),
        validate_default=False,
        description="stop before sending when more of what was known is gone",
    )

    @field_validator("attributes")
    @classmethod
    def _usable_names(cls, value: dict[str, object]) -> dict[str, object]:
        if "" in value or "*" in value:
            raise ValueError("are constants, each by its name; there is no row to take others from")
        return value


class Stream(Model):
    """One source mapped to one kind of record."""

    name: Name
    record: RecordKind
    source: SourceOrName
    fields: Fields
    key: Columns | None = None
    where: str | None = None
    sync: SyncMode | None = None
    nulls: Literal["omit", "send"] = "omit"
    active: bool | None = None
    timezone: Timezone | None = None
    dst: Literal["earliest", "latest"] | None = None
    on_unknown: Literal["resend", "hold"] = "resend"
    cursor: Cursor | None = None
    on_removed: OnRemoved | None = None
    remember: Literal["hashes", "values"] = Field(
        default="hashes",
        description="what is kept of each delivered user or company: a hash, or its values too, so that `plan --diff` "
        "can say what changes; values lie in the state as they are, and whoever reads the disk can read them",
    )
    limits: Limits = Field(default=NO_LIMITS, description="these win over those at the top, word by word")

    @property
    def kind(self) -> Kind:
        """The kind of its records."""
        return KINDS[self.record]

    @property
    def mode(self) -> Sync:
        """The sync mode, the kind's first where none is written."""
        return self.kind.syncs[0] if self.sync is None else SYNCS[self.sync]

    @property
    def ordered(self) -> bool:
        """Whether the last row of a key wins."""
        return self.kind.ordered
