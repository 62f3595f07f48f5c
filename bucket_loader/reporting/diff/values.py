"""What a plan changes, as values: of a plan, of each of its streams, and of single records."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bucket_loader.config import Fields
from bucket_loader.model import KINDS, LimitError, Stop, counted

NUMBERS: Final = ("created", "changed", "removed", "unchanged", "rejected")
_ATTRIBUTES: Final = "attributes."
_KEPT: Final = (_ATTRIBUTES, "context.")
WOULD_STOP: Final = "a run would stop:"


@dataclass(frozen=True)
class RecordDiff:
    """What becomes of one record.

    Attributes:
        ids: what it is known by.
        change: `created`, `changed` or `removed`.
        fields: by the path of a field its `old` and its `new` value, as far as it has them; None where nobody knows
            what it was.
    """

    ids: Mapping[str, Any]
    change: str
    fields: Mapping[str, Mapping[str, Any]] | None


@dataclass(frozen=True, kw_only=True)
class StreamDiff:
    """What becomes of the records of a stream.

    Attributes:
        name: the stream's.
        kind: that of its records.
        created: records that are sent for the first time, as far as anybody knows.
        changed: those that were delivered with other values.
        removed: those that say that a row is gone.
        unchanged: rows that are known as they are; with `--full` they are sent once more.
        rejected: rows that are not sent.
        unknown: changed records of which nobody knows the old values.
        fields: how many of the other changed records differ in a field, most first.
        records: those that are shown.
        shown: how many these are.
        remembers_values: whether the stream remembers what is delivered from now on.
    """

    name: str
    kind: str
    created: int
    changed: int
    removed: int
    unchanged: int
    rejected: int
    unknown: int
    fields: Mapping[str, int]
    records: Iterable[RecordDiff]
    shown: int
    remembers_values: bool

    @property
    def sent(self) -> int:
        """How many records are sent, without those that are sent as they were."""
        return self.created + self.changed + self.removed

    @property
    def more(self) -> int:
        """How many of them are not shown."""
        return self.sent - self.shown

    @property
    def plural(self) -> str:
        """What many of its records are called."""
        return KINDS[self.kind].plural

    @property
    def numbers(self) -> str:
        """Its numbers in words."""
        said = [f"{getattr(self, word):,} {word}" for word in NUMBERS if getattr(self, word)]
        return ", ".join(said) or "no rows"

    @property
    def on_unknown(self) -> str:
        """What is to be said of changed records whose old values nobody knows; empty where there are none."""
        if not self.unknown:
            return ""
        which = f"{self.unknown:,} of {self.changed:,}" if self.unknown < self.changed else f"{self.unknown:,}"
        way = (
            "`bucket-loader run PIPELINE` learns what it delivers, and with --full all of them"
            if self.remembers_values
            else "`remember: values` on the stream, then `bucket-loader run PIPELINE --full`, learns them"
        )
        return f"of {which} changed {self.plural} nobody knows the old values: {way}"


@dataclass(frozen=True)
class Diff:
    """What a plan changes.

    Attributes:
        pipeline: the pipeline's name.
        run: the name of the run that the plan would be.
        streams: in the order in which they are delivered.
        stops: what would stop the run before it sends anything.
        impact: which features change, in a line; empty where nobody asked.
    """

    pipeline: str
    run: str
    streams: tuple[StreamDiff, ...]
    stops: tuple[Stop, ...] = ()
    impact: str = ""

    @property
    def on_stops(self) -> list[str]:
        """What would stop the run, a line each."""
        return [f"{WOULD_STOP} {one.sentence}" for one in self.stops]

    @property
    def next_step(self) -> str:
        """What to do where the run would be stopped; else nothing."""
        return LimitError(self.stops).hint if self.stops else ""


def short_name(path: str) -> str:
    """Return what a field is called: an attribute by its name alone, unless that could be another field."""
    name = path.removeprefix(_ATTRIBUTES)
    return path if name in Fields.model_fields or name.startswith(_KEPT) else name


def more_records(count: int) -> str:
    """Return what is to be said of records that are not shown."""
    return f"and {counted(count, 'more record')}: `--rows all` shows every one"
