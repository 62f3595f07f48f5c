"""The fields that rules ask for: whose they are, which attributes of a record hold them, and who delivers them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from bucket_loader.config import Pipeline, Stream
from bucket_loader.model import COMPANY, USER
from bucket_loader.planning import beginnings, names_of, way_of
from bucket_loader.runs.impact.definitions import Feature
from bucket_loader.runs.impact.engine import asked_by

WHOSE: Final = (COMPANY.name, USER.name)
_STAR: Final = "attributes.*"
FILTER_TYPES: Final = {
    "opt-in": "who has opted in is not known here",
    "segment": "who is in a segment is not known here",
}


@dataclass(frozen=True)
class Asked:
    """What rules ask of companies, or of users.

    Attributes:
        whose: of which of the two: the kind of the records that have them.
        fields: the fields, by their dotted names, without the id.
        attributes: the attributes of records that may hold them: `a.b` stands in `a.b`, or in `a`.
    """

    whose: str
    fields: Sequence[str]
    attributes: Sequence[str]

    @classmethod
    def of(cls, whose: str, features: Iterable[Feature]) -> "Asked":
        """Gather it from the rules."""
        names = dict.fromkeys(name for feature in features for name in asked_of(feature))
        fields = sorted(name for name in names if name.startswith(f"{whose}.") and name != f"{whose}.id")
        return cls(whose, fields, list(dict.fromkeys(name for field in fields for name in holders(field))))

    def sent_by(self, stream: Stream, columns: pa.Schema | None) -> set[str]:
        """Return the attributes that a stream can send.

        Args:
            stream: the stream.
            columns: those of its source, where they are known: `"*"` sends no others.
        """
        names, spread = names_of(stream), None if columns is None else _names_in(columns)
        removed = set() if stream.on_removed is None else set(stream.on_removed.attributes)
        return {name for name in self.attributes if name in removed or _may_send(f"attributes.{name}", names, spread)}


def _may_send(path: str, names: dict[str, str], spread: set[str] | None) -> bool:
    if way_of(path, names) is None:
        return False
    is_named = way_of(path, {name: way for name, way in names.items() if name != _STAR}) is not None
    return is_named or spread is None or not spread.isdisjoint(beginnings(path.removeprefix("attributes.")))


def _names_in(columns: pa.Schema) -> set[str]:
    """Return the names of columns, and of what is inside of them, dotted."""
    found = set[str]()
    for field in columns:
        found.add(field.name)
        if pa.types.is_struct(field.type):
            found |= {f"{field.name}.{name}" for name in _names_in(pa.schema(list(field.type)))}
    return found


def holders(field: str) -> list[str]:
    """Return the attributes that may hold a field, the one with its whole name first."""
    return beginnings(field.partition(".")[2])


def asked_of(feature: Feature) -> list[str]:
    """Return the fields that a feature asks for, and the types of filters that are not known here."""
    nodes = (*feature.rules, *feature.variants)
    return list(dict.fromkeys(name for node in nodes for name in asked_by(node)))


def is_of_users(feature: Feature) -> bool:
    """Whether users of a company may differ in a feature."""
    return any(name.startswith("user.") for name in asked_of(feature))


def why_outside(name: str) -> str | None:
    """Return why nobody here knows what a rule asks for; None where it is of a company or a user."""
    if name.partition(".")[0] in WHOSE and "." in name:
        return None
    if name in FILTER_TYPES:
        return FILTER_TYPES[name]
    return f"{name}: it is part of the request"


def delivered(pipeline: Pipeline) -> list[tuple[int, Stream]]:
    """Return the streams of companies and users, each with its place in the order of delivery."""
    return [(place, stream) for place, stream in enumerate(pipeline.ordered_streams()) if stream.ordered]
