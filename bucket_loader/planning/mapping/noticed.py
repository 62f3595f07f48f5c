"""What a mapping notices of the rows beside their records; of two pieces of a source it is the sum of both."""

from collections.abc import Iterator
from dataclasses import dataclass

from bucket_loader.planning.mapping.excluded import Excluded
from bucket_loader.planning.mapping.gathered import Gathered
from bucket_loader.planning.mapping.nested.lists import Seen


@dataclass(frozen=True)
class Noticed:
    """What a mapping noticed of the rows that went through it. It pickles.

    Attributes:
        seen: what was seen in each nested column, with the column's name.
        excluded: the names that are left out, held against the rows.
        gathered: what limits ask of the rows.
    """

    seen: tuple[tuple[str, Seen], ...]
    excluded: Excluded
    gathered: Gathered

    def __add__(self, other: "Noticed") -> "Noticed":
        pairs = zip(self.seen, other.seen, strict=True)
        seen = tuple((column, one + another) for (column, one), (_, another) in pairs)
        return Noticed(seen, self.excluded + other.excluded, self.gathered + other.gathered)

    def lists(self) -> dict[str, int]:
        """Return the attributes in which lists were seen, each with the length of its longest."""
        return {name: length for _, seen in self.seen for name, length in seen.lists.items()}

    def told(self) -> Iterator[str]:
        """Say what the user should know of the rows."""
        for column, seen in self.seen:
            yield from (f"column {column!r}: {sentence}" for sentence in seen.sentences())
