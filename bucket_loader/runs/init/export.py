"""What an export of a known tool is: how it is recognised, what its rows are, and where its ids and names stand."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bucket_loader.model import Kind
from bucket_loader.runs.init.evidence import Sample
from bucket_loader.runs.init.roles import Names


@dataclass(frozen=True, kw_only=True)
class Export:
    """A table or file that a tool writes.

    Attributes:
        tool: who writes it, and what it is.
        has: patterns of columns that it has; each must be met.
        lacks: a pattern of columns that it has not.
        shapes: of columns: which form most of their values have.
        label: a pattern that the file's name must hold.
        kind: what a row is; None where it is no record of Bucket.
        fields: for each field the names of its column, best guess first.
        constants: for each field a value, where no column holds it.
        rows: the column that says what each row is, and the values of those that are meant here.
        anonymous: how ids begin that the tool made up for visitors without a name.
    """

    tool: str
    has: Names
    lacks: str = ""
    shapes: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    kind: Kind | None
    fields: Mapping[str, Names] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[str, str] | None = None
    anonymous: str = ""

    def fits(self, sample: Sample, label: str) -> bool:
        """Whether a sample is of this export."""
        return (
            re.search(self.label, label) is not None
            and all(sample.called(pattern) for pattern in self.has)
            and not (self.lacks and sample.called(self.lacks))
            and all(_has_shape(sample, name, form) for name, form in self.shapes.items())
            and (self.rows is None or bool(self.values_in(sample)))
        )

    def values_in(self, sample: Sample) -> list[str]:
        """Return the values, of those that say what a row is, that occur in a sample."""
        if self.rows is None:
            return []
        name, wanted = self.rows
        found = [column for column in sample.called(name) if column.leaf is None]
        return sorted({text for column in found for text in column.texts if re.fullmatch(wanted, text)})


def _has_shape(sample: Sample, name: str, form: str) -> bool:
    return any(column.count(form) * 2 > len(column.values) for column in sample.called(name) if column.values)
