"""What is looked for: a user or a company by its id, or a record by the values that identify it."""

from dataclasses import dataclass
from typing import Final, Literal

from bucket_loader.model import COMPANY, KINDS, USER, Kind, contract
from bucket_loader.planning import PlannedStream
from bucket_loader.runs.about import Subject, as_mapped, key_of

Way = Literal["keys", "records"]
"""How the records of a stream are searched: by their keys, which is quick, or by what they hold."""
_CONTEXT: Final = "evalContext"


@dataclass(frozen=True)
class Sought:
    """What is looked for.

    Attributes:
        subject: a user or a company; None where `values` are given.
        values: what identifies a record: one for each column of `key:`, or its ids.
    """

    subject: Subject | None = None
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.subject is None:
            return f"key {', '.join(self.values)}"
        return f"{self.subject.field.removesuffix('Id')} {self.subject.id}"

    def as_json(self) -> dict[str, object]:
        """Return what `--json` calls it."""
        return {"key": list(self.values)} if self.subject is None else {self.subject.field: self.subject.id}

    def keys(self, kind: Kind) -> set[bytes]:
        """Return the keys that its records have as far as they follow from what is given."""
        if self.subject is None:
            return {key_of(kind.name, self.values), *self._with_no_user(kind)}
        return self.subject.keys() if kind.ids[:1] == (self.subject.field,) else set()

    def _with_no_user(self, kind: Kind) -> set[bytes]:
        """Return the key of a company of which the source names users, and none for this row."""
        return {key_of(kind.name, [*self.values, None])} if kind is COMPANY and len(self.values) == 1 else set()

    def way(self, stream: PlannedStream) -> Way | None:
        """Return how the records of a stream are searched; None where none of them can be meant."""
        kind = KINDS[stream.kind]
        if self.subject is None:
            return "keys" if kind.ordered or stream.keyed else None
        if not kind.ordered:
            return "records"
        is_own = kind.subject == self.subject.field
        names_users = kind is not USER and stream.shares_ids
        if names_users:
            return "records"
        return "keys" if is_own else None

    def needles(self, kind: Kind) -> tuple[bytes, ...]:
        """Return what the text of a record holds that may name the subject: one of these at least."""
        assert self.subject is not None  # noqa: S101  # narrows the type
        text = as_mapped(self.subject.id)
        found = [f'"{self.subject.field}":{text}']
        if _CONTEXT in contract.rules(kind.name):
            found.append(f'id":{text}')
            found += [f'id":{self.subject.id}'] if self.subject.id.isdigit() else []
        return tuple(one.encode(errors="replace") for one in found)

    def is_named_in(self, record: str) -> bool:
        """Whether a record names the subject."""
        return self.subject is None or self.subject.names(record)
