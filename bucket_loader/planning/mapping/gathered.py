"""What `limits:` ask of the rows, gathered while they are mapped: how many lack a field, and the latest time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from bucket_loader.config import NAMED_VALUES
from bucket_loader.model import UsageError, literal
from bucket_loader.planning.mapping.members import Member, NestedColumn, Value
from bucket_loader.planning.mapping.spec import MappingSpec

_CLOCKS_APART: Final = timedelta(days=1)  # a time later than that is a mistake, and no proof of a fresh source
_KEY: Final = "key."
_LATEST: Final = "latest"
_ZONELESS: Final = "zoneless"


@dataclass
class Gathered:
    """What limits ask of the rows: columns of the SELECT, and what these came to so far.

    Attributes:
        columns: SQL by the name of its column.
        fields: the fields that records may lack, each with its column.
        lacking: the fields that no record has, since the source has no such column today.
        absent: how many records lack each field.
        latest: the latest time.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    absent: dict[str, int] = field(default_factory=dict)
    latest: datetime | None = None

    def __add__(self, other: "Gathered") -> "Gathered":
        """Return what two pieces of the rows came to, whichever of them came first."""
        absent = {name: count + other.absent.get(name, 0) for name, count in self.absent.items()}
        latest = max((one for one in (self.latest, other.latest) if one is not None), default=None)
        return replace(self, absent=other.absent | absent, latest=latest)

    def look(self, rows: pa.Table, kept: pa.Table) -> None:
        """Take note of what the SELECT says of the rows of a batch, and of those of them that make a record.

        Raises:
            UsageError: times have no zone, and the pipeline file names none.
        """
        for name, column in self.fields.items():
            self.absent[name] = self.absent.get(name, 0) + (pc.sum(kept[column]).as_py() or 0)
        if _LATEST not in self.columns:
            return
        if _ZONELESS in self.columns and pc.any(rows[_ZONELESS]).as_py():
            raise UsageError(
                "`limits: fresh` names a column of times without a zone",
                hint="write `timezone: UTC` on the stream, or the zone that they are in",
            )
        found = pc.max(rows[_LATEST]).as_py()
        if found is not None:
            self.latest = found if self.latest is None else max(self.latest, found)


def gathered(spec: MappingSpec, members: Mapping[str, Sequence[Member]], fresh: Value | None) -> Gathered:
    """Return what gathers what limits ask.

    Args:
        spec: what is asked, and the run's time.
        members: the members of each field, with their forms.
        fresh: the value of which the latest is asked.
    """
    columns: dict[str, str] = {}
    fields: dict[str, str] = {}
    lacking = []
    for name in spec.asked.nulls:
        if (absent := _absent(name, members)) is None:
            lacking.append(name)
        else:
            fields[name] = f"absent{len(fields)}"
            columns[fields[name]] = absent
    if fresh is not None:
        columns |= _of_fresh(fresh, spec.as_of + _CLOCKS_APART)
    return Gathered(columns, fields, tuple(lacking))


def _of_fresh(value: Value, end: datetime) -> dict[str, str]:
    found = value.fill("{v}")
    columns = {_LATEST: f"CASE WHEN {found} <= TIMESTAMP '{end:%Y-%m-%d %H:%M:%S}' THEN {found} END"}
    zoneless = [value.fill(wrong.predicate) for wrong in value.form.wrong if wrong.code == "timezone"]
    return columns | ({_ZONELESS: " OR ".join(zoneless)} if zoneless else {})


def _absent(name: str, members: Mapping[str, Sequence[Member]]) -> str | None:
    """Return SQL for whether a record lacks a field; None where no column of today gives it."""
    there = {member.target: member for group, field in members.items() if group != _KEY for member in field}
    targets = [name, *(f"{group}.{name}" for group in NAMED_VALUES)]
    for target in targets:
        if (member := there.get(target)) is not None:
            return member.fill("({v} IS NULL)") if isinstance(member, Value) else f"(j{member.number} IS NULL)"
    for target in targets:
        for above, member in there.items():
            if isinstance(member, NestedColumn) and target.startswith(f"{above}."):
                return _is_absent_inside(member, target)
    return None


def _is_absent_inside(member: NestedColumn, target: str) -> str:
    """Return SQL for whether there is nothing under a dotted name in the finished text of a nested column."""
    text = f"j{member.number}"
    if member.is_whole:
        names = target.removeprefix(f"{member.target}.").split(".")
    else:
        names, text = [target.partition(".")[2]], f"'{{' || {text} || '}}'"
    pointer = "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)
    return f"(json_extract_string({text}, {literal(pointer)}) IS NULL)"
