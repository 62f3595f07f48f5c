"""What stops a run before it sends: `limits:`, at the top of the file and on a stream, whose words win."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from bucket_loader.config.mapping import NAMED_VALUES, Names
from bucket_loader.config.scalars import Model, PartOf, PositiveDuration, Share, ShareOf


class RowsLimit(Model):
    """How many rows a stream may read: in all, and beside the last run that read its whole source."""

    min: int | None = Field(default=None, ge=0)
    max: int | None = Field(default=None, ge=0)
    drop: PartOf | None = Field(default=None, description="how many fewer than the last time, for example 50%")
    growth: ShareOf | None = Field(default=None, description="how many more than the last time; 300% is four times")

    @model_validator(mode="after")
    def _least_first(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("`min:` is more than `max:`")
        return self


class FreshLimit(Model):
    """How old the source may be, by the latest time in one of its columns."""

    column: str = Field(min_length=1, description="a column of the source")
    within: PositiveDuration = Field(description="how long before the run's time the latest may be, for example 26h")


class Limits(Model):
    """Stop before sending when more than this is wrong or has changed."""

    rejected: ShareOf | None = Field(default=None, description="of the rows, how many planning may reject")
    changed: ShareOf | None = Field(default=None, description="of the records that are known, how many may change")
    rows: RowsLimit | None = None
    fresh: FreshLimit | None = None
    superseded: PartOf | None = Field(default=None, description="of the rows, how many a later one may replace")
    null: dict[str, PartOf | None] | None = Field(default=None, description="of the records, how many may lack a field")
    columns: Literal["stop", "warn"] | None = Field(
        default=None, description='what to do when `"*"` sends other attributes than the last time; warn by default'
    )

    def under(self, top: "Limits") -> "Limits":
        """Return these limits with those of the file's top for what they do not say."""
        own = {name: getattr(self, name) for name in self.model_fields_set}
        if self.rows is not None and top.rows is not None:
            own["rows"] = top.rows.model_copy(
                update={name: getattr(self.rows, name) for name in self.rows.model_fields_set}
            )
        if self.null is not None and top.null is not None:
            own["null"] = {**top.null, **self.null}
        return top.model_copy(update=own)

    def nulls(self) -> Mapping[str, Share]:
        """Return how many records may lack a field, by the field."""
        return {name: share for name, share in (self.null or {}).items() if share is not None}


class TopLimits(Limits):
    """The limits at the top of the file: also of what concerns no single stream."""

    flips: dict[str, ShareOf] | None = Field(
        default=None,
        description="for how many companies (or users) a feature may turn on, off or to another variant, by its key; "
        '"*" is every other feature',
    )
    unknown: PartOf | None = Field(
        default=None, description="of the answers that features give, how many may be unknown before the run"
    )

    def of_feature(self, key: str) -> Share | None:
        """Return how often a feature may change."""
        flips = self.flips or {}
        return flips.get(key, flips.get("*"))


NO_LIMITS: Final = Limits()
NO_TOP_LIMITS: Final = TopLimits()


def limit_problems(data: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Find the fields under `null:` that no record can have."""
    written = data.get("streams")
    streams = [one for one in written if isinstance(one, dict)] if isinstance(written, list) else []
    fields = [_names_of(one.get("fields")) for one in streams]
    for name in _named(data):
        if fields and not any(may_send(one, name) for one in fields):
            yield ("limits", "null", name), f"no stream sends {name!r}"
    for index, one in enumerate(fields):
        for name in _named(streams[index]):
            if not may_send(one, name):
                yield ("streams", index, "limits", "null", name), f"the stream sends no {name!r}"


def _named(part: object) -> list[str]:
    """Return the fields that a part of the file has a limit for; null lifts one."""
    limits = part.get("limits") if isinstance(part, dict) else None
    named = limits.get("null") if isinstance(limits, dict) else None
    return [name for name, share in named.items() if share is not None] if isinstance(named, dict) else []


def may_send(fields: Names, name: str) -> bool:
    """Whether a record may have a field: by its path, or as the name of an attribute."""
    if name in fields and fields[name] is None:
        return True
    for group, names in fields.items():
        inner = name.removeprefix(f"{group}.")
        if any(one in {"*", inner} or inner.startswith(f"{one}.") for one in names or ()):
            return True
    return False


def _names_of(fields: object) -> Names:
    """Return the names in `fields:` as they stand in the file."""
    return {
        str(name): (list(spec) if isinstance(spec, dict) else ["*"]) if name in NAMED_VALUES else None
        for name, spec in (fields.items() if isinstance(fields, dict) else ())
    }
