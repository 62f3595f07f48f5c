"""What is looked for: a user or a company by its id, or a record by the values that identify it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from bucket_loader.config import Stream
from bucket_loader.model import COMPANY, KINDS, USER, Kind, contract
from bucket_loader.planning import PlannedStream
from bucket_loader.runs.about import Subject, as_mapped, key_of

Way = Literal["keys", "records"]
"""How the records of a stream are searched: by their keys, which is quick, or by what they hold."""
CONTEXT: Final = "evalContext"  # the field of a feature event that may name users and companies


@dataclass(frozen=True)
class Sought:
    """What is looked for.

    Attributes:
        subject: a user or a company; None where `values` are given.
        values: what identifies a record: one for each column of `key:`, or its ids.
        others: who is sought as well.
    """

    subject: Subject | None = None
    values: tuple[str, ...] = ()
    others: tuple[Subject, ...] = ()

    @property
    def _subjects(self) -> tuple[Subject, ...]:
        return self.others if self.subject is None else (self.subject, *self.others)

    def __str__(self) -> str:
        if self.subject is None:
            return f"key {', '.join(map(_shown, self.values))}"
        return f"{self.subject.field.removesuffix('Id')} {_shown(self.subject.id)}"

    def as_json(self) -> dict[str, object]:
        """Return what `--json` calls it."""
        return {"key": list(self.values)} if self.subject is None else {self.subject.field: self.subject.id}

    def keys(self, kind: Kind) -> set[bytes]:
        """Return the keys that its records have as far as they follow from what is given."""
        if self.subject is None:
            return {key_of(kind.name, self.values), *self._with_no_user(kind)}
        return set[bytes]().union(*(one.keys() for one in self._subjects if kind.ids[:1] == (one.field,)))

    def _with_no_user(self, kind: Kind) -> set[bytes]:
        """Return the key of a company of which the source names users, and none for this row."""
        return {key_of(kind.name, [*self.values, None])} if kind is COMPANY and len(self.values) == 1 else set()

    def way(self, stream: PlannedStream) -> Way | None:
        """Return how the records of a planned stream are searched; None where none of them can be meant."""
        return self.way_of(KINDS[stream.kind], is_keyed=stream.keyed, names_users=stream.shares_ids)

    def way_of(self, kind: Kind, *, is_keyed: bool, names_users: bool) -> Way | None:
        """Return how records are searched; None where none of them can be meant.

        Args:
            kind: their kind.
            is_keyed: whether `key:` identifies them.
            names_users: whether a company is named with a user: then its key is of both.
        """
        if self.subject is None:
            return "keys" if kind.ordered or is_keyed else None
        if not kind.ordered or (names_users and kind is not USER):
            return "records"
        return "keys" if kind.subject == self.subject.field else None

    def needles(self, kind: Kind) -> tuple[bytes, ...]:
        """Return what the text of a record holds that may name a subject: one of these at least."""
        has_context = CONTEXT in contract.rules(kind.name)
        found = dict.fromkeys(one for subject in self._subjects for one in _needles(subject, has_context=has_context))
        return tuple(one.encode(errors="replace") for one in found)

    def is_named_in(self, record: str) -> bool:
        """Whether a record names a subject."""
        return self.whom(record) is not None

    def whom(self, record: str) -> str | None:
        """Return the id of the subject that a record names."""
        return next((one.id for one in self._subjects if one.names(record)), None)


def names_users(stream: Stream) -> bool:
    """Whether a stream of companies names users as well, so that its keys are of both."""
    given = stream.fields.given()
    return any(name in given for name in stream.kind.ids[1:])


def _shown(id_: str) -> str:
    """Return an id as a person reads it: in quotes where blanks would not be seen."""
    return id_ if id_ == id_.strip() and id_.isprintable() else repr(id_)


def _needles(subject: Subject, *, has_context: bool) -> Iterator[str]:
    text = as_mapped(subject.id)
    yield f'"{subject.field}":{text}'
    if has_context:
        yield f'id":{text}'
        if subject.id.isdigit():
            yield f'id":{subject.id}'
